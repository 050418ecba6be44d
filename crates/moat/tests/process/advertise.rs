//! `moat pvd advertise`: what the kernel of a host makes of its Router Advertisements, alone and beside radvd.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};

use pvd::bindings::router_advertisement::{NdOption, RouterAdvertisement};
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;

use crate::support::{MOAT, Neighbour, Outcome, PATIENCE, isolated, run, until};

/// A router whose link `home` is our `lan0`.
struct Lan {
    router: Neighbour,
    folder: TempDir,
    ear: UdpSocket,
    /// The router's own link-local address.
    own: Ipv6Addr,
}

impl Lan {
    fn new() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("advertise-").tempdir()?;
        let mut router = Neighbour::behind("lan0", &folder.path().join("log"))?;
        router.run("sysctl -qw net.ipv6.conf.all.forwarding=1")?;
        let ear = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        ear.bind_device(Some(b"lan0"))?;
        ear.set_read_timeout(Some(PATIENCE))?;
        let mut lan = Self {
            router,
            folder,
            ear: ear.into(),
            own: Ipv6Addr::UNSPECIFIED,
        };
        until("it has an address", || Ok(!lan.addresses()?.is_empty()))?;
        lan.own = *lan.addresses()?.first().ok_or("no address")?;
        Ok(lan)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a program in the router; what it says is appended to the log.
    fn start(&mut self, name: &str, line: &str) -> Outcome {
        let [file, ended] = ["pid", "ended"].map(|it| self.path(&format!("{name}.{it}")));
        drop(fs::remove_file(&ended));
        let program = format!("sh -c 'echo $$ >{}; exec {line}'", file.display());
        let line = format!("{{ {program}; touch {}; }}", ended.display());
        self.router.start(&line)?;
        until("it has started", || Ok(!pid(&file).is_empty()))
    }

    fn start_moat(&mut self, config: &str) -> Outcome {
        let file = self.path("advertise.toml");
        fs::write(&file, format!("state = \"state.json\"\n{config}"))?;
        let check = ["pvd", "advertise", "--check", "--config"];
        run(MOAT, &[&check[..], &[&file.display().to_string()]].concat())?;
        let line = format!("{MOAT} pvd advertise --config {}", file.display());
        self.start("moat", &line)
    }

    fn start_radvd(&mut self) -> Outcome {
        let file = self.path("radvd.conf");
        let text = "interface home { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
                    AdvDefaultLifetime 1800; prefix 2001:db8:cafe::/64 { }; };";
        fs::write(&file, text)?;
        let process = self.path("radvd");
        let (file, process) = (file.display(), process.display());
        self.start(
            "radvd",
            &format!("radvd -n -m stderr -C {file} -p {process}"),
        )
    }

    fn signal(&mut self, name: &str, signal: &str) -> Outcome {
        let pid = pid(&self.path(&format!("{name}.pid")));
        self.router.run(&format!("kill -{signal} {pid}"))
    }

    /// Ends a program, and waits until it is gone.
    fn end(&mut self, name: &str) -> Outcome {
        self.signal(name, "TERM")?;
        let ended = self.path(&format!("{name}.ended"));
        until("it has ended", || Ok(ended.exists()))?;
        Ok(fs::remove_file(self.path(&format!("{name}.pid")))?)
    }

    /// The next advertisement of which this is true, and whose it is.
    fn hear(
        &self,
        is_it: impl Fn(&Ipv6Addr, &RouterAdvertisement) -> bool,
    ) -> Outcome<(Ipv6Addr, RouterAdvertisement)> {
        let mut octets = [0; 2000];
        loop {
            let (length, from) = self.ear.recv_from(&mut octets)?;
            let message = octets.get(..length).ok_or("too long")?;
            let IpAddr::V6(source) = from.ip() else {
                continue;
            };
            if let Ok(received) = RouterAdvertisement::decode(message) {
                assert_eq!(received.ignored, []);
                if is_it(&source, &received.advertisement) {
                    return Ok((source, received.advertisement));
                }
            }
        }
    }

    fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.path("log"))?)
    }

    /// The link-local addresses of the router.
    fn addresses(&mut self) -> Outcome<Vec<Ipv6Addr>> {
        let file = self.path("address");
        let list = format!(
            "ip -6 -o address show dev home scope link > {}",
            file.display()
        );
        self.router.run(&format!("sh -c '{list}'"))?;
        let text = fs::read_to_string(&file)?;
        let addresses = text.lines().filter_map(|line| {
            let net = line.split_whitespace().nth(3)?;
            net.split('/').next()?.parse().ok()
        });
        Ok(addresses.collect())
    }
}

