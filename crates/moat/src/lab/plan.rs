//! What everything in the lab is called, and where it is: nodes, addresses and ports that topology, edges, agents and traffic
//! have to agree on. What differs between providers is in [`super::scenario`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where attacks go and visitors too (UDP): the filter must tell them apart by something else.
pub(crate) const TARGET_PORT: u16 = 5353;

/// The DOTS signal channel (RFC 9132 §3).
pub(crate) const DOTS_PORT: u16 = 4646;

/// The switch to which a site's routers and hosts are connected.
pub(crate) const LAN: &str = "lan";
/// The host under attack, behind the site's routers.
pub(crate) const VICTIM: &str = "victim";
/// Where floods come from.
pub(crate) const ATTACKER: &str = "attacker";
/// Where legitimate requests come from.
pub(crate) const VISITOR: &str = "visitor";
/// The core router.
pub(crate) const INTERNET: &str = "internet";

/// Number of a router on its uplink, in what that provider assigned.
pub(crate) const ON_UPLINK: u8 = 1;
/// Number of a site's first router on the LAN; the second has the next.
pub(crate) const ON_LAN: u8 = 2;
/// Number of the victim.
pub(crate) const VICTIM_NUMBER: u8 = 7;

/// Where the attacker's addresses are from.
pub(crate) const ATTACKER_NETS: Nets = Nets {
    v4: Net::v4([192, 0, 2, 0], 26),
    v6: Net::v6([0x2001, 0xdb8, 0xbad, 0], 48),
};
/// Where the visitor's addresses are from.
pub(crate) const VISITOR_NETS: Nets = Nets {
    v4: Net::v4([192, 0, 2, 128], 25),
    v6: Net::v6([0x2001, 0xdb8, 0xcafe, 0], 48),
};
/// The site's own addresses, where it has some: provider-independent ones (RFC 9284 §4.2).
pub(crate) const OWN_NETS: Nets = Nets {
    v4: Net::v4([192, 0, 2, 64], 28),
    v6: Net::v6([0x2001, 0xdb8, 0x50, 0x100], 56),
};

/// Numbers of the attacker's and the visitor's sources in their nets. Packets from the first to the site's own addresses come
/// over the first provider, those from the second over the second.
pub(crate) const SOURCES: [u8; 2] = [11, 12];

/// A version of the Internet Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// Both, in the order of all pairs of addresses in the lab.
pub(crate) const VERSIONS: [Version; 2] = [Version::V4, Version::V6];

/// A network. Written as a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Net {
    base: IpAddr,
    length: u8,
}

impl Net {
    /// `base` has no bits beyond `length`.
    pub(crate) const fn v4(base: [u8; 4], length: u8) -> Self {
        let [a, b, c, d] = base;
        Net {
            base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            length,
        }
    }

    /// `base`: the first 64 bits, without any beyond `length`.
    pub(crate) const fn v6(base: [u16; 4], length: u8) -> Self {
        let [a, b, c, d] = base;
        Net {
            base: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
            length,
        }
    }

    /// The address with this number; there are at least 16.
    pub(crate) fn host(self, number: u8) -> IpAddr {
        match self.base {
            IpAddr::V4(base) => Ipv4Addr::from_bits(base.to_bits() | u32::from(number)).into(),
            IpAddr::V6(base) => Ipv6Addr::from_bits(base.to_bits() | u128::from(number)).into(),
        }
    }

    /// The last link of an IPv6 network, a /64 apart from that of its first addresses.
    pub(crate) fn last_link(self) -> Net {
        let host_bits = 64 - self.length.min(64);
        let links = 1_u128.checked_shl(host_bits.into()).unwrap_or(1) - 1;
        match self.base {
            IpAddr::V4(_) => self,
            IpAddr::V6(base) => Net {
                base: IpAddr::V6(Ipv6Addr::from_bits(base.to_bits() | links << 64)),
                length: self.length.max(64),
            },
        }
    }

    /// An address in it on a link, as `ip addr add` takes it: the link of an IPv6 network is its first /64.
    pub(crate) fn on_link(self, number: u8) -> String {
        let length = match self.base {
            IpAddr::V4(_) => self.length,
            IpAddr::V6(_) => self.length.max(64),
        };
        format!("{}/{length}", self.host(number))
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

/// A network in each address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nets {
    pub(crate) v4: Net,
    pub(crate) v6: Net,
}

impl Nets {
    /// The end of a router's address on an uplink, where only the beginning is advertised: [`ON_UPLINK`].
    pub(crate) const TOKEN: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, ON_UPLINK as u16);

    /// The network of this version.
    pub(crate) fn of(&self, version: Version) -> Net {
        match version {
            Version::V4 => self.v4,
            Version::V6 => self.v6,
        }
    }

    /// The addresses with this number.
    pub(crate) fn hosts(&self, number: u8) -> [IpAddr; 2] {
        VERSIONS.map(|version| self.of(version).host(number))
    }

    /// Those of these versions.
    pub(crate) fn hosts_of(&self, versions: &[Version], number: u8) -> Vec<IpAddr> {
        let hosts = versions
            .iter()
            .map(|version| self.of(*version).host(number));
        hosts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_a_net_has_its_number_in_the_last_bits() {
        let [v4, v6] = OWN_NETS.hosts(VICTIM_NUMBER);
        assert_eq!(v4.to_string(), "192.0.2.71");
        assert_eq!(v6.to_string(), "2001:db8:50:100::7");
        assert_eq!(OWN_NETS.v6.on_link(2), "2001:db8:50:100::2/64");
        assert_eq!(OWN_NETS.v4.to_string(), "192.0.2.64/28");
        assert_eq!(OWN_NETS.v6.last_link().to_string(), "2001:db8:50:1ff::/64");
    }
}
