//! The PvDs a node has at one time, and whom each address belongs to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::division::{self, Division, TooManyPieces};
use crate::domain::ProvisioningDomain;
use crate::identifier::PvdId;
use crate::prefix_map::PrefixMap;

/// The PvDs a node has, with an index from prefix to owner.
#[derive(Clone, Debug, Default)]
pub struct PvdSet {
    domains: BTreeMap<PvdId, ProvisioningDomain>,
    owners: PrefixMap<Owners>,
}

/// Whom a prefix belongs to. What a network assigned is provider-assigned (PA), even where somebody
/// calls it independent too: fewer are then asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// The PvDs that assigned it; several if they say so.
    pub assigned_by: BTreeSet<PvdId>,
    /// It is the site's own, whatever provider carries it: provider-independent (PI)
    /// (RFC 9284 §4.2).
    pub independent: bool,
}

impl PvdSet {
    /// Adds a PvD, or replaces the one of the same identifier.
    pub fn insert(&mut self, domain: ProvisioningDomain) {
        self.remove(&domain.id);
        for prefix in &domain.prefixes {
            let owners = self.owners.entry(*prefix);
            owners.assigned_by.insert(domain.id.clone());
        }
        self.domains.insert(domain.id.clone(), domain);
    }

    /// Takes from each PvD what it has by its word alone and another one, or the site itself, is known to have: a network may say what it
    /// likes of itself, and must not draw others' addresses to itself. Call it when all are there; it tells what was taken.
    pub fn settle_claims(&mut self) -> Vec<(PvdId, IpNet)> {
        let mut known: PrefixMap<BTreeSet<Option<&PvdId>>> = PrefixMap::default();
        for domain in self.domains.values() {
            let unconfirmed: BTreeSet<_> = domain.unconfirmed.iter().collect();
            let firm = domain.prefixes.iter();
            for prefix in firm.filter(|prefix| !unconfirmed.contains(prefix)) {
                known.entry(*prefix).insert(Some(&domain.id));
            }
        }
        let all = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        let owners = all.into_iter().flat_map(|all| self.owners.inside(all));
        for (prefix, _) in owners.filter(|(_, owners)| owners.independent) {
            known.entry(prefix).insert(None);
        }
        let claims = self.domains.values().flat_map(|domain| {
            let claims = domain.unconfirmed.iter();
            claims.map(|prefix| (domain.id.clone(), *prefix))
        });
        // The innermost that is known decides, as it does for addresses.
        let is_foreign = |(id, prefix): &(PvdId, IpNet)| {
            let innermost = known.longest(*prefix);
            innermost.is_some_and(|(_, owners)| !owners.contains(&Some(id)))
        };
        let foreign: Vec<_> = claims.filter(is_foreign).collect();
        let mut by: BTreeMap<&PvdId, BTreeSet<&IpNet>> = BTreeMap::new();
        for (id, prefix) in &foreign {
            by.entry(id).or_default().insert(prefix);
        }
        for (id, prefixes) in by {
            let Some(mut domain) = self.remove(id) else {
                continue;
            };
            domain.prefixes.retain(|it| !prefixes.contains(it));
            domain.unconfirmed.retain(|it| !prefixes.contains(it));
            self.insert(domain);
        }
        foreign
    }

    /// Takes a PvD out, with all that was tied to it.
    pub fn remove(&mut self, id: &PvdId) -> Option<ProvisioningDomain> {
        let domain = self.domains.remove(id)?;
        for prefix in &domain.prefixes {
            if let Some(owners) = self.owners.get_mut(*prefix) {
                owners.assigned_by.remove(id);
                if owners.assigned_by.is_empty() && !owners.independent {
                    self.owners.remove(*prefix);
                }
            }
        }
        Some(domain)
    }

    /// Notes a prefix of the site itself.
    pub fn insert_independent(&mut self, prefix: IpNet) {
        self.owners.entry(prefix).independent = true;
    }

    /// The PvD that stands for this identifier.
    pub fn get(&self, id: &PvdId) -> Option<&ProvisioningDomain> {
        self.domains.get(id)
    }

