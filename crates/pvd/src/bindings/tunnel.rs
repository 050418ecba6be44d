//! A tunnel, as whoever made it tells of it; in the words of no program, so that any VPN can.
//!
//! One IKEv2 connection may be told of in parts, one for each pair of traffic selectors; the parts of one PvD are
//! [joined](Tunnel::join).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::identifier::PvdId;
use crate::name::DomainName;

/// Entries of each list.
pub const MAX_ENTRIES: usize = 32;

/// What is told of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelFacts {
    /// The name that the peer has proved to have; the PvD is called by it.
    pub pvd: PvdId,
    /// Between which addresses its packets go outside.
    pub ends: Vec<Ends>,
    /// This node's addresses inside.
    pub addresses: Vec<IpAddr>,
    /// From which addresses packets go into it, this node's inner ones if empty (TSi, RFC 7296 §2.9).
    pub sources: Vec<IpNet>,
    /// What is reached through it (TSr).
    pub reaches: Vec<IpNet>,
    /// Its resolvers, in their order.
    pub resolvers: Vec<IpAddr>,
    /// The domains in which it looks up short names, in their order.
    pub search: Vec<DomainName>,
}

/// The outer addresses of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    /// This node's.
    pub own: IpAddr,
    /// Its peer's.
    pub gateway: IpAddr,
}

/// A tunnel that can be a PvD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel(TunnelFacts);

/// Why it cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Some of a list are needed.
    #[error("it has no {0}, and a PvD needs some")]
    None(&'static str),
    /// Longer than [`MAX_ENTRIES`].
    #[error("it has more than {MAX_ENTRIES} {0}")]
    TooMany(&'static str),
    /// Loopback, link-local, multicast or none at all.
    #[error("{address} can be none of its {list}")]
    Address {
        /// What it should be.
        list: &'static str,
        /// It.
        address: IpAddr,
    },
    /// IPv4 at one end and IPv6 at the other.
    #[error("it cannot lead from {} to {}", .0.own, .0.gateway)]
    Ends(Ends),
}

impl Tunnel {
    /// Reads what is told of a tunnel. Bits behind the length of a prefix do not count.
    ///
    /// # Errors
    /// [`Unusable`]
    pub fn new(facts: TunnelFacts) -> Result<Self, Unusable> {
        let mut facts = facts;
        for ends in &facts.ends {
            let is_sound = |ip: IpAddr| !ip.is_unspecified() && !ip.is_multicast();
            let is_alike = ends.own.is_ipv4() == ends.gateway.is_ipv4();
            if !is_alike || !is_sound(ends.own) || !is_sound(ends.gateway) {
                return Err(Unusable::Ends(*ends));
            }
        }
        all_of_one_node("addresses", &facts.addresses)?;
        all_of_one_node("resolvers", &facts.resolvers)?;
        if facts.sources.is_empty() {
            facts.sources = facts.addresses.iter().copied().map(IpNet::from).collect();
        }
        for prefixes in [&mut facts.sources, &mut facts.reaches] {
            for prefix in &mut *prefixes {
                *prefix = prefix.trunc();
            }
            no_twice(prefixes);
        }
        no_twice(&mut facts.ends);
        no_twice(&mut facts.addresses);
        no_twice(&mut facts.resolvers);
        no_twice(&mut facts.search);
        for (list, length, is_needed) in [
            ("ends", facts.ends.len(), true),
            ("addresses", facts.addresses.len(), true),
            ("sources", facts.sources.len(), true),
            ("prefixes", facts.reaches.len(), true),
            ("resolvers", facts.resolvers.len(), false),
            ("search domains", facts.search.len(), false),
        ] {
            match length {
                0 if is_needed => return Err(Unusable::None(list)),
                0..=MAX_ENTRIES => {}
                _ => return Err(Unusable::TooMany(list)),
            }
        }
        Ok(Self(facts))
    }

    /// What is told of it.
    pub fn facts(&self) -> &TunnelFacts {
        &self.0
    }

    /// Whether it is the same part of a connection, whatever else is told of that.
    pub fn is_same_part(&self, other: &Self) -> bool {
        let part = |it: &Self| {
            let TunnelFacts {
                pvd,
                addresses,
                sources,
                reaches,
                ..
            } = it.0.clone();
            (pvd, addresses, sources, reaches)
        };
        part(self) == part(other)
    }

    /// With what another part brings to the same PvD.
    ///
    /// # Errors
    /// [`Unusable`], because it is too much.
    pub fn join(&self, other: &Self) -> Result<Self, Unusable> {
        let mut facts = self.0.clone();
        let more = other.0.clone();
        facts.ends.extend(more.ends);
        facts.addresses.extend(more.addresses);
        facts.sources.extend(more.sources);
        facts.reaches.extend(more.reaches);
        facts.resolvers.extend(more.resolvers);
        facts.search.extend(more.search);
        Self::new(facts)
    }
}

fn all_of_one_node(list: &'static str, addresses: &[IpAddr]) -> Result<(), Unusable> {
    let is_of_none = |address: &IpAddr| {
        let address = address.to_canonical();
        let is_of_link = match address {
            IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        is_of_link || address.is_loopback() || address.is_unspecified() || address.is_multicast()
    };
    match addresses.iter().copied().find(is_of_none) {
        Some(address) => Err(Unusable::Address { list, address }),
        None => Ok(()),
    }
}

/// Keeps the first of equal ones.
fn no_twice<T: PartialEq + Clone>(list: &mut Vec<T>) {
    let mut kept: Vec<T> = Vec::new();
    for one in list.drain(..) {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    *list = kept;
}