fn pid(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.trim().to_owned()
}

fn default_routes() -> Outcome<String> {
    run("ip", &["-6", "route", "show", "default", "dev", "lan0"])
}

fn has_address_of(prefix: &str) -> Outcome<bool> {
    let addresses = run("ip", &["-6", "-o", "address", "show", "dev", "lan0"])?;
    Ok(addresses.contains(prefix))
}

fn is_of(advertisement: &RouterAdvertisement, id: &str) -> bool {
    let pvd = advertisement.pvd.as_ref();
    pvd.is_some_and(|pvd| pvd.id.as_str() == id)
}

fn object(more: &str) -> String {
    format!(
        r#"{{"identifier":"cafe.example.com.","expires":"2999-01-01T00:00:00Z","prefixes":["2001:db8:cafe::/48"]{more}}}"#
    )
}

const VISIBLE: &str = r#"
[[pvd]]
id = "cafe.example.com"
interface = "home"
router_lifetime = 1800
dhcpv4 = true
object = "cafe.json"
delay = 3
dns = ["2001:db8:cafe::53"]
search = ["example.com"]
[[pvd.prefix]]
prefix = "2001:db8:cafe::/64"
"#;

/// Covers: P-002, P-005, P-027. RFC 8801 §5.4, to a kernel that knows no PvDs.
#[test]
fn a_host_has_prefix_and_default_route_of_what_is_for_everybody() -> Outcome {
    isolated(&[], || {
        let mut lan = Lan::new()?;
        fs::write(lan.path("cafe.json"), object(""))?;
        let own = lan.own;
        lan.start_moat(VISIBLE)?;
        let (source, first) = lan.hear(|_, it| is_of(it, "cafe.example.com"))?;
        assert_eq!(source, own);
        until("the host has taken it", || {
            let route = format!("via {own}");
            Ok(default_routes()?.contains(&route) && has_address_of("2001:db8:cafe:")?)
        })?;
        let pvd = first.pvd.ok_or("no PvD")?;
        let announced = pvd.additional_information.ok_or("no H-flag")?;
        assert!(pvd.has_legacy);
        assert_eq!((pvd.header, pvd.options), (None, vec![]));
        assert_eq!(announced.delay.longest_milliseconds(), 8192);
        let is_prefix = |option: &NdOption| matches!(option, NdOption::PrefixInformation(_));
        assert!(first.outer_options.iter().any(is_prefix));

        // Another object has the next number, also over a restart.
        let after = |lan: &Lan, number: u16| {
            let (_, heard) = lan.hear(|_, it| {
                let pvd = it.pvd.as_ref().and_then(|pvd| pvd.additional_information);
                pvd.is_some_and(|pvd| pvd.sequence_number != number)
            })?;
            let pvd = heard.pvd.and_then(|pvd| pvd.additional_information);
            Outcome::Ok(pvd.ok_or("no H-flag")?.sequence_number)
        };
        fs::write(lan.path("cafe.json"), object(r#","noInternet":true"#))?;
        lan.signal("moat", "HUP")?;
        let second = after(&lan, announced.sequence_number)?;
        assert_eq!(second, announced.sequence_number.wrapping_add(1));
        lan.end("moat")?;
        // It takes leave, and the host has no router any more.
        let (_, last) = lan.hear(|_, it| it.outer.router_lifetime == 0)?;
        assert!(is_of(&last, "cafe.example.com"));
        until("the host has lost the route", || {
            Ok(default_routes()?.is_empty())
        })?;
        assert!(has_address_of("2001:db8:cafe:")?);
        fs::write(lan.path("cafe.json"), object(r#","noInternet":false"#))?;
        lan.start_moat(VISIBLE)?;
        assert_eq!(after(&lan, second)?, second.wrapping_add(1));
        Ok(())
    })
}

const HIDDEN: &str = r#"
[[interface]]
name = "home"
min_interval = 3
max_interval = 4
[[pvd]]
id = "bar.example.org"
interface = "home"
router_lifetime = 1600
pvd_aware_only = true
dns = ["2001:db8:f00d::53"]
[[pvd.prefix]]
prefix = "2001:db8:f00d::/64"
[[pvd.route]]
prefix = "2001:db8:1::/48"
[[pvd]]
id = "third.example.org"
interface = "home"
pvd_aware_only = true
"#;

/// Covers: P-001, P-005, P-010. RFC 8801 §3.3, §5.2.
#[test]
fn a_host_without_pvds_notices_nothing_of_what_is_not_for_it() -> Outcome {
    isolated(&["radvd"], || {
        let mut lan = Lan::new()?;
        let own = lan.own;
        lan.start_moat(HIDDEN)?;
        let (source, heard) = lan.hear(|_, it| is_of(it, "bar.example.org"))?;
        assert_ne!(source, own);
        assert_eq!(heard.outer.router_lifetime, 0);
        assert_eq!(heard.header().router_lifetime, 1600);
        let pvd = heard.pvd.as_ref().ok_or("no PvD")?;
        assert_eq!((pvd.options.len(), pvd.additional_information), (3, None));
        // Nothing but the router's link-layer address is outside.
        assert_eq!(heard.outer_options.len(), 1);
        let (again, _) = lan.hear(|_, it| is_of(it, "third.example.org"))?;
        assert_eq!(again, source);
        assert_eq!(default_routes()?, "");
        assert!(!has_address_of("2001:db8:f00d:")?);

        // Who uses the router finds it, although no program there has its address to advertise from.
        assert_eq!(lan.addresses()?, [own]);
        let at = source.to_string();
        run("ip", &["-6", "neighbour", "flush", "dev", "lan0"])?;
        until("the router answers", || {
            run(
                "ip",
                &[
                    "-6",
                    "route",
                    "replace",
                    "2001:db8:99::1",
                    "via",
                    &at,
                    "dev",
                    "lan0",
                ],
            )?;
            let asked = UdpSocket::bind("[::]:0")?;
            drop(asked.send_to(b"?", "[2001:db8:99::1]:9"));
            let found = run("ip", &["-6", "neighbour", "show", &at, "dev", "lan0"])?;
            Ok(found.contains("REACHABLE"))
        })?;

        // Beside radvd, whose default route stays, whatever comes and goes.
        lan.start_radvd()?;
        let route = format!("via {own}");
        until("the host has radvd's route", || {
            Ok(default_routes()?.contains(&route) && has_address_of("2001:db8:cafe:")?)
        })?;
        for _ in 0..3 {
            lan.hear(|_, it| is_of(it, "bar.example.org"))?;
            assert!(default_routes()?.contains(&route));
        }
        lan.end("moat")?;
        let ended = |from: &Ipv6Addr, it: &RouterAdvertisement| {
            *from == source && it.header().router_lifetime == 0
        };
        lan.hear(ended)?;
        assert!(default_routes()?.contains(&route));
        assert_eq!(lan.addresses()?, [own]);
        assert!(!has_address_of("2001:db8:f00d:")?);
        Ok(())
    })
}

/// Covers: P-010. From radvd's own address, if the administrator insists.
#[test]
fn radvd_keeps_its_default_route_also_where_the_address_is_shared() -> Outcome {
    isolated(&["radvd"], || {
        let mut lan = Lan::new()?;
        let own = lan.own;
        let shared = format!("pvd_aware_only = true\nsource = \"{own}\"");
        lan.start_moat(&HIDDEN.replace("pvd_aware_only = true", &shared))?;
        lan.hear(|from, it| *from == own && it.outer.router_lifetime == 0)?;
        until("it is warned", || {
            Ok(lan
                .log()?
                .contains("leave source out for an address of moat's own"))
        })?;
        lan.start_radvd()?;
        let route = format!("via {own}");
        // With what radvd's route has left, from when it was heard.
        let beside = |_: &Ipv6Addr, it: &RouterAdvertisement| {
            is_of(it, "bar.example.org") && it.outer.router_lifetime > 1700
        };
        for _ in 0..3 {
            let (_, heard) = lan.hear(beside)?;
            assert_eq!(heard.header().router_lifetime, 1600);
            assert!(default_routes()?.contains(&route));
        }
        lan.end("moat")?;
        lan.hear(|_, it| is_of(it, "bar.example.org") && it.header().router_lifetime == 0)?;
        assert!(default_routes()?.contains(&route));
        // And when radvd goes, its route does.
        lan.end("radvd")?;
        until("the route is gone", || Ok(default_routes()?.is_empty()))
    })
}
