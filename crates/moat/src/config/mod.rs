//! The daemons' TOML files, as values in which nothing illegal can be written.
//!
//! Unknown keys are refused, and every problem of a file is told at once, with its place and what to do.

mod advertise;
mod client;
mod conduct;
mod credentials;
mod customer;
mod discover;
mod dots_server;
mod error;
mod gateway;
mod limits;
mod listen;
mod machine;
mod mitigation;
mod problem;
mod pvd_server;
mod pvds;
mod reader;
mod redirect;
mod report;
mod resolver;
mod routing;
mod selection;
mod server;
#[cfg(test)]
mod tests;
mod transport;
mod trusted_gateway;
mod value;
mod wording;

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use error::Severity;
use problem::ProblemKind;
use reader::{Diagnostics, Located, Place, Table, Value};

pub(crate) use advertise::{AdvertiseConfig, AdvertisedDomain, AdvertisingInterface};
pub(crate) use client::ClientConfig;
pub(crate) use credentials::{CertificateCredentials, Credentials, OPEN_TO_OTHERS, PreSharedKey};
pub(crate) use error::{ConfigError, Problem};
pub(crate) use gateway::GatewayConfig;
pub(crate) use pvd_server::{PvdServerConfig, PvdServerLimits, ServedPvd};
pub(crate) use report::Report;
pub(crate) use resolver::{DNS_OVER_TLS_PORT, DNS_PORT, Resolver};
pub(crate) use routing::{PRIORITIES, Routing};
pub(crate) use server::ServerConfig;
pub(crate) use value::HostName;

/// Longest configuration file, in bytes: a hundred thousand prefixes are shorter.
const MAX_CONFIG_BYTES: u64 = 8 << 20;

/// Longest path of a Unix socket, in bytes: `sun_path` without its NUL (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Daemon {
    /// `moat client`
    Client,
    /// `moat server`
    Server,
    /// `moat gateway`
    Gateway,
}

impl Daemon {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }
}

/// Heartbeats on a session while no attack is going on (RFC 9132 §4.5.1, §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// Time between two, 15 to 240 seconds.
    pub(crate) interval: Duration,
    /// So many in a row may go unanswered, 1 to 65535.
    pub(crate) missing_allowed: u16,
}

/// Loads a server's file.
///
/// # Errors
/// Everything that would keep the server from starting, at once.
pub(crate) fn load_server(file: &Path) -> Result<ServerConfig, ConfigError> {
    let (config, warnings) = load(file, Daemon::Server, server::read)?;
    Ok(ServerConfig { warnings, ..config })
}

/// Loads a client's file.
///
/// # Errors
/// Everything that would keep the client from starting, at once.
pub(crate) fn load_client(file: &Path) -> Result<ClientConfig, ConfigError> {
    let (config, warnings) = load(file, Daemon::Client, client::read)?;
    Ok(ClientConfig { warnings, ..config })
}

/// Loads a gateway's file.
///
/// # Errors
/// Everything that would keep the gateway from starting, at once.
pub(crate) fn load_gateway(file: &Path) -> Result<GatewayConfig, ConfigError> {
    let (config, warnings) = load(file, Daemon::Gateway, gateway::read)?;
    Ok(GatewayConfig { warnings, ..config })
}

/// Loads the file of `moat pvd advertise`.
///
/// # Errors
/// Everything that would keep it from starting, at once.
pub(crate) fn load_advertise(file: &Path) -> Result<AdvertiseConfig, ConfigError> {
    let (config, warnings) = load_any(file, advertise::read)?;
    Ok(AdvertiseConfig { warnings, ..config })
}

/// Everything that is wrong with the file of `moat pvd advertise`, or that this machine does not have for it.
///
/// # Errors
/// Only when the file itself cannot be read.
pub(crate) fn check_advertise(file: &Path) -> Result<Report, ConfigError> {
    let text = read(file)?;
    let diagnostics = Diagnostics::new(file, &text).and_machine();
    let (_, problems) = examine(diagnostics, file, advertise::read);
    Ok(Report {
        file: file.to_owned(),
        daemon: None,
        problems,
    })
}

/// Loads the file of `moat pvd serve`.
///
/// # Errors
/// Everything that would keep it from starting, at once.
pub(crate) fn load_pvd_server(file: &Path) -> Result<PvdServerConfig, ConfigError> {
    let (config, warnings) = load_any(file, pvd_server::read)?;
    Ok(PvdServerConfig { warnings, ..config })
}

/// What a daemon's file says, and what is questionable in it.
fn load<T>(
    file: &Path,
    daemon: Daemon,
    build: impl FnOnce(Table<'_>, &Path, &mut Diagnostics<'_>) -> Option<T>,
) -> Result<(T, Vec<Problem>), ConfigError> {
    load_any(file, |table, folder, diagnostics| {
        refuse_other(&table, daemon, file, diagnostics)?;
        build(table, folder, diagnostics)
    })
}

