//! PvDs that tunnels brought: there as long as somebody says so, with what [`super::tunnel`] leaves of what is said.

use std::net::IpAddr;
use std::time::Instant;

use ipnet::Ipv6Net;

use super::attachment::Attachment;
use super::domain::{Domain, Prefix};
use super::held::Held;
use super::identity::Identity;
use super::order::Now;
use super::tunnel::Standing;
use crate::bindings::router_advertisement::{Announced, Delay, Lifetime};
use crate::bindings::tunnel::Tunnel;
use crate::identifier::PvdId;

/// The tunnel that a PvD came by.
#[derive(Debug)]
pub(super) struct TunnelState {
    pub(super) told: Tunnel,
    /// Tunnels that came before.
    pub(super) number: u64,
    pub(super) standing: Standing,
}

impl Attachment {
    /// A tunnel is there, or is another one than before. Nothing announces additional information in it; it is asked for once, as if
    /// something did.
    pub(super) fn take_tunnel(
        &mut self,
        told: Tunnel,
        number: u64,
        shelved: u64,
        random: &mut fastrand::Rng,
        now: Now,
    ) {
        let identity = Identity::Explicit(told.facts().pvd.clone());
        let known = self.domains.remove(&identity);
        // What was advertised under its name is by somebody else (RFC 7556 §7.1).
        let known = known.filter(|domain| domain.tunnel.is_some());
        let mut domain = known.unwrap_or_else(|| {
            self.budget.forget(&told.facts().pvd);
            Domain::new(now.instant)
        });
        let number = domain.tunnel.map_or(number, |tunnel| tunnel.number);
        domain.tunnel = Some(TunnelState {
            told,
            number,
            standing: Standing::default(),
        });
        let announced = Announced {
            delay: Delay::default(),
            sequence_number: 0,
        };
        let information = &mut domain.information;
        information.announce(Some(announced), shelved, random, now);
        self.domains.insert(identity, domain);
        self.associate();
    }

    /// A tunnel is there no more; whether it was.
    pub(super) fn end_tunnel(&mut self, id: &PvdId) -> bool {
        let identity = Identity::Explicit(id.clone());
        let known = self.domains.get(&identity);
        let was_there = known.is_some_and(|domain| domain.tunnel.is_some());
        if was_there {
            self.domains.remove(&identity);
            self.associate();
        }
        was_there
    }
}

impl Domain {
    /// Takes of its tunnel what may be used, and says whether something is different.
    pub(super) fn use_tunnel(&mut self, standing: Standing, most: usize, now: Instant) -> bool {
        let Some(tunnel) = self.tunnel.as_mut().filter(|it| it.standing != standing) else {
            return false;
        };
        self.resolvers = Held::default();
        self.search = Held::default();
        self.prefixes = Held::default();
        let facts = tunnel.told.facts();
        let is_reached = |resolver: &&IpAddr| {
            let mut reaches = standing.reaches.iter();
            reaches.any(|prefix| prefix.contains(*resolver))
        };
        if standing.refusal.is_none() {
            let forever = Lifetime::Infinite;
            for resolver in facts.resolvers.iter().filter(is_reached) {
                self.resolvers.renew(*resolver, (), forever, now, most);
            }
            for name in &facts.search {
                self.search.renew(name.clone(), (), forever, now, most);
            }
            for address in &facts.addresses {
                let IpAddr::V6(address) = address else {
                    continue;
                };
                let prefix = Prefix {
                    is_on_link: false,
                    is_autonomous: false,
                    preferred: None,
                    heard: 0,
                };
                let key = Ipv6Net::from(*address);
                self.prefixes.renew(key, prefix, forever, now, most);
            }
        }
        tunnel.standing = standing;
        true
    }
}
