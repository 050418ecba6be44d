//! PvDs that come, go and are renumbered, and what that means for what is asked of whom.
//!
//! ```text
//! set_pvds --> associations: new ones begin, changed ones go by their new addresses, and those whose
//!          |                 server is gone say what they withdraw while they can, and end
//!          '-> requests:     decided anew. Who is asked for the same as before notices nothing; who is
//!                            not asked any more is told to stop; who is asked for something else gets
//!                            a new request
//! ```
//!
//! A target of a network that is gone is withdrawn, and asked of no other: no other can help
//! (RFC 9284 §5.1). It is asked again when the network is back, as long as it is wanted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dots::target::{Target, TargetPrefix};
use pvd::{ProvisioningDomain, PvdSet};

use super::association::Association;
use super::mids;
use super::part::{Part, Wish};
use super::parts;
use super::route::{Destination, Ways};
use super::splitting;
use super::steady::Steady;
use super::{Client, Connector, End, RequestId};
use crate::server_selection::{self, Asked, AssociationId, Policy, Selection, Unprotected};
use crate::time::Now;

/// How long a server that is named no more is told what is withdrawn, if it does not answer.
const FAREWELL: Duration = Duration::from_secs(30);

/// The server of the same PvD that is asked: this one, if it is.
fn in_same_pvd<'a>(selection: &'a Selection, id: &AssociationId) -> Option<&'a AssociationId> {
    let asked = selection.asked.iter().map(|asked| &asked.association);
    let in_same = asked.filter(|asked| asked.pvd == id.pvd);
    in_same.max_by_key(|asked| *asked == id)
}

impl<C: Connector> Client<C> {
    /// The PvDs have changed. Sessions with servers that have not are left alone, and so is what
    /// is asked of them.
    pub fn set_pvds(&mut self, now: Now, pvds: PvdSet) {
        self.pvds = pvds;
        self.forget_places();
        self.keep_associations(now);
        self.decide_again(now);
        self.settle(now);
    }

    /// What the administrator has chosen.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The administrator has chosen otherwise.
    pub fn set_policy(&mut self, now: Now, policy: Policy) {
        self.policy = policy;
        self.forget_places();
        self.decide_again(now);
        self.settle(now);
    }

    /// An association for each server of each PvD.
    pub(super) fn keep_associations(&mut self, now: Now) {
        let servers = self.pvds.iter().flat_map(|domain| &domain.dots_servers);
        let configured: Arc<[String]> = servers.map(|server| server.name.clone()).collect();
        let mut named = BTreeSet::new();
        for domain in self.pvds.iter() {
            for server in &domain.dots_servers {
                let id = AssociationId {
                    pvd: domain.id.clone(),
                    server: server.name.clone(),
                };
                named.insert(id.clone());
                if let Some(association) = self.associations.get_mut(&id) {
                    association.reattach(now, domain, server, configured.clone());
                    continue;
                }
                let start = match self.known.remove(&id) {
                    Some(record) => (record.cuid, record.reserved_mid),
                    None => (self.connector.cuid(&id), mids::first(now)),
                };
                let (known, seed) = (configured.clone(), self.seeds.u64(..));
                let association = Association::new(now, domain, server, start, known, seed);
                self.associations.insert(association);
            }
        }
        for association in self.associations.each_mut() {
            if !named.contains(&association.id) {
                association.leave(now);
            }
        }
        self.take_absent(now, &named);
        self.expire_absent(now);
    }

    /// Brings what servers are asked for to what is decided now.
    pub(super) fn decide_again(&mut self, now: Now) {
        let ids: Vec<RequestId> = self.requests.ids().collect();
        for id in ids {
            let Some(wanted) = self.requests.get(id) else {
                continue;
            };
            if !wanted.is_going(now) || self.is_over(now, id) {
                continue;
            }
            self.decide(now, id);
        }
    }

    /// Brings what servers are asked for of a request to what is decided now.
    pub(super) fn decide(&mut self, now: Now, request: RequestId) {
        let Some(wanted) = self.requests.get(request) else {
            return;
        };
        let client = &*self;
        let steady = Steady { client, request };
        let attack = &wanted.attack;
        let selection = server_selection::select(attack, &self.pvds, &self.policy, &steady);
        self.carry_out(now, request, selection);
    }

