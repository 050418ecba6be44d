//! Parts that another server takes over: one of the same PvD or, where that has no session at all, one of another
//! attachment to its provider ([`super::attachments`]).
//!
//! ```text
//! asking --the server redirects in circles----------------------> asked at another, once at each
//!        --the server wants to be asked later, another is free--> asked at that one meanwhile
//!        --no session that does, another server has one---------> asked at that one
//!                                  (what was sent may have been heard: only after 10 s)
//!
//! asked at another --granted there------------------------> withdrawn here, if it was sent
//!                  --refused there, or put off and -------> asked for here again
//!                    this one has a session
//! ```
//!
//! What a server has granted stays with it, unless it sends that elsewhere itself. A part is looked at when one of its
//! request has changed, when it may go, and when another server answers or does not any more.

use std::collections::BTreeSet;
use std::time::Instant;

use dots::identifiers::Mid;
use pvd::PvdId;

use super::association::{Association, UNANSWERED_REQUEST};
use super::part::{Part, Wish};
use super::parts;
use super::route::{Destination, Live};
use super::{Client, Connector, RequestId, State};
use crate::server_selection::AssociationId;
use crate::time::Now;

impl<S: dtls::Session> Association<S> {
    /// Whether the server of this part answers, as far as its sessions tell.
    fn reaches(&self, mid: Mid) -> bool {
        self.reaches_at(self.destination_of(mid))
    }

    /// Whether a server that is asked answers.
    pub(super) fn is_reached(&self) -> bool {
        let mut asked = Destination::ALL.into_iter();
        asked.any(|it| self.is_wanted(it) && self.reaches_at(it))
    }

    fn reaches_at(&self, destination: Destination) -> bool {
        let sound = |live: &Live<S>| live.is_up() && live.trouble().is_none();
        let mut with = self
            .sessions
            .iter()
            .filter(|it| it.destination == destination);
        with.any(sound)
    }

    /// Whether a server that is asked does not answer, or none is.
    fn is_stranding(&self) -> bool {
        let mut asked = Destination::ALL.into_iter();
        asked.any(|it| self.is_wanted(it) && !self.reaches_at(it))
    }

    /// Whether a part has no session, and may be asked for elsewhere.
    fn is_stranded(&self, now: Now, part: &Part) -> bool {
        let may_go = part.movable_at().is_some_and(|at| at <= now.monotonic);
        may_go && !self.reaches(part.mid)
    }

    /// When the next part may go that has not been looked at since.
    fn next_stranded(&self) -> Option<Instant> {
        let is_stranding = self.is_stranding();
        let mut movable = self.parts.movable_after(self.placed);
        movable.next().filter(|_| is_stranding).map(|(at, _)| at)
    }

    /// The requests of which a part may have to be asked for elsewhere than when this was asked last.
    fn take_unplaced(&mut self, now: Now) -> BTreeSet<RequestId> {
        // Where this begins, all are looked at.
        let is_stranding = self.is_stranding();
        let movable = self.parts.movable_after(self.placed);
        let movable = movable.take_while(|(at, _)| is_stranding && *at <= now.monotonic);
        let movable = movable.filter_map(|(_, mid)| self.parts.get(mid));
        let mut requests: BTreeSet<RequestId> = movable.map(|part| part.wish.request).collect();
        self.placed = Some(now.monotonic);
        requests.append(&mut self.parts.take_unplaced());
        requests
    }

    /// Whether other servers answer than when this was asked last.
    fn has_turned(&mut self) -> bool {
        let reached = Destination::ALL.map(|it| self.is_wanted(it) && self.reaches_at(it));
        self.reached.replace(reached) != Some(reached)
    }

    /// Whether its server can be asked for this: it has not been, or what it was asked for came and went.
    pub(super) fn takes_over(&self, wish: &Wish) -> bool {
        let is_declined = |part: &Part| part.is_refused() || part.is_replaced();
        let is_past = |part: &Part| part.is_moved() || part.is_withdrawn() || part.is_over();
        let mut same = self.same_as(wish);
        same.all(|part| is_past(part) && !is_declined(part))
    }

    /// Whether it would ask its server for this now.
    fn is_free_for(&self, wish: &Wish) -> bool {
        let is_put_off = |part: &Part| part.put_off_until().is_some();
        let is_put_off = self.same_as(wish).any(is_put_off);
        self.takes_over(wish) && !is_put_off && !self.would_replace(wish)
    }

    /// Whether it would ask its server now for what another one put off.
    fn takes_back(&self, part: &Part) -> bool {
        part.pause.is_none() && part.put_off_until().is_none() && self.reaches(part.mid)
    }

