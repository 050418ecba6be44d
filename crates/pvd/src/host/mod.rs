//! The host of provisioning domains, one machine for all its interfaces (RFC 8801 §3.4, §4.1).
//!
//! ```text
//!   Router Advertisement --> Attachment (one interface) --> Domain: objects with their lifetimes
//!   tunnel              -->     |                             |-- Information: asked for, held, dropped
//!   own addresses       -->     |                             `-- how it stands against what others say of it (tunnel)
//!                               |-- Admission: who gets a place where there is none left
//!                               `-- Budget: how often others are asked at all
//!   what was fetched    -->  ...  --> Action::{Fetch, Abandon, Solicit, Changed, Renewed}
//! ```
//! * `Shelf`: signed objects, whoever brought them.
//! * [`dhcp`]: to whom belongs what DHCP brought.
//!
//! What is held decides nothing of security by its expiry: the wall clock may be wrong (RFC 8801 §6).

mod admission;
mod association;
mod attachment;
mod budget;
pub mod dhcp;
mod domain;
mod held;
mod identity;
mod information;
mod next_hops;
mod order;
mod settings;
mod shelf;
mod solicitation;
#[cfg(test)]
mod tests;
mod tunnel;
mod tunnelled;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Instant;

pub use dhcp::{Lease, Leased};
pub use identity::Identity;
pub use next_hops::NextHops;
pub use order::{Action, Failure, FailureKind, FetchOrder, Fetched, Now, OrderNumber};
pub use settings::{Fetching, HostLimits, Settings};
pub use shelf::{NotShelved, Provenance, SignedObject};
pub use tunnel::{Refusal, Standing};
pub use view::{Information, InformationState, Lasting, Origin, Prefix, Route, Router, View};

use crate::bindings::router_advertisement::RouterAdvertisement;
use crate::bindings::tunnel::Tunnel;
use crate::domain::InterfaceName;
use crate::evidence::{DataEvidence, LinkEvidence};
use crate::identifier::PvdId;
use crate::source_address::OwnAddress;
use attachment::Attachment;
use held::earliest;
use information::Obtained;
use shelf::Shelf;

/// The PvDs of a node, and what is to be done to know them.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    random: fastrand::Rng,
    attachments: BTreeMap<InterfaceName, Attachment>,
    shelf: Shelf,
    /// Whose information is being fetched.
    orders: BTreeMap<OrderNumber, (InterfaceName, Identity)>,
    last_order: u64,
    /// Tunnels that ever were.
    tunnels: u64,
    actions: VecDeque<Action>,
}

impl Host {
    /// A host without interfaces.
    pub fn new(settings: Settings, random: fastrand::Rng) -> Self {
        Self {
            settings,
            random,
            attachments: BTreeMap::new(),
            shelf: Shelf::default(),
            orders: BTreeMap::new(),
            last_order: 0,
            tunnels: 0,
            actions: VecDeque::new(),
        }
    }

    /// All PvDs, by interface.
    pub fn domains(&self, now: Now) -> Vec<View> {
        let mut views = Vec::new();
        for (interface, attachment) in &self.attachments {
            for entry in &attachment.domains {
                let settings = &self.settings;
                let view = View::new(interface, attachment, entry, &self.shelf, settings, now);
                views.push(view);
            }
        }
        let proved = views.iter().filter(|view| is_proved(view));
        let proved: Vec<_> = proved
            .map(|view| (view.identity.clone(), view.interface.clone()))
            .collect();
        for view in views.iter_mut().filter(|view| is_proved(view)) {
            let same = proved.iter().filter(|(identity, interface)| {
                *identity == view.identity && *interface != view.interface
            });
            view.also_on = same.map(|(_, interface)| interface.clone()).collect();
        }
        views
    }

    /// Signed objects that came by another way than from the server of their PvD, or were kept since it gave them, by PvD. As long as one is of
    /// no link, nothing says that this node is where they hold ([`crate::Use::Attachment`]).
    pub fn shelf(&self, now: Now) -> impl Iterator<Item = Information> {
        let shelved = self.shelf.all(now);
        shelved.map(|obtained| Information::new(obtained, LinkEvidence::Absent, Origin::Elsewhere))
    }

    /// Another number when [`Self::shelf`] says something else.
    pub fn shelf_revision(&self) -> u64 {
        self.shelf.revision()
    }

    /// What is wrong with what the routers of each interface say.
    pub fn misconfigurations(
        &self,
    ) -> impl Iterator<Item = (&InterfaceName, &dhcp::Misconfiguration)> {
        self.attachments.iter().flat_map(|(interface, attachment)| {
            let faults = attachment.faults.iter();
            faults.map(move |fault| (interface, fault))
        })
    }

    /// How each tunnel stands.
    pub fn tunnels(&self) -> impl Iterator<Item = (&InterfaceName, &Identity, &Standing)> {
        self.attachments.iter().flat_map(|(interface, attachment)| {
            let tunnels = attachment.domains.iter();
            tunnels.filter_map(move |(identity, domain)| {
                let tunnel = domain.tunnel.as_ref()?;
                Some((interface, identity, &tunnel.standing))
            })
        })
    }

