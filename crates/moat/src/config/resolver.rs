//! `[dns]` of a server's file, and `dns` of a PvD: whom names are looked up with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Table, Value};
use super::value::{self, HostName};
use super::{note_doubles, values};

/// Port of a resolver when none is written.
pub(crate) const DNS_PORT: u16 = 53;
/// Where distributions keep the certification authorities of the web.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The same with DNS over TLS (RFC 7858 §3.1).
pub(crate) const DNS_OVER_TLS_PORT: u16 = 853;
/// A list of resolvers as it is written.
const EXAMPLE: &str = "[\"203.0.113.53\"]";

/// Whom to ask, and what keeps the questions private and the answers authentic (RFC 9132 §11, RFC 8973 §8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolver {
    /// Where they are, in the order to try them. Only a PvD may have none: then its network names them.
    pub(crate) servers: Vec<SocketAddr>,
    /// The name that their certificate must be for; DNS over TLS is used when there is one (RFC 7858).
    pub(crate) tls_name: Option<HostName>,
    /// The certification authorities that the certificate must lead to.
    pub(crate) trust_anchors: PathBuf,
    /// Whether answers are validated (RFC 4035 §5): a signature that does not hold is no answer.
    pub(crate) dnssec: bool,
    /// The DNSKEY records that signatures must lead to; those of the root when there is no file.
    pub(crate) dnssec_trust_anchors: Option<PathBuf>,
}

impl Resolver {
    /// As a network's resolvers are asked that promise nothing.
    fn plain(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            tls_name: None,
            trust_anchors: PathBuf::from(AUTHORITIES),
            dnssec: false,
            dnssec_trust_anchors: None,
        }
    }
}

/// `[dns]`; `None` inside when there is none: then no name is looked up.
pub(super) fn read(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Resolver>> {
    let Some(value) = table.take("dns") else {
        return Some(None);
    };
    let mut table = value.table("a table: [dns]", diagnostics)?;
    if !table.has("servers") {
        table.require("servers", EXAMPLE, diagnostics);
    }
    read_table(table, folder, diagnostics).map(|(resolver, _)| Some(resolver))
}

/// `dns` of a PvD: a list of resolvers that its network gave, or the table `[pvd.dns]`; and where in the file they are.
pub(super) fn of_pvd(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(Resolver, Vec<Located<SocketAddr>>)> {
    match table.take("dns") {
        None => Some((Resolver::plain(Vec::new()), Vec::new())),
        Some(value) if value.is_table() => {
            let mut network = value.table("a table: [pvd.dns]", diagnostics)?;
            // Where the network itself is asked, it names its resolvers.
            if !table.has("discover") && !network.has("servers") {
                network.require("servers", EXAMPLE, diagnostics);
            }
            read_table(network, folder, diagnostics)
        }
        Some(list) => {
            let servers = addresses(list, DNS_PORT, diagnostics)?;
            Some((Resolver::plain(values(servers.clone())), servers))
        }
    }
}

fn read_table(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(Resolver, Vec<Located<SocketAddr>>)> {
    let tls_name = match table.take("tls_name") {
        Some(value) => {
            let wanted = "a name in quotes, like \"dns.example.net\"";
            value
                .parse(wanted, diagnostics, value::host_name)
                .map(|name| Some(name.value))
        }
        None => Some(None),
    };
    let port = match tls_name {
        Some(Some(_)) => DNS_OVER_TLS_PORT,
        _ => DNS_PORT,
    };
    let servers = match table.take("servers") {
        Some(list) => addresses(list, port, diagnostics),
        None => Some(Vec::new()),
    };
    let trust_anchors = file(&mut table, "trust_anchors", folder, diagnostics)
        .map(|file| file.unwrap_or_else(|| PathBuf::from(AUTHORITIES)));
    let dnssec = match table.take("dnssec") {
        Some(value) => value.boolean(diagnostics),
        None => Some(true),
    };
    let dnssec_trust_anchors = file(&mut table, "dnssec_trust_anchors", folder, diagnostics);
    table.finish(diagnostics);
    let servers = servers?;
    let resolver = Resolver {
        servers: values(servers.clone()),
        tls_name: tls_name?,
        trust_anchors: trust_anchors?,
        dnssec: dnssec?,
        dnssec_trust_anchors: dnssec_trust_anchors?,
    };
    Some((resolver, servers))
}

/// A file that a key names, if it is there.
fn file(
    table: &mut Table<'_>,
    key: &'static str,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<PathBuf>> {
    let Some(value) = table.take(key) else {
        return Some(None);
    };
    let wanted = "the name of a file, in quotes";
    let path = value.parse(wanted, diagnostics, |text| value::path(folder, text))?;
    Some(Some(path.value))
}

/// A list of addresses; `None` when one of them is wrong.
fn addresses(
    list: Value<'_>,
    port: u16,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Located<SocketAddr>>> {
    let wanted = "an address in quotes, like \"203.0.113.53\"";
    let entries = list.filled_list(
        "a list, like [\"203.0.113.53\"]",
        "address, like \"203.0.113.53\"",
        diagnostics,
    );
    let mut complete = !entries.is_empty();
    let mut addresses = Vec::new();
    for entry in entries {
        let address = entry.parse(wanted, diagnostics, |text| {
            value::server_address(text, port)
        });
        complete &= address.is_some();
        addresses.extend(address);
    }
    note_doubles(&addresses, diagnostics, |_, other, line| {
        ProblemKind::Twice { other, line }
    });
    complete.then_some(addresses)
}
