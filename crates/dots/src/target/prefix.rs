//! `target-prefix` (RFC 9132 §4.4.1.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use super::TargetError;
use crate::decimal;
use crate::identifiers::serde_as_text;

/// A prefix that can be under attack: no loopback, multicast or broadcast address is in it.
///
/// Host bits are cleared, so equal prefixes are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPrefix(IpNet);

const REFUSED: [(IpNet, TargetError); 6] = [
    (
        net(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        TargetError::Loopback,
    ),
    (
        net(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
        TargetError::Multicast,
    ),
    (
        net(IpAddr::V4(Ipv4Addr::BROADCAST), 32),
        TargetError::Broadcast,
    ),
    (
        net(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        TargetError::Loopback,
    ),
    (
        net(IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
        TargetError::Multicast,
    ),
    (
        net(IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), 96),
        TargetError::Ipv4Mapped,
    ),
];

const fn net(address: IpAddr, length: u8) -> IpNet {
    IpNet::new_assert(address, length)
}

impl TargetPrefix {
    /// The prefix as a network.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Whether every address of `other` is in this prefix.
    pub fn contains(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(self.0, other.0)
    }
}

/// Prefixes are either nested or disjoint.
fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

impl TryFrom<IpNet> for TargetPrefix {
    type Error = TargetError;

    fn try_from(net: IpNet) -> Result<Self, TargetError> {
        match REFUSED.iter().find(|(refused, _)| overlap(net, *refused)) {
            Some((_, reason)) => Err(*reason),
            None => Ok(Self(net.trunc())),
        }
    }
}

impl TryFrom<IpAddr> for TargetPrefix {
    type Error = TargetError;

    fn try_from(address: IpAddr) -> Result<Self, TargetError> {
        Self::try_from(IpNet::from(address))
    }
}

impl From<TargetPrefix> for IpNet {
    fn from(prefix: TargetPrefix) -> Self {
        prefix.0
    }
}

/// A prefix, or an address, which stands for itself alone.
impl FromStr for TargetPrefix {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let host = IpNet::from(
            address
                .parse::<IpAddr>()
                .map_err(|_| TargetError::NotAPrefix)?,
        );
        let Some(length) = length else {
            return Self::try_from(host);
        };
        let limit = host.max_prefix_len();
        let net = decimal::parse(length).and_then(|length| IpNet::new(host.addr(), length).ok());
        Self::try_from(net.ok_or(TargetError::PrefixLength { limit })?)
    }
}

impl fmt::Display for TargetPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(TargetPrefix);
