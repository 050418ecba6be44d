//! One PvD on one interface: what Router Advertisements brought, each object for its lifetime (RFC 8801 §3.4), or what a tunnel
//! brought, as long as that is there.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;

use super::dhcp::{Lease, Leased};
use super::held::{Held, Until, earliest, until};
use super::identity::Identity;
use super::information::{Information, Obtained};
use super::next_hops::NextHops;
use super::order::Now;
use super::settings::HostLimits;
use super::shelf::Shelf;
use super::tunnelled::TunnelState;
use super::view::Lasting;
use super::view::Origin;
use crate::bindings::router_advertisement::{
    Lifetime, NdOption, Preference, PrefixInformation, RouterAdvertisement,
};
use crate::information::AdditionalInformation;
use crate::name::DomainName;

/// How long flags count that no object comes with: three times as long as routers may wait between advertisements
/// (RFC 4861 §6.2.1).
const FLAGS_LIFETIME: Lifetime = Lifetime::Seconds(3 * 1800);

/// Advertisements within this time are one, where it counts how often somebody was heard.
pub(super) const AGAIN: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct Domain {
    pub(super) first_heard: Instant,
    pub(super) last_heard: Instant,
    pub(super) routers: Held<Ipv6Addr, Preference>,
    pub(super) prefixes: Held<Ipv6Net, Prefix>,
    pub(super) routes: Held<(Ipv6Net, Ipv6Addr), Preference>,
    pub(super) resolvers: Held<IpAddr, ()>,
    pub(super) search: Held<DomainName, ()>,
    pub(super) nat64: Held<Ipv6Net, ()>,
    pub(super) mtu: Option<u32>,
    pub(super) information: Information,
    /// The tunnel that brought it; then no advertisement does.
    pub(super) tunnel: Option<TunnelState>,
    /// What DHCP brought for it.
    pub(super) leased: Vec<Leased>,
    flags: Held<Ipv6Addr, Flags>,
}

/// A prefix as it was last advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) is_on_link: bool,
    pub(super) is_autonomous: bool,
    pub(super) preferred: Until,
    /// The number of the Router Advertisement, on its interface.
    pub(super) heard: u64,
}

/// What says to whom DHCP's data belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) is_managed: bool,
    pub(super) has_other: bool,
    pub(super) has_legacy: bool,
}

/// A Router Advertisement that was received.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) source: Ipv6Addr,
    pub(super) advertisement: &'a RouterAdvertisement,
    /// Its number on this interface.
    pub(super) number: u64,
}

