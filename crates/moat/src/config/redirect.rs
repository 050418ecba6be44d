//! `[customer.redirect]`: the server that a customer is sent to (RFC 9132 §4.6).

use std::net::IpAddr;

use agent::server::Redirect;

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Place, Table};
use super::value;
use super::{note_doubles, values};

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
    let (addresses, place) = addresses?;
    match Redirect::new(server?.value, addresses, seconds?) {
        Ok(redirect) => Some(Some(redirect)),
        Err(_) => {
            let limit = Redirect::MOST_ADDRESSES;
            diagnostics.note(&place, ProblemKind::TooManyEntries { limit });
            None
        }
    }
}

/// The addresses, and where they are written.
fn read_addresses(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(Vec<IpAddr>, Place)> {
    let Some(list) = table.take("addresses") else {
        return Some((Vec::new(), table.place().clone()));
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
    complete.then(|| (values(addresses), place))
}