    fn carry_out(&mut self, now: Now, id: RequestId, mut selection: Selection) {
        let Some(wanted) = self.requests.get(id) else {
            return;
        };
        let wish = Wish {
            request: id,
            target: wanted.attack.target.clone(),
            trigger_mitigation: wanted.trigger_mitigation,
            until: wanted.until,
            relayed: wanted.relayed.clone(),
        };
        let limits = self.connector.parameters().limits;
        let (mut unsayable, mut was_cut) = (Vec::new(), wanted.was_cut);
        let mut newer = Vec::new();
        for association in self.associations.each_mut() {
            if let Some(asked) = selection.asked_of_mut(&association.id) {
                newer.extend(association.leave_to_newer(&wish, &mut asked.target));
            }
            let asked = |asked: &&Asked| asked.association == association.id;
            let asked = selection.asked.iter().find(asked);
            let asked = asked.filter(|asked| !asked.target.prefixes.is_empty());
            // Who moves to a server that is not asked any more goes where the decision leads.
            let instead = in_same_pvd(&selection, &association.id);
            let moving = parts::mids(association.parts_of(id).filter(|part| part.is_moving()));
            let is_asked = |id: &AssociationId| {
                let mut asked = selection.asked.iter();
                asked.any(|asked| asked.association == *id)
            };
            association.parts.change(moving, |part| match instead {
                Some(to) if *to == association.id => part.stays(now),
                _ if part.moved_to().is_some_and(is_asked) => {}
                Some(to) => part.moved(to.clone()),
                None => part.stays(now),
            });
            let known = association.known(id);
            let pieces: Vec<&Wish> = known.map(|part| &part.wish).collect();
            let is_as_decided = match asked {
                None => pieces.is_empty(),
                Some(asked) => splitting::make_up(&pieces, &asked.target),
            };
            if !is_as_decided {
                association.forget_unasked(id);
                let of_it = association.parts_of(id);
                let going = parts::mids(of_it.filter(|part| part.is_going() && !part.is_moved()));
                association.parts.change(going, |part| part.unasked(now));
            }
            was_cut |= association.parts_of(id).any(Part::is_unasked);
            let Some(asked) = asked.filter(|_| !is_as_decided) else {
                continue;
            };
            let wish = Wish {
                target: asked.target.clone(),
                ..wish.clone()
            };
            let limit = association.message_limit().min(limits.max_message_size);
            let named = (&association.id, &association.cuid);
            match splitting::divide(now, named, &wish, limit) {
                Ok(wishes) => {
                    for wish in wishes {
                        association.add(now, wish);
                    }
                }
                Err(_) => unsayable.push(association.id.clone()),
            }
        }
        let too_wide = |asked: &mut Asked| unsayable.contains(&asked.association);
        for asked in selection.asked.extract_if(.., too_wide) {
            let prefixes = asked.target.prefixes.into_iter();
            let left = prefixes.map(|prefix| Unprotected {
                prefix,
                reason: server_selection::Reason::Unsayable,
            });
            selection.unprotected.extend(left);
        }
        if let Some(wanted) = self.requests.get_mut(id) {
            selection
                .asked
                .retain(|asked| !asked.target.prefixes.is_empty());
            wanted.is_outdone = !newer.is_empty();
            // What another server goes on with is wanted.
            let mut asked = selection.asked.iter().map(|asked| &asked.target.prefixes);
            newer.retain(|left| !asked.any(|named| named.iter().any(|it| it.overlaps(left))));
            wanted.selection = selection;
            wanted.was_cut = was_cut;
            wanted.shed(&newer);
        }
    }
}

