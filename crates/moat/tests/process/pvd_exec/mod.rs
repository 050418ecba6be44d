//! `moat pvd exec`: programs that know nothing of PvDs, inside one of two.
//!
//! ```text
//! host: moat pvd watch -- fixed0  === home: the router of fixed.example, its resolver, and 2001:db8:1234::80
//!                      -- mobile0 === home: the router of mobile.example, its resolver, and 2001:db8:1234::80
//! ```

mod uplink;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use self::uplink::{SITE, Uplink};
use crate::support::{Daemon, MOAT, Outcome, isolated, run, until};

/// A host with its uplinks; the daemon knows all PvDs.
struct Host {
    folder: TempDir,
    _daemon: Daemon,
}

impl Host {
    fn new(folder: TempDir, interfaces: &[&str], pvds: usize) -> Outcome<Self> {
        let control = folder.path().join("pvd.sock").display().to_string();
        // Nobody but the program asks anything.
        let mut words = vec!["pvd", "watch", "--fetch", "none", "--probe", "none"];
        words.extend(["--control", &control]);
        for interface in interfaces {
            words.extend(["--interface", interface]);
        }
        let mut daemon = Daemon::run(&words)?;
        for _ in interfaces {
            daemon.wait_for("attached")?;
        }
        let host = Self {
            folder,
            _daemon: daemon,
        };
        until("all PvDs are known, with addresses", || {
            let has_any =
                |view: &Value, what: &str| view[what].as_array().is_some_and(|it| !it.is_empty());
            let list = host.list()?;
            let is_ready = |view: &Value| has_any(view, "addresses") && has_any(view, "resolvers");
            Ok(list.len() == pvds && list.iter().all(is_ready))
        })?;
        Ok(host)
    }

    fn list(&self) -> Outcome<Vec<Value>> {
        let output = Command::new(MOAT)
            .args(["pvd", "list", "--json", "--control"])
            .arg(self.folder.path().join("pvd.sock"))
            .output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn command(&self, pvd: &str, words: &[&str]) -> Command {
        let mut command = Command::new(MOAT);
        command
            .args(["pvd", "exec", "--pvd", pvd, "--control"])
            .arg(self.folder.path().join("pvd.sock"))
            .args(words)
            .env_remove("SUDO_UID")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    fn exec(&self, pvd: &str, words: &[&str]) -> Outcome<Output> {
        Ok(self.command(pvd, words).output()?)
    }

    /// The resolvers of a program that was there when others were put in the place of the machine's, by a rename as every DHCP client does.
    /// The machine's `/etc` is a folder of its own, in a mount namespace of its own.
    fn said_after_a_new_lease(&self, pvd: &str) -> Outcome<String> {
        let folder = self.folder.path();
        let etc = folder.join("etc");
        fs::create_dir(&etc)?;
        fs::write(etc.join("resolv.conf"), "nameserver 192.0.2.1\n")?;
        let script = r#"
            mount --bind "$1/etc" /etc
            "$2" pvd exec --pvd "$3" --control "$1/pvd.sock" -- \
                sh -c 'touch "$0/begun"; while [ ! -e "$0/leased" ]; do sleep 0.1; done; cat /etc/resolv.conf' "$1" &
            while [ ! -e "$1/begun" ]; do kill -0 $! || exit 1; sleep 0.1; done
            echo nameserver 192.0.2.2 >/etc/new
            mv /etc/new /etc/resolv.conf
            touch "$1/leased"
            wait $!"#;
        let output = Command::new("timeout")
            .args(["60", "unshare", "--mount", "sh", "-euc", script, "sh"])
            .arg(folder)
            .args([MOAT, pvd])
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(String::from_utf8_lossy(&output.stderr).into()),
        }
    }

    /// What a program prints that ends well.
    fn said(&self, pvd: &str, words: &[&str]) -> Outcome<String> {
        let output = self.exec(pvd, words)?;
        let said = String::from_utf8(output.stdout)?;
        match output.status.success() {
            true => Ok(said),
            false => Err(format!(
                "{words:?}: {said}{}",
                String::from_utf8_lossy(&output.stderr)
            )
            .into()),
        }
    }
}

/// BPF is for root of the machine, not of a user namespace.
fn is_root_of_the_machine() -> Outcome<bool> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    let is_root = map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
    if !is_root {
        writeln!(
            std::io::stdout(),
            "SKIPPED: pvd_exec: it needs to be root, and not in a user namespace"
        )?;
    }
    Ok(is_root)
}

