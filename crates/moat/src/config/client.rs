//! The file of `moat client`: the networks it is attached to, and whom to ask in each.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::server_selection::{Disclosure, Policy};
use agent::transport::described;
use ipnet::IpNet;
use pvd::{DotsAgent, InterfaceName, OwnAddress, ProvisioningDomain, PvdId, PvdSet};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType};

use super::discover::{self, Discover};
use super::dots_server::{self, DotsServer};
use super::error::Problem;
use super::machine;
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Place, Table};
use super::resolver::{self, Resolver};
use super::selection::{self, Selection};
use super::value;
use super::{
    Heartbeat, heartbeat, holds, note_double_addresses, note_double_names, prefixes,
    state_and_control, values,
};

/// The keys that only a client's file has.
pub(super) const OWN_KEYS: &[&str] = &[
    "pvd",
    "lifetime",
    "requests",
    "selection",
    "provider_independent",
];

/// For how many seconds protection is asked where nobody says.
const DEFAULT_LIFETIME: u32 = 3600;

/// What `moat client` is started with.
#[derive(Debug)]
pub(crate) struct ClientConfig {
    /// The database of its requests.
    pub(crate) state: PathBuf,
    /// The socket at which `moat mitigate` and the like reach it.
    pub(crate) control: PathBuf,
    /// Lifetime of a request that names none; whole seconds, at least one (RFC 9132 §4.4.1.1).
    pub(crate) lifetime: Duration,
    /// Requests that may go on at a time.
    pub(crate) requests: usize,
    /// `None` when heartbeats are off.
    pub(crate) heartbeat: Option<Heartbeat>,
    /// The provisioning domains, at least one, each with an id of its own.
    pub(crate) pvds: Vec<Pvd>,
    /// Prefixes that are the site's own, whatever provider carries them (RFC 9284 §4.2).
    pub(crate) independent: Vec<IpNet>,
    /// Whom to ask where RFC 9284 leaves a choice.
    pub(crate) policy: Policy,
    /// What is wrong or questionable in the file and did not keep the client from starting: to be logged.
    pub(crate) warnings: Vec<Problem>,
}

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

impl ClientConfig {
    /// The PvDs, as the agent sees them.
    pub(crate) fn pvd_set(&self) -> PvdSet {
        let mut set = PvdSet::default();
        for pvd in &self.pvds {
            let servers = pvd.dots.iter().map(|server| {
                let transports = server.transports.iter().map(|it| described(*it));
                let transports: Vec<_> = transports.collect();
                pvd::DotsServer::over(server.name.to_string(), &server.addresses, &transports)
            });
            set.insert(ProvisioningDomain {
                interface: pvd.interface.clone(),
                provider: pvd.provider.clone(),
                prefixes: pvd.prefixes.clone(),
                addresses: pvd.own_addresses(),
                dots_servers: servers.collect(),
                dots_agent: match pvd.is_gateway {
                    true => DotsAgent::ClientDomainGateway,
                    false => DotsAgent::Server,
                },
                ..ProvisioningDomain::new(pvd.id.clone())
            });
        }
        for prefix in &self.independent {
            set.insert_independent(*prefix);
        }
        set
    }
}

