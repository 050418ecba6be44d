//! What is asked for together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use agent::gateway::aggregate;
use dots::target::{PortRange, Protocol, Target, TargetPrefix};
use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

fn target() -> impl Strategy<Value = Target> {
    let prefix = (0_u32..256, 24_u8..=32).prop_map(|(host, length)| {
        let address = Ipv4Addr::from(0xcb00_7100 | host);
        let net = Ipv4Net::new(address, length).unwrap().trunc();
        TargetPrefix::try_from(IpNet::V4(net)).unwrap()
    });
    let ports = proptest::collection::vec((1_u16..9).prop_map(PortRange::single), 0..3);
    let protocols = proptest::collection::vec((1_u8..20).prop_map(Protocol), 0..3);
    let prefixes = proptest::collection::vec(prefix, 1..4);
    (prefixes, ports, protocols).prop_map(|(prefixes, port_ranges, protocols)| Target {
        prefixes,
        port_ranges,
        protocols,
        ..Target::default()
    })
}

fn addresses(target: &Target) -> BTreeSet<Ipv4Addr> {
    let nets = target.prefixes.iter().map(TargetPrefix::net);
    let nets = nets.filter_map(|net| match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    });
    nets.flat_map(|net| u32::from(net.network())..=u32::from(net.broadcast()))
        .map(Ipv4Addr::from)
        .collect()
}

fn holds<T: PartialEq>(all: &[T], some: &[T]) -> bool {
    all.is_empty() || !some.is_empty() && some.iter().all(|each| all.contains(each))
}

proptest! {
    /// Covers: G-016. The aggregates protect exactly the addresses that are wanted, no two of them
    /// one address, and every member with all of its ports and protocols.
    #[test]
    fn aggregates_are_disjoint_and_together_what_is_wanted(
        wanted in proptest::collection::btree_map(0_u32..20, target(), 0..12),
    ) {
        let aggregates = aggregate(&wanted);
        let mut seen = BTreeSet::new();
        let mut members = BTreeSet::new();
        for aggregate in &aggregates {
            let own = addresses(&aggregate.target);
            prop_assert!(seen.is_disjoint(&own));
            seen.extend(own.iter().copied());
            let mut of_members = BTreeSet::new();
            for member in &aggregate.members {
                prop_assert!(members.insert(*member));
                of_members.extend(addresses(&wanted[member]));
                prop_assert!(holds(&aggregate.target.port_ranges, &wanted[member].port_ranges));
                prop_assert!(holds(&aggregate.target.protocols, &wanted[member].protocols));
            }
            prop_assert_eq!(own, of_members);
        }
        let all: BTreeSet<_> = wanted.values().flat_map(addresses).collect();
        prop_assert_eq!(seen, all);
        prop_assert_eq!(members, wanted.keys().copied().collect());
    }

    /// Two that share an address are asked for together, and nothing else is.
    #[test]
    fn members_of_one_aggregate_hang_together(
        wanted in proptest::collection::btree_map(0_u32..20, target(), 0..12),
    ) {
        let mut group_of = BTreeMap::new();
        let aggregates = aggregate(&wanted);
        for (number, aggregate) in aggregates.iter().enumerate() {
            group_of.extend(aggregate.members.iter().map(|member| (*member, number)));
            let mut reached = BTreeSet::from([*aggregate.members.first().unwrap()]);
            let overlaps = |one: &u32, other: &u32| wanted[one].overlaps(&wanted[other]);
            loop {
                let next = aggregate.members.iter().find(|member| {
                    !reached.contains(member) && reached.iter().any(|it| overlaps(it, member))
                });
                let Some(next) = next else { break };
                reached.insert(*next);
            }
            prop_assert_eq!(&reached, &aggregate.members);
        }
        for (one, target) in &wanted {
            for (other, theirs) in &wanted {
                if target.overlaps(theirs) {
                    prop_assert_eq!(group_of[one], group_of[other]);
                }
            }
        }
    }
}
