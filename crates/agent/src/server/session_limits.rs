//! How many sessions the network may make a server hold (RFC 9132 §11).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::SessionId;

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
    /// In their handshake with one source. One more takes the place of the oldest of that source.
    pub handshakes_per_source: usize,
}

impl SessionLimits {
    /// Enough for the clients behind one address, and few enough to leave room for others.
    pub const HANDSHAKES_PER_SOURCE: usize = 16;
}

/// The server holds as many sessions as it may: in all, or with this source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more sessions from {source_address}: the limit is {limit}")]
pub struct TooManySessions {
    /// The address that wanted one more.
    pub source_address: IpAddr,
    /// The limit that was met.
    pub limit: usize,
}

/// What one source has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) sessions: usize,
    /// In the order in which they began.
    pub(super) handshakes: BTreeSet<SessionId>,
}

/// What each source has, by its address without what it can choose.
#[derive(Debug, Default)]
pub(super) struct Shares(BTreeMap<IpAddr, Share>);

impl Shares {
    /// How many sessions the source of an address has.
    pub(super) fn sessions(&self, address: IpAddr) -> usize {
        self.0
            .get(&source(address))
            .map_or(0, |share| share.sessions)
    }

    /// The oldest handshake of the source of an address, if it has as many as it may.
    pub(super) fn giving_way(&self, address: IpAddr, limits: &SessionLimits) -> Option<SessionId> {
        let handshakes = &self.0.get(&source(address))?.handshakes;
        let is_full = handshakes.len() >= limits.handshakes_per_source;
        handshakes.first().copied().filter(|_| is_full)
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
