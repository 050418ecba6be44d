//! The router of RFC 8801 §3.2 on one interface: which Router Advertisements it sends, and when (RFC 4861 §6.2).
//!
//! ```text
//! domains ----> plan: one outer header for each source address, messages that fit the link
//!                |
//! start, change -+- 3 at most 16 s apart, then every min..max interval --> Send (all messages, to all nodes)
//! solicitation --'  after 0..0.5 s, and 3 s or more after the last
//! advertisement of another router --> Report (RFC 4861 §6.2.7); from our own address: its header is kept
//! stop ---------------------------------------------------------------> Send with router lifetime 0, once
//! ```
//!
//! To a host without PvDs all advertisements from one source address are one router, and the last one's lifetime counts. So an
//! advertisement for hosts that know PvDs alone, whose outer header has lifetime 0, would take away the default route that
//! another one from the same address has given, of this program or of another beside it. Therefore every source address has
//! one outer header: of what is sent here, and of what another program sends from the same address.

mod compose;
mod consistency;
mod schedule;
mod sequence;
#[cfg(test)]
mod tests;
mod tethering;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Instant;

use crate::bindings::router_advertisement::{Announced, NdOption, RouterAdvertisement, TooLarge};
use crate::bindings::router_solicitation::RouterSolicitation;
use crate::identifier::PvdId;

pub use consistency::Difference;
pub use schedule::Intervals;
pub use sequence::{Digest, Numbered, SequenceNumbers};
pub use tethering::{Audience, Sharing, tether};

use compose::Heard;
use schedule::Schedule;

/// Most PvDs that one interface advertises: each costs a multicast message, or several.
pub const MAX_DOMAINS: usize = 64;
/// Most differences to other routers that are remembered and told once each.
const MAX_DIFFERENCES: usize = 64;

/// What all advertisements on an interface have in common.
#[derive(Clone, Debug)]
pub struct Link {
    /// The largest packet, in octets.
    pub mtu: usize,
    /// How often it is advertised.
    pub intervals: Intervals,
    /// Options of the link in every advertisement, for all hosts, as its MTU and the link-layer address of the router.
    pub options: Vec<NdOption>,
}

/// From where it is advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// A link-local address of the interface.
    pub address: Ipv6Addr,
    /// Nobody else advertises from it: what comes from there is forged.
    pub is_exclusive: bool,
}

/// A PvD that is advertised.
#[derive(Clone, Debug)]
pub struct Domain {
    /// From where. Implicit PvDs need sources of their own.
    pub source: Source,
    /// What is said of it, but for the options of the link.
    pub advertisement: RouterAdvertisement,
}

/// Domains that cannot be advertised side by side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Hosts would take them for one (RFC 8801 §3.2).
    #[error("two PvDs without an id need two source addresses, or hosts take them for one")]
    Implicit(Ipv6Addr),
    /// The same PvD twice.
    #[error("{0} is there twice")]
    Twice(PvdId, Ipv6Addr),
    /// Hosts without PvDs would believe whichever comes last.
    #[error(
        "what hosts without PvDs are told of one router differs; give these PvDs source addresses of their own, or the same router_lifetime, preference, hop_limit, managed and other"
    )]
    Headers(Ipv6Addr),
    /// Only one PvD has what DHCPv4 brings (RFC 8801 §3.4.2).
    #[error(
        "{0} and {1} both claim what DHCPv4 brings, and only one PvD of an interface can have it"
    )]
    Legacy(PvdId, PvdId),
    /// An option does not fit the link.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// More than [`MAX_DOMAINS`].
    #[error("an interface advertises at most {MAX_DOMAINS} PvDs, and these are {0}")]
    TooMany(usize),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an ICMPv6 message with hop limit 255 to all nodes of the link.
    Send {
        /// From where.
        source: Ipv6Addr,
        /// From the type on; the checksum is the kernel's.
        message: Vec<u8>,
    },
    /// Tell the administrator. Each finding comes once.
    Report(Finding),
}

/// What is odd on the link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Another router says something else than we do (RFC 4861 §6.2.7).
    Differs {
        /// Its address.
        router: Ipv6Addr,
        /// What.
        what: Difference,
    },
    /// Another program on this machine advertises from this address: where we have lifetime 0 for hosts without PvDs, its header
    /// is sent in place of ours.
    Shared(Ipv6Addr),
    /// Somebody advertises from an address that is ours alone.
    Forged(Ipv6Addr),
}

