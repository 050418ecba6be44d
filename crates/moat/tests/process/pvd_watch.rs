//! `moat pvd watch`: Router Advertisements over a real link, and what programs on the node are told.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use pvd::bindings::router_advertisement::{
    Announced, Delay, Header, Lifetime, NdOption, PrefixInformation, PvdOption, RouterAdvertisement,
};
use rustix::net::netdevice::name_to_index;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{Daemon, INSIDE, MOAT, OBJECT, Outcome, Web, compact, isolated, run, until};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Two routers on the link `fixed0`, at its other end.
struct Routers {
    socket: Socket,
    index: u32,
}

impl Routers {
    fn new() -> Outcome<Self> {
        ip("link add router0 type veth peer name fixed0")?;
        for settings in [
            "router0.accept_dad=0 router0.accept_ra=0",
            // The kernel of the host takes what it knows, and does not solicit.
            "fixed0.accept_dad=0 fixed0.router_solicitations=0",
        ] {
            for setting in settings.split(' ') {
                run("sysctl", &["-qw", &format!("net.ipv6.conf.{setting}")])?;
            }
        }
        ip("link set router0 up")?;
        ip("link set fixed0 up")?;
        ip("address add fe80::1/64 dev router0")?;
        ip("address add fe80::2/64 dev router0")?;
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        let index = name_to_index(&socket, "router0")?;
        socket.join_multicast_v6(&ALL_ROUTERS, index)?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(30)))?;
        Ok(Self { socket, index })
    }

    /// Waits for a Router Solicitation.
    fn hear_solicitation(&mut self) -> Outcome {
        let mut octets = [0; 1500];
        loop {
            let length = self.socket.read(&mut octets)?;
            if octets.starts_with(&[133, 0]) && length == 8 {
                return Ok(());
            }
        }
    }

    fn send(&self, source: &str, advertisement: &RouterAdvertisement) -> Outcome {
        send((source, ALL_NODES), ("router0", self.index), advertisement)
    }
}

pub(crate) fn send(
    (from, to): (&str, Ipv6Addr),
    (interface, index): (&str, u32),
    advertisement: &RouterAdvertisement,
) -> Outcome {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_unicast_hops_v6(255)?;
    socket.bind(&SocketAddrV6::new(from.parse()?, 0, 0, index).into())?;
    let to = SocketAddrV6::new(to, 0, 0, index);
    socket.send_to(&advertisement.encode(), &to.into())?;
    Ok(())
}

pub(crate) fn ip(line: &str) -> Outcome<String> {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

fn prefix(text: &str) -> Outcome<NdOption> {
    Ok(NdOption::PrefixInformation(PrefixInformation {
        prefix: text.parse()?,
        is_on_link: true,
        is_autonomous: true,
        valid: Lifetime::Seconds(7200),
        preferred: Lifetime::Seconds(3600),
    }))
}

pub(crate) fn resolver(text: &str) -> Outcome<NdOption> {
    Ok(NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(600),
        addresses: vec![text.parse()?],
    })
}

fn advertisement(options: Vec<NdOption>, pvd: Option<PvdOption>) -> RouterAdvertisement {
    RouterAdvertisement {
        outer: Header {
            router_lifetime: 1800,
            ..Header::default()
        },
        outer_options: options,
        pvd,
    }
}

/// The prefix for everybody, the resolver for hosts that know PvDs.
pub(crate) fn explicit(
    sequence_number: u16,
    resolvers: Vec<NdOption>,
) -> Outcome<RouterAdvertisement> {
    let pvd = PvdOption {
        id: "fixed.example".parse()?,
        additional_information: Some(Announced {
            delay: Delay::default(),
            sequence_number,
        }),
        has_legacy: false,
        header: None,
        options: resolvers,
    };
    Ok(advertisement(vec![prefix("2001:db8:f::/64")?], Some(pvd)))
}

