//! Which mitigations touch a prefix, without asking each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use dots::target::TargetPrefix;
use ipnet::IpNet;

/// A multimap from prefix to `K` that finds every entry overlapping a prefix.
#[derive(Debug)]
pub(crate) struct PrefixIndex<K> {
    entries: BTreeMap<IpNet, BTreeSet<K>>,
}

impl<K> Default for PrefixIndex<K> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }
}

impl<K: Ord> PrefixIndex<K> {
    pub(crate) fn insert(&mut self, prefix: IpNet, key: K) {
        self.entries.entry(prefix.trunc()).or_default().insert(key);
    }

    pub(crate) fn remove(&mut self, prefix: IpNet, key: &K) {
        let prefix = prefix.trunc();
        if let Some(keys) = self.entries.get_mut(&prefix) {
            keys.remove(key);
            if keys.is_empty() {
                self.entries.remove(&prefix);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// For each entry whose prefix contains `prefix` or lies in it, its keys.
    pub(crate) fn overlapping(&self, prefix: IpNet) -> impl Iterator<Item = &BTreeSet<K>> {
        let prefix = prefix.trunc();
        let wider = std::iter::successors(prefix.supernet(), IpNet::supernet);
        let containing = wider.filter_map(|wider| self.entries.get(&wider));
        // Prefixes sort by address and then by length, so those inside `prefix` are neighbours.
        let from_here = (Bound::Included(prefix), Bound::Unbounded);
        let inside = self.entries.range(from_here);
        let inside = inside
            .take_while(move |(other, _)| prefix.contains(&other.addr()))
            .filter(move |(other, _)| prefix.contains(*other))
            .map(|(_, keys)| keys);
        containing.chain(inside)
    }
}

/// The prefixes that are in no other of the list, each once and in order: the same addresses.
pub(crate) fn outermost<'a>(prefixes: impl IntoIterator<Item = &'a TargetPrefix>) -> Vec<IpNet> {
    let prefixes = prefixes.into_iter();
    let mut nets: Vec<IpNet> = prefixes.map(|prefix| prefix.net().trunc()).collect();
    // By address and then by length: what is inside a prefix follows it.
    nets.sort_unstable();
    nets.dedup_by(|next, kept| kept.contains(&*next));
    nets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn prefix() -> impl Strategy<Value = IpNet> {
        // Few distinct addresses, so that prefixes really meet.
        prop_oneof![
            (0u32..64, 24u8..=32).prop_map(|(host, length)| {
                let address = IpAddr::V4(Ipv4Addr::from(0xcb00_7100 | (host << 2)));
                IpNet::new(address, length).unwrap().trunc()
            }),
            (0u128..64, 118u8..=128).prop_map(|(host, length)| {
                let address = IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) | (host << 4)));
                IpNet::new(address, length).unwrap().trunc()
            }),
        ]
    }

    fn overlap(one: &IpNet, other: &IpNet) -> bool {
        one.contains(other) || other.contains(one)
    }

    proptest! {
        /// Covers: S-029
        #[test]
        fn finds_exactly_what_asking_each_prefix_finds(
            held in proptest::collection::vec(prefix(), 0..40),
            removed in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10),
            asked in prefix(),
        ) {
            let mut index = PrefixIndex::default();
            let mut model: BTreeMap<usize, IpNet> = held.iter().copied().enumerate().collect();
            for (key, prefix) in &model {
                index.insert(*prefix, *key);
            }
            for at in removed {
                if !held.is_empty() {
                    let key = at.index(held.len());
                    index.remove(held[key], &key);
                    model.remove(&key);
                }
            }
            let expected: BTreeSet<usize> = model
                .iter()
                .filter(|(_, prefix)| overlap(prefix, &asked))
                .map(|(key, _)| *key)
                .collect();
            let found = index.overlapping(asked).flatten().copied().collect::<BTreeSet<_>>();
            prop_assert_eq!(found, expected);
        }

        /// Covers: S-029
        #[test]
        fn the_outermost_prefixes_are_the_same_addresses_without_overlap(
            prefixes in proptest::collection::vec(prefix(), 0..40),
        ) {
            let targets: Vec<_> = prefixes.iter().map(|net| TargetPrefix::try_from(*net).unwrap()).collect();
            let nets = outermost(&targets);
            for prefix in &prefixes {
                prop_assert_eq!(nets.iter().filter(|net| overlap(net, prefix)).count(), 1);
                prop_assert!(nets.iter().any(|net| net.contains(prefix)));
            }
            prop_assert!(nets.iter().all(|net| prefixes.contains(net)));
        }
    }
}
