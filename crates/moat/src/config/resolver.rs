//! `[dns]` of a server's file, and `dns` of a PvD: whom names are looked up with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Table};
use super::value::{self, HostName};
use super::{note_doubles, values};

/// Port of a resolver when none is written.
const DNS_PORT: u16 = 53;
/// Where distributions keep the certification authorities of the web.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The same with DNS over TLS (RFC 7858 §3.1).
const DNS_OVER_TLS_PORT: u16 = 853;

/// The resolvers of a server (RFC 9132 §11 wants their answers private and authentic).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolver {
    /// Where they are, at least one, in the order to try them.
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
    let servers = addresses(&mut table, "servers", port, diagnostics);
    if let Some([]) = servers.as_deref() {
        table.require("servers", "[\"203.0.113.53\"]", diagnostics);
    }
    let trust_anchors = file(&mut table, "trust_anchors", folder, diagnostics)
        .map(|file| file.unwrap_or_else(|| PathBuf::from(AUTHORITIES)));
    let dnssec = match table.take("dnssec") {
        Some(value) => value.boolean(diagnostics),
        None => Some(true),
    };
    let dnssec_trust_anchors = file(&mut table, "dnssec_trust_anchors", folder, diagnostics);
    table.finish(diagnostics);
    Some(Some(Resolver {
        servers: values(servers?),
        tls_name: tls_name?,
        trust_anchors: trust_anchors?,
        dnssec: dnssec?,
        dnssec_trust_anchors: dnssec_trust_anchors?,
    }))
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

/// `dns` of a PvD: resolvers that its network gave, in the order to try them.
pub(super) fn of_pvd(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Located<SocketAddr>>> {
    addresses(table, "dns", DNS_PORT, diagnostics)
}

/// A list of addresses; empty when it is left out, `None` when one of them is wrong.
fn addresses(
    table: &mut Table<'_>,
    key: &'static str,
    port: u16,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Located<SocketAddr>>> {
    let Some(list) = table.take(key) else {
        return Some(Vec::new());
    };
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
