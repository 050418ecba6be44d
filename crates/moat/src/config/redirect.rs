//! `[customer.redirect]`: the server that a customer is sent to (RFC 9132 §4.6).

use std::net::IpAddr;
use std::time::Duration;

use dots::target::DomainName;

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Table};
use super::value;
use super::{note_doubles, values};

/// Most addresses of the other server; the answer has to fit one datagram.
const MAX_ADDRESSES: usize = agent::server::Redirect::MOST_ADDRESSES;

/// Where a customer is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// The other server, as its certificate names it.
    pub(crate) server: DomainName,
    /// Its addresses, at most eight; the client looks the name up when there is none.
    pub(crate) addresses: Vec<IpAddr>,
    /// How long the client stays there; zero: for the one request; `u32::MAX` seconds: until it is sent elsewhere.
    pub(crate) lifetime: Duration,
}

/// `[customer.redirect]`; `None` inside when there is none.
pub(super) fn read(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Redirect>> {
    let Some(value) = table.take("redirect") else {
        return Some(None);
    };
    let mut table = value.table("a table: [customer.redirect]", diagnostics)?;
    let server = table
        .require("server", "\"dots.example.net\"", diagnostics)
        .and_then(|value| {
            let wanted = "a name in quotes, like \"dots.example.net\"";
            value.parse(wanted, diagnostics, value::domain_name)
        });
    let addresses = read_addresses(&mut table, diagnostics);
    let seconds = match table.take("ttl") {
        Some(value) => value.number(0..=u32::MAX, " seconds", diagnostics),
        None => Some(3600),
    };
    table.finish(diagnostics);
    Some(Some(Redirect {
        server: server?.value,
        addresses: addresses?,
        lifetime: Duration::from_secs(seconds?.into()),
    }))
}

fn read_addresses(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Vec<IpAddr>> {
    let Some(list) = table.take("addresses") else {
        return Some(Vec::new());
    };
    let place = list.place().clone();
    let mut addresses = Vec::new();
    let mut complete = true;
    for entry in list.list("a list, like [\"203.0.113.129\"]", diagnostics) {
        let wanted = "an address in quotes, like \"203.0.113.129\"";
        let address = entry.parse(wanted, diagnostics, value::host_address);
        complete &= address.is_some();
        addresses.extend(address);
    }
    note_doubles(&addresses, diagnostics, |_, other, line| {
        ProblemKind::Twice { other, line }
    });
    if addresses.len() > MAX_ADDRESSES {
        let limit = MAX_ADDRESSES;
        diagnostics.note(&place, ProblemKind::TooManyEntries { limit });
        return None;
    }
    complete.then(|| values(addresses))
}