pub(crate) fn ask(socket: &str, words: &[&str]) -> Outcome<Output> {
    let command = Command::new(MOAT)
        .arg("pvd")
        .args(words)
        .args(["--control", socket])
        .stdin(Stdio::null())
        .output();
    Ok(command?)
}

pub(crate) fn json(socket: &str, words: &[&str]) -> Outcome<Value> {
    let output = ask(socket, &[words, &["--json"]].concat())?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The feed of changes; killed when dropped.
struct Feed {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Feed {
    fn open(socket: &str) -> Outcome<Self> {
        let mut child = Command::new(MOAT)
            .args(["pvd", "list", "--watch", "--control", socket])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let lines = BufReader::new(stdout);
        Ok(Self { child, lines })
    }

    /// The next event, as `EVENT NAME`, with the resolvers.
    fn next(&mut self) -> Outcome<(String, Value)> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let event: Value = serde_json::from_str(&line)?;
        let view = &event["pvd"];
        let name = view["pvd"].as_str().or(view["router"].as_str());
        let text = format!(
            "{} {}",
            event["event"].as_str().unwrap_or_default(),
            name.unwrap_or_default()
        );
        Ok((text, view["resolvers"].clone()))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Covers: P-007, P-008, P-015
#[test]
fn programs_are_told_of_explicit_and_implicit_pvds_and_of_every_change() -> Outcome {
    isolated(&[], || {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("pvd.sock").display().to_string();
        let mut routers = Routers::new()?;
        let mut daemon = Daemon::watch("fixed0=wired", &socket, &["--fetch", "none"])?;
        routers.hear_solicitation()?;
        daemon.wait_for("attached")?;
        let mode = std::fs::metadata(&socket)?.permissions();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
            0o666
        );

        routers.send("fe80::1", &explicit(7, vec![resolver("2001:db8:f::53")?])?)?;
        let implicit = vec![prefix("2001:db8:a::/64")?, resolver("2001:db8:a::53")?];
        routers.send("fe80::2", &advertisement(implicit, None))?;
        until(
            "both are known, with the addresses that the kernel made",
            || {
                let list = json(&socket, &["list"])?;
                let list = list.as_array().ok_or("no list")?;
                let has_address = |view: &Value| {
                    view["addresses"]
                        .as_array()
                        .is_some_and(|it| !it.is_empty())
                };
                Ok(list.len() == 2 && list.iter().all(has_address))
            },
        )?;
        let list = json(&socket, &["list"])?;
        let fixed = &list[0];
        assert_eq!(fixed["pvd"], "fixed.example");
        assert_eq!(fixed["interface"], "fixed0");
        assert_eq!(fixed["link"], "a cable");
        assert_eq!(fixed["routers"][0]["via"], "fe80::1");
        assert_eq!(fixed["prefixes"][0]["prefix"], "2001:db8:f::/64");
        assert_eq!(fixed["resolvers"][0]["name"], "2001:db8:f::53");
        let address = fixed["addresses"][0]["address"]
            .as_str()
            .ok_or("no address")?;
        assert!(address.starts_with("2001:db8:f:"), "{address}");
        let state = "announced, and policy does not ask for it";
        assert_eq!(fixed["information"]["state"], state);
        let other = &list[1];
        assert_eq!(
            (&other["pvd"], &other["router"]),
            (&Value::Null, &"fe80::2".into())
        );
        assert_eq!(other["prefixes"][0]["prefix"], "2001:db8:a::/64");

        let shown = ask(&socket, &["show", "Fixed.Example."])?;
        let text = String::from_utf8(shown.stdout)?;
        assert!(
            shown.status.success() && text.contains("2001:db8:f::53"),
            "{text}"
        );
        let table = String::from_utf8(ask(&socket, &["list"])?.stdout)?;
        assert!(table.contains("(implicit) fe80::2"), "{table}");
        let got = ask(&socket, &["get", "fixed.example"])?;
        assert_eq!(got.status.code(), Some(1));
        assert!(String::from_utf8(got.stderr)?.contains(state));
        assert_eq!(
            ask(&socket, &["show", "none.example"])?.status.code(),
            Some(1)
        );

        let mut feed = Feed::open(&socket)?;
        assert_eq!(feed.next()?.0, "added fixed.example");
        assert_eq!(feed.next()?.0, "added fe80::2");
        // The same again is no news; another resolver is.
        routers.send("fe80::1", &explicit(7, vec![resolver("2001:db8:f::53")?])?)?;
        routers.send("fe80::1", &explicit(7, vec![resolver("2001:db8:f::54")?])?)?;
        let (event, resolvers) = feed.next()?;
        assert_eq!(event, "changed fixed.example");
        assert_eq!(resolvers[1]["name"], "2001:db8:f::54");
        ip("link set router0 down")?;
        let gone = [feed.next()?.0, feed.next()?.0];
        assert_eq!(gone, ["removed fixed.example", "removed fe80::2"]);
        daemon.terminate()?;
        until("its socket is gone", || Ok(!Path::new(&socket).exists()))
    })
}

/// Covers: P-014, P-015, P-020, P-021, P-023, P-040. All of it is on the one link `lo`.
#[test]
fn what_a_pvd_announces_is_fetched_from_it_and_told_with_what_proves_it() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let mut server = web.serve("")?;
        let askers = web.resolve(&[("fixed.example", "2001:db8:f::80")])?;
        for address in ["fe80::1", "fe80::2"] {
            ip(&format!("address add {address}/64 dev lo"))?;
        }
        let socket = web.file("pvd.sock").display().to_string();
        let authorities = web.file("ca.pem").display().to_string();
        let mut daemon = Daemon::watch("lo=wired", &socket, &["--authorities", &authorities])?;
        daemon.wait_for("attached")?;
        let hear = |number: u16, more: Option<NdOption>| -> Outcome {
            let mut heard = explicit(number, vec![resolver("2001:db8:f::53")?])?;
            heard.outer_options.extend(more);
            send(("fe80::1", "fe80::2".parse()?), ("lo", 1), &heard)
        };
        let information = || -> Outcome<Value> {
            let view = json(&socket, &["show", "fixed.example"])?;
            Ok(view["information"].clone())
        };
        let is_known = || Ok(information()?["state"] == "known");

        until("it is fetched", || {
            // The first may come before the daemon listens.
            hear(7, None)?;
            is_known()
        })?;
        let object: Value =
            serde_json::from_slice(&ask(&socket, &["get", "fixed.example"])?.stdout)?;
        assert_eq!(object["prefixes"][0], "2001:db8:f::/48");
        let told = information()?;
        assert_eq!(told["evidence"], "TLS");
        let refused: Vec<_> = told["refused_for"]
            .as_object()
            .ok_or("no uses")?
            .keys()
            .collect();
        assert_eq!(refused, ["credentials"]);
        let asked_from: Vec<String> = match askers.lock() {
            Ok(askers) => askers.iter().map(ToString::to_string).collect(),
            Err(_) => return Err("the resolver panicked".into()),
        };
        let is_inside = |from: &String| from.starts_with("2001:db8:f::");
        assert!(
            asked_from.iter().all(is_inside) && INSIDE.starts_with("2001:db8:f::"),
            "{asked_from:?}"
        );

        // Another object, which hosts learn by the number, once it is served.
        let other = OBJECT.replace("\"prefixes\"", "\"noInternet\": true, \"prefixes\"");
        web.replace("fixed.example.json", &other)?;
        web.replace("fixed.example.jws", &compact(&other))?;
        server.wait_for("the object is read again")?;
        hear(8, None)?;
        until("the new one is fetched", || {
            Ok(information()?["object"]["noInternet"] == true)
        })?;

        // A prefix that it does not name.
        hear(8, Some(prefix("2001:db8:bad::/64")?))?;
        until("it is not used", || Ok(information()?["object"].is_null()))?;
        let state = information()?["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            state.contains("does not cover 2001:db8:bad::/64"),
            "{state}"
        );
        Ok(())
    })
}
