//! Somebody on the link of `moat pvd watch` forges Router Advertisements under ever new names, 100,000 of them in a minute.
//!
//! ```text
//! host: moat pvd watch -- lan0 === home: the router of fixed.example, its resolver and its server
//!                                        and the attacker: forged advertisements, his resolver, a server that speaks no TLS
//! ```

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pvd::bindings::router_advertisement::{
    Announced, Delay, Header, Lifetime, NdOption, PrefixInformation, PvdOption, RouterAdvertisement,
};
use rustix::net::netdevice::name_to_index;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tempfile::TempDir;

use crate::support::{Daemon, MOAT, Neighbour, OBJECT, Outcome, isolated, reply, run, until};

/// Replays the names of a run.
const SEED: &str = "MOAT_FLOOD_SEED";
const FORGED: u32 = 100_000;
const MINUTE: Duration = Duration::from_secs(60);
/// Between two advertisements of the real router.
const REAL: Duration = Duration::from_secs(4);
/// Own addresses that the forger has the host make, each of another prefix, so that more than ten PvDs can be asked.
const PREFIXES: u16 = 12;
/// How much more memory the host may take, in KiB. What it holds of one PvD is a kilobyte at least, so 100,000 would be 100 MiB.
/// 64 Ki strangers are half a MiB, and the rest are the tables, buffers and TLS of five fetches.
const MORE_MEMORY: u64 = 16 << 10;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const REAL_ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

fn rng() -> Outcome<Rng> {
    let seed = match env::var(SEED) {
        Ok(seed) => seed.parse()?,
        Err(_) => fastrand::u64(..),
    };
    println!("replay with {SEED}={seed}");
    Ok(Rng::with_seed(seed))
}

fn ours(number: u16, last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0xbad, number, 0, 0, 0, last)
}

/// A PvD with its prefix and resolver, which asks hosts to fetch at once.
fn advertisement(
    id: &str,
    prefix: Ipv6Addr,
    resolvers: Vec<Ipv6Addr>,
) -> Outcome<RouterAdvertisement> {
    let prefix = NdOption::PrefixInformation(PrefixInformation {
        prefix: ipnet::Ipv6Net::new(prefix, 64)?.trunc(),
        is_on_link: true,
        is_autonomous: true,
        valid: Lifetime::Seconds(7200),
        preferred: Lifetime::Seconds(3600),
    });
    let resolvers = NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(600),
        addresses: resolvers,
    };
    Ok(RouterAdvertisement {
        outer: Header {
            router_lifetime: 1800,
            ..Header::default()
        },
        outer_options: vec![prefix],
        pvd: Some(PvdOption {
            id: id.parse()?,
            additional_information: Some(Announced {
                delay: Delay::default(),
                sequence_number: 1,
            }),
            has_legacy: false,
            header: None,
            options: vec![resolvers],
        }),
    })
}

/// An IPv6 packet with the advertisement, from any source.
fn packet(source: Ipv6Addr, advertisement: &RouterAdvertisement) -> Outcome<Vec<u8>> {
    let mut message = advertisement.encode();
    let length = u16::try_from(message.len())?;
    let mut sum = [source.octets(), ALL_NODES.octets()].concat();
    sum.extend([&[0, 0][..], &length.to_be_bytes(), &[0, 0, 0, 58], &message].concat());
    let words = sum.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum)?;
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([58, 255]);
    packet.extend(source.octets());
    packet.extend(ALL_NODES.octets());
    packet.extend(message);
    Ok(packet)
}

/// Who is at the other end of the link.
struct Network {
    router: Neighbour,
    folder: TempDir,
    /// Takes whole packets.
    link: Socket,
    to: SocketAddrV6,
    asked: Arc<Mutex<BTreeSet<String>>>,
    /// Connections to the attacker's server.
    lured: Arc<AtomicUsize>,
}