/// The machine.
#[derive(Debug)]
pub struct Router {
    link: Link,
    domains: Vec<Domain>,
    schedule: Schedule,
    /// What others say from our addresses.
    heard: BTreeMap<Ipv6Addr, Heard>,
    found: BTreeSet<Finding>,
    actions: VecDeque<Action>,
    is_stopped: bool,
    random: fastrand::Rng,
}

impl Router {
    /// Advertises these domains from now on.
    ///
    /// # Errors
    /// [`Conflict`]
    pub fn new(
        link: Link,
        domains: Vec<Domain>,
        random: fastrand::Rng,
        now: Instant,
    ) -> Result<Self, Conflict> {
        compose::check(&link, &domains)?;
        Ok(Self {
            schedule: Schedule::new(link.intervals, now),
            link,
            domains,
            heard: BTreeMap::new(),
            found: BTreeSet::new(),
            actions: VecDeque::new(),
            is_stopped: false,
            random,
        })
    }

    /// When to call [`Router::on_timeout`]; never once it has stopped.
    pub fn next_timeout(&self) -> Option<Instant> {
        (!self.is_stopped).then_some(self.schedule.next())
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.is_stopped || now < self.schedule.next() {
            return;
        }
        self.schedule.sent(now, &mut self.random);
        self.send(now);
    }

    /// What is to be done, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// A message of type 133 came with hop limit 255. What is malformed is dropped.
    pub fn handle_solicitation(&mut self, message: &[u8], source: Ipv6Addr, now: Instant) {
        if RouterSolicitation::decode(message, source).is_ok() {
            self.schedule.solicited(now, &mut self.random);
        }
    }

    /// A message of type 134 came with hop limit 255 from a link-local address, and was not sent by this machine's
    /// [`Action::Send`]. What is malformed is dropped.
    pub fn handle_advertisement(&mut self, message: &[u8], source: Ipv6Addr, now: Instant) {
        let Ok(received) = RouterAdvertisement::decode(message) else {
            return;
        };
        let other = received.advertisement;
        let own = self.domains.iter().find(|own| own.source.address == source);
        match own.map(|own| own.source.is_exclusive) {
            Some(true) => self.report(Finding::Forged(source)),
            Some(false) => {
                self.heard.insert(source, Heard::new(other.outer, now));
                self.report(Finding::Shared(source));
            }
            None => {
                for what in consistency::differences(&self.link, &self.domains, &other) {
                    self.report(Finding::Differs {
                        router: source,
                        what,
                    });
                }
            }
        }
    }

    /// There is other additional information of this PvD from now on (RFC 8801 §4.2), or none: then hosts are told soon.
    pub fn announce(&mut self, id: &PvdId, announced: Option<Announced>, now: Instant) {
        let pvds = self.domains.iter_mut();
        let pvds = pvds.filter_map(|domain| domain.advertisement.pvd.as_mut());
        let mut is_changed = false;
        for pvd in pvds.filter(|pvd| pvd.id == *id) {
            is_changed |= pvd.additional_information != announced;
            pvd.additional_information = announced;
        }
        if is_changed {
            self.schedule.changed(now);
        }
    }

    /// Tells hosts that this is no router any more (RFC 4861 §6.2.5), and sends nothing after that.
    pub fn stop(&mut self, now: Instant) {
        if !self.is_stopped {
            self.is_stopped = true;
            self.send(now);
        }
    }

    fn send(&mut self, now: Instant) {
        self.heard.retain(|_, heard| heard.holds(now));
        let headers = compose::outer_headers(&self.domains);
        for domain in &self.domains {
            let address = domain.source.address;
            let own = headers.get(&address).copied().unwrap_or_default();
            let heard = self.heard.get(&address).map(|heard| heard.header(now));
            let advertisement = match self.is_stopped {
                false => compose::going_on(&self.link, domain, own, heard),
                true => compose::ceasing(domain, heard),
            };
            // That each fits was found out in the beginning, with any header that may be heard.
            let parts = advertisement.split(self.link.mtu).unwrap_or_default();
            let sends = parts.iter().map(|part| Action::Send {
                source: address,
                message: part.encode(),
            });
            self.actions.extend(sends);
        }
    }

    fn report(&mut self, finding: Finding) {
        if self.found.len() < MAX_DIFFERENCES && self.found.insert(finding.clone()) {
            self.actions.push_back(Action::Report(finding));
        }
    }
}