impl<S: dtls::Session> Association<S> {
    /// The PvD and its server as they are now.
    fn reattach(
        &mut self,
        now: Now,
        domain: &ProvisioningDomain,
        server: &pvd::DotsServer,
        configured: Arc<[String]>,
    ) {
        self.contacts.set_configured(configured);
        if self.leaving.take().is_some() {
            self.is_closed = false;
        }
        let ways = Ways::new(domain, server);
        let candidates = ways.candidates_at(&server.endpoints);
        let is_same_interface = ways.interface == self.ways.interface;
        if ways == self.ways && self.provisioned.race.has(&candidates) {
            return;
        }
        self.ways = ways;
        self.provisioned.race.renew(now.monotonic, candidates);
        self.leave_alternate(now, "the network has changed");
        let mut lost = Vec::new();
        for live in &mut self.sessions {
            // What was begun from an address that is no more than deprecated goes on from it (RFC 4862 §5.5.4).
            let place = self.provisioned.race.place_of(live.candidate.peer());
            let stays = is_same_interface
                && self.ways.may_leave_from(live.candidate.source)
                && live.established.is_some()
                && live.destination == Destination::Provisioned;
            match place.filter(|_| stays) {
                Some(place) => live.entry = place,
                None => lost.push(live.path),
            }
        }
        for path in lost {
            self.drop_session(now, path, "the network has changed".to_owned());
        }
    }

    /// The server is named no more. What it was asked for it is told to stop, as long as a session
    /// is there.
    fn leave(&mut self, now: Now) {
        if self.leaving.is_none() {
            self.leaving = Some(now.monotonic + FAREWELL);
            let all = parts::mids(self.parts.iter());
            self.parts.change(all, |part| part.unasked(now));
        }
    }

    /// Ends what is left of an association that is being left, once nobody hears it. What the server was not
    /// told it is told when it is named again.
    pub(super) fn settle_leaving(&mut self, now: Now) {
        let Some(until) = self.leaving.filter(|_| !self.is_closed) else {
            return;
        };
        let is_heard = self.sessions.iter().any(|live| live.is_up());
        let has_said_all = self.parts.are_over();
        if has_said_all || !is_heard || until <= now.monotonic {
            let untold = self.parts.iter().filter(|part| part.is_withdrawn());
            self.untold.extend(untold.cloned());
            let all = parts::mids(self.parts.iter());
            self.parts.change(all, |part| part.end(End::NotAsked));
            self.close(now);
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.leaving.is_some() && self.is_closed && self.sessions.is_empty()
    }

    /// What a newer request names is that one's: to ask for it anew would take its place, as it took the place of what
    /// was here before once it was granted (RFC 9132 §4.4.1.3).
    fn leave_to_newer(&self, wish: &Wish, target: &mut Target) -> Vec<TargetPrefix> {
        let mut left = self.newers(wish, target, Part::is_granted);
        let known = self.known(wish.request);
        let pieces: Vec<&Wish> = known.map(|part| &part.wish).collect();
        if !splitting::make_up(&pieces, target) {
            left.extend(self.newers(wish, target, Part::is_going));
        }
        left
    }

    /// Whether to ask for this under a new number would take the place of a newer request (RFC 9132 §4.4.1.3).
    pub(super) fn would_replace(&self, wish: &Wish) -> bool {
        let newers = self.newers(wish, &mut wish.target.clone(), Part::is_going);
        !newers.is_empty()
    }

    /// Takes out what newer requests name.
    fn newers(
        &self,
        wish: &Wish,
        target: &mut Target,
        is_meant: impl Fn(&Part) -> bool,
    ) -> Vec<TargetPrefix> {
        let near = self.parts.overlapping(target);
        let newer = near.filter(|part| {
            let is_newer = part.wish.request > wish.request;
            is_newer && part.wish.is_of_one_kind(wish) && part.is_going() && is_meant(part)
        });
        let newer: Vec<&Target> = newer.map(|part| &part.wish.target).collect();
        let is_newers = |prefix: &mut TargetPrefix| {
            let mut named = newer.iter().flat_map(|target| &target.prefixes);
            named.any(|named| named.overlaps(prefix))
        };
        target.prefixes.extract_if(.., is_newers).collect()
    }

    /// What the server is asked for of a request. What it has refused or ended, or a newer request has replaced, is
    /// not asked again because something else has changed.
    pub(super) fn known(&self, request: RequestId) -> impl Iterator<Item = &Part> {
        let known = self.parts_of(request);
        known.filter(|part| !part.is_unasked() && !part.is_moved() && !part.was_withdrawn())
    }

    /// Forgets what a request was asked for here before, once the server has been told.
    fn forget_unasked(&mut self, id: RequestId) {
        let unasked = |part: &&Part| part.is_unasked() && part.is_over();
        for mid in parts::mids(self.parts.of(id).filter(unasked)) {
            self.parts.remove(mid);
        }
    }
}
