//! `[[pvd]]` of a client's file: what each network assigned, and whom to ask in it.

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use pvd::{InterfaceName, OwnAddress, PvdId};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType};

use super::discover::{self, Discover};
use super::dots_server::{self, DotsServer};
use super::machine;
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Place, Table};
use super::resolver::{self, Resolver};
use super::value;
use super::{holds, note_double_addresses, note_double_names, prefixes, values};

/// A provisioning domain: what one network assigned to this one (RFC 7556).
#[derive(Debug)]
pub(crate) struct Pvd {
    /// Its PvD ID (RFC 8801).
    pub(crate) id: PvdId,
    /// The interface to leave by; any when `None`.
    pub(crate) interface: Option<InterfaceName>,
    /// The organisation behind it, where several PvDs are attachments to one (RFC 9284 §5.4).
    pub(crate) provider: Option<String>,
    /// Whether its DOTS servers are client-domain gateways (RFC 9284 §5.3).
    pub(crate) is_gateway: bool,
    /// What the network assigned; empty only where a gateway knows it, or the interface.
    pub(crate) prefixes: Vec<IpNet>,
    /// Own addresses to send from in this PvD, each in one of the prefixes; empty leaves it to the system.
    pub(crate) addresses: Vec<IpAddr>,
    /// The routers to leave by where the system has no default route over the interface; with `[routing]` only.
    pub(crate) routers: Vec<IpAddr>,
    /// Whom names are looked up with in this PvD.
    pub(crate) resolver: Resolver,
    /// The DOTS servers of this network, in the order to try them.
    pub(crate) dots: Vec<DotsServer>,
    /// How what is not written here is found.
    pub(crate) discover: Option<Discover>,
}

impl Pvd {
    /// The addresses to send from; what the system knows of them is not asked.
    pub(crate) fn own_addresses(&self) -> Vec<OwnAddress> {
        let addresses = self.addresses.iter().copied();
        addresses.map(OwnAddress::from).collect()
    }
}

/// A PvD with the places that are compared with those of others. What is `None` was wrong.
pub(super) struct Draft {
    pub(super) id: Option<Located<PvdId>>,
    pub(super) interface: Option<Option<InterfaceName>>,
    pub(super) provider: Option<Option<String>>,
    pub(super) is_gateway: Option<bool>,
    pub(super) prefixes: Option<Vec<Located<IpNet>>>,
    pub(super) addresses: Vec<Located<IpAddr>>,
    pub(super) routers: Vec<IpAddr>,
    pub(super) resolver: Option<Resolver>,
    pub(super) dots: Option<Vec<DotsServer>>,
    pub(super) discover: Option<Option<Discover>>,
}

impl From<Draft> for Option<Pvd> {
    fn from(draft: Draft) -> Self {
        Some(Pvd {
            id: draft.id?.value,
            interface: draft.interface?,
            provider: draft.provider?,
            is_gateway: draft.is_gateway?,
            prefixes: values(draft.prefixes?),
            addresses: values(draft.addresses),
            routers: draft.routers,
            resolver: draft.resolver?,
            dots: draft.dots?,
            discover: draft.discover?,
        })
    }
}

/// Reads every `[[pvd]]` of the file, and compares them.
pub(super) fn read(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Draft>> {
    let Some(list) = table.take("pvd") else {
        let advice = "write one for each network that this one is attached to";
        let kind = ProblemKind::MissingTable {
            table: "pvd",
            advice,
        };
        diagnostics.note(table.place(), kind);
        return None;
    };
    let list = list.filled_list(
        "a table for each network: [[pvd]]",
        "[[pvd]] instead",
        diagnostics,
    );
    let mut drafts = Vec::new();
    for value in list {
        drafts.push(read_one(
            value.table("a table: [[pvd]]", diagnostics)?,
            folder,
            diagnostics,
        ));
    }
    let ids: Vec<_> = drafts.iter().filter_map(|draft| draft.id.clone()).collect();
    note_double_names(&ids, diagnostics);
    let mut rest = drafts.as_slice();
    while let Some((last, earlier)) = rest.split_last() {
        for other in earlier {
            compare(last, other, diagnostics);
        }
        rest = earlier;
    }
    Some(drafts)
}

fn read_one(mut table: Table<'_>, folder: &Path, diagnostics: &mut Diagnostics<'_>) -> Draft {
    let id = table
        .require("id", "\"fixed.example\"", diagnostics)
        .and_then(|value| {
            value.parse(
                "a domain name in quotes, like \"fixed.example\"",
                diagnostics,
                value::pvd_id,
            )
        });
    let interface = match table.take("interface") {
        Some(value) => value
            .parse(
                "an interface name in quotes, like \"eth0\"",
                diagnostics,
                value::interface,
            )
            .map(|name| {
                note_missing_interface(&name, diagnostics);
                Some(name.value)
            }),
        None => Some(None),
    };
    let provider = match table.take("provider") {
        Some(value) => value
            .parse(
                "a name in quotes, like \"isp.example\"",
                diagnostics,
                value::provider,
            )
            .map(|name| Some(name.value)),
        None => Some(None),
    };
    let is_gateway = match table.take("gateway") {
        Some(value) => value.boolean(diagnostics),
        None => Some(false),
    };
    let is_complete = is_gateway == Some(true) || table.has("discover");
    let prefixes = match is_complete && !table.has("prefixes") {
        true => Some(Vec::new()),
        false => prefixes(&mut table, diagnostics),
    };
    let addresses = source_addresses(
        &mut table,
        prefixes.as_deref().unwrap_or_default(),
        diagnostics,
    );
    let routers = routers(&mut table, diagnostics);
    let dots = match table.has("discover") && !table.has("dots") {
        true => Some(Vec::new()),
        false => dots_server::read(&mut table, &addresses, folder, diagnostics),
    };
    let resolver = resolver::of_pvd(&mut table, folder, diagnostics).map(|(resolver, servers)| {
        for server in &servers {
            dots_server::note_family(server, &addresses, diagnostics);
        }
        resolver
    });
    let discover = discover::read(&mut table, folder, diagnostics);
    table.finish(diagnostics);
    Draft {
        id,
        interface,
        provider,
        is_gateway,
        prefixes,
        addresses,
        routers,
        resolver,
        dots,
        discover,
    }
}

/// Notes an interface that is not there: it may come up later, and it may be misspelt.
pub(super) fn note_missing_interface(
    name: &Located<InterfaceName>,
    diagnostics: &mut Diagnostics<'_>,
) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None);
    let found = socket.and_then(|socket| name_to_index(socket, name.value.as_str()));
    if found == Err(Errno::NODEV) {
        let name_only = name.value.to_string();
        diagnostics.note(
            &name.place,
            ProblemKind::NoSuchInterface { name: name_only },
        );
    }
}

