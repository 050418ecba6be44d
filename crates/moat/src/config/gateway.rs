//! The file of `moat gateway`: a server's to the inside, a client's to the outside, and how it relays.

use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::gateway::{Rule, Terms, Translation};
use agent::relay::{DEFAULT_HOP_LIMIT, Relay, RelayIdentifier};
use agent::server::Relaying;
use ipnet::IpNet;

use super::client::{self, ClientConfig};
use super::error::Problem;
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Table};
use super::server::{self, ServerConfig};
use super::value;

/// The keys that only a gateway's file has.
pub(super) const OWN_KEYS: &[&str] = &[
    "relay",
    "patience",
    "cdid",
    "hop_limit",
    "nat",
    "upstream_state",
];

/// How a gateway calls itself in the path of a loop where its host has no name that may stand there.
const NAMELESS: &str = "moat-gateway";

/// What `moat gateway` is started with.
#[derive(Debug)]
pub(crate) struct GatewayConfig {
    /// Where it listens, and for whom.
    pub(crate) inside: ServerConfig,
    /// Whom it asks.
    pub(crate) outside: ClientConfig,
    /// How it relays.
    pub(crate) terms: Terms,
    /// What is wrong or questionable in the file and did not keep the gateway from starting: to be logged.
    pub(crate) warnings: Vec<Problem>,
}

pub(super) fn read(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<GatewayConfig> {
    let defaults = ["/var/lib/moat/gateway.db", "/run/moat/gateway.sock"];
    let inside = server::read_inside(&mut table, (defaults, false), folder, diagnostics);
    let networks = client::read_networks(&mut table, folder, diagnostics);
    let upstream_state = read_upstream_state(&mut table, folder, diagnostics);
    let relay = read_relay(&mut table, diagnostics);
    let patience = match table.take("patience") {
        Some(value) => value.number(1..=60, " seconds", diagnostics),
        None => Some(10),
    };
    let says_domain = match table.take("cdid") {
        Some(value) => value.boolean(diagnostics),
        None => Some(false),
    };
    let translation = read_nat(&mut table, diagnostics);
    table.finish(diagnostics);

    let inside = inside?;
    let relay = relay?;
    let relaying = Relaying {
        relay: relay.clone(),
        patience: Duration::from_secs(patience?.into()),
    };
    // One that is accepted, and one that is to take its place.
    let requests = inside.policy().max_mitigations.saturating_mul(2);
    let state = upstream_state?.unwrap_or_else(|| beside(&inside.state));
    Some(GatewayConfig {
        outside: ClientConfig {
            state,
            control: inside.control.clone(),
            heartbeat: inside.heartbeat,
            requests,
            ..networks?
        },
        terms: Terms {
            relay,
            says_domain: says_domain?,
            translation: translation?,
        },
        inside: ServerConfig {
            relaying: Some(relaying),
            ..inside
        },
        warnings: Vec::new(),
    })
}

/// The database of the requests upstream where none is named.
fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".upstream");
    name.into()
}

fn read_upstream_state(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<PathBuf>> {
    let Some(value) = table.take("upstream_state") else {
        return Some(None);
    };
    let path = |text: &str| value::path(folder, text);
    let path = value.parse("a file name, in quotes", diagnostics, path)?;
    Some(Some(path.value))
}

fn read_relay(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Relay> {
    let identifier = match table.take("relay") {
        Some(value) => {
            let wanted = "a name in quotes, like \"gw1.example\"";
            let identifier = value.parse(wanted, diagnostics, |text| {
                let identifier = text.parse::<RelayIdentifier>();
                identifier.map_err(|why| ProblemKind::NotARelay { why })
            });
            identifier.map(|it| it.value)
        }
        None => host_name(),
    };
    let hop_limit = match table.take("hop_limit") {
        Some(value) => value.number(1..=255, "", diagnostics),
        None => Some(DEFAULT_HOP_LIMIT.get().into()),
    };
    let hop_limit = u8::try_from(hop_limit?).ok().and_then(NonZeroU8::new);
    Some(Relay {
        initial_hop_limit: hop_limit?,
        ..Relay::new(identifier?)
    })
}

fn host_name() -> Option<RelayIdentifier> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok();
    name.and_then(|name| name.parse().ok())
        .or_else(|| NAMELESS.parse().ok())
}

fn read_nat(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Translation> {
    let Some(list) = table.take("nat") else {
        return Some(Translation::default());
    };
    let mut rules = Vec::new();
    let list = list.filled_list(
        "a table for each rule: [[nat]]",
        "[[nat]] instead",
        diagnostics,
    );
    for value in list {
        let mut table = value.table("a table: [[nat]]", diagnostics)?;
        let place = table.place().clone();
        let inside = read_side(&mut table, "inside", "\"10.0.0.0/24\"", diagnostics);
        let outside = read_side(&mut table, "outside", "\"203.0.113.0/24\"", diagnostics);
        table.finish(diagnostics);
        match Rule::new(inside?, outside?) {
            Ok(rule) => rules.push(rule),
            Err(why) => diagnostics.note(&place, ProblemKind::NotANatRule { why }),
        }
    }
    Some(rules.into_iter().collect())
}

fn read_side(
    table: &mut Table<'_>,
    key: &'static str,
    example: &'static str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<IpNet> {
    let value = table.require(key, example, diagnostics)?;
    let wanted = "a prefix in quotes, like \"203.0.113.0/24\"";
    let prefix = value.parse(wanted, diagnostics, value::assigned_prefix)?;
    Some(prefix.value)
}
