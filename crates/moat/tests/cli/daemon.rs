//! Commands to a client that has started and whose provider does not answer.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

use super::support::{Ran, folder, moat};

/// A client with one PvD, whose server is a port of this machine at which nobody listens.
struct Client {
    folder: TempDir,
    child: Child,
}

impl Client {
    fn start() -> Self {
        let folder = folder();
        // Bound for a moment only: afterwards nobody listens there.
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = free.local_addr().unwrap();
        drop(free);
        let text = format!(
            "state = \"client.db\"\ncontrol = \"c.sock\"\n\
             [[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/28\"]\n\
             [[pvd.dots]]\nname = \"dots.fixed.example\"\naddresses = [\"{server}\"]\n\
             psk_identity = \"home\"\npsk_key_file = \"home.psk\"\n"
        );
        std::fs::write(folder.path().join("client.toml"), text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_moat"))
            .args(["client", "--config", "client.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().contains("is ready") {}
        // Nobody reads its log on, so it must not wait for somebody to.
        std::thread::spawn(move || lines.for_each(drop));
        Self { folder, child }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ask(&self, line: &str) -> Ran {
        moat(self.path(), line.split(' ').chain(["--control", "c.sock"]))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn what_nobody_can_protect_is_refused_with_the_reason() {
    let client = Client::start();
    let ran = client.ask("mitigate 198.51.100.7");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("no DOTS server can protect any of these targets"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("fixed.example"), "{}", ran.stdout);
    let json = client.ask("mitigate 198.51.100.7 --json").json();
    assert_eq!(
        json["error"]["selection"]["not_asked"][0]["pvd"],
        "fixed.example"
    );
    for line in ["withdraw 7", "efficacy 7 stopped"] {
        let ran = client.ask(line);
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr.contains("there is no request 7"),
            "{}",
            ran.stderr
        );
    }
}

/// A request that no provider answered in its time has ended, which is no success.
#[test]
fn a_request_shows_what_it_protects_and_how_it_ended() {
    let client = Client::start();
    let ran = client.ask("mitigate 203.0.113.7 --port 53 --protocol udp --lifetime 1");
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("203.0.113.7/32 port 53 udp"),
        "{}",
        ran.stdout
    );
    let json = client.ask("status --json").json();
    let part = &json["requests"][0]["requests"][0];
    assert_eq!(part["ports"][0], "53");
    assert_eq!(part["protocols"][0], "udp");
    assert_eq!(part["status"], "expired");
    for line in ["withdraw 1", "efficacy 1 stopped"] {
        let ran = client.ask(line);
        assert_eq!(ran.code, Some(1));
        assert_eq!(
            ran.stderr.trim_end(),
            "moat: request 1 has ended: dots.fixed.example: expired"
        );
    }
    let ran = client.ask("explain 203.0.113.7");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stdout.contains("--seen-on"), "{}", ran.stdout);
    // What has no effect is said, and what there is not is wrong use.
    let ran = client.ask("explain 203.0.113.7 --seen-on fixed.example");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("--seen-on changes nothing"),
        "{}",
        ran.stdout
    );
    let ran = client.ask("mitigate 203.0.113.7 --seen-on other.example");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("fixed.example"), "{}", ran.stderr);
}

/// Whoever waits is told for what.
#[test]
fn a_request_that_waits_says_why() {
    let client = Client::start();
    let mut asking = Command::new(env!("CARGO_BIN_EXE_moat"))
        .args([
            "mitigate",
            "203.0.113.7",
            "--preconfigured",
            "--control",
            "c.sock",
        ])
        .current_dir(client.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let part = loop {
        let json = client.ask("status --json").json();
        let part = json["requests"][0]["requests"][0].clone();
        let waits = part["waiting"].as_str().unwrap_or_default();
        if waits.contains("refused") {
            break part;
        }
    };
    assert_eq!(part["status"], "asking");
    assert_eq!(part["preconfigured"], true);
    let wanted = part["wanted"].as_u64().unwrap();
    assert!((3500..=3600).contains(&wanted), "{wanted}");
    let ran = client.ask("status");
    for word in [
        "LEFT",
        "NOTE",
        "no session",
        "starts when the session is lost",
    ] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("DROPPED"), "{}", ran.stdout);
    let sessions = client.ask("sessions");
    assert!(sessions.stdout.contains("refused"), "{}", sessions.stdout);
    assert_eq!(sessions.code, Some(1), "a PvD without a session");
    // Nothing is mitigated, so there is nothing to say about it.
    let ran = client.ask("efficacy 1 under-attack");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("request 1"), "{}", ran.stderr);
    asking.kill().unwrap();
    asking.wait().unwrap();
}

/// What is piped into a file or a program has no escape codes in it.
#[test]
fn watching_into_a_pipe_writes_plain_lines() {
    let client = Client::start();
    let mut watching = Command::new(env!("CARGO_BIN_EXE_moat"))
        .args(["status", "--watch", "--control", "c.sock"])
        .current_dir(client.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let shown: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(shown, ["no requests", "", "no requests"]);
}
