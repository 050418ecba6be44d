//! What programs and people are told of a PvD.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pvd::bindings::router_advertisement::Preference;
use pvd::host::{Host, Identity, Information, InformationState, Lasting, Now, Origin, View};
use pvd::selection::Place;
use pvd::source_address::{Kind, Stage};
use pvd::{OwnAddress, TrustPolicy, Use};
use serde::{Deserialize, Serialize};

use super::tunnels::TunnelView;

/// What an implicit PvD of IPv4 is called: where it leads, and no name that anybody could advertise.
const IPV4: &str = "0.0.0.0/0";

/// A PvD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DomainView {
    /// Its ID; absent: it is implicit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pvd: Option<String>,
    /// Of an implicit one: the link-local address of its router; absent: it is of IPv4, which no router's PvD has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) router: Option<String>,
    /// The interface that it is on.
    pub(crate) interface: String,
    /// What link brought it.
    pub(crate) link: String,
    /// Its default routers.
    pub(crate) routers: Vec<RouteView>,
    /// Its prefixes.
    pub(crate) prefixes: Vec<PrefixView>,
    /// Its routes.
    pub(crate) routes: Vec<RouteView>,
    /// This node's addresses in it.
    pub(crate) addresses: Vec<AddressView>,
    /// Its resolvers, in their order.
    pub(crate) resolvers: Vec<NameView>,
    /// The domains in which it looks up short names, in their order.
    pub(crate) search: Vec<NameView>,
    /// The prefixes in which its NAT64 has the IPv4 internet.
    pub(crate) nat64: Vec<NameView>,
    /// The largest packet of the link, in octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mtu: Option<u32>,
    /// The tunnel that it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tunnel: Option<TunnelView>,
    /// Its additional information.
    pub(crate) information: InformationView,
    /// Interfaces on which the same name is proved as here.
    pub(crate) also_on: Vec<String>,
    /// Its place among all PvDs for what is new, from 1.
    #[serde(default)]
    pub(crate) rank: usize,
    /// How it is: good, unchecked, doubtful, silent, no-internet, no-router or no-address.
    #[serde(default)]
    pub(crate) health: String,
    /// Why it has this place, in words.
    #[serde(default)]
    pub(crate) reason: String,
    /// It is the one for whoever does not choose.
    #[serde(default)]
    pub(crate) is_preferred: bool,
    /// One PvD is to be used at a time, and it is another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_in_reserve: bool,
}

/// A default router or a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteView {
    /// Where to.
    pub(crate) to: String,
    /// The link-local address of the router.
    pub(crate) via: String,
    /// low, medium or high.
    pub(crate) preference: String,
    /// Seconds since 1970; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
}

/// A prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PrefixView {
    /// It.
    pub(crate) prefix: String,
    /// Its addresses are neighbours.
    pub(crate) on_link: bool,
    /// Hosts give themselves addresses of it.
    pub(crate) autonomous: bool,
    /// Seconds since 1970; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
    /// Until when its addresses are used for what is new; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) preferred_until: Option<u64>,
}

/// An address of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressView {
    /// It.
    pub(crate) address: String,
    /// It hides who the node is.
    pub(crate) temporary: bool,
    /// It is not used for what is new.
    pub(crate) deprecated: bool,
}

/// A resolver, a domain or a prefix of NAT64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameView {
    /// It.
    pub(crate) name: String,
    /// Seconds since 1970; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
}

/// Additional information.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InformationView {
    /// How it stands, in words.
    pub(crate) state: String,
    /// It is not known now and may be soon: what was known of it before is not refuted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) awaited: bool,
    /// What was proved of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<String>,
    /// For what the evidence is not enough, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) refused_for: BTreeMap<String, String>,
    /// What in it says nothing to this host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ignored: Vec<String>,
    /// The object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<serde_json::Value>,
    /// It came from elsewhere than from the PvD's server: from a file, or what was kept of one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) elsewhere: bool,
    /// The compact JWS that it came in; who wants it asks for it.
    #[serde(skip)]
    pub(super) signed: Option<Arc<str>>,
}

/// A signed object that is there for whenever its PvD is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShelvedView {
    /// The PvD.
    pub(crate) pvd: String,
    /// When it ends, in seconds since 1970.
    pub(crate) expires: u64,
    /// As of one that is attached; that it is here is not proved.
    pub(crate) information: InformationView,
}

