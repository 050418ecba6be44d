//! What is used of a tunnel: what its peer and the descriptions of it agree on, and nothing of one that needs itself.
//!
//! ```text
//!                      object of the PvD outside ---.
//!   tunnel: identity,    {gateway, identity, prefixes} --> same gateway, same identity? --no--> Refused
//!   gateway, TSr         object of the PvD inside --'     what is in all prefixes           --nothing--> Refused
//!   outer addresses --> Dependencies: carried by whom? ---------------------------------- cycle --> Refused
//! ```
//! It is decided anew whenever something is different. A tunnel that came earlier stays where two need each other.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::attachment::Attachment;
use super::domain::Domain;
use super::identity::Identity;
use super::order::Now;
use super::shelf::Shelf;
use crate::bindings::tunnel::Tunnel;
use crate::dependency::{Cycle, Dependencies, Node, Role, Stage};
use crate::domain::InterfaceName;
use crate::evidence::{Evidence, TrustPolicy, Use};
use crate::information::{Gateway, VpnConnection};
use crate::selection::Key;

/// How a tunnel stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The PvDs that its outer addresses belong to. None: that of no interface which is watched.
    pub carried_by: Vec<Key>,
    /// Whose object describes it, as far as that is trusted.
    pub described_by: Vec<Key>,
    /// What is reached through it, within every description.
    pub reaches: Vec<IpNet>,
    /// What its peer claims beyond that.
    pub beyond: Vec<IpNet>,
    /// Why nothing of it is used.
    pub refusal: Option<Refusal>,
}

/// Why nothing of a tunnel is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It leads elsewhere.
    #[error("{by} says that it leads to {described}, and it leads to {actual}")]
    Gateway {
        /// Who says so.
        by: Key,
        /// Where.
        described: IpAddr,
        /// Where to.
        actual: IpAddr,
    },
    /// Somebody else is there.
    #[error("{by} says that its peer is {described}, and it has proved to be {actual}")]
    Identity {
        /// Who says so.
        by: Key,
        /// Who.
        described: String,
        /// Who it is.
        actual: String,
    },
    /// It reaches nothing that it should.
    #[error("nothing that it reaches is in what {by} says of it")]
    Reaches {
        /// Who says so.
        by: Key,
    },
    /// It needs itself.
    #[error(transparent)]
    Cycle(Cycle<Key>),
}

impl Standing {
    /// Whether its peer says something else than who describes it, or nothing of it is used.
    pub fn is_at_odds(&self) -> bool {
        self.refusal.is_some() || !self.beyond.is_empty()
    }
}

/// In words: who agrees, or what does not.
impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |all: &[Key]| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            all.join(" and ")
        };
        if let Some(refusal) = &self.refusal {
            return write!(formatter, "refused: {refusal}");
        }
        if self.described_by.is_empty() {
            return formatter.write_str("used as its peer describes it; nobody else does");
        }
        let by = list(&self.described_by);
        if self.beyond.is_empty() {
            return write!(formatter, "as described by {by}");
        }
        let beyond: Vec<_> = self.beyond.iter().map(ToString::to_string).collect();
        let beyond = beyond.join(", ");
        write!(
            formatter,
            "used as far as described by {by}; its peer claims more, which is not used: {beyond}"
        )
    }
}

type Attachments = BTreeMap<InterfaceName, Attachment>;

/// How all tunnels stand.
pub(super) fn judge(
    attachments: &Attachments,
    shelf: &Shelf,
    trust: &TrustPolicy,
    now: Now,
) -> BTreeMap<Key, Standing> {
    let mut tunnels: Vec<_> = all(attachments)
        .filter_map(|place| Some((place.2.tunnel.as_ref()?, place)))
        .collect();
    tunnels.sort_by_key(|(tunnel, _)| tunnel.number);
    if tunnels.is_empty() {
        return BTreeMap::new();
    }
    let mut graph = Dependencies::default();
    let judged = tunnels.into_iter().map(|(tunnel, (on, identity, _))| {
        let pvd = attached(on, identity);
        let mut standing = compare(&pvd, &tunnel.told, attachments, shelf, trust, now);
        if standing.refusal.is_none() {
            match depend(&graph, &pvd, &tunnel.told, &standing, attachments) {
                Ok(extended) => graph = extended,
                Err(cycle) => standing.refusal = Some(Refusal::Cycle(cycle)),
            }
        }
        (pvd, standing)
    });
    judged.collect()
}

fn all(
    attachments: &Attachments,
) -> impl Iterator<Item = ((&InterfaceName, &Attachment), &Identity, &Domain)> {
    attachments.iter().flat_map(|on| {
        let domains = on.1.domains.iter();
        domains.map(move |(identity, domain)| (on, identity, domain))
    })
}

fn attached((interface, _): (&InterfaceName, &Attachment), identity: &Identity) -> Key {
    Key {
        identity: identity.clone(),
        interface: interface.clone(),
    }
}

