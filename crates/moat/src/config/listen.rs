//! Where a server listens.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::reader::{Diagnostics, Located, Table};
use super::{note_double_addresses, value};

/// The addresses of `listen`, with this port where none is written; all of the machine where nothing is. The examples are a
/// list, an entry of it, and that in quotes.
pub(super) fn read(
    table: &mut Table<'_>,
    port: u16,
    [list, entry, quoted]: [&'static str; 3],
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Located<SocketAddr>> {
    let Some(written) = table.take("listen") else {
        return vec![Located {
            value: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            place: table.place().clone(),
        }];
    };
    let mut addresses = Vec::new();
    for address in written.filled_list(list, entry, diagnostics) {
        addresses.extend(address.parse(quoted, diagnostics, |text| {
            value::listen_address(text, port)
        }));
    }
    note_double_addresses(&addresses, diagnostics);
    addresses
}
