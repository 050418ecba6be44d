//! `moat pvd watch` on a link with two routers, each of which advertises a PvD of its own: what is of one leaves by its router.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use serde_json::Value;

use crate::support::{Daemon, MOAT, Neighbour, Outcome, isolated, run, until};

/// A router of the link `fixed0` with the network behind it: its letter is in its names and addresses.
struct Router {
    letter: char,
    host: Neighbour,
}

impl Router {
    /// Its PvD has a resolver that is not on the link, and says of itself what nobody will give.
    fn new(letter: char, preference: &str, folder: &Path) -> Outcome<Self> {
        let interface = format!("{letter}0");
        let mut host = Neighbour::behind(&interface, &folder.join(format!("{letter}.log")))?;
        ip(&format!("link set {interface} master fixed0"))?;
        host.run("sysctl -qw net.ipv6.conf.all.forwarding=1")?;
        // Both have a way back to whatever comes, and answer for the other one's resolver.
        for letter in ['a', 'b'] {
            host.run(&format!("ip address add 2001:db8:{letter}:53::53 dev lo"))?;
        }
        host.run(&format!("ip route add 2001:db8:{letter}:1::/64 dev home"))?;
        let rules = folder.join("seen.nft");
        fs::write(&rules, SEEN)?;
        host.run(&format!("nft -f {}", rules.display()))?;
        let name = format!("{letter}.example");
        let object = folder.join(format!("{name}.json"));
        let text = format!(
            r#"{{"identifier": "{name}", "expires": "2099-01-01T00:00:00Z", "prefixes": ["2001:db8:{letter}::/48"]}}"#
        );
        fs::write(&object, text)?;
        let config = format!(
            "state = \"{letter}-state.json\"\n[[interface]]\nname = \"home\"\nmax_interval = 4\n\
             [[pvd]]\nid = \"{name}\"\ninterface = \"home\"\npreference = \"{preference}\"\nobject = {object:?}\n\
             dns = [\"2001:db8:{letter}:53::53\"]\n[[pvd.prefix]]\nprefix = \"2001:db8:{letter}:1::/64\"\n"
        );
        let file = folder.join(format!("{letter}.toml"));
        fs::write(&file, config)?;
        host.start(&format!("{MOAT} pvd advertise --config {}", file.display()))?;
        Ok(Self { letter, host })
    }

    /// Questions for names that have come here from an address of this PvD.
    fn has_seen(&mut self, pvd: char) -> Outcome<bool> {
        // The counter is 0 as long as nothing has come.
        let question = format!("nft list counter inet seen from_{pvd} | grep -q 'packets 0 '");
        Ok(self.host.run(&question).is_err())
    }
}

const SEEN: &str = "table inet seen {
    counter from_a { }
    counter from_b { }
    chain in {
        type filter hook prerouting priority 0;
        meta l4proto { tcp, udp } ip6 saddr 2001:db8:a::/48 counter name from_a
        meta l4proto { tcp, udp } ip6 saddr 2001:db8:b::/48 counter name from_b
    }
}
";

fn ip(line: &str) -> Outcome<String> {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

fn watch(socket: &str, more: &[&str]) -> Outcome<Daemon> {
    let mut daemon = Daemon::watch("fixed0=wired", socket, more)?;
    daemon.wait_for("attached")?;
    Ok(daemon)
}

fn list(socket: &str) -> Outcome<Vec<Value>> {
    let list = run(MOAT, &["pvd", "list", "--json", "--control", socket])?;
    Ok(serde_json::from_str(&list)?)
}

/// The address that the kernel gives to what is new and has none, where moat's routes lead it. Then it is sent.
fn source_of_what_is_new() -> Outcome<String> {
    let way = ip("-6 route get 2001:db8:9::9")?;
    if !way.contains("proto 46") {
        return Ok(way);
    }
    let socket = UdpSocket::bind("[::]:0")?;
    socket.connect("[2001:db8:9::9]:9")?;
    socket.send(b"?")?;
    Ok(socket.local_addr()?.ip().to_string())
}

/// Covers: P-017, P-031, P-032
#[test]
fn nothing_of_a_pvd_leaves_by_the_router_of_another_on_the_same_link() -> Outcome {
    isolated(&[], || {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("pvd.sock").display().to_string();
        ip("link add fixed0 type bridge")?;
        run("sysctl", &["-qw", "net.ipv6.conf.fixed0.accept_dad=0"])?;
        ip("link set fixed0 up")?;
        let mut a = Router::new('a', "medium", folder.path())?;
        let mut b = Router::new('b', "high", folder.path())?;
        until("the kernel has addresses and routers of both", || {
            let (addresses, routes) = (ip("-6 address show dev fixed0")?, ip("-6 route")?);
            let has = |text: &str| addresses.contains(text);
            Ok(has("2001:db8:a:1:")
                && has("2001:db8:b:1:")
                && routes.matches("default").count() == 2)
        })?;

        // The kernel would have b pass on what is of a: it is not asked for, and a is not probed.
        let mut daemon = watch(&socket, &[])?;
        daemon.wait_for("moat pvd watch --routes")?;
        until("what is of b is asked for, by b", || b.has_seen('b'))?;
        until("a is not known to be silent", || {
            let list = list(&socket)?;
            Ok(list
                .iter()
                .any(|it| it["pvd"] == "a.example" && it["health"] == "unchecked"))
        })?;
        daemon.terminate()?;
        for router in [&mut a, &mut b] {
            assert!(!router.has_seen('a')?, "at {}", router.letter);
        }
        assert!(!a.has_seen('b')?);

        // With routes each leaves by its own, and what is new by the preferred one.
        let rules = || ip("-6 rule show");
        let before = rules()?;
        for preferred in ["a", "b"] {
            let id = format!("{preferred}.example");
            let mut daemon = watch(&socket, &["--routes", "--prefer", &id])?;
            daemon.wait_for("routes follow the source address")?;
            until("what is of a is asked for, by a", || a.has_seen('a'))?;
            let prefix = format!("2001:db8:{preferred}:1:");
            until("what is new is of the preferred one", || {
                let list = list(&socket)?;
                let is_it = |it: &&Value| it["is_preferred"] == true;
                let is_told = list.iter().find(is_it).is_some_and(|it| it["pvd"] == *id);
                Ok(is_told && source_of_what_is_new()?.starts_with(&prefix))
            })?;
            let table = run(MOAT, &["pvd", "list", "--control", &socket])?;
            assert!(table.contains("1*"), "{table}");
            daemon.terminate()?;
            until("nothing is left of it", || Ok(rules()? == before))?;
        }
        assert!(!a.has_seen('b')? && !b.has_seen('a')?);
        Ok(())
    })
}
