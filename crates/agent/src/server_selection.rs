//! The multihoming decision: which DOTS servers are asked to protect which targets, and why
//! (RFC 9284 §5.1).
//!
//! A pure function. `moat explain`, the client and the simulation all call it, so that what is
//! explained is what is done.

use std::collections::BTreeMap;
use std::fmt;

use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;
use pvd::{PvdId, PvdSet};

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
}

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The server.
    pub association: AssociationId,
    /// What it is asked to protect: only addresses that its network assigned.
    pub target: Target,
    /// Why: the assigned prefix of each target prefix.
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

/// Why a server is asked, or is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The PvD assigned the prefix in which the target lies.
    Assigned {
        /// What is to be protected.
        target: IpNet,
        /// What the PvD assigned.
        prefix: IpNet,
    },
    /// The PvD assigned none of the targets, so its network cannot stop the attack.
    AssignedNone,
    /// Another server of the same PvD is asked.
    SameProvider {
        /// The other server.
        asked: String,
    },
    /// The PvD assigned a target, but names no DOTS server.
    NoDotsServer,
    /// No PvD assigned the target, and no other server may be asked instead.
    AssignedByNobody,
    /// Only parts of the target were assigned by anybody; nobody can be asked for the rest.
    PartlyAssigned {
        /// The parts.
        assigned: Vec<IpNet>,
    },
}

impl Reason {
    /// The section that the reason rests on.
    pub fn section(&self) -> &'static str {
        match self {
            Self::SameProvider { .. } => "RFC 9284 §5.4",
            Self::NoDotsServer => "RFC 9284 §4",
            Self::Assigned { .. }
            | Self::AssignedNone
            | Self::AssignedByNobody
            | Self::PartlyAssigned { .. } => "RFC 9284 §5.1",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assigned { target, prefix } if target == prefix => {
                write!(formatter, "it assigned {target}")
            }
            Self::Assigned { target, prefix } => {
                write!(formatter, "it assigned {prefix}, in which {target} lies")
            }
            Self::AssignedNone => formatter.write_str("it assigned none of the targets"),
            Self::SameProvider { asked } => {
                write!(formatter, "{asked} of the same provider is asked")
            }
            Self::NoDotsServer => formatter.write_str("it names no DOTS server"),
            Self::AssignedByNobody => formatter.write_str("no provider assigned it"),
            Self::PartlyAssigned { assigned } => {
                let parts: Vec<String> = assigned.iter().map(ToString::to_string).collect();
                let parts = parts.join(", ");
                write!(formatter, "only {parts} of it was assigned by any provider")
            }
        }
    }
}

/// Decides who is asked to protect `target`.
///
/// Each target prefix goes to the server of the PvD that assigned it, by longest match, and to
/// no other (RFC 9284 §5.1); a target that spans several networks is split among them. Of several
/// servers of a PvD one is asked: the first with a session, else the first (RFC 9284 §5.4).
pub fn select(target: &Target, pvds: &PvdSet, sessions: &impl SessionStates) -> Selection {
    let mut selection = Selection::default();
    let mut parts: BTreeMap<&PvdId, Vec<Reason>> = BTreeMap::new();
    for prefix in &target.prefixes {
        let assignments = pvds.assignments(prefix.net());
        let found: Vec<IpNet> = assignments.iter().map(|found| found.part).collect();
        let assigned = IpNet::aggregate(&found);
        if assigned != [prefix.net()] {
            selection.unprotected.push(Unprotected {
                prefix: *prefix,
                reason: if assigned.is_empty() {
                    Reason::AssignedByNobody
                } else {
                    Reason::PartlyAssigned { assigned }
                },
            });
        }
        for found in assignments {
            let reason = Reason::Assigned {
                target: found.part,
                prefix: found.prefix,
            };
            let reasons = parts.entry(found.pvd).or_default();
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    for domain in pvds.iter() {
        let reasons = parts.remove(&domain.id);
        let names = domain.dots_servers.iter().map(|server| &server.name);
        let associations: Vec<AssociationId> = names
            .map(|server| AssociationId {
                pvd: domain.id.clone(),
                server: server.clone(),
            })
            .collect();
        match reasons {
            None => not_asked(
                &mut selection,
                &domain.id,
                &associations,
                &Reason::AssignedNone,
            ),
            Some(reasons) => {
                ask(
                    &mut selection,
                    &domain.id,
                    &associations,
                    reasons,
                    target,
                    sessions,
                );
            }
        }
    }
    selection
}

fn ask(
    selection: &mut Selection,
    pvd: &PvdId,
    associations: &[AssociationId],
    reasons: Vec<Reason>,
    target: &Target,
    sessions: &impl SessionStates,
) {
    let chosen = associations
        .iter()
        .find(|association| sessions.is_established(association))
        .or(associations.first());
    let Some(chosen) = chosen else {
        not_asked(selection, pvd, associations, &Reason::NoDotsServer);
        selection
            .unprotected
            .extend(prefixes_of(&reasons).map(|prefix| Unprotected {
                prefix,
                reason: Reason::NoDotsServer,
            }));
        return;
    };
    let others: Vec<AssociationId> = associations
        .iter()
        .filter(|association| *association != chosen)
        .cloned()
        .collect();
    let same_provider = Reason::SameProvider {
        asked: chosen.server.clone(),
    };
    if !others.is_empty() {
        not_asked(selection, pvd, &others, &same_provider);
    }
    selection.asked.push(Asked {
        association: chosen.clone(),
        target: Target {
            prefixes: prefixes_of(&reasons).collect(),
            ..target.clone()
        },
        reasons,
    });
}

/// The target prefixes that the reasons speak of.
fn prefixes_of(reasons: &[Reason]) -> impl Iterator<Item = TargetPrefix> + '_ {
    reasons.iter().filter_map(|reason| match reason {
        Reason::Assigned { target, .. } => TargetPrefix::try_from(*target).ok(),
        _ => None,
    })
}

fn not_asked(
    selection: &mut Selection,
    pvd: &PvdId,
    associations: &[AssociationId],
    reason: &Reason,
) {
    let entry = |server| NotAsked {
        pvd: pvd.clone(),
        server,
        reason: reason.clone(),
    };
    if associations.is_empty() {
        selection.not_asked.push(entry(None));
    }
    let servers = associations.iter().map(|each| Some(each.server.clone()));
    selection.not_asked.extend(servers.map(entry));
}

#[cfg(test)]
mod tests;
