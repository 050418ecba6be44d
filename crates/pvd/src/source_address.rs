//! Which of a node's addresses in a PvD it sends from: RFC 6724 §5, among the addresses of that PvD alone.
//!
//! ```text
//! 1    the destination itself
//! 2    a scope as wide as the destination's, and no wider than that takes
//! 3    preferred before deprecated
//! 4    -  without Mobile IPv6 every address is a home address and a care-of address at once
//! 5    -  a PvD has one interface
//! 5.5  -  what another network's router advertised is no candidate
//! 6    the destination's label in the policy table
//! 7    public before temporary
//! 8    the longest common prefix
//!      the order in which the PvD has them
//! ```
//!
//! Rule 7 is the other way round by default and lets applications reverse it: a DOTS server knows its client by
//! the certificate, so a temporary address hides nothing from it and ends the session every day.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;

/// An address of this node, and what RFC 6724 has to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnAddress {
    /// The address.
    pub address: IpAddr,
    /// How many of its bits are the prefix of its link; the others are the interface identifier.
    pub prefix_length: u8,
    /// Where it is in its life.
    pub stage: Stage,
    /// What it is made for.
    pub kind: Kind,
}

/// Where an assigned address is in its life (RFC 4862 §5.5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It may be used for anything.
    #[default]
    Preferred,
    /// It goes on in what was begun from it; something new is begun from it only for want of another.
    Deprecated,
}

/// What an address is made for (RFC 8981 §1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// For as long as the network assigns it.
    #[default]
    Public,
    /// For a day or so, that nobody may recognise the node.
    Temporary,
}

/// Of an address of which nothing more is known: preferred, public, and with the usual interface identifier.
impl From<IpAddr> for OwnAddress {
    fn from(address: IpAddr) -> Self {
        let prefix_length = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 64,
        };
        Self {
            address,
            prefix_length,
            stage: Stage::default(),
            kind: Kind::default(),
        }
    }
}

/// The address to send from towards `destination` (RFC 6724 §5); `None` if none is of its family.
pub fn select(own: &[OwnAddress], destination: IpAddr) -> Option<IpAddr> {
    let mut candidates: Vec<_> = own.iter().collect();
    candidates.retain(|own| own.address.is_ipv4() == destination.is_ipv4());
    let best = candidates.into_iter().min_by_key(|own| {
        (
            own.address != destination,
            scope_rank(own.address, destination),
            own.stage == Stage::Deprecated,
            label(own.address) != label(destination),
            own.kind == Kind::Temporary,
            Reverse(own.common_prefix_length(destination)),
        )
    });
    best.map(|own| own.address)
}

impl OwnAddress {
    /// `CommonPrefixLen` of RFC 6724 §2.2, which is of IPv6; IPv4 addresses are taken in their order.
    fn common_prefix_length(&self, destination: IpAddr) -> u32 {
        let (IpAddr::V6(own), IpAddr::V6(destination)) = (self.address, destination) else {
            return 0;
        };
        let different = u128::from(own) ^ u128::from(destination);
        different.leading_zeros().min(self.prefix_length.into())
    }
}

/// How far an address reaches, as numbered in RFC 4291 §2.7 (RFC 6724 §3.1, §3.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Scope(u16);

impl Scope {
    const LINK_LOCAL: Self = Self(0x2);
    const SITE_LOCAL: Self = Self(0x5);
    const GLOBAL: Self = Self(0xe);

    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) if address.is_link_local() || address.is_loopback() => {
                Self::LINK_LOCAL
            }
            IpAddr::V6(address) if address.is_multicast() => Self(address.segments()[0] & 0xf),
            IpAddr::V6(address) if address.is_unicast_link_local() || address.is_loopback() => {
                Self::LINK_LOCAL
            }
            IpAddr::V6(address) if SITE_LOCAL.contains(&address) => Self::SITE_LOCAL,
            _ => Self::GLOBAL,
        }
    }
}

/// Rule 2, less is better: the narrowest scope that reaches the destination; where none does, the widest.
fn scope_rank(own: IpAddr, destination: IpAddr) -> (bool, u16) {
    let (own, destination) = (Scope::of(own), Scope::of(destination));
    if own < destination {
        (true, Scope::GLOBAL.0 - own.0)
    } else {
        (false, own.0)
    }
}

const fn prefix(segments: [u16; 2], length: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(segments[0], segments[1], 0, 0, 0, 0, 0, 0);
    Ipv6Net::new_assert(address, length)
}

const SITE_LOCAL: Ipv6Net = prefix([0xfec0, 0], 10);

/// The labels of the default policy table (RFC 6724 §2.1), longest prefix first, but for that of IPv4.
const LABELS: [(Ipv6Net, u8); 8] = [
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), 0),
    (prefix([0, 0], 96), 3),
    (prefix([0x2001, 0], 32), 5),
    (prefix([0x2002, 0], 16), 2),
    (prefix([0x3ffe, 0], 16), 12),
    (SITE_LOCAL, 11),
    (prefix([0xfc00, 0], 7), 13),
    (prefix([0, 0], 0), 1),
];
const LABEL_OF_IPV4: u8 = 4;