pub(super) fn read(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ClientConfig> {
    let defaults = ["/var/lib/moat/client.db", "/run/moat/client.sock"];
    let files = state_and_control(&mut table, defaults, folder, diagnostics);
    let lifetime = match table.take("lifetime") {
        Some(value) => value.number(1..=u32::MAX, " seconds", diagnostics),
        None => Some(DEFAULT_LIFETIME),
    };
    let requests = match table.take("requests") {
        Some(value) => value.number(1..=100_000, "", diagnostics),
        None => Some(1000),
    };
    let heartbeat = heartbeat(&mut table, diagnostics);
    let networks = read_networks(&mut table, folder, diagnostics);
    table.finish(diagnostics);

    let (state, control) = files?;
    Some(ClientConfig {
        state,
        control,
        lifetime: Duration::from_secs(lifetime?.into()),
        requests: usize::try_from(requests?).ok()?,
        heartbeat: heartbeat?,
        ..networks?
    })
}

/// What a client's file has in common with a gateway's: the networks, and whom to ask in which.
pub(super) fn read_networks(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ClientConfig> {
    let pvds = read_pvds(table, folder, diagnostics);
    let ids = pvds.iter().flatten().filter_map(|draft| draft.id.clone());
    let ids: Vec<_> = ids.collect();
    let selection = selection::read(table, &ids, diagnostics);
    if let (Some(selection), Some(drafts)) = (&selection, &pvds) {
        note_assigned(&selection.independent, drafts, diagnostics);
        note_preferred(selection, drafts, diagnostics);
    }
    let pvds = pvds?
        .into_iter()
        .map(Option::from)
        .collect::<Option<Vec<_>>>()?;
    let Selection {
        independent,
        policy,
        ..
    } = selection?;
    let config = ClientConfig {
        state: PathBuf::new(),
        control: PathBuf::new(),
        lifetime: Duration::from_secs(DEFAULT_LIFETIME.into()),
        requests: 0,
        heartbeat: None,
        pvds,
        independent: values(independent),
        policy,
        warnings: Vec::new(),
    };
    note_anycast(&config, &ids, diagnostics);
    Some(config)
}

/// Notes what is said to be the site's own and assigned by a network too.
fn note_assigned(
    independent: &[Located<IpNet>],
    pvds: &[Draft],
    diagnostics: &mut Diagnostics<'_>,
) {
    for prefix in pvds
        .iter()
        .flat_map(|draft| draft.prefixes.iter().flatten())
    {
        if let Some(own) = independent.iter().find(|own| own.value == prefix.value) {
            let kind = ProblemKind::IndependentAndAssigned {
                prefix: prefix.value,
                line: diagnostics.line(&own.place),
            };
            diagnostics.note(&prefix.place, kind);
        }
    }
}

/// Notes preferences for networks that may not be asked, which leave a prefix without protection.
fn note_preferred(selection: &Selection, pvds: &[Draft], diagnostics: &mut Diagnostics<'_>) {
    if selection.policy.disclosure == Disclosure::Consented {
        return;
    }
    let overlaps = |prefix: &IpNet, others: &[Located<IpNet>]| {
        others.iter().any(|it| value::overlap(&it.value, prefix))
    };
    for (prefix, named) in &selection.preferences {
        let assigns = |draft: &Draft| match draft.prefixes.as_deref() {
            // A gateway or the network knows them.
            Some([]) | None => true,
            Some(prefixes) => overlaps(&prefix.value, prefixes),
        };
        let is_sibling = |draft: &Draft| {
            let provider = draft.provider.as_ref().and_then(Option::as_ref);
            let is_same =
                |other: &&Draft| other.provider.as_ref().and_then(Option::as_ref) == provider;
            provider.is_some() && pvds.iter().filter(is_same).any(assigns)
        };
        let is_named = |draft: &&Draft| {
            draft
                .id
                .as_ref()
                .is_some_and(|id| named.contains(&id.value))
        };
        let mut named_pvds = pvds.iter().filter(is_named);
        let may = overlaps(&prefix.value, &selection.independent)
            || named_pvds.any(|draft| assigns(draft) || is_sibling(draft));
        if !may {
            let kind = ProblemKind::PreferredMayNot {
                prefix: prefix.value,
                pvds: named.iter().map(ToString::to_string).collect(),
            };
            diagnostics.note(&prefix.place, kind);
        }
    }
}

/// Notes servers of several networks at one address.
fn note_anycast(config: &ClientConfig, ids: &[Located<PvdId>], diagnostics: &mut Diagnostics<'_>) {
    for shared in config.pvd_set().shared_addresses() {
        let mut named = ids.iter().filter(|id| shared.pvds.contains(&id.value));
        let Some(first) = named.next() else { continue };
        for other in named {
            let kind = ProblemKind::SharedServerAddress {
                address: shared.address,
                other: first.value.to_string(),
            };
            diagnostics.note(&other.place, kind);
        }
    }
}

/// A PvD with the places that are compared with those of others. What is `None` was wrong.
struct Draft {
    id: Option<Located<PvdId>>,
    interface: Option<Option<InterfaceName>>,
    provider: Option<Option<String>>,
    is_gateway: Option<bool>,
    prefixes: Option<Vec<Located<IpNet>>>,
    addresses: Vec<Located<IpAddr>>,
    resolver: Option<Resolver>,
    dots: Option<Vec<DotsServer>>,
    discover: Option<Option<Discover>>,
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
            resolver: draft.resolver?,
            dots: draft.dots?,
            discover: draft.discover?,
        })
    }
}

fn read_pvds(
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
        drafts.push(read_pvd(
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

fn read_pvd(mut table: Table<'_>, folder: &Path, diagnostics: &mut Diagnostics<'_>) -> Draft {
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
        resolver,
        dots,
        discover,
    }
}

/// Notes an interface that is not there: it may come up later, and it may be misspelt.
fn note_missing_interface(name: &Located<InterfaceName>, diagnostics: &mut Diagnostics<'_>) {
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