fn load_any<T>(
    file: &Path,
    build: impl FnOnce(Table<'_>, &Path, &mut Diagnostics<'_>) -> Option<T>,
) -> Result<(T, Vec<Problem>), ConfigError> {
    let text = read(file)?;
    let diagnostics = Diagnostics::new(file, &text);
    let (config, problems) = examine(diagnostics, file, build);
    let (fatal, warnings) = by_severity(problems);
    match config {
        Some(config) if fatal.is_empty() => Ok((config, warnings)),
        _ => Err(ConfigError::Invalid { problems: fatal }),
    }
}

/// Finds out whose file it is, and everything that is wrong with it or questionable in it, or that this machine does not have.
///
/// # Errors
/// Only when the file itself cannot be read.
pub(crate) fn check(file: &Path) -> Result<Report, ConfigError> {
    let text = read(file)?;
    Ok(report(file, Diagnostics::new(file, &text).and_machine()))
}

fn report(file: &Path, diagnostics: Diagnostics<'_>) -> Report {
    let mut daemon = None;
    let (_, problems) = examine(diagnostics, file, |table, folder, diagnostics| {
        daemon = daemon_of(&table);
        match daemon {
            Some(Daemon::Client) => client::read(table, folder, diagnostics).map(drop),
            Some(Daemon::Server) => server::read(table, folder, diagnostics).map(drop),
            Some(Daemon::Gateway) => gateway::read(table, folder, diagnostics).map(drop),
            None => {
                diagnostics.note(table.place(), ProblemKind::UnknownDaemon);
                None
            }
        }
    });
    Report {
        file: file.to_owned(),
        daemon,
        problems,
    }
}

/// The daemon that knows more of the keys: a gateway's file has networks and customers.
fn daemon_of(table: &Table<'_>) -> Option<Daemon> {
    let count = |keys: &[&str]| keys.iter().filter(|key| table.has(key)).count();
    let is_both = table.has("pvd") && table.has("customer");
    if is_both || count(gateway::OWN_KEYS) > 0 {
        return Some(Daemon::Gateway);
    }
    match count(client::OWN_KEYS).cmp(&count(server::OWN_KEYS)) {
        std::cmp::Ordering::Greater => Some(Daemon::Client),
        std::cmp::Ordering::Less => Some(Daemon::Server),
        std::cmp::Ordering::Equal => None,
    }
}

