//! The file of `moat server`: where it listens, who may ask, for what, and how much.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use agent::server::Policy;
use ipnet::IpNet;
use mitigator::nftables::NftablesConfig;

use super::credentials::{self, Credentials, Role};
use super::error::{Problem, ProblemKind};
use super::limits::{Limits, to_usize};
use super::mitigation;
use super::reader::{Diagnostics, Located, Table};
use super::value;
use super::{Heartbeat, heartbeat, note_doubles, prefixes, state_and_control, values};

/// The keys that only a server's file has.
pub(super) const OWN_KEYS: &[&str] = &[
    "listen",
    "certificate",
    "private_key",
    "trust_anchors",
    "max_lifetime",
    "customer",
    "limits",
    "mitigator",
];

/// What `moat server` is started with.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    /// Where it listens, at least one, no two alike (RFC 9132 §3).
    pub(crate) listen: Vec<SocketAddr>,
    /// What it proves itself with, and who may be a customer.
    pub(crate) credentials: Credentials,
    /// The database of the mitigations it promised.
    pub(crate) state: PathBuf,
    /// The socket at which `moat sessions` and the like reach it.
    pub(crate) control: PathBuf,
    /// The longest lifetime it grants, also to a request for an indefinite one; whole seconds, at least one
    /// (RFC 9132 §4.4.1.1).
    pub(crate) max_lifetime: NonZeroU32,
    /// Who may ask. No two of the same name.
    pub(crate) customers: Vec<Customer>,
    /// What the network may make it hold.
    pub(crate) limits: Limits,
    /// How it drops packets.
    pub(crate) nftables: NftablesConfig,
    /// `None` when heartbeats are off.
    pub(crate) heartbeat: Option<Heartbeat>,
    /// What is wrong or questionable in the file and did not keep the server from starting: to be logged.
    pub(crate) warnings: Vec<Problem>,
}

impl ServerConfig {
    /// What the operator decided.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            max_lifetime: self.max_lifetime,
            ..self.limits.policy()
        }
    }
}

/// A customer: a DOTS client domain.
#[derive(Debug)]
pub(crate) struct Customer {
    /// The DNS-ID of its certificate, or the common name when there is no DNS-ID, in lower case.
    pub(crate) name: String,
    /// What it owns and may ask mitigation for, at least one.
    pub(crate) prefixes: Vec<IpNet>,
    /// Most mitigations it may have at a time.
    pub(crate) max_mitigations: usize,
}

