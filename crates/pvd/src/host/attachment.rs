//! One interface while it is attached to a network: its PvDs, and to which of them its addresses belong.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use super::admission::Admission;
use super::budget::{Budget, Permission};
use super::dhcp::{Leased, Misconfiguration};
use super::domain::{Domain, Heard};
use super::held::earliest;
use super::identity::Identity;
use super::information::{self, Information, Obtained, Past, Step};
use super::next_hops::NextHops;
use super::order::{Failure, Fetched, Now, OrderNumber};
use super::settings::Settings;
use super::solicitation::Solicitation;
use crate::bindings::router_advertisement::RouterAdvertisement;
use crate::evidence::LinkEvidence;
use crate::identifier::PvdId;
use crate::source_address::{Kind, OwnAddress, Stage};

#[derive(Debug)]
pub(super) struct Attachment {
    /// Of the link that the node is on; `None` while the interface is detached.
    pub(super) link: Option<LinkEvidence>,
    pub(super) domains: BTreeMap<Identity, Domain>,
    /// Of PvDs that were there, the last one last.
    past: Vec<(PvdId, Past)>,
    pub(super) faults: Vec<Misconfiguration>,
    pub(super) budget: Budget,
    admission: Admission,
    solicitation: Solicitation,
    pub(super) addresses: Vec<OwnAddress>,
    pub(super) owned: BTreeMap<Identity, Vec<OwnAddress>>,
    /// What DHCP brought.
    pub(super) leased: Vec<Leased>,
    /// Since when it is on the link.
    pub(super) since: Option<Instant>,
    /// Router Advertisements that were heard.
    heard: u64,
}

/// What a Router Advertisement led to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// It counts.
    pub(super) is_taken: bool,
    /// It says something new.
    pub(super) is_changed: bool,
    /// The routers are to be asked.
    pub(super) solicits: bool,
}

/// What has come of time.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Something is over.
    pub(super) is_over: bool,
    /// The routers are to be asked.
    pub(super) solicits: bool,
}

impl Attachment {
    pub(super) fn new(key: u64) -> Self {
        Self {
            link: None,
            domains: BTreeMap::new(),
            past: Vec::new(),
            faults: Vec::new(),
            budget: Budget::default(),
            admission: Admission::new(key),
            solicitation: Solicitation::default(),
            addresses: Vec::new(),
            owned: BTreeMap::new(),
            leased: Vec::new(),
            since: None,
            heard: 0,
        }
    }

    /// The node is on a network anew, or on none; nothing of the last one is left. A tunnel is there until somebody says otherwise.
    pub(super) fn set_link(
        &mut self,
        link: Option<LinkEvidence>,
        random: &mut fastrand::Rng,
        now: Instant,
    ) {
        self.link = link;
        match link {
            Some(_) => self.solicitation.begin(random, now),
            None => self.solicitation.end(),
        }
        self.budget.begin();
        self.admission.end();
        self.domains.retain(|_, domain| domain.tunnel.is_some());
        self.past.clear();
        self.addresses.clear();
        self.leased.clear();
        self.since = link.map(|_| now);
        self.associate();
    }

    pub(super) fn set_addresses(&mut self, addresses: Vec<OwnAddress>) {
        self.addresses = addresses;
        self.associate();
    }

    /// All that DHCP brought; whether that makes a difference.
    pub(super) fn set_leases(&mut self, leased: Vec<Leased>) -> bool {
        self.leased = leased;
        self.associate()
    }

    /// The link that brought a PvD.
    pub(super) fn link_of(&self, domain: &Domain) -> LinkEvidence {
        match domain.tunnel {
            Some(_) => LinkEvidence::Vpn,
            None => self.link.unwrap_or(LinkEvidence::Absent),
        }
    }

    /// Whether anything can come over it.
    pub(super) fn is_there(&self) -> bool {
        self.link.is_some() || !self.domains.is_empty()
    }

