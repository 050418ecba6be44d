//! The names of all objects in the table. They come from a [`FilterId`] or a prefix and from
//! nothing else.

use std::fmt::Write;

use ipnet::IpNet;

use crate::FilterId;

/// The one chain that the kernel calls.
pub(super) const BASE_CHAIN: &str = "prerouting";

const FILTER_CHAIN: &str = "f_";
const COUNTER: &str = "c_";

/// The two address families of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Family; 2] = [Family::V4, Family::V6];

    pub(super) fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// nft's type of an address.
    pub(super) fn address_type(self) -> &'static str {
        match self {
            Family::V4 => "ipv4_addr",
            Family::V6 => "ipv6_addr",
        }
    }

    /// nft's name of the family.
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }

    /// nft's expression for the destination of a packet.
    pub(super) fn destination(self) -> &'static str {
        match self {
            Family::V4 => "ip daddr",
            Family::V6 => "ip6 daddr",
        }
    }

    /// nft's expression for the source of a packet, as [`LimitPerSource`](super::LimitPerSource)
    /// understands it.
    pub(super) fn source(self) -> &'static str {
        match self {
            Family::V4 => "ip saddr",
            Family::V6 => "ip6 saddr & ffff:ffff:ffff:ffff::",
        }
    }

    /// From the pieces of a band to their groups.
    pub(super) fn dispatch_map(self, band: usize) -> String {
        let name = match self {
            Family::V4 => "dispatch4",
            Family::V6 => "dispatch6",
        };
        match band {
            0 => name.to_owned(),
            deeper => format!("{name}_{deeper}"),
        }
    }

    /// The sources of the filter, with the rate of each.
    pub(super) fn rates(self, id: &FilterId) -> String {
        match self {
            Family::V4 => format!("r4_{id}"),
            Family::V6 => format!("r6_{id}"),
        }
    }

    /// The sources of the filter that are blocked.
    pub(super) fn offenders(self, id: &FilterId) -> String {
        match self {
            Family::V4 => format!("o4_{id}"),
            Family::V6 => format!("o6_{id}"),
        }
    }
}

/// The rules of a filter.
pub(super) fn filter_chain(id: &FilterId) -> String {
    format!("{FILTER_CHAIN}{id}")
}

/// What a filter has dropped.
pub(super) fn counter(id: &FilterId) -> String {
    format!("{COUNTER}{id}")
}

/// The jumps behind a prefix.
pub(super) fn group_chain(prefix: &IpNet) -> String {
    let (mut name, octets) = match prefix {
        IpNet::V4(prefix) => ("g4_".to_owned(), prefix.network().octets().to_vec()),
        IpNet::V6(prefix) => ("g6_".to_owned(), prefix.network().octets().to_vec()),
    };
    for octet in octets {
        // Writing to a String cannot fail.
        let _ = write!(name, "{octet:02x}");
    }
    let _ = write!(name, "_{}", prefix.prefix_len());
    name
}

pub(super) fn filter_of_chain(name: &str) -> Option<FilterId> {
    name.strip_prefix(FILTER_CHAIN)?.parse().ok()
}

pub(super) fn filter_of_counter(name: &str) -> Option<FilterId> {
    name.strip_prefix(COUNTER)?.parse().ok()
}
