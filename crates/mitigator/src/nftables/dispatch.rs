//! Which filters a destination address leads to.
//!
//! ```text
//! filters:  10.0.0.0/8 > wide, 10.1.2.3/32 > host
//!
//! band 0:   10.0.0.0-10.1.2.2          --> group 10.0.0.0/8:  jump wide
//!           10.1.2.3                   --> group 10.1.2.3/32: jump host, goto group 10.0.0.0/8
//!           10.1.2.4-10.255.255.255    --> group 10.0.0.0/8
//! ```
//! The pieces of a band are disjoint, so that one lookup finds the innermost prefix around an
//! address, however many prefixes there are. From there it goes outwards, one group for each prefix
//! around the address. The kernel follows 16 chains in a row and no more, so that prefixes nested
//! deeper than [`BAND`] get a band of their own, which is one more lookup.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::names::Family;
use crate::{Filter, FilterId};

/// How many prefixes around each other one band holds.
const BAND: usize = 8;

/// Where packets go, for all filters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dispatch {
    /// What happens behind each prefix that a filter has.
    pub(super) groups: BTreeMap<IpNet, Group>,
    /// By band, the pieces of the address space, each with the innermost prefix around it. Bands
    /// without a gap from 0 on.
    pub(super) pieces: BTreeMap<(Family, usize), BTreeMap<Piece, IpNet>>,
}

/// One prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// The filters that have exactly this prefix.
    pub(super) filters: BTreeSet<FilterId>,
    /// The next prefix around this one, where it is in the same band.
    pub(super) outer: Option<IpNet>,
}

/// The addresses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    family: Family,
    first: u128,
    last: u128,
}

impl Dispatch {
    pub(super) fn new<'a>(filters: impl IntoIterator<Item = &'a Filter>) -> Self {
        let mut dispatch = Dispatch::default();
        for filter in filters {
            for prefix in outermost(filter.prefixes.iter().map(IpNet::trunc).collect()) {
                let group = dispatch.groups.entry(prefix).or_default();
                group.filters.insert(filter.id.clone());
            }
        }
        let mut bands: BTreeMap<(Family, usize), Vec<IpNet>> = BTreeMap::new();
        let mut around: Vec<IpNet> = Vec::new();
        for (prefix, group) in &mut dispatch.groups {
            while around.last().is_some_and(|outer| !outer.contains(prefix)) {
                around.pop();
            }
            let (depth, family) = (around.len(), Family::of(prefix));
            let outer = around.last().filter(|_| !depth.is_multiple_of(BAND));
            group.outer = outer.copied();
            around.push(*prefix);
            bands
                .entry((family, depth / BAND))
                .or_default()
                .push(*prefix);
        }
        dispatch.pieces = bands
            .into_iter()
            .map(|(band, prefixes)| (band, pieces(&prefixes)))
            .collect();
        dispatch
    }

    /// How many bands a family has.
    pub(super) fn bands(&self, family: Family) -> usize {
        self.pieces.keys().filter(|(of, _)| *of == family).count()
    }
}

impl Piece {
    fn of(prefix: &IpNet) -> Self {
        Piece {
            family: Family::of(prefix),
            first: number(prefix.network()),
            last: number(prefix.broadcast()),
        }
    }

