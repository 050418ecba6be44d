//! scapy makes Router Advertisements with PvD options that moat reads, and reads what moat makes; and what the kernel of a host and
//! radvd make of them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use pvd::bindings::router_advertisement::{
    Announced, Delay, Header, Lifetime, NdOption, PrefixInformation, PvdOption, RouterAdvertisement,
};
use serde_json::Value;

use crate::support::{Daemon, MOAT, Neighbour, Outcome, isolated, run, until};

/// Of Debian's packages, whatever other Python there is.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/process/scapy/advertise.py"
);
/// The program that comes with the package.
const SCAPY: &[&str] = &["scapy3"];

/// How many advertisements are made by chance.
const MANY: usize = 2000;

fn scapy(words: &[&str]) -> Outcome<String> {
    run(PYTHON, &[&[SCRIPT], words].concat())
}

/// What scapy finds in each of these messages.
fn read(messages: &[Vec<u8>]) -> Outcome<Vec<String>> {
    let mut child = Command::new(PYTHON)
        .args([SCRIPT, "read"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no stdin")?;
    let lines: String = messages.iter().map(|it| hexadecimal(it) + "\n").collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output()?;
    writing.join().map_err(|_| "the writer panicked")??;
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(text: &str) -> Outcome<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let octet = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    pairs.map(octet).collect()
}

fn header(router_lifetime: u16) -> Header {
    Header {
        router_lifetime,
        ..Header::default()
    }
}

fn prefix(text: &str) -> Outcome<NdOption> {
    Ok(NdOption::PrefixInformation(PrefixInformation {
        prefix: text.parse()?,
        is_on_link: true,
        is_autonomous: true,
        valid: Lifetime::Infinite,
        preferred: Lifetime::Infinite,
    }))
}

fn resolvers(texts: &[&str]) -> Outcome<NdOption> {
    let addresses: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
    Ok(NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(600),
        addresses: addresses?,
    })
}

fn pvd(id: &str, header: Option<Header>, options: Vec<NdOption>) -> Outcome<PvdOption> {
    Ok(PvdOption {
        id: id.parse()?,
        additional_information: None,
        has_legacy: false,
        header,
        options,
    })
}

fn announced(mut option: PvdOption, delay: u8, sequence_number: u16) -> Outcome<PvdOption> {
    option.additional_information = Some(Announced {
        delay: Delay::new(delay).ok_or("too long")?,
        sequence_number,
    });
    Ok(option)
}

/// Those of RFC 8801, with what scapy is to find in what moat makes of them.
fn examples() -> Outcome<Vec<(&'static str, RouterAdvertisement, &'static str)>> {
    let [cafe, food] = [prefix("2001:db8:cafe::/64")?, prefix("2001:db8:f00d::/64")?];
    let both = resolvers(&["2001:db8:cafe::53", "2001:db8:f00d::53"])?;
    let of = |lifetime, outer_options, option| RouterAdvertisement {
        outer: header(lifetime),
        outer_options,
        pvd: Some(option),
    };
    let aware = of(
        0,
        vec![],
        pvd(
            "bar.example.org",
            Some(header(1600)),
            vec![food.clone(), resolvers(&["2001:db8:f00d::53"])?],
        )?,
    );
    let read =
        "RA(0) PvD(bar.example.org. R 0 0 RA(1600): 2001:db8:f00d::/64 DNS(2001:db8:f00d::53))";
    let everybody = vec![cafe.clone(), resolvers(&["2001:db8:cafe::53"])?];
    Ok(vec![
        (
            "figure-2",
            of(
                0,
                vec![],
                announced(
                    pvd("example.org", None, vec![both.clone(), cafe.clone()])?,
                    1,
                    123,
                )?,
            ),
            "RA(0) PvD(example.org. H 1 123 DNS(2001:db8:cafe::53 2001:db8:f00d::53) 2001:db8:cafe::/64)",
        ),
        (
            "5.1",
            of(
                6000,
                vec![cafe],
                pvd("example.org", None, vec![both, food])?,
            ),
            "RA(6000) 2001:db8:cafe::/64 PvD(example.org.  0 0 DNS(2001:db8:cafe::53 2001:db8:f00d::53) 2001:db8:f00d::/64)",
        ),
        (
            "5.2-everybody",
            of(
                6000,
                everybody.clone(),
                pvd("foo.example.org", Some(header(0)), vec![])?,
            ),
            "RA(6000) 2001:db8:cafe::/64 DNS(2001:db8:cafe::53) PvD(foo.example.org. R 0 0 RA(0): )",
        ),
        ("5.2-aware", aware.clone(), read),
        (
            "5.3-everybody",
            of(
                6000,
                everybody.clone(),
                pvd("foo.example.org", None, vec![])?,
            ),
            "RA(6000) 2001:db8:cafe::/64 DNS(2001:db8:cafe::53) PvD(foo.example.org.  0 0 )",
        ),
        ("5.3-aware", aware, read),
        (
            "5.4",
            of(
                6000,
                everybody,
                announced(pvd("cafe.example.com", None, vec![])?, 0, 7)?,
            ),
            "RA(6000) 2001:db8:cafe::/64 DNS(2001:db8:cafe::53) PvD(cafe.example.com. H 0 7 )",
        ),
    ])
}

/// Covers: P-001, P-002, P-003, P-005. RFC 8801, Figure 2 and §5.1 to §5.4.
#[test]
fn the_examples_of_the_specification_are_the_same_octets_to_both() -> Outcome {
    isolated(SCAPY, || {
        let made = scapy(&["examples"])?;
        let made: Vec<_> = made
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let examples = examples()?;
        let names: Vec<_> = made.iter().map(|(name, _)| *name).collect();
        assert!(
            names.iter().eq(examples.iter().map(|(name, ..)| name)),
            "{names:?}"
        );
        for ((name, text), (_, expected, _)) in made.iter().zip(&examples) {
            let received = RouterAdvertisement::decode(&octets(text)?)?;
            assert_eq!(&received.advertisement, expected, "{name}");
            assert_eq!(received.ignored, [], "{name}");
            assert_eq!(hexadecimal(&expected.encode()), *text, "{name}");
        }
        let written: Vec<_> = examples.iter().map(|(_, it, _)| it.encode()).collect();
        assert!(
            read(&written)?
                .iter()
                .eq(examples.iter().map(|(.., read)| read))
        );
        Ok(())
    })
}

/// Covers: P-001, P-002, P-005
#[test]
fn what_scapy_makes_by_chance_is_read_whole_and_written_the_same() -> Outcome {
    isolated(SCAPY, || {
        let seed = fastrand::u32(..).to_string();
        println!("seed {seed}");
        let made = scapy(&["random", &seed, &MANY.to_string()])?;
        let mut pvds = 0;
        for text in made.lines() {
            let received = RouterAdvertisement::decode(&octets(text)?)?;
            assert_eq!(received.ignored, [], "{text}");
            assert_eq!(hexadecimal(&received.advertisement.encode()), text);
            pvds += usize::from(received.advertisement.pvd.is_some());
        }
        assert_eq!(made.lines().count(), MANY);
        assert!(pvds > MANY / 2, "{pvds}");
        Ok(())
    })
}

fn ask(socket: &str) -> Outcome<Vec<Value>> {
    let output = Command::new(MOAT)
        .args(["pvd", "list", "--json", "--control", socket])
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn text_of(words: &str) -> Outcome<String> {
    run("ip", &words.split(' ').collect::<Vec<_>>())
}

/// The PvDs of which the daemon tells, as `NAME PREFIXES via ROUTERS`.
fn told(socket: &str) -> Outcome<Vec<String>> {
    let list = |view: &Value, what: &str, of: &str| {
        let list = view[what].as_array().into_iter().flatten();
        let words: Vec<_> = list.filter_map(|it| it[of].as_str()).collect();
        words.join(" ")
    };
    let views = ask(socket)?;
    let words = views.iter().map(|view| {
        let name = view["pvd"].as_str().unwrap_or("implicit");
        let (prefixes, routers) = (
            list(view, "prefixes", "prefix"),
            list(view, "routers", "via"),
        );
        format!("{name} {prefixes} via {routers}")
    });
    Ok(words.collect())
}

/// Covers: P-001, P-005, P-008, P-010. RFC 8801 §5.2: one host is two, of which the kernel is the one that knows no PvDs.
#[test]
fn the_kernel_takes_what_is_for_everybody_and_moat_what_is_for_it() -> Outcome {
    isolated(SCAPY, || {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("pvd.sock").display().to_string();
        let mut router = Neighbour::behind("lan0", &folder.path().join("log"))?;
        let mut daemon = Daemon::watch("lan0=wired", &socket, &["--fetch", "none"])?;
        daemon.wait_for("attached")?;
        let mut send = |words: &str| router.run(&format!("{PYTHON} {SCRIPT} send home {words}"));
        // Not from a neighbour (RFC 4861 §6.1.2).
        send("fe80::1 5.1 254")?;
        until("both advertisements are heard", || {
            send("fe80::2 5.2-aware")?;
            send("fe80::1 5.2-everybody")?;
            Ok(told(&socket)?.len() == 2)
        })?;
        let known = [
            "bar.example.org 2001:db8:f00d::/64 via fe80::2",
            "foo.example.org 2001:db8:cafe::/64 via ",
        ];
        assert_eq!(told(&socket)?, known);
        until("the kernel has an address", || {
            Ok(text_of("-6 -o address show dev lan0")?.contains("2001:db8:cafe:"))
        })?;
        let addresses = text_of("-6 -o address show dev lan0")?;
        assert!(!addresses.contains("2001:db8:f00d:"), "{addresses}");
        let routes = text_of("-6 route show default dev lan0")?;
        assert!(
            routes.contains("via fe80::1") && !routes.contains("fe80::2"),
            "{routes}"
        );
        Ok(())
    })
}

const RADVD: &str = "interface home { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
                     AdvDefaultLifetime 6000; prefix 2001:db8:cafe::/64 { }; };";

/// Covers: P-003. radvd hears of other routers' PvDs on its link, and advertises what it did before.
#[test]
fn radvd_goes_on_beside_routers_with_pvds() -> Outcome {
    isolated(&["scapy3", "radvd"], || {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let mut router = Neighbour::behind("lan0", &log)?;
        router.run("sysctl -qw net.ipv6.conf.all.forwarding=1")?;
        let file = folder.path().join("radvd.conf");
        std::fs::write(&file, RADVD)?;
        let id = folder.path().join("radvd.pid");
        router.start(&format!(
            "radvd -n -d 5 -m stderr -C {} -p {}",
            file.display(),
            id.display()
        ))?;
        let said = || std::fs::read_to_string(&log);
        let unknown = "unknown option 21 in RA on home from fe80::2";
        until(
            "radvd has heard all examples, and does not know the option",
            || {
                for (name, ..) in examples()? {
                    scapy(&["send", "lan0", "fe80::2", name])?;
                }
                Ok(said()?.matches(unknown).count() >= examples()?.len())
            },
        )?;
        let said = said()?;
        assert!(!said.contains("invalid"), "{said}");
        // The route of the host is renewed by what comes after that.
        let before = default_route()?;
        run("ip", &["-6", "route", "flush", "default"])?;
        until("it advertises again", || Ok(default_route()? == before))?;
        assert!(before.contains("via fe80"), "{before}");
        Ok(())
    })
}

/// Without what is counted down.
fn default_route() -> Outcome<String> {
    let route = text_of("-6 route show default dev lan0")?;
    Ok(route.split(" metric").next().unwrap_or_default().to_owned())
}

const ADVERTISED: &str = r#"state = "state.json"
[[pvd]]
id = "bar.example.org"
interface = "home"
router_lifetime = 1600
pvd_aware_only = true
dns = ["2001:db8:f00d::53"]
search = ["bar.example.org"]
[[pvd.prefix]]
prefix = "2001:db8:f00d::/64"
[[pvd.route]]
prefix = "2001:db8:1::/48"
"#;

/// Covers: P-001, P-002, P-005. RFC 8801 §5.2, from the link.
#[test]
fn scapy_reads_what_moat_advertises() -> Outcome {
    isolated(SCAPY, || {
        let folder = tempfile::tempdir()?;
        let mut router = Neighbour::behind("lan0", &folder.path().join("log"))?;
        let config = folder.path().join("advertise.toml");
        std::fs::write(&config, ADVERTISED)?;
        let line = listen_and(|| {
            let config = Path::new(&config).display();
            router.start(&format!("{MOAT} pvd advertise --config {config}"))
        })?;
        let (source, rest) = line.split_once(' ').ok_or("no source")?;
        assert!(source.starts_with("fe80::"), "{line}");
        let expected = "255 RA(0) link-layer PvD(bar.example.org. R 0 0 RA(1600): 2001:db8:f00d::/64 \
                        route(2001:db8:1::/48) DNS(2001:db8:f00d::53) search(bar.example.org.))";
        assert_eq!(rest, expected);
        Ok(())
    })
}

/// What scapy hears of what is begun when it listens.
fn listen_and(begin: impl FnOnce() -> Outcome) -> Outcome<String> {
    let mut child = Command::new(PYTHON)
        .args([SCRIPT, "hear", "lan0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
    let listens = lines.next().ok_or("it does not listen")??;
    assert_eq!(listens, "listens");
    begin()?;
    let heard = lines.next().ok_or("nothing was heard")??;
    child.wait()?;
    Ok(heard)
}
