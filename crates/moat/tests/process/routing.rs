//! Routes by source address: real packets over two uplinks, one of which has the system's default route.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Daemon, Neighbour, Outcome, Site, isolated, run, until};

/// Behind both uplinks, with nobody at the port: a host that hears a datagram answers that (ICMP), if it has a way back.
const FAR: [&str; 2] = ["198.51.100.1", "2001:db8:ffff::1"];
const PORT: u16 = 9;
/// An answer comes from a kernel, and what is lost is waited for this long.
const PATIENCE: Duration = Duration::from_secs(2);

const FIXED: [&str; 2] = ["203.0.113.7", "2001:db8:f::7"];
const MOBILE: [&str; 2] = ["203.0.113.71", "2001:db8:a::7"];

/// A client's file, whose state and control socket begin with `name`.
fn client_file(name: &str) -> String {
    let pvd = |network: &str, prefixes: [&str; 2], server: &str| {
        format!(
            r#"[[pvd]]
id = "{network}.example"
interface = "{network}0"
prefixes = {prefixes:?}
[[pvd.dots]]
name = "dots.{network}.example"
addresses = ["{server}"]
certificate = "pki/home.pem"
private_key = "pki/home-key.pem"
trust_anchors = "pki/ca.pem"
"#
        )
    };
    let fixed = pvd(
        "fixed",
        ["203.0.113.0/28", "2001:db8:f::/64"],
        "203.0.113.14",
    );
    let mobile = pvd(
        "mobile",
        ["203.0.113.64/28", "2001:db8:a::/64"],
        "203.0.113.78",
    );
    format!("state = \"{name}.db\"\ncontrol = \"{name}.sock\"\n[routing]\n{fixed}{mobile}")
}

/// What becomes of a datagram from this address to the far host.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Lost,
    Refused,
}

fn fate(source: &str, far: &str) -> Outcome<Fate> {
    let socket = UdpSocket::bind((source, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let sent = socket.connect((far, PORT)).and_then(|()| socket.send(b"?"));
    let heard = match sent {
        Ok(_) => socket.recv(&mut [0; 8]).map(drop),
        Err(error) => Err(error),
    };
    match heard.map_err(|error| error.kind()) {
        Err(ErrorKind::ConnectionRefused) => Ok(Fate::Answered),
        Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Fate::Lost),
        Err(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => Ok(Fate::Refused),
        other => Err(format!("{source} to {far}: {other:?}").into()),
    }
}

/// The fates of datagrams from the addresses of a provider, IPv4 and IPv6.
fn fates(sources: [&str; 2]) -> Outcome<[Fate; 2]> {
    Ok([fate(sources[0], FAR[0])?, fate(sources[1], FAR[1])?])
}

fn ip(line: &str) -> Outcome<String> {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

/// An uplink with these own addresses, and the provider's router at these.
fn uplink(site: &Site, interface: &str, own: [&str; 2], router: [&str; 2]) -> Outcome<Neighbour> {
    let mut host = Neighbour::behind(interface, &site.path().join(interface))?;
    for (own, length) in own.iter().zip([28, 64]) {
        ip(&format!("address add {own}/{length} dev {interface}"))?;
    }
    for (router, length) in router.iter().zip([28, 64]) {
        host.run(&format!("ip address add {router}/{length} dev home"))?;
    }
    // Each datagram is to be answered, however fast they come.
    host.run("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")?;
    for far in FAR {
        host.run(&format!("ip address add {far} dev lo"))?;
    }
    Ok(host)
}

fn rules_and_routes() -> Outcome<String> {
    let mut all = String::new();
    for line in [
        "-4 rule",
        "-6 rule",
        "-4 route show table all proto 46",
        "-6 route show table all proto 46",
    ] {
        all.push_str(&ip(line)?);
    }
    Ok(all)
}

/// Covers: M-011
#[test]
fn what_has_an_address_of_a_provider_leaves_by_that_provider_or_not_at_all() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _fixed = uplink(&site, "fixed0", FIXED, ["203.0.113.1", "2001:db8:f::1"])?;
        let _mobile = uplink(&site, "mobile0", MOBILE, ["203.0.113.65", "2001:db8:a::1"])?;
        ip("route add default via 203.0.113.1 dev fixed0")?;
        ip("route add default via 2001:db8:f::1 dev fixed0")?;
        ip("route add default via 203.0.113.65 dev mobile0 metric 2000")?;
        ip("route add default via 2001:db8:a::1 dev mobile0 metric 2000")?;
        // Somebody else's.
        ip("rule add from 10.0.0.0/8 lookup 99 priority 100")?;
        let before = rules_and_routes()?;
        assert_eq!(fates(FIXED)?, [Fate::Answered, Fate::Answered]);
        assert_eq!(
            fates(MOBILE)?,
            [Fate::Lost, Fate::Lost],
            "it leaves by the wrong one"
        );

        let launch = |name: &str| {
            let file = site.path().join(format!("{name}.toml"));
            fs::write(&file, client_file(name))?;
            Daemon::launch("client", &file)
        };
        let mut client = launch("client")?;
        client.wait_for("routes follow the source address")?;
        let answered = [Fate::Answered, Fate::Answered];
        assert_eq!(fates(FIXED)?, answered);
        assert_eq!(fates(MOBILE)?, answered);

        // The mobile network goes: what has its address does not leave by the other one, which would drop it.
        ip("route delete default via 203.0.113.65 dev mobile0")?;
        ip("route delete default via 2001:db8:a::1 dev mobile0")?;
        until(
            "nothing leaves with the address of the network that is gone",
            || Ok(fates(MOBILE)? == [Fate::Refused, Fate::Refused]),
        )?;
        assert_eq!(fates(FIXED)?, answered);
        ip("route add default via 203.0.113.65 dev mobile0 metric 2000")?;
        ip("route add default via 2001:db8:a::1 dev mobile0 metric 2000")?;
        until("it is used again", || Ok(fates(MOBILE)? == answered))?;

        // The link comes and goes.
        ip("link set mobile0 down")?;
        ip("link set mobile0 up")?;
        ip("address replace 2001:db8:a::7/64 dev mobile0 nodad")?;
        ip("route replace default via 203.0.113.65 dev mobile0 metric 2000")?;
        ip("route replace default via 2001:db8:a::1 dev mobile0 metric 2000")?;
        until("an interface that was down is used again", || {
            Ok(fates(MOBILE)? == answered)
        })?;

        // What a killed client leaves is taken over, and removed in the end; nothing else is.
        client.kill()?;
        assert_eq!(fates(MOBILE)?, answered);
        let kept = rules_and_routes()?;
        let mut client = launch("client")?;
        client.wait_for("moat client is ready")?;
        ip("route delete default via 203.0.113.65 dev mobile0")?;
        until("the new one follows", || {
            Ok(fate(MOBILE[0], FAR[0])? == Fate::Refused)
        })?;
        client.wait_for("routes follow the source address")?;
        ip("route add default via 203.0.113.65 dev mobile0 metric 2000")?;
        until("it follows again", || Ok(fates(MOBILE)? == answered))?;
        assert_eq!(rules_and_routes()?, kept);
        // A second client leaves the rules to the first.
        let mut other = launch("other")?;
        other.wait_for("another moat keeps the routes")?;
        other.terminate()?;
        assert_eq!(rules_and_routes()?, kept);
        client.terminate()?;
        client.wait_for("moat client has stopped")?;
        until("all of it is removed", || Ok(rules_and_routes()? == before))
    })
}