    /// How it behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// An interface is on a network: on its first one, or on another one than before. What failed on the last one is forgotten.
    pub fn handle_attached(&mut self, interface: &InterfaceName, link: LinkEvidence, now: Now) {
        let key = self.random.u64(..);
        let attachments = &mut self.attachments;
        let attachment = attachments
            .entry(interface.clone())
            .or_insert_with(|| Attachment::new(key));
        attachment.set_link(Some(link), &mut self.random, now.instant);
        self.abandon(interface);
        self.settle(true, now);
    }

    /// An interface is on no network any more.
    pub fn handle_detached(&mut self, interface: &InterfaceName, now: Now) {
        if let Some(attachment) = self.attachments.get_mut(interface) {
            attachment.set_link(None, &mut self.random, now.instant);
            self.abandon(interface);
            self.settle(true, now);
        }
    }

    /// A tunnel to this peer is there on an interface, or is different; with all of its parts. The interface need not be attached.
    pub fn handle_tunnel(&mut self, interface: &InterfaceName, tunnel: Tunnel, now: Now) {
        let key = self.random.u64(..);
        let attachments = &mut self.attachments;
        let attachment = attachments
            .entry(interface.clone())
            .or_insert_with(|| Attachment::new(key));
        self.tunnels += 1;
        let shelved = self.shelf.last();
        attachment.take_tunnel(tunnel, self.tunnels, shelved, &mut self.random, now);
        self.settle(true, now);
    }

    /// The tunnel of a PvD is there no more.
    pub fn handle_tunnel_end(&mut self, interface: &InterfaceName, pvd: &PvdId, now: Now) {
        let attachment = self.attachments.get_mut(interface);
        if attachment.is_some_and(|attachment| attachment.end_tunnel(pvd)) {
            self.abandon(interface);
            self.settle(true, now);
        }
    }

    /// The addresses that an interface has now, those apart of which the kernel does not know yet whether they are its own.
    pub fn handle_addresses(
        &mut self,
        interface: &InterfaceName,
        addresses: Vec<OwnAddress>,
        now: Now,
    ) {
        // A tunnel may have its addresses before anybody tells of it.
        let (attachments, random) = (&mut self.attachments, &mut self.random);
        let attachment = attachments
            .entry(interface.clone())
            .or_insert_with(|| Attachment::new(random.u64(..)));
        attachment.set_addresses(addresses);
        self.settle(true, now);
    }

    /// All that DHCP has brought on an interface and that holds now, but for addresses; as many resolvers and domains as of advertisements.
    pub fn handle_leases(&mut self, interface: &InterfaceName, leased: Vec<Leased>, now: Now) {
        let most = self.settings.limits.objects;
        let leased = leased.into_iter().take(most).map(|mut leased| {
            leased.resolvers.truncate(most);
            leased.search.truncate(most);
            leased
        });
        let attachment = self.attachments.get_mut(interface);
        let attachment = attachment.filter(|attachment| attachment.link.is_some());
        if let Some(attachment) = attachment {
            let is_changed = attachment.set_leases(leased.collect());
            self.settle(is_changed, now);
        }
    }

    /// Whether routers of an interface send its hosts to DHCPv6 (RFC 4861 §4.2, M and O).
    pub fn is_sent_to_dhcpv6(&self, interface: &InterfaceName) -> bool {
        let attachment = self.attachments.get(interface);
        let mut domains = attachment.into_iter().flat_map(|it| it.domains.values());
        domains.any(|domain| domain.flags().is_managed || domain.flags().has_other)
    }

    /// A Router Advertisement that came with hop limit 255; what comes from no link-local address, or over an interface that is not
    /// attached, does not count (RFC 4861 §6.1.2).
    pub fn handle_advertisement(
        &mut self,
        interface: &InterfaceName,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement,
        now: Now,
    ) {
        let Some(attachment) = self.attachments.get_mut(interface) else {
            return;
        };
        if attachment.link.is_none() || !source.is_unicast_link_local() {
            return;
        }
        let (settings, random) = (&self.settings, &mut self.random);
        let shelved = self.shelf.last();
        let taken = attachment.take(source, advertisement, shelved, settings, random, now);
        if taken.solicits {
            self.actions.push_back(Action::Solicit(interface.clone()));
        }
        if taken.is_taken {
            self.settle(taken.is_changed, now);
            let told = [Action::Changed, Action::Renewed];
            if !told.iter().any(|told| self.actions.contains(told)) {
                self.actions.push_back(Action::Renewed);
            }
        }
    }

    /// A signed object, wherever it comes from: from now on, and until it expires, it counts wherever its PvD is attached and the PvD's server
    /// has given none. What is here twice is no error.
    ///
    /// # Errors
    /// [`NotShelved`]
    pub fn handle_object(&mut self, object: SignedObject, now: Now) -> Result<(), NotShelved> {
        let provenance = object.provenance;
        let obtained = object.read(now)?;
        self.shelve(obtained, provenance, false, now)
    }