    /// All PvDs that stand for their identifier, in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = &ProvisioningDomain> {
        self.domains.values()
    }

    /// Whom each address of `asked` belongs to, by longest match.
    ///
    /// # Errors
    /// [`TooManyPieces`], when `asked` is so wide that it falls into more than
    /// [`division::MAX_PIECES`] pieces.
    pub fn divide(&self, asked: IpNet) -> Result<Division<'_, Owners>, TooManyPieces> {
        division::divide(&self.owners, asked.trunc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(id: &str, prefixes: &[&str]) -> ProvisioningDomain {
        ProvisioningDomain {
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            ..ProvisioningDomain::new(id.parse().unwrap())
        }
    }

    fn owners(set: &PvdSet, asked: &str) -> Vec<(String, Owners)> {
        let division = set.divide(asked.parse().unwrap()).unwrap();
        let pieces = division.pieces.iter();
        pieces
            .map(|piece| (piece.part.to_string(), piece.owner.clone()))
            .collect()
    }

    fn assigned(part: &str, by: &[&str]) -> (String, Owners) {
        let owners = Owners {
            assigned_by: by.iter().map(|id| id.parse().unwrap()).collect(),
            independent: false,
        };
        (part.to_owned(), owners)
    }

    fn set() -> PvdSet {
        let mut set = PvdSet::default();
        set.insert(domain("fixed.example", &["203.0.113.0/24", "192.0.2.0/24"]));
        set.insert(domain(
            "mobile.example",
            &["203.0.113.128/25", "192.0.2.0/24"],
        ));
        set
    }

    /// Covers: M-028
    #[test]
    fn a_removed_pvd_owns_nothing_any_more_and_others_what_they_did() {
        let mut set = set();
        let both = ["fixed.example", "mobile.example"];
        assert_eq!(
            owners(&set, "203.0.113.200/32"),
            [assigned("203.0.113.200/32", &both[1..])]
        );
        assert_eq!(
            owners(&set, "192.0.2.1/32"),
            [assigned("192.0.2.1/32", &both)]
        );
        set.remove(&"mobile.example".parse().unwrap());
        assert_eq!(
            owners(&set, "203.0.113.200/32"),
            [assigned("203.0.113.200/32", &both[..1])]
        );
        assert_eq!(
            owners(&set, "192.0.2.1/32"),
            [assigned("192.0.2.1/32", &both[..1])]
        );
        set.remove(&"fixed.example".parse().unwrap());
        assert_eq!(owners(&set, "0.0.0.0/0"), []);
    }

    /// Covers: M-028
    #[test]
    fn a_renumbered_pvd_owns_what_it_has_now() {
        let mut set = set();
        set.insert(domain("mobile.example", &["198.51.100.0/24"]));
        assert_eq!(
            owners(&set, "203.0.113.200/32"),
            [assigned("203.0.113.200/32", &["fixed.example"])]
        );
        assert_eq!(
            owners(&set, "198.51.100.1/32"),
            [assigned("198.51.100.1/32", &["mobile.example"])]
        );
    }

    /// Covers: M-025
    #[test]
    fn a_prefix_of_the_site_itself_stays_whatever_pvds_come_and_go() {
        let mut set = set();
        set.insert_independent("198.18.0.0/24".parse().unwrap());
        set.insert_independent("203.0.113.128/25".parse().unwrap());
        set.remove(&"mobile.example".parse().unwrap());
        for prefix in ["198.18.0.7/32", "203.0.113.200/32"] {
            let [(_, owner)] = &owners(&set, prefix)[..] else {
                panic!("{prefix}");
            };
            assert!(owner.independent && owner.assigned_by.is_empty());
        }
    }

    /// Covers: M-013
    #[test]
    fn what_a_network_merely_claims_is_not_taken_from_those_who_have_it() {
        let claims = [
            // Of another network, of the site itself, its own, and of nobody.
            "203.0.113.64/26",
            "203.0.113.0/24",
            "198.18.0.0/25",
            "198.51.100.64/26",
            "192.0.2.0/24",
        ];
        let claims = claims.map(|text| text.parse().unwrap());
        let mut hotspot = domain("hotspot.example", &["198.51.100.0/24"]);
        hotspot.prefixes.extend(claims);
        hotspot.unconfirmed = claims.to_vec();
        let mut set = PvdSet::default();
        set.insert_independent("198.18.0.0/24".parse().unwrap());
        set.insert(hotspot);
        set.insert(domain("fixed.example", &["203.0.113.0/24"]));
        let taken: Vec<_> = set.settle_claims();
        let taken: Vec<_> = taken.iter().map(|(_, prefix)| *prefix).collect();
        assert_eq!(taken, claims[..3]);
        let fixed = ["fixed.example"];
        assert_eq!(
            owners(&set, "203.0.113.64/26"),
            [assigned("203.0.113.64/26", &fixed)]
        );
        let [(_, own)] = &owners(&set, "198.18.0.1/32")[..] else {
            panic!("the site's own");
        };
        assert!(own.independent && own.assigned_by.is_empty());
        for left in ["198.51.100.64/26", "192.0.2.0/24"] {
            assert_eq!(owners(&set, left), [assigned(left, &["hotspot.example"])]);
        }
        assert_eq!(set.settle_claims(), []);
    }
}