/// What the tunnel's peer says against what others say of it.
fn compare(
    pvd: &Key,
    tunnel: &Tunnel,
    attachments: &Attachments,
    shelf: &Shelf,
    trust: &TrustPolicy,
    now: Now,
) -> Standing {
    let facts = tunnel.facts();
    let mut standing = Standing {
        reaches: facts.reaches.clone(),
        ..Standing::default()
    };
    for (on, identity, domain) in all(attachments) {
        let by = attached(on, identity);
        let mut own = on.1.addresses_of(identity).iter();
        let is_outside = own.any(|own| facts.ends.iter().any(|ends| ends.own == own.address));
        if is_outside {
            standing.carried_by.push(by.clone());
        }
        let is_inside = by == *pvd;
        let described = description(on.1, (identity, domain), shelf, trust, now);
        let Some(described) =
            described.filter(|it| is_inside || (is_outside && concerns(it, tunnel)))
        else {
            continue;
        };
        standing.described_by.push(by.clone());
        let refusal = contradiction(&by, described, tunnel);
        standing.refusal = standing.refusal.take().or(refusal);
        let usable = within(&standing.reaches, &described.prefixes);
        if usable.is_empty() {
            standing.refusal = standing.refusal.take().or(Some(Refusal::Reaches { by }));
        }
        standing.reaches = usable;
    }
    let reaches = &standing.reaches;
    let is_beyond = |prefix: &&IpNet| !reaches.iter().any(|usable| usable.contains(*prefix));
    standing.beyond = facts.reaches.iter().filter(is_beyond).copied().collect();
    standing
}

/// What a PvD says of a tunnel, if it is trusted to say where one leads.
fn description<'a>(
    attachment: &Attachment,
    (identity, domain): (&Identity, &'a Domain),
    shelf: &'a Shelf,
    trust: &TrustPolicy,
    now: Now,
) -> Option<&'a VpnConnection> {
    let (held, _) = domain.known(identity, shelf, now)?;
    let evidence = Evidence {
        link: attachment.link_of(domain),
        data: held.data.clone(),
    };
    let counts = domain.contradiction(&held.information).is_none();
    let is_trusted = counts && trust.check(&evidence, Use::Ways).is_ok();
    let vpn = held.information.moat.vpn.as_ref();
    vpn.filter(|_| is_trusted)
}

/// Whether it is this tunnel that is described by the PvD outside, which may describe another one.
fn concerns(described: &VpnConnection, tunnel: &Tunnel) -> bool {
    let facts = tunnel.facts();
    let is_there = match &described.gateway {
        Gateway::Address(address) => facts.ends.iter().any(|ends| ends.gateway == *address),
        // What it stands for is not known here.
        Gateway::Name(_) => false,
    };
    is_there || is_peer(described, tunnel)
}

fn is_peer(described: &VpnConnection, tunnel: &Tunnel) -> bool {
    let identity = described.identity.to_string();
    let identity = identity.trim_end_matches('.').to_ascii_lowercase();
    identity == tunnel.facts().pvd.as_str()
}

fn contradiction(by: &Key, described: &VpnConnection, tunnel: &Tunnel) -> Option<Refusal> {
    let facts = tunnel.facts();
    if !is_peer(described, tunnel) {
        return Some(Refusal::Identity {
            by: by.clone(),
            described: described.identity.to_string(),
            actual: facts.pvd.to_string(),
        });
    }
    let Gateway::Address(gateway) = described.gateway else {
        return None;
    };
    let mut others = facts.ends.iter().map(|ends| ends.gateway);
    let actual = others.find(|actual| *actual != gateway)?;
    Some(Refusal::Gateway {
        by: by.clone(),
        described: gateway,
        actual,
    })
}

/// What is both reached and described; nothing described is everything.
fn within(reaches: &[IpNet], described: &[IpNet]) -> Vec<IpNet> {
    if described.is_empty() {
        return reaches.to_vec();
    }
    let described = IpNet::aggregate(&described.to_vec());
    let common = reaches.iter().flat_map(|reached| {
        described.iter().filter_map(move |described| {
            let is_inside = described.contains(reached);
            let inner = if is_inside { reached } else { described };
            (is_inside || reached.contains(described)).then_some(*inner)
        })
    });
    common.collect()
}

/// The graph with what the tunnel needs, and who needs it. What is said of it from outside it needs, too: it hangs on that
/// whether it is used. What is said inside is a check of something that is there.
fn depend(
    graph: &Dependencies<Key>,
    pvd: &Key,
    tunnel: &Tunnel,
    standing: &Standing,
    attachments: &Attachments,
) -> Result<Dependencies<Key>, Cycle<Key>> {
    let node = |pvd: &Key, stage| Node {
        pvd: pvd.clone(),
        stage,
    };
    let base = node(pvd, Stage::Base);
    let mut graph = graph.clone();
    graph.add_fetch(pvd)?;
    for carrier in &standing.carried_by {
        graph.add(base.clone(), Role::Carries, node(carrier, Stage::Base))?;
    }
    for by in standing.described_by.iter().filter(|by| *by != pvd) {
        graph.add_fetch(by)?;
        let information = node(by, Stage::Information);
        graph.add(base.clone(), Role::Describes, information)?;
    }
    for (on, identity, domain) in all(attachments) {
        let other = attached(on, identity);
        if other != *pvd && takes(tunnel, standing, on.1, identity, domain) {
            graph.add(node(&other, Stage::Base), Role::Carries, base.clone())?;
        }
    }
    Ok(graph)
}

/// Whether what this node says to a resolver of the PvD goes into the tunnel, so that nothing of the PvD is had without it.
fn takes(
    tunnel: &Tunnel,
    standing: &Standing,
    attachment: &Attachment,
    identity: &Identity,
    domain: &Domain,
) -> bool {
    let is_in = |prefixes: &[IpNet], address| prefixes.iter().any(|it| it.contains(&address));
    let mut own = attachment.addresses_of(identity).iter();
    // Of a tunnel those that it would have: one that is refused has none, and would not be refused for that.
    let told = domain.tunnel.as_ref();
    let told = told.map(|told| told.told.facts().resolvers.clone());
    let resolvers = domain.resolvers().into_iter();
    let resolvers = told.unwrap_or_else(|| resolvers.map(|resolver| resolver.what).collect());
    own.any(|own| is_in(&tunnel.facts().sources, own.address)) && { resolvers.iter() }
        .any(|resolver| is_in(&standing.reaches, *resolver))
}