impl Domain {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            first_heard: now,
            last_heard: now,
            routers: Held::default(),
            prefixes: Held::default(),
            routes: Held::default(),
            resolvers: Held::default(),
            search: Held::default(),
            nat64: Held::default(),
            mtu: None,
            information: Information::default(),
            tunnel: None,
            leased: Vec::new(),
            flags: Held::default(),
        }
    }

    /// Whether something is different now, other than when it ends.
    pub(super) fn take(&mut self, heard: Heard<'_>, limits: &HostLimits, now: Instant) -> bool {
        let Heard {
            source,
            advertisement,
            number,
        } = heard;
        self.last_heard = now;
        let header = advertisement.header();
        let lifetime = Lifetime::Seconds(header.router_lifetime.into());
        let routers = &mut self.routers;
        let mut is_different =
            routers.renew(source, header.preference, lifetime, now, limits.routers);
        let flags = Flags {
            is_managed: header.is_managed,
            has_other: header.has_other_configuration,
            has_legacy: advertisement.pvd.as_ref().is_some_and(|pvd| pvd.has_legacy),
        };
        let lifetime = match flags == Flags::default() {
            true => Lifetime::Seconds(0),
            false => FLAGS_LIFETIME,
        };
        is_different |= self
            .flags
            .renew(source, flags, lifetime, now, limits.routers);
        for option in advertisement.options() {
            is_different |= self.take_option(option, source, number, limits.objects, now);
        }
        is_different
    }

    fn take_option(
        &mut self,
        option: &NdOption,
        source: Ipv6Addr,
        number: u64,
        most: usize,
        now: Instant,
    ) -> bool {
        match option {
            NdOption::PrefixInformation(prefix) => self.take_prefix(prefix, number, most, now),
            NdOption::RouteInformation(route) => {
                let key = (route.prefix, source);
                self.routes
                    .renew(key, route.preference, route.lifetime, now, most)
            }
            NdOption::RecursiveDnsServers {
                lifetime,
                addresses,
            } => {
                let resolvers = &mut self.resolvers;
                let renewed = addresses
                    .iter()
                    .map(|address| resolvers.renew((*address).into(), (), *lifetime, now, most));
                renewed.fold(false, |all, one| all | one)
            }
            NdOption::DnsSearchList { lifetime, domains } => {
                let search = &mut self.search;
                let renewed = domains
                    .iter()
                    .map(|domain| search.renew(domain.clone(), (), *lifetime, now, most));
                renewed.fold(false, |all, one| all | one)
            }
            NdOption::Pref64 { lifetime, prefix } => {
                let lifetime = Lifetime::Seconds((*lifetime).into());
                self.nat64.renew(*prefix, (), lifetime, now, most)
            }
            NdOption::Mtu(octets) => self.mtu.replace(*octets) != Some(*octets),
            NdOption::Other { .. } => false,
        }
    }

    fn take_prefix(
        &mut self,
        it: &PrefixInformation,
        number: u64,
        most: usize,
        now: Instant,
    ) -> bool {
        // RFC 4861 §4.6.2: hosts take no notice of the link-local prefix.
        if it.prefix.network().is_unicast_link_local() {
            return false;
        }
        let before = self.kind_of(it.prefix);
        let prefix = Prefix {
            is_on_link: it.is_on_link,
            is_autonomous: it.is_autonomous,
            preferred: until(it.preferred, now),
            heard: number,
        };
        self.prefixes.renew(it.prefix, prefix, it.valid, now, most);
        self.kind_of(it.prefix) != before
    }

    /// What of a prefix is the same in each advertisement: whether it is on the link, and autonomous.
    fn kind_of(&self, prefix: Ipv6Net) -> Option<(bool, bool)> {
        let mut prefixes = self.prefixes.iter();
        let entry = prefixes.find(|entry| entry.key == prefix)?;
        Some((entry.value.is_on_link, entry.value.is_autonomous))
    }

    /// Lets go what is over, and says whether something was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let expired = [
            self.routers.expire(now),
            self.prefixes.expire(now),
            self.routes.expire(now),
            self.resolvers.expire(now),
            self.search.expire(now),
            self.nat64.expire(now),
            self.flags.expire(now),
        ];
        expired.contains(&true)
    }

    /// Whether nothing of it is left.
    pub(super) fn is_empty(&self) -> bool {
        self.routers.is_empty()
            && self.prefixes.is_empty()
            && self.routes.is_empty()
            && self.resolvers.is_empty()
            && self.search.is_empty()
            && self.nat64.is_empty()
            && self.flags.is_empty()
            && self.tunnel.is_none()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([
            self.routers.poll_timeout(),
            self.prefixes.poll_timeout(),
            self.routes.poll_timeout(),
            self.resolvers.poll_timeout(),
            self.search.poll_timeout(),
            self.nat64.poll_timeout(),
            self.flags.poll_timeout(),
            self.information.poll_timeout(),
        ])
    }

    /// The flags of all routers that speak for it.
    pub(super) fn flags(&self) -> Flags {
        let flags = self.flags.iter().map(|entry| entry.value);
        flags.fold(Flags::default(), |all, one| Flags {
            is_managed: all.is_managed || one.is_managed,
            has_other: all.has_other || one.has_other,
            has_legacy: all.has_legacy || one.has_legacy,
        })
    }

    /// The last Router Advertisement that brought a prefix to make the address of (RFC 8801 §3.4).
    pub(super) fn last_heard_with(&self, address: Ipv6Addr) -> Option<u64> {
        let prefixes = self
            .prefixes
            .iter()
            .filter(|entry| entry.value.is_autonomous);
        let around = prefixes.filter(|entry| entry.key.contains(&address));
        around.map(|entry| entry.value.heard).max()
    }

    /// Whether one of its prefixes is around the address.
    pub(super) fn covers(&self, address: Ipv6Addr) -> bool {
        let mut prefixes = self.prefixes.iter();
        prefixes.any(|entry| entry.key.contains(&address))
    }

    /// Its additional information: what the server gave, and else what there is on the shelf.
    pub(super) fn known<'a>(
        &'a self,
        identity: &Identity,
        shelf: &'a Shelf,
        now: Now,
    ) -> Option<(&'a Obtained, Origin)> {
        let held = self.information.held().filter(|held| !held.is_over(now));
        let shelved = || {
            let id = identity.id().filter(|_| !self.information.is_denied())?;
            shelf.of(id, self.information.outdated(), now)
        };
        let held = held.map(|held| (held, Origin::Server));
        held.or_else(|| shelved().map(|shelved| (shelved, Origin::Elsewhere)))
    }

    /// A prefix that the additional information does not cover, so that it must not be used (RFC 8801 §4.1).
    pub(super) fn contradiction(&self, information: &AdditionalInformation) -> Option<Ipv6Net> {
        let mut prefixes = self.prefixes.iter().map(|entry| entry.key);
        prefixes.find(|prefix| !information.covers(prefix))
    }

    /// Whether somebody has proved to be the PvD, and that these are its prefixes. What is on the shelf proves neither: it says who wrote it,
    /// and not who is here.
    pub(super) fn is_proved(&self) -> bool {
        let held = self.information.held();
        self.information.is_proved()
            && held.is_some_and(|held| self.contradiction(&held.information).is_none())
    }

    /// Whether it was advertised more than once.
    pub(super) fn was_heard_again(&self) -> bool {
        self.last_heard.duration_since(self.first_heard) >= AGAIN
    }

    /// By whom what leaves with an address of it may be passed on.
    pub(super) fn next_hops(&self) -> NextHops {
        if let Some(tunnel) = &self.tunnel {
            let standing = &tunnel.standing;
            let reaches = standing.reaches.iter().copied();
            let usable = reaches.filter(|_| standing.refusal.is_none());
            return NextHops::of_tunnel(usable.collect());
        }
        let on_link = self.prefixes.iter().filter(|it| it.value.is_on_link);
        NextHops::new(
            self.routers.iter().map(|entry| entry.key),
            self.routes.iter().map(|entry| entry.key),
            on_link.map(|entry| entry.key),
        )
    }

    /// Its resolvers: those of DHCPv6 before those of its routers (RFC 8106 §5.3.1), and those of DHCPv4 after both.
    pub(super) fn resolvers(&self) -> Vec<Lasting<IpAddr>> {
        self.joined(&self.resolvers, |leased| &leased.resolvers)
    }

    /// Its search domains, likewise.
    pub(super) fn search(&self) -> Vec<Lasting<DomainName>> {
        self.joined(&self.search, |leased| &leased.search)
    }

    fn joined<T: Clone + PartialEq>(
        &self,
        advertised: &Held<T, ()>,
        part: impl Fn(&Leased) -> &Vec<T>,
    ) -> Vec<Lasting<T>> {
        let leased = |is_legacy: bool| {
            let all = self.leased.iter();
            let all = all.filter(move |leased| (leased.lease == Lease::Legacy) == is_legacy);
            all.flat_map(|leased| part(leased).iter().map(|what| (what, None)))
        };
        let advertised = advertised.iter().map(|entry| (&entry.key, entry.until));
        let mut joined: Vec<Lasting<T>> = Vec::new();
        for (what, until) in leased(false).chain(advertised).chain(leased(true)) {
            if !joined.iter().any(|known| known.what == *what) {
                let what = what.clone();
                joined.push(Lasting { what, until });
            }
        }
        joined
    }
}
