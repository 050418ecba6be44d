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
}

impl Reason {
    /// The section that the reason rests on.
    pub fn section(&self) -> &'static str {
        match self {
            Self::SameProvider { .. } => "RFC 9284 §5.4",
            Self::NoDotsServer => "RFC 9284 §4",
            Self::Assigned { .. } | Self::AssignedNone | Self::AssignedByNobody => "RFC 9284 §5.1",
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
        if assignments.is_empty() {
            selection.unprotected.push(Unprotected {
                prefix: *prefix,
                reason: Reason::AssignedByNobody,
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pvd::{DotsServer, Learned, ProvisioningDomain};
    use std::net::{IpAddr, Ipv4Addr};

    struct AllDown;

    impl SessionStates for AllDown {
        fn is_established(&self, _: &AssociationId) -> bool {
            false
        }
    }

    struct Only(&'static str);

    impl SessionStates for Only {
        fn is_established(&self, association: &AssociationId) -> bool {
            association.server == self.0
        }
    }

    fn domain(id: &str, prefixes: &[&str], servers: &[&str]) -> ProvisioningDomain {
        ProvisioningDomain {
            id: id.parse().unwrap(),
            interface: None,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            addresses: vec![],
            dots_servers: servers
                .iter()
                .map(|name| DotsServer {
                    name: (*name).to_owned(),
                    addresses: vec![],
                })
                .collect(),
            learned: Learned::Configuration,
        }
    }

    fn home() -> PvdSet {
        let mut set = PvdSet::default();
        let fixed = ["203.0.113.0/28", "2001:db8:f:100::/56"];
        set.insert(domain("fixed.example", &fixed, &["dots.fixed.example"]));
        let mobile = ["198.51.100.0/28", "2001:db8:a:100::/56"];
        set.insert(domain("mobile.example", &mobile, &["dots.mobile.example"]));
        set
    }

    fn target(prefixes: &[&str]) -> Target {
        Target {
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            ..Target::default()
        }
    }

    fn asked(selection: &Selection) -> Vec<(String, Vec<String>)> {
        selection
            .asked
            .iter()
            .map(|asked| {
                let prefixes = asked.target.prefixes.iter().map(ToString::to_string);
                (asked.association.server.clone(), prefixes.collect())
            })
            .collect()
    }

    /// Covers: M-005, M-006
    #[test]
    fn the_server_of_the_assigning_network_is_asked_and_no_other() {
        let selection = select(&target(&["203.0.113.7/32"]), &home(), &AllDown);
        let fixed = "dots.fixed.example".to_owned();
        assert_eq!(
            asked(&selection),
            [(fixed, vec!["203.0.113.7/32".to_owned()])]
        );
        assert_eq!(
            selection.not_asked,
            [NotAsked {
                pvd: "mobile.example".parse().unwrap(),
                server: Some("dots.mobile.example".to_owned()),
                reason: Reason::AssignedNone,
            }]
        );
    }

    /// Covers: M-007, M-008, M-027
    #[test]
    fn an_attack_on_both_networks_is_split_between_their_servers() {
        let both = target(&["203.0.113.7/32", "198.51.100.7/32", "2001:db8:a:100::7/128"]);
        let selection = select(&both, &home(), &AllDown);
        assert_eq!(
            asked(&selection),
            [
                (
                    "dots.fixed.example".to_owned(),
                    vec!["203.0.113.7/32".to_owned()]
                ),
                (
                    "dots.mobile.example".to_owned(),
                    vec![
                        "198.51.100.7/32".to_owned(),
                        "2001:db8:a:100::7/128".to_owned()
                    ]
                ),
            ]
        );
        assert!(selection.not_asked.is_empty());
    }

    /// Covers: M-006
    #[test]
    fn what_nobody_assigned_goes_to_nobody() {
        let selection = select(&target(&["192.0.2.1/32"]), &home(), &AllDown);
        assert!(selection.asked.is_empty());
        assert_eq!(selection.not_asked.len(), 2);
        assert_eq!(selection.unprotected[0].reason, Reason::AssignedByNobody);
    }

    /// Covers: M-023, M-026
    #[test]
    fn one_server_of_a_provider_is_asked_preferably_one_with_a_session() {
        let mut set = PvdSet::default();
        let servers = ["one.example", "two.example"];
        set.insert(domain("fixed.example", &["203.0.113.0/28"], &servers));
        set.insert(domain("other.example", &["198.51.100.0/28"], &[]));
        let both = target(&["203.0.113.7/32", "198.51.100.7/32"]);
        assert_eq!(asked(&select(&both, &set, &AllDown))[0].0, "one.example");
        let selection = select(&both, &set, &Only("two.example"));
        assert_eq!(asked(&selection)[0].0, "two.example");
        assert_eq!(
            selection.not_asked[0].reason,
            Reason::SameProvider {
                asked: "two.example".to_owned()
            }
        );
        assert_eq!(selection.not_asked[1].reason, Reason::NoDotsServer);
        assert_eq!(
            selection.unprotected[0].prefix.to_string(),
            "198.51.100.7/32"
        );
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        (0u32..64, 20u8..=32).prop_map(|(host, length)| {
            let address = IpAddr::V4(Ipv4Addr::from(0xcb00_0000 | (host << 6)));
            IpNet::new(address, length).unwrap().trunc()
        })
    }

    proptest! {
        /// Covers: M-005, M-006, M-008
        #[test]
        fn no_target_goes_to_a_pvd_that_did_not_assign_it_and_every_pvd_has_a_reason(
            assigned in proptest::collection::vec(
                proptest::collection::vec(prefix(), 1..4), 1..5),
            targets in proptest::collection::vec(prefix(), 1..5),
        ) {
            let mut set = PvdSet::default();
            for (number, prefixes) in assigned.iter().enumerate() {
                let mut each = domain(&format!("pvd{number}.example"), &[], &["dots.example"]);
                each.prefixes.clone_from(prefixes);
                set.insert(each);
            }
            let wanted = Target {
                prefixes: targets.iter().map(|net| TargetPrefix::try_from(*net).unwrap()).collect(),
                ..Target::default()
            };
            let selection = select(&wanted, &set, &AllDown);
            for asked in &selection.asked {
                let owner = set.get(&asked.association.pvd).unwrap();
                prop_assert!(!asked.target.prefixes.is_empty());
                for prefix in &asked.target.prefixes {
                    prop_assert!(owner.prefixes.iter().any(|own| own.contains(&prefix.net())));
                    prop_assert!(targets.iter().any(|target| target.contains(&prefix.net())));
                }
            }
            prop_assert_eq!(selection.asked.len() + selection.not_asked.len(), assigned.len());
            for target in &targets {
                let touched = assigned.iter().flatten()
                    .any(|own| own.contains(target) || target.contains(own));
                let left = selection.unprotected.iter().any(|left| left.prefix.net() == *target);
                prop_assert_eq!(touched, !left);
            }
        }
    }
}
