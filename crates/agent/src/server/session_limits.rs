//! How many sessions the network may make a server hold (RFC 9132 §11).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// How many sessions the network may make a server hold. A source is an IPv4 address or an IPv6
/// prefix of 64 bits, of which one host may take all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// In all.
    pub sessions: usize,
    /// With one source.
    pub sessions_per_source: usize,
    /// In their handshake. One more takes the place of the oldest.
    pub handshakes: usize,
    /// In their handshake with one source.
    pub handshakes_per_source: usize,
}

impl SessionLimits {
    /// Enough for the clients behind one address, and few enough to leave room for others.
    pub const HANDSHAKES_PER_SOURCE: usize = 16;
}

/// The server holds as many sessions as it may: in all, with this source, or in their handshake
/// with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more sessions from {source_address}: the limit is {limit}")]
pub struct TooManySessions {
    /// The address that wanted one more.
    pub source_address: IpAddr,
    /// The limit that was met.
    pub limit: usize,
}

/// What one source has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) sessions: usize,
    pub(super) handshakes: usize,
}

/// What each source has, by its address without what it can choose.
#[derive(Debug, Default)]
pub(super) struct Shares(BTreeMap<IpAddr, Share>);

impl Shares {
    pub(super) fn of(&self, address: IpAddr) -> Share {
        self.0.get(&source(address)).copied().unwrap_or_default()
    }

    /// Changes what the source of an address has.
    pub(super) fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Share)) {
        let share = self.0.entry(source(address)).or_default();
        change(share);
        if *share == Share::default() {
            self.0.remove(&source(address));
        }
    }
}

/// Whether two addresses count as one source.
pub(super) fn is_same_source(one: IpAddr, other: IpAddr) -> bool {
    source(one) == source(other)
}

fn source(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !(u64::MAX as u128);
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address => address,
    }
}
