//! What goes into each advertisement.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use super::{Conflict, Domain, Link, MAX_DOMAINS};
use crate::bindings::router_advertisement::{
    Header, Lifetime, NdOption, RouteInformation, RouterAdvertisement,
};

/// What somebody else sends from an address of ours.
#[derive(Debug)]
pub(super) struct Heard {
    header: Header,
    at: Instant,
}

impl Heard {
    pub(super) fn new(header: Header, at: Instant) -> Self {
        Self { header, at }
    }

    /// Whether a host still has a default route from it.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.left(now) > 0
    }

    /// Its header, with the lifetime that a host has left of it: said again, it changes nothing.
    pub(super) fn header(&self, now: Instant) -> Header {
        Header {
            router_lifetime: self.left(now),
            ..self.header
        }
    }

    fn left(&self, now: Instant) -> u16 {
        let lifetime = Duration::from_secs(self.header.router_lifetime.into());
        let left = lifetime.saturating_sub(now.saturating_duration_since(self.at));
        // Rounded up: a router of which a part of a second is left is one.
        u16::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u16::MAX)
    }
}

/// Whether they can be advertised side by side.
pub(super) fn check(link: &Link, domains: &[Domain]) -> Result<(), Conflict> {
    if domains.len() > MAX_DOMAINS {
        return Err(Conflict::TooMany(domains.len()));
    }
    let mut names = BTreeSet::new();
    let mut with_legacy = None;
    for domain in domains {
        let address = domain.source.address;
        let pvd = domain.advertisement.pvd.as_ref();
        let id = pvd.map(|pvd| pvd.id.clone());
        if !names.insert((address, id.clone())) {
            return Err(match id {
                Some(id) => Conflict::Twice(id, address),
                None => Conflict::Implicit(address),
            });
        }
        if let Some(id) = id.filter(|_| pvd.is_some_and(|pvd| pvd.has_legacy)) {
            match with_legacy.replace(id.clone()) {
                Some(other) if other != id => return Err(Conflict::Legacy(other, id)),
                _ => {}
            }
        }
    }
    let headers = outer_headers(domains);
    for domain in domains {
        let address = domain.source.address;
        let outer = domain.advertisement.outer;
        let of_source = headers.get(&address).copied().unwrap_or_default();
        // What a PvD without an id is told is the outer header itself.
        let gives_way = outer.router_lifetime == 0
            && domain.advertisement.pvd.is_some()
            && (of_source.router_lifetime > 0 || rank(&domain.advertisement) == INDIFFERENT);
        if outer != of_source && !gives_way {
            return Err(Conflict::Headers(address));
        }
        // Whatever is heard later must not make it too large.
        let heard = Header {
            router_lifetime: 1,
            ..of_source
        };
        for heard in [None, Some(heard)] {
            going_on(link, domain, of_source, heard).split(link.mtu)?;
            ceasing(domain, heard).split(link.mtu)?;
        }
    }
    Ok(())
}

/// The header that hosts without PvDs are told from each address: the one that matters most.
pub(super) fn outer_headers(domains: &[Domain]) -> BTreeMap<Ipv6Addr, Header> {
    let mut headers = BTreeMap::<Ipv6Addr, ((bool, bool), Header)>::new();
    for domain in domains {
        let advertisement = &domain.advertisement;
        let new = (rank(advertisement), advertisement.outer);
        let header = headers.entry(domain.source.address).or_insert(new);
        if header.0 < new.0 {
            *header = new;
        }
    }
    let headers = headers.into_iter();
    headers
        .map(|(address, (_, header))| (address, header))
        .collect()
}

/// The rank of an outer header without a lifetime, by which nobody goes who knows PvDs.
const INDIFFERENT: (bool, bool) = (false, false);

/// How much the outer header matters: it gives a default route; hosts that know PvDs go by it, too.
fn rank(advertisement: &RouterAdvertisement) -> (bool, bool) {
    let inner = advertisement.pvd.as_ref().and_then(|pvd| pvd.header);
    (advertisement.outer.router_lifetime > 0, inner.is_none())
}

/// The advertisement of a domain beside the others from its address, and beside what somebody else sends from there.
pub(super) fn going_on(
    link: &Link,
    domain: &Domain,
    own: Header,
    heard: Option<Header>,
) -> RouterAdvertisement {
    let heard = heard.filter(|_| own.router_lifetime == 0);
    let mut advertisement = with_outer(&domain.advertisement, heard.unwrap_or(own));
    advertisement
        .outer_options
        .splice(..0, link.options.iter().cloned());
    advertisement
}

/// The last one: the router is none any more, and what leads to it is none. Prefixes stay with their hosts, since another
/// router may have them.
pub(super) fn ceasing(domain: &Domain, heard: Option<Header>) -> RouterAdvertisement {
    let mut last = domain.advertisement.clone();
    last.outer.router_lifetime = 0;
    last.outer_options = withdrawn(&last.outer_options);
    if let Some(pvd) = &mut last.pvd {
        pvd.options = withdrawn(&pvd.options);
        if let Some(header) = &mut pvd.header {
            header.router_lifetime = 0;
        }
    }
    match heard {
        None => last,
        Some(heard) => {
            // It may be somebody else who says these.
            last.outer_options.clear();
            with_outer(&last, heard)
        }
    }
}

/// The same with another outer header. A host that knows PvDs goes by what it went by before.
fn with_outer(advertisement: &RouterAdvertisement, outer: Header) -> RouterAdvertisement {
    let mut other = advertisement.clone();
    if outer != advertisement.outer
        && let Some(pvd) = &mut other.pvd
    {
        pvd.header.get_or_insert(advertisement.outer);
    }
    other.outer = outer;
    other
}

/// These options where they lead to a router or resolvers that are not there any more.
fn withdrawn(options: &[NdOption]) -> Vec<NdOption> {
    let none = Lifetime::Seconds(0);
    let options = options.iter().cloned().filter_map(|option| match option {
        NdOption::RouteInformation(route) => Some(NdOption::RouteInformation(RouteInformation {
            lifetime: none,
            ..route
        })),
        NdOption::RecursiveDnsServers { addresses, .. } => Some(NdOption::RecursiveDnsServers {
            lifetime: none,
            addresses,
        }),
        NdOption::DnsSearchList { domains, .. } => Some(NdOption::DnsSearchList {
            lifetime: none,
            domains,
        }),
        NdOption::Pref64 { prefix, .. } => Some(NdOption::Pref64 {
            lifetime: 0,
            prefix,
        }),
        NdOption::PrefixInformation(_) | NdOption::Mtu(_) | NdOption::Other { .. } => None,
    });
    options.collect()
}