impl Network {
    fn new() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("flood-").tempdir()?;
        let path = folder.path();
        let dir = path.display().to_string();
        run(MOAT, &["pki", "init", "--dir", &dir, "--name", "Web"])?;
        run(
            MOAT,
            &["pki", "issue", "--dir", &dir, "--server", "fixed.example"],
        )?;
        fs::write(path.join("object.json"), OBJECT)?;
        fs::write(
            path.join("pvd.toml"),
            "listen = [\"[2001:db8:f::80]:443\"]\n[[pvd]]\nid = \"fixed.example\"\ncertificate = \"fixed.example.pem\"\n\
             private_key = \"fixed.example-key.pem\"\nobject = \"object.json\"\n",
        )?;
        let mut router = Neighbour::behind("lan0", &path.join("log"))?;
        router.run("ip address add fe80::1/64 dev home nodad")?;
        for address in ["2001:db8:f::53", "2001:db8:f::80"] {
            router.run(&format!("ip address add {address}/64 dev home nodad"))?;
        }
        let mut resolvers = vec!["2001:db8:f::53".parse()?];
        for number in 0..PREFIXES {
            for last in [0x53, 0x80] {
                router.run(&format!(
                    "ip address add {}/64 dev home nodad",
                    ours(number, last)
                ))?;
            }
            resolvers.push(ours(number, 0x53));
        }
        router.start(&format!("{MOAT} pvd serve --config {dir}/pvd.toml"))?;
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        for resolver in resolvers {
            let socket = router.within(|| Ok(UdpSocket::bind((resolver, 53))?))?;
            let asked = Arc::clone(&asked);
            thread::spawn(move || resolve(&socket, &asked));
        }
        let lured = Arc::default();
        for number in 0..PREFIXES {
            let server = (ours(number, 0x80), 443);
            count(router.within(|| Ok(TcpListener::bind(server)?))?, &lured);
        }
        let (link, index) = router.within(|| {
            let link = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(255)))?;
            let index = name_to_index(&link, "home")?;
            Ok((link, index))
        })?;
        Ok(Self {
            router,
            folder,
            link,
            to: SocketAddrV6::new(ALL_NODES, 0, 0, index),
            asked,
            lured,
        })
    }

    fn send(&self, source: Ipv6Addr, advertisement: &RouterAdvertisement) -> Outcome {
        self.link
            .send_to(&packet(source, advertisement)?, &self.to.into())?;
        Ok(())
    }

    fn send_real(&self, resolvers: &[&str]) -> Outcome {
        let resolvers: Result<_, _> = resolvers.iter().map(|text| text.parse()).collect();
        let prefix = "2001:db8:f::".parse()?;
        self.send(
            REAL_ROUTER,
            &advertisement("fixed.example", prefix, resolvers?)?,
        )
    }

    /// The names that were asked for, but for the real one.
    fn forged_names(&self) -> Outcome<BTreeSet<String>> {
        let mut names = self
            .asked
            .lock()
            .map_err(|_| "a resolver panicked")?
            .clone();
        names.remove("fixed.example");
        // What probes ask for.
        names.remove("");
        Ok(names)
    }
}

/// Where a name leads: to this host, to its link, and to a server that speaks no TLS.
fn address_of(name: &str) -> Option<IpAddr> {
    if name == "fixed.example" {
        return Some(Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 0x80).into());
    }
    match name.as_bytes().get(1)? % 4 {
        0 => Some(Ipv6Addr::LOCALHOST.into()),
        1 => Some(IpAddr::from([127, 0, 0, 1])),
        2 => Some(REAL_ROUTER.into()),
        // In the prefix of the PvD, or the host would not go there.
        _ => {
            let number: u16 = name
                .split(['x', '.'])
                .nth(1)?
                .parse::<u32>()
                .ok()?
                .rem_euclid(u32::from(PREFIXES))
                .try_into()
                .ok()?;
            Some(ours(number, 0x80).into())
        }
    }
}

fn resolve(socket: &UdpSocket, asked: &Mutex<BTreeSet<String>>) {
    let mut datagram = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut datagram) {
        let reply = reply(&datagram[..length], |name| {
            asked.lock().ok()?.insert(name.to_owned());
            address_of(name)
        });
        drop(socket.send_to(&reply, from));
    }
}

/// Counts who connects, and answers nonsense.
fn count(listener: TcpListener, connections: &Arc<AtomicUsize>) {
    let counter = Arc::clone(connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::Relaxed);
            drop(stream.map(|mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")));
        }
    });
}