fn label(address: IpAddr) -> u8 {
    let IpAddr::V6(address) = address else {
        return LABEL_OF_IPV4;
    };
    let mut matching = LABELS.iter().filter(|(net, _)| net.contains(&address));
    matching.next().map_or(1, |(_, label)| *label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> OwnAddress {
        let (address, marks) = text.split_once(' ').unwrap_or((text, ""));
        let mut own = OwnAddress::from(address.parse::<IpAddr>().unwrap());
        for mark in marks.split_terminator(' ') {
            match mark {
                "deprecated" => own.stage = Stage::Deprecated,
                "temporary" => own.kind = Kind::Temporary,
                length => own.prefix_length = length.parse().unwrap(),
            }
        }
        own
    }

    /// `(destination, candidates, which of them)`, in both orders.
    fn assert_selects(cases: &[(&str, [&str; 2], &str)]) {
        for (destination, candidates, expected) in cases {
            let mut candidates = candidates.map(own);
            let expected = own(expected).address;
            for _ in 0..2 {
                let selected = select(&candidates, destination.parse().unwrap());
                assert_eq!(selected, Some(expected), "{destination} {candidates:?}");
                candidates.reverse();
            }
        }
    }

    /// Covers: M-002. The facts of RFC 6724 §10.1, but for the home address (rule 4) and with the preference for
    /// public addresses (rule 7).
    #[test]
    fn the_examples_of_rfc_6724() {
        let stable = "2001:db8:1::2";
        let short_lived = "2001:db8:1::d5e3:7953:13eb:22e8 temporary";
        let six_to_four = "2002:c633:6401::d5e3:7953:13eb:22e8 temporary";
        assert_selects(&[
            (
                "2001:db8:1::1",
                ["2001:db8:3::1", "fe80::1"],
                "2001:db8:3::1",
            ),
            ("ff05::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
            (
                "2001:db8:1::1",
                ["2001:db8:1::1 deprecated", "2001:db8:2::1"],
                "2001:db8:1::1",
            ),
            (
                "fe80::1",
                ["fe80::2 deprecated", "2001:db8:1::1"],
                "fe80::2",
            ),
            ("2001:db8:1::1", [stable, "2001:db8:3::2"], stable),
            ("2002:c633:6401::1", [six_to_four, stable], six_to_four),
            ("2001:db8:1::d5e3:0:0:1", [stable, short_lived], stable),
        ]);
    }

    /// Covers: M-002
    #[test]
    fn what_is_deprecated_begins_nothing_new_while_another_address_reaches_as_far() {
        assert_selects(&[
            (
                "2001:db8:1::1",
                ["2001:db8:1::2 deprecated", "2001:db8:9::2"],
                "2001:db8:9::2",
            ),
            (
                "2001:db8:1::1",
                ["2001:db8:1::2 deprecated", "2001:db8:9::2 temporary"],
                "2001:db8:9::2",
            ),
            (
                "2001:db8:1::1",
                ["2001:db8:1::2 deprecated", "fe80::2"],
                "2001:db8:1::2",
            ),
        ]);
    }

    /// Covers: M-002
    #[test]
    fn a_unique_local_server_is_spoken_to_from_a_unique_local_address() {
        assert_selects(&[
            ("fd00:1::1", ["2001:db8:1::2", "fdff:9::2"], "fdff:9::2"),
            (
                "2001:db8:9::1",
                ["2001:db8:1::2", "fd00:1::2"],
                "2001:db8:1::2",
            ),
            (
                "fec0::1",
                ["2001:db8:1::2", "fec0:0:0:9::2"],
                "fec0:0:0:9::2",
            ),
            (
                "2001:0:1::1",
                ["2001:db8:1::2", "2001:0:9::2"],
                "2001:0:9::2",
            ),
        ]);
    }

    /// Covers: M-002. What is equal in the interface identifier says nothing of the way.
    #[test]
    fn a_common_prefix_ends_with_the_prefix_of_the_link() {
        let both = ["2001:db8:0:1::1 60", "2001:db8:0:2::1 60"].map(own);
        let towards = |destination: &str, own: &[OwnAddress]| {
            select(own, destination.parse().unwrap()).map(|address| address.to_string())
        };
        let first = Some("2001:db8:0:1::1".to_owned());
        assert_eq!(towards("2001:db8:0:2::7", &both), first);
        let longer = both.map(|own| OwnAddress {
            prefix_length: 64,
            ..own
        });
        assert_eq!(
            towards("2001:db8:0:2::7", &longer),
            Some("2001:db8:0:2::1".to_owned())
        );
    }

    /// Covers: M-002, M-011
    #[test]
    fn equals_are_taken_in_the_order_of_the_pvd_and_ipv4_without_a_look_at_prefixes() {
        let own = ["192.0.2.1", "203.0.113.1", "2001:db8:1::1", "2001:db8:1::2"].map(own);
        let towards = |destination: &str| select(&own, destination.parse().unwrap());
        assert_eq!(towards("203.0.113.7"), Some(own[0].address));
        assert_eq!(towards("2001:db8:9::7"), Some(own[2].address));
        assert_eq!(select(&own[2..], "203.0.113.7".parse().unwrap()), None);
    }

    /// Covers: M-002
    #[test]
    fn an_ipv4_address_of_the_link_alone_is_the_last_choice() {
        assert_selects(&[
            ("198.51.100.1", ["169.254.7.7", "10.0.0.2"], "10.0.0.2"),
            ("169.254.0.1", ["169.254.7.7", "10.0.0.2"], "169.254.7.7"),
        ]);
    }
}