fn source_addresses(
    table: &mut Table<'_>,
    prefixes: &[Located<IpNet>],
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Located<IpAddr>> {
    let Some(list) = table.take("addresses") else {
        return Vec::new();
    };
    let mut addresses = Vec::new();
    for value in list.list("a list, like [\"203.0.113.1\"]", diagnostics) {
        let wanted = "an address in quotes, like \"203.0.113.1\"";
        let Some(address) = value.parse(wanted, diagnostics, value::host_address) else {
            continue;
        };
        if !prefixes.is_empty() && !holds(prefixes, address.value) {
            let prefixes = values(prefixes.to_vec());
            diagnostics.note(
                &address.place,
                ProblemKind::AddressOutsidePrefixes {
                    address: address.value,
                    prefixes,
                },
            );
        }
        if diagnostics.is_with_machine() {
            machine::note_own_address(&address, diagnostics);
        }
        addresses.push(address);
    }
    note_double_addresses(&addresses, diagnostics);
    addresses
}

fn routers(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Vec<IpAddr> {
    let Some(list) = table.take("routers") else {
        return Vec::new();
    };
    if !table.has("interface") {
        let (key, example) = ("interface", "\"eth0\"");
        diagnostics.note(table.place(), ProblemKind::MissingKey { key, example });
    }
    let list = list.list("a list, like [\"192.0.2.1\"]", diagnostics);
    let wanted = "an address in quotes, like \"192.0.2.1\"";
    let routers = list
        .into_iter()
        .filter_map(|value| value.parse(wanted, diagnostics, value::host_address));
    routers.map(|router| router.value).collect()
}

/// Notes what two PvDs share and should perhaps not; `earlier` is the one above in the file.
fn compare(pvd: &Draft, earlier: &Draft, diagnostics: &mut Diagnostics<'_>) {
    for Located {
        value: prefix,
        place,
    } in pvd.prefixes.iter().flatten()
    {
        let overlapping = earlier
            .prefixes
            .iter()
            .flatten()
            .find(|other| value::overlap(&other.value, prefix));
        if let Some(Located {
            value: with,
            place: at,
        }) = overlapping
        {
            let (other, line) = at_line(at, diagnostics);
            diagnostics.note(
                place,
                ProblemKind::PrefixOfTwoPvds {
                    prefix: *prefix,
                    with: *with,
                    other,
                    line,
                },
            );
        }
    }
    // A provider-independent address may be used on both links, if the interface says which (RFC 9284 §4).
    let own_interfaces = match (&pvd.interface, &earlier.interface) {
        (Some(Some(one)), Some(Some(other))) => one != other,
        _ => false,
    };
    for Located {
        value: address,
        place,
    } in &pvd.addresses
    {
        if let Some(same) = earlier
            .addresses
            .iter()
            .find(|other| other.value == *address)
        {
            let ((other, line), address) = (at_line(&same.place, diagnostics), *address);
            diagnostics.note(
                place,
                if own_interfaces {
                    ProblemKind::AddressSharedAcrossInterfaces {
                        address,
                        other,
                        line,
                    }
                } else {
                    ProblemKind::AddressOfTwoPvds {
                        address,
                        other,
                        line,
                    }
                },
            );
        }
    }
}

fn at_line(place: &Place, diagnostics: &Diagnostics<'_>) -> (String, usize) {
    (place.key.clone(), diagnostics.line(place))
}
