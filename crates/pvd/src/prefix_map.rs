//! A map from prefix to value that knows which prefix lies in which.
//!
//! ```text
//! order    10.0/16   10.0.0/24   10.0.0.4/30   10.0.7/24   10.1/16
//! around      -       10.0/16     10.0.0/24     10.0/16       -
//! ```
//!
//! Prefixes are in order of address and then of length, so that what lies in a prefix follows it. The
//! longest prefix around an address is therefore the one before it in that order, or one around that:
//! a single search in a tree, and then as many steps as prefixes are nested there.

use std::collections::BTreeMap;
use std::ops::Bound;

use ipnet::IpNet;

/// A map from prefix to `T`.
#[derive(Clone, Debug)]
pub struct PrefixMap<T> {
    places: BTreeMap<IpNet, usize>,
    nodes: Vec<Node<T>>,
    /// Places of removed prefixes, to be used again.
    free: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    prefix: IpNet,
    /// The place of the longest prefix around this one.
    around: Option<usize>,
    value: T,
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            nodes: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: Default> PrefixMap<T> {
    /// The value of exactly this prefix, which is made if there is none.
    pub fn entry(&mut self, prefix: IpNet) -> &mut T {
        let prefix = prefix.trunc();
        let place = match self.places.get(&prefix) {
            Some(place) => *place,
            None => self.add(prefix),
        };
        &mut self.nodes[place].value
    }

    fn add(&mut self, prefix: IpNet) -> usize {
        let around = self.place_of_longest(prefix);
        let node = Node {
            prefix,
            around,
            value: T::default(),
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.nodes[place] = node;
                place
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.surround(prefix, around, Some(place));
        self.places.insert(prefix, place);
        place
    }

    /// Takes a prefix out.
    pub fn remove(&mut self, prefix: IpNet) -> Option<T> {
        let prefix = prefix.trunc();
        let place = self.places.remove(&prefix)?;
        let around = self.nodes[place].around.take();
        self.surround(prefix, Some(place), around);
        self.free.push(place);
        Some(std::mem::take(&mut self.nodes[place].value))
    }

    /// What lies in `prefix` and was directly in `before` is now directly in `now`.
    fn surround(&mut self, prefix: IpNet, before: Option<usize>, now: Option<usize>) {
        let inside = Self::range(&self.places, prefix);
        for place in inside.map(|(_, place)| *place) {
            let node = &mut self.nodes[place];
            if node.around == before {
                node.around = now;
            }
        }
    }
}

impl<T> PrefixMap<T> {
    /// The value of exactly this prefix.
    pub fn get_mut(&mut self, prefix: IpNet) -> Option<&mut T> {
        let place = *self.places.get(&prefix.trunc())?;
        Some(&mut self.nodes[place].value)
    }

    /// The longest prefix that contains `asked`, and its value.
    pub fn longest(&self, asked: IpNet) -> Option<(IpNet, &T)> {
        let node = &self.nodes[self.place_of_longest(asked.trunc())?];
        Some((node.prefix, &node.value))
    }

    /// What lies in `asked`, itself included, by address and then by length.
    pub fn inside(&self, asked: IpNet) -> impl Iterator<Item = (IpNet, &T)> {
        let inside = Self::range(&self.places, asked.trunc());
        inside.map(|(prefix, place)| (*prefix, &self.nodes[*place].value))
    }

    fn range(
        places: &BTreeMap<IpNet, usize>,
        prefix: IpNet,
    ) -> impl Iterator<Item = (&IpNet, &usize)> {
        let onwards = (Bound::Included(prefix), Bound::Unbounded);
        let onwards = places.range(onwards);
        onwards.take_while(move |(next, _)| prefix.contains(*next))
    }

    fn place_of_longest(&self, asked: IpNet) -> Option<usize> {
        let (_, before) = self.places.range(..=asked).next_back()?;
        let mut place = *before;
        while !self.nodes[place].prefix.contains(&asked) {
            place = self.nodes[place].around?;
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn prefix() -> impl Strategy<Value = IpNet> {
        // Few distinct addresses, so that prefixes really nest.
        let v4 = (any::<u8>(), 22u8..=32)
            .prop_map(|(host, length)| IpNet::new(Ipv4Addr::new(203, 0, 113, host).into(), length));
        let v6 = (any::<u16>(), 112u8..=128).prop_map(|(host, length)| {
            IpNet::new(
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into(),
                length,
            )
        });
        prop_oneof![v4, v6].prop_map(|net| net.unwrap().trunc())
    }

    proptest! {
        /// Covers: M-005, M-028
        #[test]
        fn finds_what_a_linear_search_finds_whatever_came_and_went(
            changes in proptest::collection::vec((prefix(), any::<bool>()), 0..60),
            asked in proptest::collection::vec(prefix(), 1..8),
        ) {
            let mut map = PrefixMap::<u32>::default();
            let mut model = BTreeMap::<IpNet, u32>::new();
            for (number, (prefix, is_there)) in (0..).zip(changes) {
                if is_there {
                    *map.entry(prefix) = number;
                    model.insert(prefix, number);
                } else {
                    prop_assert_eq!(map.remove(prefix), model.remove(&prefix));
                }
            }
            for asked in asked {
                let around = model.iter().filter(|(prefix, _)| prefix.contains(&asked));
                let longest = around.max_by_key(|(prefix, _)| prefix.prefix_len());
                prop_assert_eq!(map.longest(asked), longest.map(|(prefix, value)| (*prefix, value)));
                let inside = model.iter().filter(|(prefix, _)| asked.contains(*prefix));
                let inside: Vec<_> = inside.map(|(prefix, value)| (*prefix, value)).collect();
                prop_assert_eq!(map.inside(asked).collect::<Vec<_>>(), inside);
            }
            prop_assert!(map.nodes.len() - map.free.len() == model.len());
        }
    }
}