    pub(super) fn take(
        &mut self,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement,
        shelved: u64,
        settings: &Settings,
        random: &mut fastrand::Rng,
        now: Now,
    ) -> Taken {
        self.heard += 1;
        let identity = match &advertisement.pvd {
            Some(pvd) => Identity::Explicit(pvd.id.clone()),
            None => Identity::Implicit(source),
        };
        let heard = Heard {
            source,
            advertisement,
            number: self.heard,
        };
        let mut taken = Taken::default();
        // The peer of a tunnel has proved its name; who else uses it is not merged with it (RFC 7556 §7.1).
        let of_tunnel = self.domains.get(&identity);
        if of_tunnel.is_some_and(|domain| domain.tunnel.is_some()) {
            return taken;
        }
        let known = self.domains.remove(&identity);
        taken.is_taken = known.is_some();
        let mut domain = known.unwrap_or_else(|| {
            let mut domain = Domain::new(now.instant);
            let mut past = self.past.iter();
            let past = past.find(|(id, _)| Some(id) == identity.id());
            domain.information =
                Information::after(past.map_or(Past::default(), |(_, past)| *past));
            domain
        });
        taken.is_changed = domain.take(heard, &settings.limits, now.instant);
        if !domain.is_empty()
            && (taken.is_taken || self.admit(&identity, settings, now.instant, &mut taken))
        {
            taken.is_taken = true;
            let pvd = advertisement.pvd.as_ref();
            let announced = pvd.and_then(|pvd| pvd.additional_information);
            let information = &mut domain.information;
            taken.is_changed |= information.announce(announced, shelved, random, now);
            self.domains.insert(identity, domain);
        } else if taken.is_taken {
            self.remember(&identity, &domain, settings.limits.domains);
        }
        if taken.is_taken {
            if advertisement.header().router_lifetime > 0 {
                self.solicitation.end();
            }
            taken.is_changed |= self.associate();
        }
        taken
    }

    /// Notes what is to be known of a PvD when it is advertised again.
    fn remember(&mut self, identity: &Identity, domain: &Domain, most: usize) {
        if let Some(id) = identity.id() {
            self.past.retain(|(known, _)| known != id);
            self.past.push((id.clone(), domain.information.past()));
            let too_many = self.past.len().saturating_sub(most);
            self.past.drain(..too_many);
        }
    }

    /// Whether there is room for one more PvD, or somebody gives way to it.
    fn admit(
        &mut self,
        stranger: &Identity,
        settings: &Settings,
        now: Instant,
        taken: &mut Taken,
    ) -> bool {
        let limits = &settings.limits;
        if self.domains.len() < limits.domains {
            self.admission.end();
            return true;
        }
        taken.solicits = self.admission.solicits(now);
        if !self
            .admission
            .was_heard_before(stranger, limits.strangers, now)
        {
            return false;
        }
        let domains = self.domains.iter().filter(|(identity, domain)| {
            let may_give_way = self.admission.is_silent(domain.last_heard);
            let is_advertised = domain.tunnel.is_none() && **identity != Identity::Legacy;
            may_give_way && is_advertised && !domain.is_proved()
        });
        let heard_for = |domain: &Domain| domain.last_heard - domain.first_heard;
        let weakest = domains.min_by_key(|(_, domain)| (heard_for(domain), domain.last_heard));
        let Some(weakest) = weakest.map(|(identity, _)| identity.clone()) else {
            return false;
        };
        self.domains.remove(&weakest);
        true
    }

    pub(super) fn handle_timeout(&mut self, settings: &Settings, now: Now) -> Passed {
        let mut passed = Passed {
            solicits: self.solicitation.handle_timeout(now.instant),
            ..Passed::default()
        };
        for domain in self.domains.values_mut() {
            passed.is_over |= domain.expire(now.instant);
            passed.is_over |= domain.information.handle_timeout(now);
        }
        if passed.is_over {
            let over: Vec<_> = { &mut self.domains }
                .extract_if(.., |_, domain| domain.is_empty())
                .collect();
            for (identity, domain) in over {
                self.remember(&identity, &domain, settings.limits.domains);
            }
            self.associate();
        }
        passed
    }

    /// What came of an order, and what is held now. Its failure counts, also if the PvD is not advertised any more: else whoever advertises names could have
    /// others asked without end, and take each name back before they can refuse.
    pub(super) fn handle_fetched(
        &mut self,
        order: OrderNumber,
        identity: &Identity,
        fetched: Fetched,
        settings: &Settings,
        random: &mut fastrand::Rng,
        now: Now,
    ) -> Option<&Obtained> {
        let id = identity.id()?;
        let domain = self.domains.get_mut(identity);
        let information = domain.map(|domain| &mut domain.information);
        let information = information.filter(|it| it.order() == Some(order));
        let failure = match information {
            Some(information) => {
                information.handle_fetched(id, fetched, settings.limits.attempts, random, now)
            }
            None => information::judge(id, fetched, now)
                .err()
                .filter(Failure::is_final),
        };
        if let Some(failure) = failure {
            self.budget.note_failure(id.clone(), failure);
        }
        self.domains.get(identity)?.information.held()
    }