    /// As nft writes it.
    pub(super) fn to_nft(self) -> String {
        let [first, last] = [self.first, self.last].map(|number| address(self.family, number));
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(family: Family, number: u128) -> IpAddr {
    match family {
        // What came from an IPv4 address fits one.
        Family::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from(number).into(),
    }
}

/// Cuts the address space at the ends of these prefixes, which are in order: each address belongs
/// to the innermost.
fn pieces(prefixes: &[IpNet]) -> BTreeMap<Piece, IpNet> {
    let mut cut = BTreeMap::new();
    // From where on there is no piece yet, and the prefixes around that.
    let mut next = 0;
    let mut around: Vec<(Piece, IpNet)> = Vec::new();
    let mut add = |first: u128, last: u128, (piece, prefix): (Piece, IpNet)| {
        if first <= last {
            cut.insert(
                Piece {
                    first,
                    last,
                    ..piece
                },
                prefix,
            );
        }
    };
    for prefix in prefixes {
        let piece = Piece::of(prefix);
        while let Some(outer) = around.pop_if(|(outer, _)| outer.last < piece.first) {
            add(next, outer.0.last, outer);
            // It ends before another begins, so that there is a number after it.
            next = next.max(outer.0.last + 1);
        }
        if let (Some(outer), Some(before)) = (around.last(), piece.first.checked_sub(1)) {
            add(next, before, *outer);
        }
        next = piece.first;
        around.push((piece, *prefix));
    }
    while let Some(outer) = around.pop() {
        add(next, outer.0.last, outer);
        match outer.0.last.checked_add(1) {
            Some(after) => next = next.max(after),
            // Whatever is around it ends here, too.
            None => break,
        }
    }
    cut
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

    /// What a packet meets: lookups, and rules in groups, and the filters it comes to.
    fn path(dispatch: &Dispatch, destination: &str) -> (usize, usize, Vec<String>) {
        let destination: IpAddr = destination.parse().expect("an address");
        let family = Family::of(&destination.into());
        let (mut rules, mut filters) = (0, Vec::new());
        for band in 0..dispatch.bands(family) {
            let mut pieces = dispatch.pieces[&(family, band)].iter();
            let found =
                pieces.find(|(piece, _)| (piece.first..=piece.last).contains(&number(destination)));
            let mut next = found.map(|(_, prefix)| *prefix);
            let mut chains = 0;
            while let Some(prefix) = next {
                let group = &dispatch.groups[&prefix];
                assert!(prefix.contains(&destination));
                filters.extend(group.filters.iter().map(ToString::to_string));
                rules += group.filters.len() + usize::from(group.outer.is_some());
                chains += 1;
                next = group.outer;
            }
            // The kernel allows 16, the base chain and the filter's own among them.
            assert!(chains <= BAND);
        }
        filters.sort();
        (dispatch.bands(family), rules, filters)
    }

    fn filters_at(filters: &[Filter], destination: &str) -> Vec<String> {
        path(&Dispatch::new(filters), destination).2
    }

    fn cut(filters: &[Filter]) -> Vec<String> {
        let dispatch = Dispatch::new(filters);
        let show = |(piece, prefix): (&Piece, &IpNet)| format!("{} in {prefix}", piece.to_nft());
        dispatch.pieces.values().flatten().map(show).collect()
    }

    #[test]
    fn prefixes_are_cut_where_others_begin_and_end() {
        let filters = [
            filter("in", &["10.1.2.3/32"]),
            filter("out", &["10.0.0.0/8"]),
            filter("last", &["10.255.255.255/32", "2001:db8::/48"]),
        ];
        assert_eq!(
            cut(&filters),
            [
                "10.0.0.0-10.1.2.2 in 10.0.0.0/8",
                "10.1.2.3 in 10.1.2.3/32",
                "10.1.2.4-10.255.255.254 in 10.0.0.0/8",
                "10.255.255.255 in 10.255.255.255/32",
                "2001:db8::-2001:db8:0:ffff:ffff:ffff:ffff:ffff in 2001:db8::/48",
            ]
        );
        assert_eq!(filters_at(&filters, "10.1.2.3"), ["in", "out"]);
        assert_eq!(filters_at(&filters, "10.1.2.4"), ["out"]);
        assert_eq!(filters_at(&filters, "11.0.0.0"), [""; 0]);
        assert_eq!(filters_at(&filters, "2001:db8::1"), ["last"]);
    }

    #[test]
    fn the_ends_of_the_address_space_belong_to_the_default_routes() {
        let filters = [
            filter("all", &["0.0.0.0/0", "::/0"]),
            filter("ends", &["0.0.0.0/32", "255.255.255.255/32"]),
            filter("v6", &["::/128", "ffff::/16"]),
        ];
        for (destination, seen) in [
            ("0.0.0.0", &["all", "ends"][..]),
            ("0.0.0.1", &["all"]),
            ("255.255.255.254", &["all"]),
            ("255.255.255.255", &["all", "ends"]),
            ("::", &["all", "v6"]),
            ("::1", &["all"]),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &["all", "v6"]),
        ] {
            assert_eq!(filters_at(&filters, destination), seen, "{destination}");
        }
    }

    #[test]
    fn a_packet_visits_a_filter_once() {
        let filters = [filter(
            "a",
            &["10.0.0.1/32", "10.0.0.0/24", "10.0.0.9/24", "10.0.0.0/24"],
        )];
        assert_eq!(cut(&filters), ["10.0.0.0-10.0.0.255 in 10.0.0.0/24"]);
        assert_eq!(filters_at(&filters, "10.0.0.1"), ["a"]);
    }

    #[test]
    fn the_same_prefix_of_two_filters_leads_to_both() {
        let filters = [filter("b", &["10.0.0.1/32"]), filter("a", &["10.0.0.1/32"])];
        assert_eq!(cut(&filters), ["10.0.0.1 in 10.0.0.1/32"]);
        assert_eq!(filters_at(&filters, "10.0.0.1"), ["a", "b"]);
    }

    /// The cost of one customer's filters to everybody's packets.
    #[test]
    fn a_packet_meets_as_few_rules_among_100_000_nested_prefixes_as_among_two() {
        let hosts: Vec<String> = (0..100_000_u32)
            .map(|host| format!("{}/32", Ipv4Addr::from(0x0a00_0000 + 2 * host)))
            .collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let filters = [filter("wide", &["10.0.0.0/8"]), filter("hosts", &hosts)];
        let dispatch = Dispatch::new(&filters);
        assert_eq!(path(&dispatch, "192.0.2.1"), (1, 0, vec![]));
        let both = vec!["hosts".to_owned(), "wide".to_owned()];
        assert_eq!(path(&dispatch, "10.0.0.2"), (1, 3, both));
        assert_eq!(path(&dispatch, "10.0.0.3"), (1, 1, vec!["wide".to_owned()]));
    }

    #[test]
    fn the_deepest_nesting_there_is_costs_a_packet_a_few_lookups() {
        let nested = |address: &str, longest: u8| -> Vec<Filter> {
            (0..=longest)
                .map(|length| filter(&format!("m{length}"), &[&format!("{address}/{length}")]))
                .collect()
        };
        let dispatch = Dispatch::new(&nested("10.1.2.3", 32));
        let (lookups, rules, filters) = path(&dispatch, "10.1.2.3");
        // A jump to each of the filters, and from group to group.
        assert_eq!((lookups, rules, filters.len()), (5, 33 + 28, 33));
        assert_eq!(path(&dispatch, "192.0.2.1"), (5, 1, vec!["m0".to_owned()]));
        let dispatch = Dispatch::new(&nested("2001:db8::1", 128));
        let (lookups, _, filters) = path(&dispatch, "2001:db8::1");
        assert_eq!((lookups, filters.len()), (17, 129));
    }

    #[test]
    fn every_address_comes_to_the_filters_that_hold_it() {
        let mut random = 7_u32;
        let mut below = |limit: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % limit
        };
        for _ in 0..200 {
            let filters: Vec<Filter> = (0..below(40))
                .map(|number| {
                    let length = 24 + below(9);
                    let prefix = format!("10.0.0.{}/{length}", below(256));
                    filter(&format!("m{number}"), &[&prefix])
                })
                .collect();
            let dispatch = Dispatch::new(&filters);
            for host in 0..=255 {
                let address: IpAddr = Ipv4Addr::new(10, 0, 0, host).into();
                let mut holding: Vec<String> = filters
                    .iter()
                    .filter(|filter| filter.prefixes.iter().any(|p| p.contains(&address)))
                    .map(|filter| filter.id.to_string())
                    .collect();
                holding.sort();
                assert_eq!(path(&dispatch, &address.to_string()).2, holding);
            }
        }
    }
}