    fn same_as(&self, wish: &Wish) -> impl Iterator<Item = &Part> {
        let same = |part: &&Part| part.wish.target == wish.target;
        self.parts_of(wish.request).filter(same)
    }

    /// A part that another server had: the one that moved from here comes back, or a new one takes
    /// the place of what was here before, also at the server (RFC 9132 §4.4.1.3).
    fn take_over(&mut self, now: Now, wish: Wish) {
        let moving = parts::mids(self.same_as(&wish).filter(|part| part.is_moving()));
        if !moving.is_empty() {
            return self.parts.change(moving, |part| part.stays(now));
        }
        // What is still to be withdrawn is, lest the server refuses the new one and keeps it.
        let before = parts::mids(self.same_as(&wish).filter(|part| part.is_over()));
        for mid in before {
            self.parts.remove(mid);
        }
        self.add(now, wish);
    }
}

/// How it stands at the server that is asked instead.
enum Instead {
    /// It is granted, or over.
    Taken,
    Awaited,
    /// It is put off there.
    Paused(AssociationId, Mid),
    Refused(AssociationId, Mid),
    /// That server is not asked any more.
    Gone,
}

impl<C: Connector> Client<C> {
    /// Moves what cannot stay where it is, withdraws what has moved and is granted, and takes back what is not taken.
    /// Returns whether anything changed.
    pub(super) fn place_parts(&mut self, now: Now, pvds: &BTreeSet<PvdId>) -> bool {
        let mut requests: BTreeSet<(PvdId, RequestId)> = BTreeSet::new();
        for pvd in pvds {
            let (one, mut has_turned) = (self.one_attachment(pvd), false);
            for at in self.associations.ids_of(&BTreeSet::from([pvd.clone()])) {
                if let Some(association) = self.associations.get_mut(&at) {
                    has_turned |= association.has_turned();
                    let unplaced = association.take_unplaced(now).into_iter();
                    requests.extend(unplaced.map(|id| (one.clone(), id)));
                }
            }
            for other in self.attachments(pvd).into_iter().filter(|_| has_turned) {
                self.associations.stir(&other);
                let servers = self.associations.of(&other);
                let parts = servers.flat_map(|it| it.parts.requests());
                requests.extend(parts.map(|id| (one.clone(), id)));
            }
        }
        let mut changed = false;
        for (pvd, id) in requests {
            let attachments = self.attachments(&pvd);
            let servers = self.associations.ids_of(&attachments).into_iter();
            let mids = |at: &AssociationId| {
                let association = self.associations.get(at);
                association.map_or_else(Vec::new, |it| parts::mids(it.parts_of(id)))
            };
            let parts: Vec<(AssociationId, Mid)> = servers
                .flat_map(|at| mids(&at).into_iter().map(move |mid| (at.clone(), mid)))
                .collect();
            for (at, mid) in parts {
                changed |= self.place(now, &at, mid);
            }
        }
        changed
    }

    /// The networks or the policy are others: each part is to be looked at.
    pub(super) fn forget_places(&mut self) {
        for association in self.associations.each_mut() {
            association.reached = None;
        }
    }

    /// Brings one part to where it is to be asked for.
    fn place(&mut self, now: Now, at: &AssociationId, mid: Mid) -> bool {
        let Some(association) = self.associations.get(at) else {
            return false;
        };
        let Some(part) = association.parts.get(mid) else {
            return false;
        };
        if part.is_moving() {
            return self.settle_moved(now, at, mid);
        }
        if part.is_redirected()
            && let Some(to) = self.elsewhere(at, part)
        {
            return self.move_part(now, (at, mid), &to);
        }
        let is_put_off = part
            .put_off_until()
            .is_some_and(|until| until >= now.monotonic + UNANSWERED_REQUEST);
        let is_stranded = association.is_stranded(now, part);
        let may_go = |other: &&Association<_>| match is_put_off {
            true => other.is_free_for(&part.wish),
            false => is_stranded && other.takes_over(&part.wish),
        };
        let to = self.reachable(at).find(may_go);
        let to = to.map(|other| other.id.clone());
        let asked = match &to {
            None if is_stranded => self.attachment_for(at, part),
            _ => None,
        };
        let (wish, attachment) = (&part.wish, asked.as_ref().map(|it| it.association.clone()));
        let Some(other) = to.or(attachment).and_then(|to| self.associations.get(&to)) else {
            return false;
        };
        let (id, to) = (wish.request, other.id.clone());
        // What a newer request names stays that one's.
        if other.would_replace(wish) {
            if let Some(association) = self.associations.get_mut(at) {
                association.parts.change([mid], |part| part.unasked(now));
            }
            self.decide(now, id);
            return true;
        }
        if let (Some(asked), Some(wanted)) = (asked, self.requests.get_mut(id)) {
            wanted.selection.ask_too(asked);
        }
        self.move_part(now, (at, mid), &to)
    }