/// All that programs may ask for.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The PvDs that are attached.
    pub(super) domains: Vec<Revised>,
    /// Signed objects, whether their PvD is attached or not.
    pub(super) shelf: Arc<Vec<ShelvedView>>,
    /// Of the shelf, at the host.
    shelf_revision: u64,
    /// How often programs were told before.
    revision: u64,
}

impl Known {
    /// As it is now, with the places of the PvDs, after what it was.
    pub(super) fn of(
        host: &Host,
        (views, ranking): (&[View], &[Place]),
        before: &Self,
        now: Now,
    ) -> Self {
        let revision = before.revision.saturating_add(1);
        let shelf_revision = host.shelf_revision();
        let shelf = match shelf_revision == before.shelf_revision {
            true => Arc::clone(&before.shelf),
            false => Arc::new(shelf(host, now)),
        };
        Self {
            domains: revise(
                &before.domains,
                domains(views, ranking, &host.settings().trust, now),
                revision,
            ),
            shelf,
            shelf_revision,
            revision,
        }
    }

    /// The compact JWS of a PvD: of what is used there, or else of what is on the shelf.
    pub(super) fn signed(&self, pvd: &str, interface: Option<&str>) -> Option<&Arc<str>> {
        let attached = self.domains.iter().map(|known| &known.view);
        let attached = attached.filter(|view| {
            view.name() == pvd && interface.is_none_or(|interface| interface == view.interface)
        });
        let attached = attached.map(|view| &view.information);
        let shelved = self.shelf.iter().filter(|view| view.pvd == pvd);
        let mut all = attached.chain(shelved.map(|view| &view.information));
        all.find_map(|information| information.signed.as_ref())
    }
}

fn shelf(host: &Host, now: Now) -> Vec<ShelvedView> {
    let views = host.shelf(now).map(|information| ShelvedView {
        pvd: information.content.identifier.to_string(),
        expires: seconds(information.content.expires),
        information: InformationView::known(&information, &host.settings().trust),
    });
    views.collect()
}

/// A PvD as it is told, with a number that is another one when it is different.
#[derive(Debug)]
pub(super) struct Revised {
    pub(super) view: DomainView,
    pub(super) revision: u64,
}

/// The PvDs as they are now after what they were: what was only renewed keeps its number, all else has the next one.
fn revise(before: &[Revised], views: Vec<DomainView>, next: u64) -> Vec<Revised> {
    let views = views.into_iter().map(|view| {
        let mut before = before.iter();
        let known = before.find(|known| known.view.key() == view.key());
        let same = known.filter(|known| known.view.timeless() == view.timeless());
        Revised {
            revision: same.map_or(next, |same| same.revision),
            view,
        }
    });
    views.collect()
}

/// The word for [`Use::DotsServers`].
pub(crate) const DOTS_SERVERS: &str = "dots-servers";

/// The uses that evidence is held against, with the words for them.
const USES: [(&str, Use); 5] = [
    ("attachment", Use::Attachment),
    ("names", Use::Names),
    (DOTS_SERVERS, Use::DotsServers),
    ("ways", Use::Ways),
    ("credentials", Use::Credentials),
];

/// All that a host knows of its links, with the places of the PvDs.
fn domains(views: &[View], ranking: &[Place], trust: &TrustPolicy, now: Now) -> Vec<DomainView> {
    let domains = views.iter().map(|view| {
        let mut domain = DomainView::of(view, trust, now);
        let is_its = |place: &Place| {
            place.key.interface == view.interface && place.key.identity == view.identity
        };
        let mut places = (1..).zip(ranking);
        if let Some((rank, place)) = places.find(|(_, place)| is_its(place)) {
            domain.rank(rank, place);
        }
        domain
    });
    domains.collect()
}