    /// What came of an order; of one that was abandoned it does not count.
    pub fn handle_fetched(&mut self, order: OrderNumber, fetched: Fetched, now: Now) {
        let Some((interface, identity)) = self.orders.remove(&order) else {
            return;
        };
        if let Some(attachment) = self.attachments.get_mut(&interface) {
            let random = &mut self.random;
            let held =
                attachment.handle_fetched(order, &identity, fetched, &self.settings, random, now);
            let signed = held.filter(|held| matches!(held.data, DataEvidence::Signed(_)));
            if let Some(signed) = signed.filter(|held| held.signed.is_some()).cloned() {
                // It is held, whatever becomes of the copy.
                let _shelved = self.shelve(signed, Provenance::Fetched, true, now);
            }
        }
        self.settle(true, now);
    }

    fn shelve(
        &mut self,
        obtained: Obtained,
        provenance: Provenance,
        is_just_given: bool,
        now: Now,
    ) -> Result<(), NotShelved> {
        let pvd = obtained.information.identifier.clone();
        let signed = obtained.signed.clone();
        let most = self.settings.limits.shelf;
        let shelf = &mut self.shelf;
        let is_other = shelf.put(obtained, provenance, is_just_given, most, now)?;
        if let Some(signed) = signed.filter(|_| is_other) {
            self.actions.push_back(Action::Keep {
                pvd,
                signed,
                provenance,
            });
        }
        self.settle(true, now);
        Ok(())
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        let mut is_changed = self.shelf.expire(now);
        for (interface, attachment) in &mut self.attachments {
            let passed = attachment.handle_timeout(&self.settings, now);
            is_changed |= passed.is_over;
            if passed.solicits {
                self.actions.push_back(Action::Solicit(interface.clone()));
            }
        }
        self.settle(is_changed, now);
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let attached = self.attachments.iter().map(|(interface, attachment)| {
            attachment.poll_timeout(&self.settings, self.is_busy(interface))
        });
        earliest(attached.chain([self.shelf.poll_timeout()]))
    }

    /// Whether no more may be asked for on an interface now: each has its share, so that none whose servers keep silent takes the places
    /// of the others.
    fn is_busy(&self, interface: &InterfaceName) -> bool {
        let most = self.settings.limits.fetches;
        let attached = self.attachments.values().filter(|it| it.is_there()).count();
        let share = (most / attached.max(1)).max(1);
        let own = self.orders.values().filter(|(on, _)| on == interface);
        own.count() >= share || self.orders.len() >= most
    }

    /// Nobody waits any more for what was ordered on an interface for PvDs that are there no more.
    fn abandon(&mut self, interface: &InterfaceName) {
        let attachment = self.attachments.get(interface);
        let domains = attachment.map(|attachment| &attachment.domains);
        let gone = self.orders.extract_if(.., |_, (on, identity)| {
            on == interface && domains.is_none_or(|domains| !domains.contains_key(identity))
        });
        let gone = gone.map(|(order, _)| Action::Abandon(order));
        self.actions.extend(gone);
    }

    /// Asks whom there is to ask, and says that something is different.
    fn settle(&mut self, is_changed: bool, now: Now) {
        let mut is_changed = is_changed;
        is_changed |= self.judge_tunnels(now);
        let interfaces: Vec<_> = self.attachments.keys().cloned().collect();
        for interface in interfaces {
            while let Some(order) = self.next_order(&interface, now.instant) {
                self.actions.push_back(Action::Fetch(order));
                is_changed = true;
            }
        }
        if is_changed && !self.actions.contains(&Action::Changed) {
            self.actions.push_back(Action::Changed);
        }
    }

    /// Uses of tunnels what may be used, and says whether something is different.
    fn judge_tunnels(&mut self, now: Now) -> bool {
        let most = self.settings.limits.objects;
        let standings = tunnel::judge(&self.attachments, &self.shelf, &self.settings.trust, now);
        let mut is_changed = false;
        for (pvd, standing) in standings {
            let attachment = self.attachments.get_mut(&pvd.interface);
            let domain = attachment.and_then(|it| it.domains.get_mut(&pvd.identity));
            is_changed |= domain.is_some_and(|it| it.use_tunnel(standing, most, now.instant));
        }
        is_changed
    }

    fn next_order(&mut self, interface: &InterfaceName, now: Instant) -> Option<FetchOrder> {
        if self.is_busy(interface) {
            return None;
        }
        let attachment = self.attachments.get_mut(interface)?;
        let pvd: PvdId = attachment.next_question(&self.settings, now)?;
        self.last_order += 1;
        let number = OrderNumber(self.last_order);
        let (resolvers, sources, next_hops) = attachment.ask(&pvd, number, now)?;
        let identity = Identity::Explicit(pvd.clone());
        self.orders.insert(number, (interface.clone(), identity));
        Some(FetchOrder {
            number,
            pvd,
            interface: interface.clone(),
            resolvers,
            sources,
            next_hops,
        })
    }
}

/// Whether somebody here has proved to be the PvD, and it is what its routers say.
fn is_proved(view: &View) -> bool {
    let information = view.information.as_ref();
    information.is_some_and(|information| {
        information.origin == Origin::Server && information.evidence.data > DataEvidence::Absent
    })
}