    /// Withdraws what has moved and is granted, or takes it back.
    fn settle_moved(&mut self, now: Now, at: &AssociationId, mid: Mid) -> bool {
        let Some(association) = self.associations.get(at) else {
            return false;
        };
        let Some(part) = association.parts.get(mid) else {
            return false;
        };
        let instead = self.instead(part);
        let takes_back = association.takes_back(part);
        let change: fn(&mut Part, Now) = match instead {
            Instead::Taken => Part::hand_over,
            Instead::Gone => Part::stays,
            Instead::Paused(..) if !takes_back => return false,
            Instead::Refused(from, mid) | Instead::Paused(from, mid) => {
                return self.move_part(now, (&from, mid), at);
            }
            Instead::Awaited => return false,
        };
        if let Some(association) = self.associations.get_mut(at) {
            association.parts.change([mid], |part| change(part, now));
        }
        true
    }

    /// How a part that has moved stands where it has, which may be further than it went from here.
    fn instead(&self, part: &Part) -> Instead {
        let mut moved = part;
        for _ in self.associations.iter() {
            let Some(to) = moved.moved_to() else { break };
            let there = self.associations.get(to);
            let same = there.into_iter().flat_map(|it| it.same_as(&part.wish));
            let is_asked = |each: &Part| each.is_going() && !each.is_moved();
            let Some(found) = same.max_by_key(|each| (is_asked(each), each.mid)) else {
                return Instead::Gone;
            };
            if found.is_moved() {
                moved = found;
                continue;
            }
            return match found.state {
                _ if found.is_unasked() => Instead::Gone,
                State::Refused { .. } => Instead::Refused(to.clone(), found.mid),
                State::Deactivated { .. } | State::Postponed { .. } => {
                    Instead::Paused(to.clone(), found.mid)
                }
                State::Asking if found.pause.is_some() => Instead::Paused(to.clone(), found.mid),
                State::Asking => Instead::Awaited,
                State::Withdrawing if found.is_renumbered() => Instead::Awaited,
                State::Accepted(_) | State::Withdrawing | State::Ended(_) => Instead::Taken,
            };
        }
        Instead::Awaited
    }

    /// When the next part of a PvD may go because its server has no session.
    pub(super) fn next_move(&self, pvd: &PvdId) -> Option<Instant> {
        let goes_far = self.is_cut_off(pvd);
        let servers = self.associations.of(pvd);
        let leaving = servers.filter(|from| goes_far || self.reachable(&from.id).next().is_some());
        leaving.filter_map(Association::next_stranded).min()
    }

    /// The other servers of the same PvD with a session that answers.
    fn reachable<'a>(
        &'a self,
        from: &'a AssociationId,
    ) -> impl Iterator<Item = &'a Association<C::Session>> {
        let others = self.others(from);
        others.filter(|other| other.reaches(other.next_mid()))
    }

    /// Where a part goes that its server redirects in circles: to each of the others once.
    fn elsewhere(&self, from: &AssociationId, part: &Part) -> Option<AssociationId> {
        let is_new = |other: &&Association<_>| {
            let mut same = other.same_as(&part.wish);
            let was_passed = |it: &Part| it.is_moved() && it.is_unsent() && other.is_reached();
            same.all(was_passed) && !other.would_replace(&part.wish)
        };
        let others = self.others(from).filter(is_new);
        let best = others.min_by_key(|other| !other.is_established())?;
        Some(best.id.clone())
    }

    /// The other servers of the same PvD, and of no other (RFC 9284 §5.1).
    fn others<'a>(
        &'a self,
        from: &'a AssociationId,
    ) -> impl Iterator<Item = &'a Association<C::Session>> {
        let in_pvd = self.associations.of(&from.pvd);
        in_pvd.filter(move |other| other.id != *from)
    }

    pub(super) fn move_part(
        &mut self,
        now: Now,
        (from, mid): (&AssociationId, Mid),
        to: &AssociationId,
    ) -> bool {
        let old = self.associations.get_mut(from);
        let Some(mut part) = old.and_then(|association| association.parts.get_mut(mid)) else {
            return false;
        };
        let wish = part.wish.clone();
        part.moved(to.clone());
        drop(part);
        if let Some(wanted) = self.requests.get_mut(wish.request) {
            wanted.selection.ask_instead(from, to);
        }
        if let Some(other) = self.associations.get_mut(to) {
            other.take_over(now, wish);
        }
        true
    }
}