/// Covers: M-011. It is misspelt, and the system's routes go on until it is not.
#[test]
fn a_router_that_is_not_there_cuts_nothing_off() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _fixed = uplink(&site, "fixed0", FIXED, ["203.0.113.1", "2001:db8:f::1"])?;
        ip("route add default via 203.0.113.1 dev fixed0")?;
        ip("route add default via 2001:db8:f::1 dev fixed0")?;
        let file = site.path().join("client.toml");
        let network = "interface = \"fixed0\"\n";
        let routers = format!("{network}routers = [\"192.0.2.9\"]\n");
        fs::write(&file, client_file("client").replace(network, &routers))?;
        let answered = [Fate::Answered, Fate::Answered];
        // The second one finds what the first has made.
        for _ in 0..2 {
            let mut client = Daemon::launch("client", &file)?;
            client.wait_for("Network is unreachable")?;
            assert_eq!(fates(FIXED)?, answered);
            client.kill()?;
            assert_eq!(fates(FIXED)?, answered);
        }
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("Network is unreachable")?;
        ip("address add 192.0.2.8/24 dev fixed0")?;
        client.wait_for("a way out again")?;
        let rules = ip("-4 rule")?;
        assert!(rules.contains("from 203.0.113.0/28"), "{rules}");
        Ok(())
    })
}

/// A program of another user takes the name by which moats know of each other, and routes are kept nevertheless.
#[test]
fn another_user_keeps_nobody_from_keeping_routes() -> Outcome {
    const HOLDER: &str = r#"use Socket; $| = 1; socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die;
        bind($s, pack_sockaddr_un("\0moat routes")) or die "taken: $!"; $< = $> = 65534; $< == 65534 or die "mapped to one user";
        LISTEN listen($s, 1) or die;
        print "held\n"; sleep 300"#;
    if !rustix::process::geteuid().is_root() {
        let name = "routing::another_user_keeps_nobody_from_keeping_routes";
        writeln!(
            std::io::stdout(),
            "SKIPPED: {name}: it needs root, to be another user"
        )?;
        return Ok(());
    }
    isolated(&[], || {
        let site = Site::new()?;
        let _fixed = uplink(&site, "fixed0", FIXED, ["203.0.113.1", "2001:db8:f::1"])?;
        ip("route add default via 203.0.113.1 dev fixed0")?;
        let file = site.path().join("client.toml");
        fs::write(&file, client_file("client"))?;
        for listens in ["", "#"] {
            let mut holder = Command::new("perl")
                .args(["-e", &HOLDER.replace("LISTEN", listens)])
                .stdout(Stdio::piped())
                .spawn()?;
            let mut said = String::new();
            let output = holder.stdout.take().ok_or("it has no output")?;
            BufReader::new(output).read_line(&mut said)?;
            assert_eq!(said, "held\n");
            let mut client = Daemon::launch("client", &file)?;
            client.wait_for("a program of another user holds the name")?;
            client.wait_for("routes follow the source address")?;
            client.terminate()?;
            client.wait_for("moat client has stopped")?;
            holder.kill()?;
            holder.wait()?;
        }
        Ok(())
    })
}