pub(super) fn read(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ServerConfig> {
    let listen = read_listen(&mut table, diagnostics);
    let credentials = credentials::read(&mut table, Role::Server, folder, diagnostics);
    let defaults = ["/var/lib/moat/server.db", "/run/moat/server.sock"];
    let files = state_and_control(&mut table, defaults, folder, diagnostics);
    let max_lifetime = match table.take("max_lifetime") {
        Some(value) => value.number(1..=u32::MAX, " seconds", diagnostics),
        None => Some(86_400),
    };
    let limits = Limits::read(&mut table, diagnostics);
    let customers = read_customers(&mut table, limits.unwrap_or_default(), diagnostics);
    let nftables = mitigation::read(&mut table, folder, diagnostics);
    let heartbeat = heartbeat(&mut table, diagnostics);
    table.finish(diagnostics);

    let (state, control) = files?;
    Some(ServerConfig {
        listen: listen?,
        credentials: credentials?,
        state,
        control,
        max_lifetime: NonZeroU32::new(max_lifetime?)?,
        customers: customers?,
        limits: limits?,
        nftables: nftables?,
        heartbeat: heartbeat?,
        warnings: Vec::new(),
    })
}

fn read_listen(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<SocketAddr>> {
    let Some(list) = table.take("listen") else {
        return Some(vec![SocketAddr::new(
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            value::SIGNAL_PORT,
        )]);
    };
    let entries = list.filled_list(
        "a list, like [\"[::]:4646\"]",
        "address, like \"[::]:4646\"",
        diagnostics,
    );
    let wanted = "an address in quotes, like \"[::]:4646\"";
    let mut addresses = Vec::new();
    for entry in entries {
        addresses.extend(entry.parse(wanted, diagnostics, value::listen_address));
    }
    note_doubles(&addresses, diagnostics, |address, other, line| {
        ProblemKind::AddressTwice {
            what: address.to_string(),
            other,
            line,
        }
    });
    Some(values(addresses))
}

/// A customer with the places that are compared with those of others. What is `None` was wrong.
struct Draft {
    name: Option<Located<String>>,
    prefixes: Option<Vec<Located<IpNet>>>,
    max_mitigations: Option<usize>,
}

fn read_customers(
    table: &mut Table<'_>,
    limits: Limits,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Customer>> {
    let Some(list) = table.take("customer") else {
        let advice = "write one for each network that may ask for help";
        let kind = ProblemKind::MissingTable {
            table: "customer",
            advice,
        };
        diagnostics.note(table.place(), kind);
        return None;
    };
    let list = list.filled_list(
        "a table for each customer: [[customer]]",
        "[[customer]] instead",
        diagnostics,
    );
    let mut drafts = Vec::new();
    for value in list {
        let table = value.table("a table: [[customer]]", diagnostics)?;
        drafts.push(read_customer(table, limits, diagnostics));
    }
    let names: Vec<_> = drafts
        .iter()
        .filter_map(|draft| draft.name.clone())
        .collect();
    note_doubles(&names, diagnostics, |name, other, line| {
        ProblemKind::NameTwice {
            name: name.clone(),
            other,
            line,
        }
    });
    note_shared_prefixes(&drafts, diagnostics);
    let customer = |draft: Draft| {
        Some(Customer {
            name: draft.name?.value,
            prefixes: values(draft.prefixes?),
            max_mitigations: draft.max_mitigations?,
        })
    };
    drafts.into_iter().map(customer).collect()
}

fn read_customer(mut table: Table<'_>, limits: Limits, diagnostics: &mut Diagnostics<'_>) -> Draft {
    let name = table
        .require("name", "\"home.example.net\"", diagnostics)
        .and_then(|value| {
            value.parse(
                "a name in quotes, like \"home.example.net\"",
                diagnostics,
                value::customer_name,
            )
        });
    let prefixes = prefixes(&mut table, diagnostics);
    let max_mitigations = match table.take("max_mitigations") {
        Some(value) => value
            .number(1..=limits.mitigations.get(), "", diagnostics)
            .and_then(NonZeroU32::new),
        None => Some(limits.mitigations_per_customer),
    }
    .map(to_usize);
    table.finish(diagnostics);
    Draft {
        name,
        prefixes,
        max_mitigations,
    }
}

/// Notes each prefix that overlaps one of another customer. Sorted prefixes either nest or are apart, so that one
/// pass with the stack of those around the current one finds them also among a hundred thousand.
fn note_shared_prefixes(drafts: &[Draft], diagnostics: &mut Diagnostics<'_>) {
    let owned = |(owner, draft)| -> Vec<(usize, &Located<IpNet>)> {
        let draft: &Draft = draft;
        draft
            .prefixes
            .iter()
            .flatten()
            .map(|prefix| (owner, prefix))
            .collect()
    };
    let mut all: Vec<(usize, &Located<IpNet>)> =
        drafts.iter().enumerate().flat_map(owned).collect();
    all.sort_by_key(|(owner, prefix)| (prefix.value.network(), prefix.value.prefix_len(), *owner));
    let mut around: Vec<(usize, &Located<IpNet>)> = Vec::new();
    for (owner, prefix) in all {
        while around
            .last()
            .is_some_and(|(_, outer)| !outer.value.contains(&prefix.value))
        {
            around.pop();
        }
        if let Some((_, outer)) = around.iter().rev().find(|(other, _)| *other != owner) {
            let (with, other, line) = (
                outer.value,
                outer.place.key.clone(),
                diagnostics.line(&outer.place),
            );
            diagnostics.note(
                &prefix.place,
                ProblemKind::PrefixOfTwoCustomers {
                    prefix: prefix.value,
                    with,
                    other,
                    line,
                },
            );
        }
        around.push((owner, prefix));
    }
}
