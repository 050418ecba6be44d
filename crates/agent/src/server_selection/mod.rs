//! The multihoming decision: which DOTS servers are asked to protect which targets, and why
//! (RFC 9284 §5).
//!
//! ```text
//! targets --> pieces with one owner each     longest match over what PvDs assigned and the site owns
//!             |  pvd::division
//!             '-> candidates                 the owner; every provider for an independent prefix;
//!                 |  candidates              gateways that alone know
//!                 '-> chosen                 policy: preferences, where it was seen, one or all
//!                     '-> one server a PvD   one with a session, else the first
//! ```
//!
//! A pure function. `moat explain`, the client, the gateway and the simulation all call it, so that
//! what is explained is what is done.

mod candidates;
mod policy;
mod reason;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dots::target::{Target, TargetPrefix};
use pvd::{ProvisioningDomain, PvdId, PvdSet};

pub use self::policy::{Disclosure, Independent, Policy, SameProvider, SeenOn};
pub use self::reason::Reason;

/// One DOTS server of one PvD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssociationId {
    /// The PvD that names the server.
    pub pvd: PvdId,
    /// The server's name, its reference identifier.
    pub server: String,
}

impl fmt::Display for AssociationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {}", self.server, self.pvd)
    }
}

/// Which servers have an established session, as far as the decision cares.
pub trait SessionStates {
    /// Whether the session with this server is established.
    fn is_established(&self, association: &AssociationId) -> bool;
}

/// What is attacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attack {
    /// What is to be protected. Only its prefixes decide: names and aliases are resolved before.
    pub target: Target,
    /// The networks on which the attack was seen; empty if nobody said.
    pub seen_on: BTreeSet<PvdId>,
}

impl From<Target> for Attack {
    fn from(target: Target) -> Self {
        Self {
            target,
            seen_on: BTreeSet::new(),
        }
    }
}

/// The decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Who is asked, and for what.
    pub asked: Vec<Asked>,
    /// Who is not asked.
    pub not_asked: Vec<NotAsked>,
    /// Targets that nobody can be asked to protect.
    pub unprotected: Vec<Unprotected>,
}

impl Selection {
    /// What a server is asked, if it is.
    pub(crate) fn asked_of_mut(&mut self, association: &AssociationId) -> Option<&mut Asked> {
        let mut asked = self.asked.iter_mut();
        asked.find(|asked| asked.association == *association)
    }

    /// Another server of the PvD is asked for what `from` is asked for.
    pub(crate) fn ask_instead(&mut self, from: &AssociationId, to: &AssociationId) {
        let is_other =
            |entry: &NotAsked| entry.pvd == to.pvd && entry.server.as_ref() == Some(&to.server);
        self.not_asked.retain(|entry| !is_other(entry));
        let asked = |id: &AssociationId| self.asked.iter().find(|asked| asked.association == *id);
        if let (Some(asked), None) = (asked(from), asked(to)) {
            let association = to.clone();
            let asked = Asked {
                association,
                ..asked.clone()
            };
            self.asked.push(asked);
        }
    }

    /// One more is asked.
    pub(crate) fn ask_too(&mut self, other: Asked) {
        if self.asked_of_mut(&other.association).is_none() {
            self.asked.push(other);
        }
    }
}

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The server.
    pub association: AssociationId,
    /// What it is asked to protect: only addresses that its network assigned.
    pub target: Target,
    /// Why, for each target prefix.
    pub reasons: Vec<Reason>,
}

/// A PvD, or a server of one, that is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAsked {
    /// The PvD.
    pub pvd: PvdId,
    /// The server, where the PvD names one.
    pub server: Option<String>,
    /// Why not.
    pub reason: Reason,
}

/// A target without a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unprotected {
    /// The target.
    pub prefix: TargetPrefix,
    /// Why nobody is asked.
    pub reason: Reason,
}

/// Decides who is asked to protect what is attacked.
///
/// Each target goes to the server of the PvD that assigned it, by longest match, and to no other
/// (RFC 9284 §5.1); a target that spans several networks is split among them; one that is the site's
/// own goes to all of them (RFC 9284 §5.2). Where there is a choice, `policy` makes it.
pub fn select(
    attack: &Attack,
    pvds: &PvdSet,
    policy: &Policy,
    sessions: &impl SessionStates,
) -> Selection {
    let mut decision = Decision {
        pvds,
        policy,
        sessions,
        seen_on: &attack.seen_on,
        asked: BTreeMap::new(),
        excluded: BTreeMap::new(),
        unprotected: Vec::new(),
    };
    for prefix in &attack.target.prefixes {
        decision.consider(*prefix);
    }
    decision.conclude(&attack.target)
}

/// What is known of one decision so far.
struct Decision<'a, S> {
    pvds: &'a PvdSet,
    policy: &'a Policy,
    sessions: &'a S,
    seen_on: &'a BTreeSet<PvdId>,
    /// Why a PvD is asked, for each piece.
    asked: BTreeMap<&'a PvdId, Vec<Reason>>,
    /// Why a PvD that might have been asked for a piece is not.
    excluded: BTreeMap<&'a PvdId, Reason>,
    unprotected: Vec<Unprotected>,
}

impl<S: SessionStates> Decision<'_, S> {
    /// The server of a PvD that is asked: the first with a session, else the first.
    fn server_of(&self, domain: &ProvisioningDomain) -> Option<AssociationId> {
        let associations = || associations(domain);
        associations()
            .find(|association| self.sessions.is_established(association))
            .or_else(|| associations().next())
    }

    fn is_reachable(&self, domain: &ProvisioningDomain) -> bool {
        associations(domain).any(|association| self.sessions.is_established(&association))
    }

    fn conclude(mut self, target: &Target) -> Selection {
        let mut selection = Selection::default();
        for domain in self.pvds.iter() {
            let reasons = self.asked.remove(&domain.id);
            let chosen = reasons.and_then(|reasons| Some((self.server_of(domain)?, reasons)));
            let not_asked = |server: Option<String>, reason: &Reason| NotAsked {
                pvd: domain.id.clone(),
                server,
                reason: reason.clone(),
            };
            let Some((association, reasons)) = chosen else {
                let reason = self.excluded.remove(&domain.id);
                let reason = reason.unwrap_or(Reason::AssignedNone);
                let servers = domain.dots_servers.iter();
                let mut servers: Vec<_> = servers.map(|server| Some(server.name.clone())).collect();
                if servers.is_empty() {
                    servers.push(None);
                }
                let entries = servers.into_iter().map(|name| not_asked(name, &reason));
                selection.not_asked.extend(entries);
                continue;
            };
            let reason = Reason::SameProvider {
                asked: association.server.clone(),
            };
            let others = domain.dots_servers.iter();
            let others = others.filter(|other| other.name != association.server);
            let others = others.map(|other| not_asked(Some(other.name.clone()), &reason));
            selection.not_asked.extend(others);
            let prefixes = reasons.iter().filter_map(Reason::target);
            selection.asked.push(Asked {
                association,
                target: Target {
                    prefixes: prefixes.filter_map(|net| net.try_into().ok()).collect(),
                    port_ranges: target.port_ranges.clone(),
                    protocols: target.protocols.clone(),
                    ..Target::default()
                },
                reasons,
            });
        }
        selection.unprotected = self.unprotected;
        selection
    }
}

fn associations(domain: &ProvisioningDomain) -> impl Iterator<Item = AssociationId> + '_ {
    domain.dots_servers.iter().map(|server| AssociationId {
        pvd: domain.id.clone(),
        server: server.name.clone(),
    })
}

#[cfg(test)]
mod tests;
