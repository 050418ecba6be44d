//! Which filters a destination address leads to.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::{Filter, FilterId};

/// For each outermost prefix of all filters, the filters with a prefix inside, in order. The
/// outermost prefixes are disjoint: of two prefixes one contains the other, or they have nothing in
/// common.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dispatch(pub(super) BTreeMap<IpNet, Vec<Branch>>);

/// One way out of a group: destinations in the prefix go to the filter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Branch {
    pub(super) prefix: IpNet,
    pub(super) filter: FilterId,
}

impl Dispatch {
    pub(super) fn new<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> Self {
        let mut branches = BTreeSet::new();
        for filter in filters {
            for prefix in outermost(filter.prefixes.iter().map(IpNet::trunc).collect()) {
                branches.insert(Branch {
                    prefix,
                    filter: filter.id.clone(),
                });
            }
        }
        let mut groups: BTreeMap<IpNet, Vec<Branch>> = BTreeMap::new();
        for branch in branches {
            match groups.last_entry() {
                Some(mut group) if group.key().contains(&branch.prefix) => {
                    group.get_mut().push(branch);
                }
                _ => {
                    groups.insert(branch.prefix, vec![branch]);
                }
            }
        }
        Dispatch(groups)
    }
}

/// Leaves out prefixes inside others, so that a packet visits a filter once. In the order of
/// addresses, a prefix comes right after those that contain it.
fn outermost(sorted: BTreeSet<IpNet>) -> Vec<IpNet> {
    let mut kept: Vec<IpNet> = Vec::new();
    for prefix in sorted {
        if !kept.last().is_some_and(|outer| outer.contains(&prefix)) {
            kept.push(prefix);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(id: &str, prefixes: &[&str]) -> Filter {
        let prefixes = prefixes
            .iter()
            .map(|prefix| prefix.parse().expect("a prefix"))
            .collect();
        Filter {
            id: id.parse().expect("an identifier"),
            prefixes,
            port_ranges: Vec::new(),
            protocols: Vec::new(),
        }
    }

    fn groups(filters: &[Filter]) -> Vec<String> {
        let show = |(outer, branches): (&IpNet, &Vec<Branch>)| {
            let branches: Vec<_> = branches
                .iter()
                .map(|b| format!("{}>{}", b.prefix, b.filter))
                .collect();
            format!("{outer}: {}", branches.join(" "))
        };
        Dispatch::new(filters).0.iter().map(show).collect()
    }

    #[test]
    fn disjoint_prefixes_have_groups_of_their_own() {
        let filters = [
            filter("a", &["203.0.113.7/32", "2001:db8::/48"]),
            filter("b", &["203.0.113.8/32"]),
        ];
        assert_eq!(
            groups(&filters),
            [
                "203.0.113.7/32: 203.0.113.7/32>a",
                "203.0.113.8/32: 203.0.113.8/32>b",
                "2001:db8::/48: 2001:db8::/48>a"
            ]
        );
    }

    #[test]
    fn nested_prefixes_of_different_filters_share_the_outermost_group() {
        let filters = [
            filter("in", &["10.1.2.3/32"]),
            filter("out", &["10.0.0.0/8"]),
            filter("mid", &["10.1.0.0/16"]),
        ];
        assert_eq!(
            groups(&filters),
            ["10.0.0.0/8: 10.0.0.0/8>out 10.1.0.0/16>mid 10.1.2.3/32>in"]
        );
    }

    #[test]
    fn a_packet_visits_a_filter_once() {
        let filters = [filter(
            "a",
            &["10.0.0.1/32", "10.0.0.0/24", "10.0.0.9/24", "10.0.0.0/24"],
        )];
        assert_eq!(groups(&filters), ["10.0.0.0/24: 10.0.0.0/24>a"]);
    }

    #[test]
    fn the_same_prefix_of_two_filters_leads_to_both() {
        let filters = [filter("b", &["10.0.0.1/32"]), filter("a", &["10.0.0.1/32"])];
        assert_eq!(
            groups(&filters),
            ["10.0.0.1/32: 10.0.0.1/32>a 10.0.0.1/32>b"]
        );
    }

    #[test]
    fn the_default_routes_hold_everything_of_their_family() {
        let filters = [
            filter("a", &["0.0.0.0/0", "::/0"]),
            filter("b", &["198.51.100.1/32", "2001:db8::1/128"]),
        ];
        assert_eq!(
            groups(&filters),
            [
                "0.0.0.0/0: 0.0.0.0/0>a 198.51.100.1/32>b",
                "::/0: ::/0>a 2001:db8::1/128>b"
            ]
        );
    }
}