/// Notes that the file is the other daemon's; `None` then, since everything in it would be wrong.
fn refuse_other(
    table: &Table<'_>,
    daemon: Daemon,
    file: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<()> {
    let of_other = daemon_of(table).filter(|found| *found != daemon);
    let Some(other) = of_other else {
        return Some(());
    };
    let keys = match other {
        Daemon::Client => client::OWN_KEYS,
        Daemon::Server => server::OWN_KEYS,
        Daemon::Gateway => &["pvd", "customer"],
    };
    let own = gateway::OWN_KEYS
        .iter()
        .filter(|_| other == Daemon::Gateway);
    let mut keys = own.chain(keys).copied();
    let key = keys.find(|key| table.has(key))?;
    let file = file.to_owned();
    let kind = match other {
        Daemon::Client => ProblemKind::FileOfAClient { key, file },
        Daemon::Server => ProblemKind::FileOfAServer { key, file },
        Daemon::Gateway => ProblemKind::FileOfAGateway { key, file },
    };
    diagnostics.note(table.place(), kind);
    None
}

fn examine<T>(
    mut diagnostics: Diagnostics<'_>,
    file: &Path,
    build: impl FnOnce(Table<'_>, &Path, &mut Diagnostics<'_>) -> Option<T>,
) -> (Option<T>, Vec<Problem>) {
    let folder = file.parent().unwrap_or(Path::new(""));
    let document = diagnostics.parse();
    let built = document
        .as_ref()
        .and_then(|document| build(Table::root(document), folder, &mut diagnostics));
    (built, diagnostics.into_problems())
}

fn by_severity(problems: Vec<Problem>) -> (Vec<Problem>, Vec<Problem>) {
    problems
        .into_iter()
        .partition(|problem| problem.severity() == Severity::Fatal)
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let owned = || file.to_owned();
    let unreadable = |source| ConfigError::Unreadable {
        file: owned(),
        source,
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened
        .take(MAX_CONFIG_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(ConfigError::TooLong {
            file: owned(),
            limit: MAX_CONFIG_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::NotText { file: owned() })
}

/// `[heartbeat]` of either file; `None` inside when heartbeats are off.
fn heartbeat(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Heartbeat>> {
    // RFC 9132 §4.5.2: the defaults; §4.5.1: the range.
    let (mut interval, mut missing_allowed) = (Some(30), Some(15));
    if let Some(value) = table.take("heartbeat") {
        let mut table = value.table("a table: [heartbeat]", diagnostics)?;
        if let Some(value) = table.take("interval") {
            let wanted = || "15 to 240 seconds, or 0 for no heartbeats".to_owned();
            interval = value.integer(
                |seconds| matches!(seconds, 0 | 15..=240),
                wanted,
                diagnostics,
            );
        }
        if let Some(value) = table.take("missing_allowed") {
            missing_allowed = value.number(1..=u32::from(u16::MAX), "", diagnostics);
        }
        table.finish(diagnostics);
    }
    let seconds = u64::try_from(interval?).ok()?;
    let missing_allowed = u16::try_from(missing_allowed?).ok()?;
    let interval = Duration::from_secs(seconds);
    Some((!interval.is_zero()).then_some(Heartbeat {
        interval,
        missing_allowed,
    }))
}

/// A path key that may be left out.
fn path_or(
    table: &mut Table<'_>,
    key: &'static str,
    default: &str,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Located<PathBuf>> {
    match table.take(key) {
        Some(value) => value.parse("a file name, in quotes", diagnostics, |text| {
            value::path(folder, text)
        }),
        None => Some(Located {
            value: PathBuf::from(default),
            place: table.place().clone(),
        }),
    }
}

/// `state` and `control`, which must be two files.
fn state_and_control(
    table: &mut Table<'_>,
    defaults: [&str; 2],
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(PathBuf, PathBuf)> {
    let [state, control] = defaults;
    let state = path_or(table, "state", state, folder, diagnostics);
    let control = path_or(table, "control", control, folder, diagnostics);
    let (state, control) = (state?, control?);
    let bytes = control.value.as_os_str().len();
    if bytes > MAX_SOCKET_PATH {
        let limit = MAX_SOCKET_PATH;
        diagnostics.note(
            &control.place,
            ProblemKind::SocketPathTooLong { bytes, limit },
        );
    }
    if state.value == control.value {
        let line = diagnostics.line(&state.place);
        diagnostics.note(
            &control.place,
            ProblemKind::SamePath {
                other: "state",
                line,
            },
        );
    }
    if diagnostics.is_with_machine() {
        machine::note_state(&state, diagnostics);
        machine::note_control(&control, diagnostics);
    }
    Some((state.value, control.value))
}

/// The list `prefixes` of a PvD or customer; `None` when one of them is wrong.
fn prefixes(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Located<IpNet>>> {
    let list = table.require("prefixes", "[\"203.0.113.0/28\"]", diagnostics)?;
    list_of_prefixes(list, diagnostics)
}

/// A list of prefixes; `None` when one of them is wrong.
fn list_of_prefixes(
    list: Value<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Located<IpNet>>> {
    let entries = list.filled_list(
        "a list, like [\"203.0.113.0/28\"]",
        "prefix, like \"203.0.113.0/28\"",
        diagnostics,
    );
    let wanted = "a prefix in quotes, like \"203.0.113.0/28\"";
    let mut complete = true;
    let mut prefixes = Vec::new();
    for value in entries {
        let prefix = value.parse(wanted, diagnostics, value::assigned_prefix);
        complete &= prefix.is_some();
        prefixes.extend(prefix);
    }
    note_doubles(&prefixes, diagnostics, |prefix, other, line| {
        ProblemKind::PrefixTwice {
            prefix: *prefix,
            other,
            line,
        }
    });
    complete.then_some(prefixes)
}

/// Notes each address that is written twice.
fn note_double_addresses<T: Ord + Display>(
    addresses: &[Located<T>],
    diagnostics: &mut Diagnostics<'_>,
) {
    note_doubles(addresses, diagnostics, |address, other, line| {
        let what = address.to_string();
        ProblemKind::AddressTwice { what, other, line }
    });
}

/// Notes each name that is given twice.
fn note_double_names<T: Ord + Display>(names: &[Located<T>], diagnostics: &mut Diagnostics<'_>) {
    note_doubles(names, diagnostics, |name, other, line| {
        let name = name.to_string();
        ProblemKind::NameTwice { name, other, line }
    });
}

/// Notes each value that an earlier one equals.
fn note_doubles<T: Ord>(
    values: &[Located<T>],
    diagnostics: &mut Diagnostics<'_>,
    kind: impl Fn(&T, String, usize) -> ProblemKind,
) {
    let mut seen = std::collections::BTreeMap::<&T, &Place>::new();
    for Located { value, place } in values {
        match seen.get(value) {
            Some(first) => diagnostics.note(
                place,
                kind(value, first.key.clone(), diagnostics.line(first)),
            ),
            None => drop(seen.insert(value, place)),
        }
    }
}

fn values<T>(located: Vec<Located<T>>) -> Vec<T> {
    located.into_iter().map(|entry| entry.value).collect()
}

fn holds(prefixes: &[Located<IpNet>], address: IpAddr) -> bool {
    prefixes
        .iter()
        .any(|prefix| prefix.value.contains(&address))
}
