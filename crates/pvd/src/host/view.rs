//! What a host knows, for whoever wants to read it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use ipnet::Ipv6Net;

use super::attachment::Attachment;
use super::domain::Domain;
use super::held::{Entry, Held};
use super::identity::Identity;
use super::information::{Fate, Obtained, Step};
use super::next_hops::NextHops;
use super::order::{Failure, Now};
use super::settings::Settings;
use super::shelf::Shelf;
use super::tunnel::Standing;
use crate::bindings::router_advertisement::Preference;
use crate::bindings::tunnel::Tunnel;
use crate::domain::InterfaceName;
use crate::evidence::{Evidence, Insufficient, LinkEvidence, TrustPolicy, Use};
use crate::information::AdditionalInformation;
use crate::name::DomainName;
use crate::source_address::OwnAddress;

/// A PvD as a host knows it at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The interface that it is on, and that all its traffic belongs to.
    pub interface: InterfaceName,
    /// What it is there.
    pub identity: Identity,
    /// Of the link that brought it.
    pub link: LinkEvidence,
    /// Its default routers.
    pub routers: Vec<Lasting<Router>>,
    /// Its prefixes.
    pub prefixes: Vec<Lasting<Prefix>>,
    /// Its routes.
    pub routes: Vec<Lasting<Route>>,
    /// This node's addresses in it.
    pub addresses: Vec<OwnAddress>,
    /// Its resolvers, in their order.
    pub resolvers: Vec<Lasting<IpAddr>>,
    /// The domains in which it looks up short names, in their order.
    pub search: Vec<Lasting<DomainName>>,
    /// The prefixes in which its NAT64 has the IPv4 internet.
    pub nat64: Vec<Lasting<Ipv6Net>>,
    /// The largest packet of the link, in octets.
    pub mtu: Option<u32>,
    /// The tunnel that it came by, if it did.
    pub tunnel: Option<(Tunnel, Standing)>,
    /// Its additional information, where that may be used.
    pub information: Option<Information>,
    /// How that stands.
    pub state: InformationState,
    /// By whom what leaves with an address of it may be passed on; nobody, where it is a tunnel that is refused.
    pub next_hops: NextHops,
    /// Other interfaces with the same name where both have proved it: attachments to one provider, each with its own sources and
    /// resolvers all the same.
    pub also_on: Vec<InterfaceName>,
}

/// Something with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting<T> {
    /// It.
    pub what: T,
    /// `None`: it holds for ever.
    pub until: Option<Instant>,
}

/// A default router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// How it ranks among others.
    pub preference: Preference,
}

/// A prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// It.
    pub prefix: Ipv6Net,
    /// Its addresses are neighbours.
    pub is_on_link: bool,
    /// Hosts give themselves addresses of it.
    pub is_autonomous: bool,
    /// Until when these are used for what is new; `None`: for ever.
    pub preferred_until: Option<Instant>,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub prefix: Ipv6Net,
    /// The link-local address of the router.
    pub router: Ipv6Addr,
    /// How it ranks among others for the same prefix.
    pub preference: Preference,
}

/// Additional information.
#[derive(Clone, Debug, PartialEq)]
pub struct Information {
    /// What it says.
    pub content: AdditionalInformation,
    /// What speaks for it.
    pub evidence: Evidence,
    /// Keys that say nothing to this host.
    pub ignored: Vec<String>,
    /// The compact JWS that it came in: evidence for whoever asks later.
    pub signed: Option<Arc<str>>,
    /// Who gave it.
    pub origin: Origin,
}

/// Who gave additional information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The PvD's server, asked inside the PvD.
    Server,
    /// Anybody else; it is signed ([`super::Host::handle_object`]). It says as much of the PvD, and nothing of whether this network is it.
    Elsewhere,
}

impl Information {
    pub(super) fn new(obtained: &Obtained, link: LinkEvidence, origin: Origin) -> Self {
        Self {
            content: obtained.information.clone(),
            evidence: Evidence {
                link,
                data: obtained.data.clone(),
            },
            ignored: obtained.ignored.clone(),
            signed: obtained.signed.clone(),
            origin,
        }
    }

    /// What it says, if the evidence is enough for the use.
    ///
    /// # Errors
    /// [`Insufficient`], with what is missing.
    pub fn trusted(
        &self,
        policy: &TrustPolicy,
        to: Use,
    ) -> Result<&AdditionalInformation, Insufficient> {
        policy.check(&self.evidence, to).map(|()| &self.content)
    }
}

/// How it stands with the additional information of a PvD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InformationState {
    /// The PvD has none.
    Unannounced,
    /// Policy does not ask for it.
    Unwanted,
    /// It is held and may be used.
    Held,
    /// It is held and must not be used: a prefix is advertised that it does not name.
    Contradicted(Ipv6Net),
    /// Nothing of its tunnel is used.
    Refused,
    /// There is nobody to ask where its server is.
    NoResolver,
    /// This node has no address in the PvD yet.
    NoAddress,
    /// It will be asked for, not before its time and not faster than is good for its server.
    Due,
    /// It is being asked for.
    Asking,
    /// It is not asked for again during this attachment.
    GivenUp(Failure),
    /// Nothing is asked for again during this attachment, because too many PvDs failed.
    Closed,
}

