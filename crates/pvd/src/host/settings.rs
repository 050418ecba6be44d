//! What the administrator of a host decides, and how much it takes from the network.

use std::collections::BTreeSet;

use crate::evidence::TrustPolicy;
use crate::identifier::PvdId;

/// How a host behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whose additional information is asked for.
    pub fetching: Fetching,
    /// What evidence is enough for what.
    pub trust: TrustPolicy,
    /// How much is taken.
    pub limits: HostLimits,
}

/// Whose additional information is asked for: all that is announced, or none, so that nobody learns by advertising names
/// which ones this node knows (RFC 8801 §7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fetching {
    /// Of nobody.
    Nobody,
    /// Of every PvD that announces some.
    #[default]
    Everybody,
    /// Of these names and those below them. Whoever advertises names can find out which.
    Named(BTreeSet<PvdId>),
}

impl Fetching {
    /// Whether the PvD is asked.
    pub fn permits(&self, id: &PvdId) -> bool {
        let is_within = |domain: &PvdId| {
            let rest = id.as_str().strip_suffix(domain.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Named(names) => names.iter().any(is_within),
        }
    }
}

/// How much a host takes from a network, so that nobody on the link can fill its memory (RFC 8801 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// PvDs on one interface, implicit and explicit ones together.
    pub domains: usize,
    /// Routers that speak for one PvD.
    pub routers: usize,
    /// Objects of one kind in one PvD: prefixes, routes, resolvers, search domains, NAT64 prefixes.
    pub objects: usize,
    /// Orders to fetch that are under way at one time, on all interfaces.
    pub fetches: usize,
    /// How often in a row a server that cannot be reached is tried, before its PvD is given up.
    pub attempts: u32,
    /// PvDs remembered while an interface has no room for them, to know which are advertised again; 8 octets each.
    pub strangers: usize,
    /// PvDs of which signed objects are kept that the administrator gave; and so many of which servers gave them.
    pub shelf: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            domains: 32,
            routers: 8,
            objects: 16,
            fetches: 5,
            attempts: 8,
            strangers: 65_536,
            shelf: 64,
        }
    }
}
