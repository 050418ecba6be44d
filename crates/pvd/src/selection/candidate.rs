//! A PvD as far as it matters who is used.

use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::bindings::router_advertisement::Preference;
use crate::domain::InterfaceName;
use crate::evidence::{DataEvidence, LinkEvidence};
use crate::host::{Identity, NextHops, Origin, View};
use crate::identifier::PvdId;
use crate::source_address::OwnAddress;

/// Which PvD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The interface that it is on.
    pub interface: InterfaceName,
    /// What it is there.
    pub identity: Identity,
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on {}", self.identity, self.interface)
    }
}

/// A PvD that this node is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub key: Key,
    /// Of the link that brought it.
    pub link: LinkEvidence,
    /// Somebody has proved to be the PvD. An object from elsewhere says who wrote it, and not who is here.
    pub is_proved: bool,
    /// It says itself that it does not lead to the internet.
    pub has_no_internet: bool,
    /// Of its best default router; `None`: it has none.
    pub router: Option<Preference>,
    /// This node's addresses in it.
    pub addresses: Vec<OwnAddress>,
    /// Who can be asked whether packets arrive.
    pub resolvers: Vec<IpAddr>,
    /// Whom it may be asked by.
    pub next_hops: NextHops,
}

impl From<&View> for Candidate {
    fn from(view: &View) -> Self {
        let information = view.information.as_ref();
        let resolvers = view.resolvers.iter().map(|resolver| resolver.what);
        Self {
            key: Key {
                interface: view.interface.clone(),
                identity: view.identity.clone(),
            },
            link: view.link,
            is_proved: information.is_some_and(|it| {
                it.evidence.data > DataEvidence::Absent && it.origin == Origin::Server
            }),
            has_no_internet: information.is_some_and(|it| it.content.no_internet),
            router: router(view),
            addresses: view.addresses.clone(),
            resolvers: resolvers.filter(is_somebody).collect(),
            next_hops: view.next_hops.clone(),
        }
    }
}

/// What leads everywhere: a default router, a route, or a tunnel. Who that is for IPv4 alone, no advertisement says.
fn router(view: &View) -> Option<Preference> {
    if view.identity == Identity::Legacy {
        return Some(Preference::default());
    }
    let routers = view.routers.iter().map(|router| router.what.preference);
    let routes = view.routes.iter().map(|route| route.what);
    let routes = routes.filter(|route| route.prefix.prefix_len() == 0);
    let routes = routes.map(|route| route.preference);
    let reached = view
        .tunnel
        .iter()
        .flat_map(|(_, standing)| &standing.reaches);
    let reached = reached.filter(|prefix| prefix.prefix_len() == 0);
    let tunnel = reached.map(|_| Preference::default());
    routers.chain(routes).chain(tunnel).max()
}

/// Whether it can be the address of another node.
fn is_somebody(address: &IpAddr) -> bool {
    !(address.is_multicast() || address.is_loopback() || address.is_unspecified())
}

/// What comes before what, health apart; what is the same in all of it goes by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    /// Its place in the administrator's list.
    pub(super) wish: usize,
    pub(super) link: Reverse<LinkEvidence>,
    pub(super) is_proved: Reverse<bool>,
    pub(super) router: Reverse<Option<Preference>>,
    pub(super) key: Key,
}

impl Candidate {
    pub(super) fn standing(&self, wishes: &[Wish]) -> Standing {
        let wish = wishes.iter().position(|wish| wish.is_for(self));
        Standing {
            wish: wish.unwrap_or(wishes.len()),
            link: Reverse(self.link),
            is_proved: Reverse(self.is_proved),
            router: Reverse(self.router),
            key: self.key.clone(),
        }
    }
}

/// What the administrator prefers: a PvD by its ID, or whatever is on an interface.
///
/// Anybody can advertise any ID. So it counts where somebody has proved to be that PvD, and on a link where it is hard to be a stranger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    id: Option<PvdId>,
    interface: Option<InterfaceName>,
}

/// Why a text is no wish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither the ID of a PvD nor the name of an interface")]
pub struct NoWish(String);

impl FromStr for Wish {
    type Err = NoWish;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wish = Self {
            id: text.parse().ok(),
            interface: text.parse().ok(),
        };
        match wish.id.is_some() || wish.interface.is_some() {
            true => Ok(wish),
            false => Err(NoWish(text.to_owned())),
        }
    }
}

impl Wish {
    fn is_for(&self, candidate: &Candidate) -> bool {
        let Key {
            interface,
            identity,
        } = &candidate.key;
        let is_believed = candidate.is_proved || candidate.link >= LinkEvidence::Wired;
        let is_its_id = self.id.is_some() && self.id.as_ref() == identity.id();
        self.interface.as_ref() == Some(interface) || (is_its_id && is_believed)
    }
}
