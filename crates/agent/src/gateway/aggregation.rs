//! Requests of different clients for common addresses, as one request upstream.
//!
//! ```text
//! client a   203.0.113.0/28, port 53     \   203.0.113.0/28, all ports
//! client b   203.0.113.7/32              /
//! client c   203.0.113.64/32             --> 203.0.113.64/32
//! ```
//!
//! To its server a gateway is one client, whose newer request takes the place of an older one that
//! names a common address (RFC 9132 §4.4.1.3): relayed one by one, the requests of inside clients
//! would end each other. A request says its ports and protocols once for all its prefixes, so what
//! is put together is widened where they differ, and never narrowed.

use std::collections::{BTreeMap, BTreeSet};

use dots::limits;
use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;

use crate::prefix_index::outermost;

/// What is asked for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate<K> {
    /// Who wants a part of it.
    pub members: BTreeSet<K>,
    /// All that they want: its prefixes are disjoint, and those of no other aggregate.
    pub target: Target,
}

/// Puts together what has addresses in common. Only prefixes, ports and protocols count: names and
/// aliases are resolved before. What has no prefix is in no aggregate.
pub fn aggregate<K: Ord + Clone>(wanted: &BTreeMap<K, Target>) -> Vec<Aggregate<K>> {
    let mut by_net: Vec<(IpNet, &K)> = wanted
        .iter()
        .flat_map(|(key, target)| target.prefixes.iter().map(move |it| (it.net(), key)))
        .collect();
    // By address and then by length: what is inside a prefix follows it.
    by_net.sort_unstable();
    let mut leaders: BTreeMap<&K, &K> = BTreeMap::new();
    let mut around: Option<(IpNet, &K)> = None;
    for (net, key) in by_net {
        leaders.entry(key).or_insert(key);
        match around {
            Some((outer, other)) if outer.contains(&net) => join(&mut leaders, key, other),
            _ => around = Some((net, key)),
        }
    }
    let mut members: BTreeMap<&K, BTreeSet<&K>> = BTreeMap::new();
    for key in leaders.keys() {
        let leader = leader_of(&leaders, key);
        members.entry(leader).or_default().insert(key);
    }
    let aggregates = members.into_values().map(|keys| {
        let targets = keys.iter().filter_map(|key| wanted.get(*key));
        Aggregate {
            target: union(targets),
            members: keys.into_iter().cloned().collect(),
        }
    });
    aggregates.collect()
}

fn leader_of<'a, K: Ord>(leaders: &BTreeMap<&'a K, &'a K>, key: &'a K) -> &'a K {
    let mut key = key;
    while let Some(next) = leaders.get(key).filter(|next| **next != key) {
        key = next;
    }
    key
}

fn join<'a, K: Ord>(leaders: &mut BTreeMap<&'a K, &'a K>, one: &'a K, other: &'a K) {
    let (one, other) = (leader_of(leaders, one), leader_of(leaders, other));
    // The smaller leads, so that chains lead downwards and end.
    let (first, last) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    leaders.insert(last, first);
}

/// What protects at least all of these, and no other address.
fn union<'a>(targets: impl Iterator<Item = &'a Target>) -> Target {
    let targets: Vec<&Target> = targets.collect();
    let prefixes = outermost(targets.iter().flat_map(|target| &target.prefixes));
    let prefixes = prefixes
        .into_iter()
        .filter_map(|net| TargetPrefix::try_from(net).ok());
    Target {
        prefixes: prefixes.collect(),
        port_ranges: all_of(targets.iter().map(|target| &target.port_ranges)),
        protocols: all_of(targets.iter().map(|target| &target.protocols)),
        ..Target::default()
    }
}

/// Every entry of the lists, each once. An empty list means everything, as does one that no message
/// has room for.
fn all_of<'a, T: Ord + Copy + 'a>(lists: impl Iterator<Item = &'a Vec<T>>) -> Vec<T> {
    let mut all = BTreeSet::new();
    for list in lists {
        all.extend(list);
        if list.is_empty() || all.len() > limits::LIST_ENTRIES {
            return Vec::new();
        }
    }
    all.into_iter().collect()
}