impl DomainView {
    fn of(view: &View, trust: &TrustPolicy, now: Now) -> Self {
        let until = |at: Option<Instant>| at.map(|at| unix(at, now));
        let (pvd, router) = match &view.identity {
            Identity::Explicit(id) => (Some(id.to_string()), None),
            Identity::Implicit(router) => (None, Some(router.to_string())),
            Identity::Legacy => (None, None),
        };
        let routers = view.routers.iter().map(|router| RouteView {
            to: "::/0".to_owned(),
            via: router.what.address.to_string(),
            preference: preference(router.what.preference).to_owned(),
            until: until(router.until),
        });
        let prefixes = view.prefixes.iter().map(|prefix| PrefixView {
            prefix: prefix.what.prefix.to_string(),
            on_link: prefix.what.is_on_link,
            autonomous: prefix.what.is_autonomous,
            until: until(prefix.until),
            preferred_until: until(prefix.what.preferred_until),
        });
        let routes = view.routes.iter().map(|route| RouteView {
            to: route.what.prefix.to_string(),
            via: route.what.router.to_string(),
            preference: preference(route.what.preference).to_owned(),
            until: until(route.until),
        });
        Self {
            pvd,
            router,
            interface: view.interface.to_string(),
            link: view.link.to_string(),
            routers: routers.collect(),
            prefixes: prefixes.collect(),
            routes: routes.collect(),
            addresses: view.addresses.iter().map(AddressView::of).collect(),
            resolvers: names(&view.resolvers, now),
            search: names(&view.search, now),
            nat64: names(&view.nat64, now),
            mtu: view.mtu,
            tunnel: view.tunnel.as_ref().map(TunnelView::of),
            information: InformationView::of(view, trust),
            also_on: view.also_on.iter().map(ToString::to_string).collect(),
            rank: 0,
            health: String::new(),
            reason: String::new(),
            is_preferred: false,
            is_in_reserve: false,
        }
    }

    fn rank(&mut self, rank: usize, place: &Place) {
        self.rank = rank;
        self.health = place.health.to_string();
        self.reason = place.reason.to_string();
        self.is_preferred = place.is_preferred;
        self.is_in_reserve = place.is_in_reserve;
    }

    /// By what people call it.
    pub(crate) fn name(&self) -> &str {
        let name = self.pvd.as_deref().or(self.router.as_deref());
        name.unwrap_or(IPV4)
    }

    /// What tells it from others.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.interface, self.name())
    }

    /// The same whatever the time: what was only renewed is no news.
    fn timeless(&self) -> Self {
        let mut view = self.clone();
        for route in view.routers.iter_mut().chain(&mut view.routes) {
            route.until = None;
        }
        for prefix in &mut view.prefixes {
            (prefix.until, prefix.preferred_until) = (None, None);
        }
        let names = view.resolvers.iter_mut().chain(&mut view.search);
        for name in names.chain(&mut view.nat64) {
            name.until = None;
        }
        view
    }
}

impl AddressView {
    fn of(own: &OwnAddress) -> Self {
        Self {
            address: own.address.to_string(),
            temporary: own.kind == Kind::Temporary,
            deprecated: own.stage == Stage::Deprecated,
        }
    }
}

impl InformationView {
    fn of(view: &View, trust: &TrustPolicy) -> Self {
        let state = view.state.to_string();
        let Some(information) = &view.information else {
            return Self {
                state,
                awaited: view.state.is_awaited(),
                evidence: None,
                refused_for: BTreeMap::new(),
                ignored: Vec::new(),
                object: None,
                elsewhere: false,
                signed: None,
            };
        };
        Self {
            state,
            ..Self::known(information, trust)
        }
    }

    fn known(information: &Information, trust: &TrustPolicy) -> Self {
        let refused = USES.iter().filter_map(|(word, to)| {
            let why = information.trusted(trust, *to).err()?;
            Some(((*word).to_owned(), why.to_string()))
        });
        Self {
            state: InformationState::Held.to_string(),
            awaited: false,
            evidence: Some(information.evidence.data.to_string()),
            refused_for: refused.collect(),
            ignored: information.ignored.clone(),
            object: serde_json::from_str(&information.content.to_json()).ok(),
            elsewhere: information.origin == Origin::Elsewhere,
            signed: information.signed.clone(),
        }
    }
}

fn names<T: ToString>(lasting: &[Lasting<T>], now: Now) -> Vec<NameView> {
    let views = lasting.iter().map(|one| NameView {
        name: one.what.to_string(),
        until: one.until.map(|at| unix(at, now)),
    });
    views.collect()
}

fn preference(preference: Preference) -> &'static str {
    match preference {
        Preference::Low => "low",
        Preference::Medium => "medium",
        Preference::High => "high",
    }
}

/// What the wall clock will show then, if nobody sets it.
fn unix(at: Instant, now: Now) -> u64 {
    seconds(now.system + at.saturating_duration_since(now.instant))
}

fn seconds(then: SystemTime) -> u64 {
    let since = then.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
