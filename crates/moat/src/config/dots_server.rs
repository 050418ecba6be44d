//! `[[pvd.dots]]` of a client's file: the DOTS servers of a network.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::credentials::{self, Credentials};
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Table, Value};
use super::transport::{self, Transports};
use super::value::{self, HostName};
use super::{note_double_addresses, note_double_names, values};

/// A DOTS server of a PvD.
#[derive(Debug)]
pub(crate) struct DotsServer {
    /// Its reference identifier: the name its certificate must be for (RFC 9132 §7.1).
    pub(crate) name: HostName,
    /// Where it is reached, at least one, in the order to try them.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Over what to reach it at each of these addresses.
    pub(crate) transports: Transports,
    /// What this client proves itself with there, and knows the server by.
    pub(crate) credentials: Credentials,
}

/// Every `[[pvd.dots]]`; `sources` are the PvD's addresses.
pub(super) fn read(
    table: &mut Table<'_>,
    sources: &[Located<IpAddr>],
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<DotsServer>> {
    let Some(list) = table.take("dots") else {
        diagnostics.note(table.place(), ProblemKind::NoDotsServer);
        return Some(Vec::new());
    };
    let mut names = Vec::new();
    let mut servers = Some(Vec::new());
    for value in list.list("a table for each server: [[pvd.dots]]", diagnostics) {
        let server = read_server(value, sources, &mut names, folder, diagnostics);
        servers = servers.zip(server).map(|(mut servers, server)| {
            servers.push(server);
            servers
        });
    }
    note_double_names(&names, diagnostics);
    servers
}

fn read_server(
    value: Value<'_>,
    sources: &[Located<IpAddr>],
    names: &mut Vec<Located<HostName>>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<DotsServer> {
    let mut table = value.table("a table: [[pvd.dots]]", diagnostics)?;
    let name = table
        .require("name", "\"dots.example.net\"", diagnostics)
        .and_then(|value| {
            value.parse(
                "a name in quotes, like \"dots.example.net\"",
                diagnostics,
                value::host_name,
            )
        });
    names.extend(name.clone());
    let addresses = table
        .require("addresses", "[\"203.0.113.129\"]", diagnostics)
        .map(|list| server_addresses(list, sources, diagnostics));
    let transports = transport::read(&mut table, diagnostics);
    let credentials = credentials::of_client(&mut table, folder, diagnostics);
    table.finish(diagnostics);
    Some(DotsServer {
        name: name?.value,
        addresses: addresses?,
        transports: transports?,
        credentials: credentials?,
    })
}

fn server_addresses(
    list: Value<'_>,
    sources: &[Located<IpAddr>],
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<SocketAddr> {
    let entries = list.filled_list(
        "a list, like [\"203.0.113.129\"]",
        "address, like \"203.0.113.129\"",
        diagnostics,
    );
    let mut addresses = Vec::new();
    for entry in entries {
        let wanted = "an address in quotes, like \"203.0.113.129\"";
        let Some(address) = entry.parse(wanted, diagnostics, |text| {
            value::server_address(text, value::SIGNAL_PORT)
        }) else {
            continue;
        };
        note_family(&address, sources, diagnostics);
        addresses.push(address);
    }
    note_double_addresses(&addresses, diagnostics);
    values(addresses)
}

/// Notes an address of a family that the PvD has no address of, if it has any.
pub(super) fn note_family(
    address: &Located<SocketAddr>,
    sources: &[Located<IpAddr>],
    diagnostics: &mut Diagnostics<'_>,
) {
    let same_family = |source: &Located<IpAddr>| source.value.is_ipv4() == address.value.is_ipv4();
    if !sources.is_empty() && !sources.iter().any(same_family) {
        let address_only = address.value.ip();
        diagnostics.note(
            &address.place,
            ProblemKind::NoSourceAddress {
                address: address_only,
            },
        );
    }
}
