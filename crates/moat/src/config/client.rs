//! The file of `moat client`: the networks it is attached to, and whom to ask in each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::server_selection::{Disclosure, Policy};
use agent::transport::described;
use ipnet::IpNet;
use pvd::{DotsAgent, ProvisioningDomain, PvdId, PvdSet};

use super::error::Problem;
use super::problem::ProblemKind;
use super::pvds::{self, Draft, Pvd};
use super::reader::{Diagnostics, Located, Table};
use super::routing::{self, Routing};
use super::selection::{self, Selection};
use super::value;
use super::{Heartbeat, heartbeat, path_or, state_and_control, values};

/// The keys that only a client's file has.
pub(super) const OWN_KEYS: &[&str] = &[
    "pvd",
    "lifetime",
    "requests",
    "selection",
    "provider_independent",
    "routing",
    "provisioning",
];

/// Where `moat pvd watch` is when nobody says otherwise.
const PVD_SOCKET: &str = "/run/moat/pvd.sock";

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
    /// Where routes by source address are kept, if they are.
    pub(crate) routing: Option<Routing>,
    /// The socket of `moat pvd watch`, where the PvDs that may be discovered are followed.
    pub(crate) provisioning: Option<PathBuf>,
    /// What is wrong or questionable in the file and did not keep the client from starting: to be logged.
    pub(crate) warnings: Vec<Problem>,
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
    let pvds = pvds::read(table, folder, diagnostics);
    let ids = pvds.iter().flatten().filter_map(|draft| draft.id.clone());
    let ids: Vec<_> = ids.collect();
    let selection = selection::read(table, &ids, diagnostics);
    let routing = routing::read(table, diagnostics);
    let provisioning = read_provisioning(table, folder, diagnostics);
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
        routing: routing?,
        provisioning: provisioning?,
        warnings: Vec::new(),
    };
    note_anycast(&config, &ids, diagnostics);
    Some(config)
}

/// `[provisioning]`: whom to follow; `None` inside without such a table.
fn read_provisioning(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<PathBuf>> {
    let Some(value) = table.take("provisioning") else {
        return Some(None);
    };
    let mut table = value.table("a table: [provisioning]", diagnostics)?;
    let socket = path_or(&mut table, "socket", PVD_SOCKET, folder, diagnostics);
    table.finish(diagnostics);
    Some(Some(socket?.value))
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