fn show(socket: &str) -> Outcome<Value> {
    let output = Command::new(MOAT)
        .args([
            "pvd",
            "show",
            "fixed.example",
            "--json",
            "--control",
            socket,
        ])
        .stdin(Stdio::null())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The most memory that a process has had, in KiB.
fn peak(process: u32) -> Outcome<u64> {
    // /proc shows processes of the namespace in which it was mounted.
    let line = format!("mount -t proc proc /proc && cat /proc/{process}/status");
    let status = run("unshare", &["--mount", "sh", "-c", &line])?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM")?.parse()?)
}

/// When the daemon began to fetch for whom, in seconds of the day.
fn fetches(log: &str) -> Outcome<Vec<(f64, String)>> {
    let lines = log
        .lines()
        .filter(|line| line.contains("fetches additional information"));
    let fetches = lines.map(|line| {
        let (_, time) = line.split_once('T').ok_or("no time")?;
        let (time, _) = time.split_once('Z').ok_or("no time")?;
        let parts: Result<Vec<f64>, _> = time.split(':').map(str::parse).collect();
        let [hours, minutes, seconds] = parts?[..] else {
            return Err(format!("no time: {line}").into());
        };
        let (_, pvd) = line.split_once("pvd=").ok_or("no PvD")?;
        let pvd = pvd.split(' ').next().unwrap_or_default();
        Ok((hours * 3600.0 + minutes * 60.0 + seconds, pvd.to_owned()))
    });
    fetches.collect()
}

/// Covers: P-025, P-026, P-047, P-048
#[test]
fn a_flood_of_forged_pvds_fills_no_memory_and_sends_the_host_against_nobody() -> Outcome {
    isolated(&[], || {
        let mut rng = rng()?;
        // Nobody has any business at this port of the host.
        let forbidden = Arc::default();
        count(TcpListener::bind("[::]:443")?, &forbidden);
        let network = Network::new()?;
        let home = SocketAddrV6::new(REAL_ROUTER, 443, 0, network.to.scope_id());
        count(
            network.router.within(|| Ok(TcpListener::bind(home)?))?,
            &forbidden,
        );
        let path = network.folder.path();
        let socket = path.join("pvd.sock").display().to_string();
        let authorities = path.join("ca.pem").display().to_string();
        let mut daemon = Daemon::watch("lan0=wired", &socket, &["--authorities", &authorities])?;
        daemon.wait_for("attached")?;
        until("the real PvD is known", || {
            network.send_real(&["2001:db8:f::53"])?;
            Ok(show(&socket).is_ok_and(|view| view["information"]["state"] == "known"))
        })?;
        let before = peak(daemon.id())?;

        let start = Instant::now();
        let mut real = start;
        let mut names = BTreeSet::new();
        for number in 0..FORGED {
            let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xbad, rng.u16(1..8));
            let prefix = u16::try_from(number % u32::from(PREFIXES))?;
            let name = format!("f{}x{number}.bad.example", rng.u32(..));
            let forged = advertisement(&name, ours(prefix, 0), vec![ours(prefix, 0x53)])?;
            names.insert(name);
            network.send(source, &forged)?;
            if real.elapsed() > REAL {
                network.send_real(&["2001:db8:f::53"])?;
                real = Instant::now();
            }
            // A slow machine takes longer; it never waits to be slower than it must.
            let due = start + MINUTE * number / FORGED;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        assert_eq!(names.len(), usize::try_from(FORGED)?);
        println!("sent in {:?}", start.elapsed());

        // The real one is as it was, and is heard.
        until("what the real one says anew is known", || {
            network.send_real(&["2001:db8:f::53", "2001:db8:f::54"])?;
            let view = show(&socket)?;
            Ok(view["resolvers"]
                .as_array()
                .is_some_and(|all| all.len() == 2))
        })?;
        let view = show(&socket)?;
        assert_eq!(view["information"]["state"], "known", "{view}");
        let address = view["addresses"][0]["address"].as_str().unwrap_or_default();
        assert!(address.starts_with("2001:db8:f:"), "{view}");

        let after = peak(daemon.id())?;
        println!("memory: {before} KiB before, {after} KiB after");
        assert!(after < before + MORE_MEMORY, "{before} KiB, {after} KiB");

        let asked = network.forged_names()?;
        let lured = network.lured.load(Ordering::Relaxed);
        let forbidden = forbidden.load(Ordering::Relaxed);
        let fetches = fetches(&daemon.kill()?)?;
        println!("{} fetches, names {asked:?}, {lured} lured", fetches.len());
        // The first is the real one's; ten that failed end all asking.
        let forged: Vec<_> = fetches.iter().skip(1).collect();
        assert_eq!(fetches[0].1, "fixed.example");
        assert_eq!(forged.len(), 10, "{fetches:?}");
        assert_eq!(asked.len(), 10);
        assert!(
            forged.iter().all(|(_, pvd)| asked.contains(pvd)),
            "{fetches:?}"
        );
        // Ten seconds by the daemon's clock; the log's follows it.
        let window = |at: f64| {
            fetches
                .iter()
                .filter(move |(then, _)| (at..at + 9.0).contains(then))
        };
        assert!(
            fetches.iter().all(|(at, _)| window(*at).count() <= 5),
            "{fetches:?}"
        );
        assert_eq!((forbidden, lured <= 10), (0, true));
        Ok(())
    })
}
