//! What DHCP says of a peer DOTS agent, and what may be made of it (RFC 8973 §5.1.3, §5.2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pvd::HostName;

/// How many addresses of an option are used; the first ones are those that the network prefers.
pub const MOST_ADDRESSES: usize = 16;

/// The peer DOTS agent that a DHCP server names. Whether its name is resolved is not the reader's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAgent {
    /// A name and addresses: the name must not be resolved, and the certificate must be for it.
    Addressed {
        /// The reference identifier.
        name: HostName,
        /// Where the agent is, at least one address, in order of preference.
        addresses: Vec<IpAddr>,
    },
    /// A name alone: it is resolved, and the certificate must be for it.
    Named(HostName),
    /// Addresses alone, at least one, in order of preference: the certificate must be for the address that is used.
    Anonymous(Vec<IpAddr>),
}

impl PeerAgent {
    /// What two options say together; `None` if nothing that can be used.
    pub(crate) fn new(name: Option<HostName>, addresses: Vec<IpAddr>) -> Option<Self> {
        match (name, addresses.is_empty()) {
            (Some(name), false) => Some(Self::Addressed { name, addresses }),
            (Some(name), true) => Some(Self::Named(name)),
            (None, false) => Some(Self::Anonymous(addresses)),
            (None, true) => None,
        }
    }
}

/// What the certificate of a discovered agent must be for (RFC 6125 §1.8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceIdentifier {
    /// A DNS-ID.
    Name(HostName),
    /// An address, where DHCP gave addresses alone.
    Address(IpAddr),
}

impl fmt::Display for ReferenceIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(formatter),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

impl fmt::Debug for ReferenceIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The addresses of OPTION_V6_DOTS_ADDRESS that an agent can be at; an IPv4-mapped one is the IPv4 address (RFC 8973 §5.1.2).
pub(crate) fn usable_ipv6(addresses: impl Iterator<Item = Ipv6Addr>) -> Vec<IpAddr> {
    usable(addresses.map(|address| match address.to_ipv4_mapped() {
        Some(mapped) => IpAddr::V4(mapped),
        None => IpAddr::V6(address),
    }))
}

/// The addresses of OPTION_V4_DOTS_ADDRESS that an agent can be at.
pub(crate) fn usable_ipv4(addresses: impl Iterator<Item = Ipv4Addr>) -> Vec<IpAddr> {
    usable(addresses.map(IpAddr::V4))
}

/// The addresses of A or AAAA records that an agent can be at. An IPv4-mapped one belongs to no network.
pub(crate) fn usable_records(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    usable(addresses.filter(|address| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_none(),
    }))
}

/// Without multicast and loopback, which RFC 8973 §5 has dropped in silence, and without addresses that are nobody's.
fn usable(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut kept = Vec::new();
    for address in addresses {
        let nobody = address.is_unspecified() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
        let dropped = nobody || address.is_multicast() || address.is_loopback();
        if !dropped && !kept.contains(&address) && kept.len() < MOST_ADDRESSES {
            kept.push(address);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Covers: Y-005, Y-007
    #[test]
    fn multicast_and_loopback_are_dropped_and_link_local_is_kept() {
        let option = [
            "::1",
            "2001:db8::1",
            "ff02::1",
            "fe80::1",
            "::",
            "::ffff:192.0.2.1",
            "::ffff:127.0.0.1",
            "::ffff:224.0.0.1",
            "2001:db8::1",
        ];
        let option = option.map(|text| text.parse().unwrap());
        let kept = addresses(&["2001:db8::1", "fe80::1", "192.0.2.1"]);
        assert_eq!(usable_ipv6(option.into_iter()), kept);

        let option = [
            "127.0.0.1",
            "192.0.2.1",
            "239.1.1.1",
            "169.254.0.1",
            "0.0.0.0",
            "255.255.255.255",
        ];
        let option = option.map(|text| text.parse().unwrap());
        let kept = addresses(&["192.0.2.1", "169.254.0.1"]);
        assert_eq!(usable_ipv4(option.into_iter()), kept);
    }

    #[test]
    fn no_more_addresses_are_kept_than_the_limit() {
        let many = (0..1000).map(|number| Ipv6Addr::from(0x2001_0db8_u128 << 96 | number));
        assert_eq!(usable_ipv6(many).len(), MOST_ADDRESSES);
    }

    /// Covers: Y-008
    #[test]
    fn a_name_beside_addresses_is_not_there_to_be_resolved() {
        let name: HostName = "dots.example".parse().unwrap();
        let at = addresses(&["192.0.2.1"]);
        let both = PeerAgent::new(Some(name.clone()), at.clone());
        let expected = PeerAgent::Addressed {
            name: name.clone(),
            addresses: at.clone(),
        };
        assert_eq!(both, Some(expected));
        assert_eq!(
            PeerAgent::new(Some(name.clone()), vec![]),
            Some(PeerAgent::Named(name))
        );
        assert_eq!(
            PeerAgent::new(None, at.clone()),
            Some(PeerAgent::Anonymous(at))
        );
        assert_eq!(PeerAgent::new(None, vec![]), None);
    }
}
