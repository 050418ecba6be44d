//! The PvDs a node has at one time.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::domain::ProvisioningDomain;
use crate::identifier::PvdId;

/// The PvDs a node has, with an index from assigned prefix to PvD.
#[derive(Clone, Debug, Default)]
pub struct PvdSet {
    domains: BTreeMap<PvdId, ProvisioningDomain>,
    assigned: BTreeMap<IpNet, BTreeSet<PvdId>>,
}

/// Who assigned a part of the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The part of the asked prefix that this assignment covers: the asked prefix itself, or an
    /// assigned prefix inside it.
    pub part: IpNet,
    /// The assigned prefix that decided.
    pub prefix: IpNet,
    /// The PvD that assigned it. Several with the same prefix make an [`Assignment`] each.
    pub pvd: &'a PvdId,
}

impl PvdSet {
    /// Adds a PvD, or replaces the one of the same identifier.
    pub fn insert(&mut self, domain: ProvisioningDomain) {
        self.remove(&domain.id);
        for prefix in &domain.prefixes {
            self.assigned
                .entry(prefix.trunc())
                .or_default()
                .insert(domain.id.clone());
        }
        self.domains.insert(domain.id.clone(), domain);
    }

    /// Takes a PvD out, with all that was tied to it.
    pub fn remove(&mut self, id: &PvdId) -> Option<ProvisioningDomain> {
        self.assigned.retain(|_, owners| {
            owners.remove(id);
            !owners.is_empty()
        });
        self.domains.remove(id)
    }

    /// The PvD of this identifier.
    pub fn get(&self, id: &PvdId) -> Option<&ProvisioningDomain> {
        self.domains.get(id)
    }

    /// All PvDs, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &ProvisioningDomain> {
        self.domains.values()
    }

    /// Who assigned `asked`: by longest match where an assigned prefix contains it; otherwise
    /// every assigned prefix inside it, for a target that spans several networks. Empty where
    /// no network assigned any of it.
    pub fn assignments(&self, asked: IpNet) -> Vec<Assignment<'_>> {
        let asked = asked.trunc();
        let mut container = Some(asked);
        while let Some(prefix) = container {
            if let Some(owners) = self.assigned.get(&prefix) {
                return Self::assigned_to(owners, asked, prefix).collect();
            }
            container = prefix.supernet();
        }
        self.assigned
            .iter()
            .filter(|(prefix, _)| asked.contains(*prefix))
            .flat_map(|(prefix, owners)| Self::assigned_to(owners, *prefix, *prefix))
            .collect()
    }

    fn assigned_to(
        owners: &BTreeSet<PvdId>,
        part: IpNet,
        prefix: IpNet,
    ) -> impl Iterator<Item = Assignment<'_>> {
        owners
            .iter()
            .map(move |pvd| Assignment { part, prefix, pvd })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Learned;

    fn domain(id: &str, prefixes: &[&str]) -> ProvisioningDomain {
        ProvisioningDomain {
            id: id.parse().unwrap(),
            interface: None,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            addresses: vec![],
            dots_servers: vec![],
            learned: Learned::Configuration,
        }
    }

    fn owners(set: &PvdSet, asked: &str) -> Vec<(String, String)> {
        set.assignments(asked.parse().unwrap())
            .iter()
            .map(|found| (found.part.to_string(), found.pvd.to_string()))
            .collect()
    }

    fn set() -> PvdSet {
        let mut set = PvdSet::default();
        set.insert(domain(
            "fixed.example",
            &["203.0.113.0/24", "2001:db8:f::/48"],
        ));
        set.insert(domain(
            "mobile.example",
            &["198.51.100.0/24", "203.0.113.128/25"],
        ));
        set
    }

    /// Covers: M-005
    #[test]
    fn the_longest_assigned_prefix_decides() {
        let set = set();
        let fixed = |part: &str| vec![(part.to_owned(), "fixed.example".to_owned())];
        assert_eq!(owners(&set, "203.0.113.7/32"), fixed("203.0.113.7/32"));
        assert_eq!(
            owners(&set, "2001:db8:f::7/128"),
            fixed("2001:db8:f::7/128")
        );
        assert_eq!(
            owners(&set, "203.0.113.200/32"),
            vec![("203.0.113.200/32".to_owned(), "mobile.example".to_owned())]
        );
        assert_eq!(owners(&set, "192.0.2.1/32"), vec![]);
    }

    /// Covers: M-008
    #[test]
    fn a_target_wider_than_any_assignment_falls_into_its_assigned_parts() {
        assert_eq!(
            owners(&set(), "0.0.0.0/0"),
            vec![
                ("198.51.100.0/24".to_owned(), "mobile.example".to_owned()),
                ("203.0.113.0/24".to_owned(), "fixed.example".to_owned()),
                ("203.0.113.128/25".to_owned(), "mobile.example".to_owned()),
            ]
        );
    }

    /// Covers: M-028
    #[test]
    fn a_removed_pvd_owns_nothing_any_more() {
        let mut set = set();
        set.remove(&"mobile.example".parse().unwrap());
        assert_eq!(
            owners(&set, "203.0.113.200/32"),
            vec![("203.0.113.200/32".to_owned(), "fixed.example".to_owned())]
        );
        assert_eq!(owners(&set, "198.51.100.7/32"), vec![]);
    }
}