/// Covers: P-014, P-031, P-035. Names of each network are on its own uplink alone, by frames that were taken there.
#[test]
fn a_program_is_seen_on_the_uplink_of_its_pvd_alone() -> Outcome {
    isolated(&["curl"], || {
        if !is_root_of_the_machine()? {
            return Ok(());
        }
        let folder = tempfile::Builder::new().prefix("exec-").tempdir()?;
        let fixed = Uplink::new(&folder, "fixed", &[("fixed.example", 0xf)])?;
        let mobile = Uplink::new(&folder, "mobile", &[("mobile.example", 0xa)])?;
        let host = Host::new(folder, &["fixed0=wired", "mobile0=wired"], 2)?;

        for (pvd, uplink, other, secret, page) in [
            ("fixed.example", &fixed, &mobile, "secret-of-fixed", "fixed"),
            ("mobile0", &mobile, &fixed, "secret-of-mobile", "mobile"),
        ] {
            // As another user, by a child of a child, and with the short name that the search list makes whole.
            let url = format!("http://{secret}/");
            let line =
                format!("getent ahosts {secret}-1.test && sh -c 'curl -sS --max-time 30 {url}'");
            let said = host.said(pvd, &["--user", "nobody", "--", "sh", "-c", &line])?;
            assert!(
                said.contains(&SITE.to_string()) && said.ends_with(page),
                "{pvd}: {said}"
            );
            assert!(uplink.has_seen(format!("{secret}-1\x04test").as_bytes())?);
            assert!(uplink.has_seen(secret.as_bytes())?);
            assert!(!other.has_seen(secret.as_bytes())?, "{secret}");
            assert_eq!(other.take_askers()?, BTreeSet::new());
            let number = if page == "fixed" { 0xf } else { 0xa };
            let is_own = |from: &IpAddr| {
                from.to_string()
                    .starts_with(&format!("2001:db8:{number:x}:"))
            };
            let askers = uplink.take_askers()?;
            assert!(
                !askers.is_empty() && askers.iter().all(is_own),
                "{askers:?}"
            );
        }

        // A program may ask for another interface in vain.
        let url = format!("http://[{SITE}]/");
        let other = [
            "--user",
            "nobody",
            "--",
            "curl",
            "-sS",
            "--max-time",
            "30",
            "--interface",
            "if!mobile0",
            &url,
        ];
        assert!(!host.exec("fixed.example", &other)?.status.success());
        assert_eq!(mobile.take_askers()?, BTreeSet::new());
        let list = host.list()?;
        let of_mobile = list.iter().find(|view| view["pvd"] == "mobile.example");
        let address = of_mobile.and_then(|view| view["addresses"][0]["address"].as_str());
        let address: Ipv6Addr = address.ok_or("no address")?.parse()?;
        assert!(mobile.has_seen(&address.octets())? && !fixed.has_seen(&address.octets())?);
        // Nobody else on the machine has changed his resolvers.
        let inside = host.said("fixed.example", &["--", "cat", "/etc/resolv.conf"])?;
        assert_eq!(
            inside,
            "# Of the provisioning domain fixed.example.\nnameserver 2001:db8:f::53\nsearch fixed.example\n"
        );
        assert_ne!(fs::read_to_string("/etc/resolv.conf")?, inside);
        assert_eq!(host.said_after_a_new_lease("fixed.example")?, inside);
        drop((fixed.router, mobile.router));
        Ok(())
    })
}

/// Sends by sockets of all kinds to the site, and says what came of it.
const SOCKETS: &str = r#"
import socket, sys
site, other = sys.argv[1:3]
def attempt(what, do):
    try:
        print(what, do())
    except OSError as error:
        print(what, error.errno)
def udp():
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
def bound(address):
    it = udp()
    it.bind((address, 0))
    return it.getsockname()[0]
def connected(it):
    it.connect((site, 80))
    return it.getsockname()[0]
def after_bind():
    it = udp()
    it.bind(("::", 0))
    return connected(it)
attempt("unspecified", lambda: bound("::"))
attempt("other", lambda: bound(other))
attempt("udp", lambda: connected(udp()))
attempt("after-bind", after_bind)
attempt("tcp", lambda: connected(socket.socket(socket.AF_INET6, socket.SOCK_STREAM)))
attempt("mapped", lambda: udp().connect(("::ffff:192.0.2.1", 80)))
attempt("ipv4", lambda: socket.socket().connect(("192.0.2.1", 80)))
attempt("raw", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58).close())
attempt("sent", lambda: udp().sendto(b"?", (site[:-2] + "53", 53)))
"#;

