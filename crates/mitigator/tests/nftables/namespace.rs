//! What the tests stand on: a namespace, packets, and a look at the rule set.

use std::any::type_name;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use dots::target::{PortRange, Protocol};
use mitigator::nftables::{Action, LimitPerSource, Nftables, NftablesConfig};
use mitigator::{Filter, FilterId};
use serde_json::Value;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const INSIDE: &str = "MOAT_NFTABLES_TEST";

/// Longer than the loopback interface ever holds a packet.
const SILENCE: Duration = Duration::from_millis(100);
/// More than a packet takes that nothing drops, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the body of a test in a fresh network namespace: there it runs the same test of the same
/// binary again. The name of the test is that of the function the closure stands in.
pub(crate) fn isolated<Body: FnOnce() -> Outcome>(body: Body) -> Outcome {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"])?;
        return body();
    }
    // Who is not root needs a user namespace as well; there the kernel takes small changes only.
    let flags = if run("id", &["-u"])?.trim() == "0" {
        "-n"
    } else {
        "-rn"
    };
    let test = type_name::<Body>().trim_end_matches("::{{closure}}");
    let test = test.split_once("::").map_or(test, |(_crate, path)| path);
    let probe = Command::new("unshare")
        .args([flags, "nft", "list", "ruleset"])
        .output();
    let obstacle = match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    };
    if let Some(obstacle) = obstacle {
        // Not by println!, which the test harness holds back.
        writeln!(
            std::io::stdout(),
            "SKIPPED: {test} needs nft and a network namespace: {obstacle}"
        )?;
        return Ok(());
    }
    let output = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() && text.contains("1 passed") {
        Ok(())
    } else {
        Err(text.into())
    }
}

/// Runs a program and returns what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!(
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into())
    }
}

/// Runs one nft command.
pub(crate) fn nft(command: &str) -> Outcome<String> {
    run("nft", &[command])
}

/// Gives addresses to this namespace.
pub(crate) fn addresses(addresses: &[&str]) -> Outcome {
    for address in addresses {
        run("ip", &["address", "add", address, "dev", "lo", "nodad"])
            .or_else(|_| run("ip", &["address", "add", address, "dev", "lo"]))?;
    }
    Ok(())
}

pub(crate) fn id(text: &str) -> FilterId {
    text.parse().expect("an identifier")
}

/// A filter for these prefixes, ports and protocols.
pub(crate) fn filter(
    name: &str,
    prefixes: &[&str],
    ports: &[(u16, u16)],
    protocols: &[u8],
) -> Filter {
    Filter {
        id: id(name),
        prefixes: prefixes
            .iter()
            .map(|prefix| prefix.parse().expect("a prefix"))
            .collect(),
        port_ranges: ports
            .iter()
            .map(|(l, u)| PortRange::new(*l, Some(*u)).expect("a range"))
            .collect(),
        protocols: protocols.iter().copied().map(Protocol).collect(),
    }
}

pub(crate) fn limiting(limit: LimitPerSource) -> Nftables {
    Nftables::new(NftablesConfig {
        action: Action::LimitPerSource(limit),
        ..NftablesConfig::default()
    })
}

pub(crate) fn dropping() -> Nftables {
    Nftables::new(NftablesConfig {
        action: Action::Drop,
        ..NftablesConfig::default()
    })
}

/// A target that counts what arrives, and a source.
pub(crate) struct Path {
    source: UdpSocket,
    target: UdpSocket,
    to: SocketAddr,
}

impl Path {
    pub(crate) fn new(source: &str, target: &str, port: u16) -> Outcome<Self> {
        let to = SocketAddr::new(target.parse::<IpAddr>()?, port);
        let path = Path {
            source: UdpSocket::bind((source, 0))?,
            target: UdpSocket::bind(to)?,
            to,
        };
        path.target.set_read_timeout(Some(SILENCE))?;
        Ok(path)
    }

    /// How many of so many packets arrive that are sent at once.
    pub(crate) fn arriving(&self, packets: usize) -> Outcome<usize> {
        self.target.set_nonblocking(true)?;
        let mut arrived = 0;
        for _ in 0..packets {
            self.source.send_to(b"x", self.to)?;
            arrived += self.drain();
        }
        self.target.set_nonblocking(false)?;
        Ok(arrived + self.drain())
    }

    /// Whether each of so many packets arrives, where one is sent when the one before has arrived.
    pub(crate) fn passes(&self, packets: usize) -> Outcome<bool> {
        self.target.set_read_timeout(Some(PATIENCE))?;
        for _ in 0..packets {
            self.source.send_to(b"x", self.to)?;
            if self.target.recv(&mut [0; 16]).is_err() {
                return Ok(false);
            }
        }
        self.target.set_read_timeout(Some(SILENCE))?;
        Ok(true)
    }

    fn drain(&self) -> usize {
        std::iter::from_fn(|| self.target.recv(&mut [0; 16]).ok()).count()
    }
}

/// What a table holds, without handles, counts and the name of the table: each object by kind and
/// name, rules in order.
pub(crate) fn snapshot(table: &str) -> Outcome<BTreeMap<String, Vec<String>>> {
    let listing: Value =
        serde_json::from_str(&run("nft", &["-j", "list", "table", "inet", table])?)?;
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in listing["nftables"].as_array().ok_or("no list")? {
        for (kind, object) in entry.as_object().ok_or("no object")? {
            let mut object = object.clone();
            let fields = object.as_object_mut().ok_or("no object")?;
            if kind == "metainfo" || kind == "table" {
                continue;
            }
            for volatile in ["handle", "table", "packets", "bytes"] {
                fields.remove(volatile);
            }
            if kind == "set" {
                fields.remove("elem");
            }
            let name = fields
                .get("name")
                .or_else(|| fields.get("chain"))
                .ok_or("no name")?;
            objects
                .entry(format!("{kind} {name}"))
                .or_default()
                .push(object.to_string());
        }
    }
    Ok(objects)
}