    /// The next PvD to be asked now, if one may be. Who has shown to be somebody comes before who was heard once.
    pub(super) fn next_question(&mut self, settings: &Settings, now: Instant) -> Option<PvdId> {
        let due = self
            .askable(settings)
            .filter(|(_, domain)| domain.information.is_due(now));
        let mut due: Vec<_> = due
            .map(|(id, domain)| {
                let rank = (domain.is_proved(), domain.was_heard_again());
                (Reverse(rank), domain.first_heard, id.clone())
            })
            .collect();
        due.sort();
        for (.., id) in due {
            match self.budget.check(&id, now) {
                Permission::Granted => return Some(id),
                Permission::Failed(failure) => self.give_up(&id, failure),
                Permission::NotBefore(_) | Permission::Closed => {}
            }
        }
        None
    }

    fn give_up(&mut self, id: &PvdId, failure: Failure) {
        if let Some(domain) = self.domains.get_mut(&Identity::Explicit(id.clone())) {
            domain.information.give_up(failure);
        }
    }

    /// The PvDs that could be asked: by policy, and with an address and a resolver of their own.
    fn askable(&self, settings: &Settings) -> impl Iterator<Item = (&PvdId, &Domain)> {
        self.domains.iter().filter_map(|(identity, domain)| {
            let id = identity.id().filter(|id| settings.fetching.permits(id))?;
            let is_able = !self.resolvers(identity, domain).is_empty();
            is_able.then_some((id, domain))
        })
    }

    /// Notes that a PvD is asked; its resolvers, this node's addresses in it, and by whom it may be asked.
    pub(super) fn ask(
        &mut self,
        id: &PvdId,
        order: OrderNumber,
        now: Instant,
    ) -> Option<(Vec<IpAddr>, Vec<IpAddr>, NextHops)> {
        let identity = Identity::Explicit(id.clone());
        let sources = self.sources(&identity);
        let resolvers = self.resolvers(&identity, self.domains.get(&identity)?);
        let domain = self.domains.get_mut(&identity)?;
        self.budget.note_question(id.clone(), now);
        domain.information.ask(order);
        Some((resolvers, sources, domain.next_hops()))
    }

    /// The resolvers of a PvD that can be asked from one of this node's addresses in it.
    pub(super) fn resolvers(&self, identity: &Identity, domain: &Domain) -> Vec<IpAddr> {
        let sources = self.sources(identity);
        let resolvers = domain.resolvers().into_iter().map(|it| it.what);
        let can_be_asked = |resolver: &IpAddr| {
            let mut sources = sources.iter();
            sources.any(|source| source.is_ipv6() == resolver.is_ipv6())
        };
        resolvers.filter(can_be_asked).collect()
    }

    /// This node's addresses to ask from: temporary ones first (RFC 8801 §4.1), preferred ones before deprecated ones. An advertised
    /// PvD is asked over IPv6, which it has for certain; a tunnel may have IPv4 alone.
    pub(super) fn sources(&self, identity: &Identity) -> Vec<IpAddr> {
        let mut own = self.addresses_of(identity).to_vec();
        own.sort_by_key(|own| (own.stage == Stage::Deprecated, own.kind == Kind::Public));
        let addresses = own.iter().map(|own| own.address);
        let domain = self.domains.get(identity);
        let is_tunnel = domain.is_some_and(|domain| domain.tunnel.is_some());
        addresses.filter(|it| is_tunnel || it.is_ipv6()).collect()
    }

    /// This node's addresses in a PvD.
    pub(super) fn addresses_of(&self, identity: &Identity) -> &[OwnAddress] {
        self.owned.get(identity).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.budget.is_closed()
    }

    pub(super) fn poll_timeout(&self, settings: &Settings, is_busy: bool) -> Option<Instant> {
        let objects = self.domains.values().map(Domain::poll_timeout);
        let questions = self
            .askable(settings)
            .filter(|_| !is_busy)
            .map(|(id, domain)| {
                let Step::Due { at, .. } = *domain.information.step() else {
                    return None;
                };
                match self.budget.check(id, at) {
                    Permission::Granted | Permission::Failed(_) => Some(at),
                    Permission::NotBefore(later) => Some(later),
                    Permission::Closed => None,
                }
            });
        let solicitation = self.solicitation.poll_timeout();
        earliest(objects.chain(questions).chain([solicitation]))
    }
}