/// Covers: P-014, P-031. Two PvDs on one link: of the same interface, and each with its own addresses.
#[test]
fn on_a_link_with_two_pvds_a_program_has_the_addresses_of_its_own() -> Outcome {
    isolated(&[], || {
        if !is_root_of_the_machine()? {
            return Ok(());
        }
        let folder = tempfile::Builder::new().prefix("exec-").tempdir()?;
        let link = Uplink::new(&folder, "fixed", &[("a.example", 0xa), ("b.example", 0xb)])?;
        let host = Host::new(folder, &["fixed0=wired"], 2)?;
        let list = host.list()?;
        let address = |number: usize| {
            list[number]["addresses"][0]["address"]
                .as_str()
                .unwrap_or_default()
        };
        for (pvd, own, other) in [
            ("a.example", address(0), address(1)),
            ("b.example", address(1), address(0)),
        ] {
            let words = [
                "--",
                "/usr/bin/python3",
                "-c",
                SOCKETS,
                &SITE.to_string(),
                other,
            ];
            let said = host.said(pvd, &words)?;
            let expected = format!(
                "unspecified {own}\nother 1\nudp {own}\nafter-bind {own}\ntcp {own}\nmapped 1\nipv4 1\nraw 1\nsent 1\n"
            );
            assert_eq!(said, expected, "{pvd}");
            host.said(pvd, &["--", "getent", "ahosts", "name.test"])?;
            assert_eq!(link.take_askers()?, BTreeSet::from([own.parse()?]));
        }
        // Where the kernel would leave by somebody else's router, nothing runs.
        let stranger = [
            "-6",
            "route",
            "add",
            "default",
            "via",
            "fe80::bad",
            "dev",
            "fixed0",
            "metric",
            "1",
        ];
        run("ip", &stranger)?;
        let astray = host.exec("a.example", &["--", "true"])?;
        assert_eq!(astray.status.code(), Some(125));
        let why = String::from_utf8(astray.stderr)?;
        assert!(
            why.contains("would leave by fe80::bad, which is no router of the PvD"),
            "{why}"
        );
        // Which of the two, the interface does not say.
        let failed = host.exec("fixed0", &["--", "true"])?;
        assert_eq!(failed.status.code(), Some(125));
        let why = String::from_utf8(failed.stderr)?;
        assert!(why.contains("fixed0 has several PvDs"), "{why}");
        Ok(())
    })
}

/// The groups that there are.
fn groups() -> Outcome<String> {
    let line = "mount -t cgroup2 none /mnt && find /mnt -name 'moat-pvd-exec.*'";
    run("unshare", &["--mount", "sh", "-c", line])
}

/// It is the command: its output, its exit code, its signals, and as whom it runs; and where it cannot be held, it does not run.
#[test]
fn the_command_runs_as_by_env_and_as_somebody_or_not_at_all() -> Outcome {
    isolated(&["setpriv"], || {
        if !is_root_of_the_machine()? {
            return Ok(());
        }
        let folder = tempfile::Builder::new().prefix("exec-").tempdir()?;
        let _uplink = Uplink::new(&folder, "fixed", &[("fixed.example", 0xf)])?;
        let host = Host::new(folder, &["fixed0=wired"], 1)?;
        let code = |pvd: &str, words: &[&str]| Outcome::Ok(host.exec(pvd, words)?.status.code());
        assert_eq!(code("fixed.example", &["sh", "-c", "exit 7"])?, Some(7));
        assert_eq!(code("Fixed.Example.", &["--", "true"])?, Some(0));
        assert_eq!(
            code("fixed.example", &["--", "no-such-program"])?,
            Some(127)
        );
        assert_eq!(code("fixed.example", &["--", "/etc/passwd"])?, Some(126));
        assert_eq!(code("other.example", &["--", "true"])?, Some(125));
        assert_eq!(
            code("fixed.example", &["--user", "no-such-user", "--", "true"])?,
            Some(125)
        );

        let status = [
            "--user",
            "nobody",
            "--",
            "sh",
            "-c",
            "id -u; id -G; cat /proc/self/status /proc/self/cgroup; echo $HOME",
        ];
        let status = host.said("fixed.example", &status)?;
        assert!(status.starts_with("65534\n65534\n"), "{status}");
        for line in [
            "NoNewPrivs:\t1",
            "CapEff:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "/nonexistent",
        ] {
            assert!(status.contains(line), "{line}: {status}");
        }
        let mut command = host.command("fixed.example", &["--", "id", "-u"]);
        let called_by = command.env("SUDO_UID", "65534").output()?;
        assert_eq!(called_by.stdout, b"65534\n");

        // Signals are the command's, and the group goes with it.
        let mut command = host.command(
            "fixed.example",
            &["--", "sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"],
        );
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().ok_or("no stdout")?;
        let own = BufReader::new(said).lines().map_while(Result::ok);
        let own = own.filter(|line| line.starts_with("0::")).take(1);
        let own: String = own.collect();
        let name = own.trim().rsplit('/').next().unwrap_or_default();
        assert!(name.starts_with("moat-pvd-exec.") && groups()?.contains(name));
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        assert_eq!(child.wait()?.signal(), Some(15));
        until("its group is gone", || Ok(!groups()?.contains(name)))?;

        // Without the privilege it does not run.
        let control = host.folder.path().join("pvd.sock").display().to_string();
        let without = run(
            "setpriv",
            &[
                "--reuid",
                "65534",
                "--clear-groups",
                MOAT,
                "pvd",
                "exec",
                "--pvd",
                "fixed.example",
                "--control",
                &control,
                "--",
                "echo",
                "it ran",
            ],
        );
        let why = without.err().ok_or("it ran")?.to_string();
        assert!(
            why.contains("the kernel does not hold sockets to fixed.example"),
            "{why}"
        );
        Ok(())
    })
}