impl InformationState {
    /// Whether it is not held now and may be soon.
    pub fn is_awaited(&self) -> bool {
        matches!(
            self,
            Self::NoResolver | Self::NoAddress | Self::Due | Self::Asking
        )
    }
}

impl fmt::Display for InformationState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unannounced => formatter.write_str("the PvD announces none"),
            Self::Unwanted => formatter.write_str("announced, and policy does not ask for it"),
            Self::Held => formatter.write_str("known"),
            Self::Contradicted(prefix) => write!(
                formatter,
                "known and not used: it does not cover {prefix}, which is advertised"
            ),
            Self::Refused => formatter.write_str("not used: its tunnel is refused"),
            Self::NoResolver => formatter.write_str("waits for a resolver of the PvD"),
            Self::NoAddress => formatter.write_str("waits for an address in the PvD"),
            Self::Due => formatter.write_str("waits for its time"),
            Self::Asking => formatter.write_str("is being asked for"),
            Self::GivenUp(failure) => write!(formatter, "given up while attached: {failure}"),
            Self::Closed => formatter.write_str(
                "not asked for: too many PvDs of this network failed, which looks like an attack",
            ),
        }
    }
}

impl View {
    pub(super) fn new(
        interface: &InterfaceName,
        attachment: &Attachment,
        (identity, domain): (&Identity, &Domain),
        shelf: &Shelf,
        settings: &Settings,
        now: Now,
    ) -> Self {
        let link = attachment.link_of(domain);
        let tunnel = domain.tunnel.as_ref();
        let is_refused = tunnel.is_some_and(|tunnel| tunnel.standing.refusal.is_some());
        let addresses = match is_refused {
            true => Vec::new(),
            false => attachment.addresses_of(identity).to_vec(),
        };
        let has_address = !attachment.sources(identity).is_empty();
        let known = domain.known(identity, shelf, now);
        let state = match known {
            _ if is_refused => InformationState::Refused,
            Some((known, _)) => match domain.contradiction(&known.information) {
                Some(prefix) => InformationState::Contradicted(prefix),
                None => InformationState::Held,
            },
            None => state(identity, domain, attachment, settings, has_address),
        };
        let information = known.filter(|_| state == InformationState::Held);
        Self {
            interface: interface.clone(),
            identity: identity.clone(),
            link,
            routers: lasting(&domain.routers, |address, preference| Router {
                address: *address,
                preference: *preference,
            }),
            prefixes: lasting(&domain.prefixes, |prefix, it| Prefix {
                prefix: *prefix,
                is_on_link: it.is_on_link,
                is_autonomous: it.is_autonomous,
                preferred_until: it.preferred,
            }),
            routes: lasting(&domain.routes, |(prefix, router), preference| Route {
                prefix: *prefix,
                router: *router,
                preference: *preference,
            }),
            addresses,
            resolvers: domain.resolvers(),
            search: domain.search(),
            nat64: lasting(&domain.nat64, |prefix, ()| *prefix),
            mtu: domain.mtu,
            tunnel: tunnel.map(|tunnel| (tunnel.told.clone(), tunnel.standing.clone())),
            information: information.map(|(held, origin)| Information::new(held, link, origin)),
            state,
            next_hops: domain.next_hops(),
            also_on: Vec::new(),
        }
    }
}

/// Why nothing is known.
fn state(
    identity: &Identity,
    domain: &Domain,
    attachment: &Attachment,
    settings: &Settings,
    has_address: bool,
) -> InformationState {
    let information = &domain.information;
    let is_wanted = identity
        .id()
        .is_some_and(|id| settings.fetching.permits(id));
    match information.step() {
        Step::Unannounced
        | Step::Asking {
            fate: Fate::Unannounced,
            ..
        } => InformationState::Unannounced,
        _ if !is_wanted => InformationState::Unwanted,
        Step::Asking { .. } => InformationState::Asking,
        Step::GivenUp(failure) => InformationState::GivenUp(failure.clone()),
        Step::Due { .. } if attachment.is_closed() => InformationState::Closed,
        Step::Due { .. } if domain.resolvers().is_empty() => InformationState::NoResolver,
        Step::Due { .. } if !has_address => InformationState::NoAddress,
        Step::Due { .. } if attachment.resolvers(identity, domain).is_empty() => {
            InformationState::NoResolver
        }
        Step::Due { .. } => InformationState::Due,
    }
}

fn lasting<K: PartialEq, V: PartialEq, T>(
    held: &Held<K, V>,
    what: impl Fn(&K, &V) -> T,
) -> Vec<Lasting<T>> {
    let of = |entry: &Entry<K, V>| Lasting {
        what: what(&entry.key, &entry.value),
        until: entry.until,
    };
    held.iter().map(of).collect()
}
