//! The longest prefix around an address, found in four ways.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;
use pvd::{PrefixMap, division};

use super::inputs::Inputs;
use super::measure::nanoseconds;
use super::report::Lookup;

/// Addresses that are asked for in turn: so many that no way to one of them stays in the cache for the next.
const ASKED: usize = 4096;

/// Measures the four ways, and the division of a target, which the decision begins with.
pub(super) fn measure(count: usize, patience: Duration) -> Lookup {
    let mut inputs = Inputs::new();
    let prefixes = inputs.prefixes(count);
    let asked: Vec<IpNet> = (0..ASKED).filter_map(|_| inputs.host(&prefixes)).collect();
    let time = |find: &dyn Fn(IpNet) -> bool| {
        nanoseconds(patience, |number| {
            let asked = asked.get(number % ASKED);
            black_box(asked.is_some_and(|asked| find(black_box(*asked))));
        })
    };

    let mut map = PrefixMap::<u32>::default();
    let mut trie = JointPrefixMap::<IpNet, u32>::new();
    let mut tree = BTreeMap::new();
    for (number, prefix) in (0..).zip(&prefixes) {
        *map.entry(*prefix) = number;
        trie.insert(*prefix, number);
        tree.insert(*prefix, number);
    }
    let in_tree = |asked: IpNet| {
        let mut around = std::iter::successors(Some(asked), IpNet::supernet);
        around.find_map(|prefix| tree.get(&prefix)).is_some()
    };
    let by_scan = |asked: IpNet| {
        let around = prefixes.iter().filter(|prefix| prefix.contains(&asked));
        around.max_by_key(|prefix| prefix.prefix_len()).is_some()
    };
    Lookup::new(
        count,
        time(&|asked| map.longest(asked).is_some()),
        time(&|asked| division::divide(&map, asked).is_ok()),
        [
            time(&|asked| trie.get_lpm(&asked).is_some()),
            time(&in_tree),
            time(&by_scan),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is compared finds the same.
    #[test]
    fn both_indexes_find_the_same() {
        let mut inputs = Inputs::new();
        let prefixes = inputs.prefixes(2000);
        let mut map = PrefixMap::<u32>::default();
        let mut trie = JointPrefixMap::<IpNet, u32>::new();
        for (number, prefix) in (0..).zip(&prefixes) {
            *map.entry(*prefix) = number;
            trie.insert(*prefix, number);
        }
        for _ in 0..2000 {
            let asked = inputs.host(&prefixes).unwrap();
            assert!(map.longest(asked).is_some());
            assert_eq!(map.longest(asked), trie.get_lpm(&asked));
        }
    }
}
