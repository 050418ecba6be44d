//! Parts that another server of the same PvD takes over.
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
//! What a server has granted stays with it, unless it sends that elsewhere itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::identifiers::Mid;
use pvd::PvdId;

use super::association::{Association, UNANSWERED_REQUEST};
use super::part::{Part, Wish};
use super::parts;
use super::route::{Destination, Live};
use super::{Client, Connector, State};
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

    /// The parts without a session, and from when on each may be asked for elsewhere.
    pub(super) fn stranded(&self) -> impl Iterator<Item = (Instant, &Part)> {
        let mut wanted = Destination::ALL.into_iter();
        let is_cut_off = |it| self.is_wanted(it) && !self.reaches_at(it);
        let is_stranding = wanted.any(is_cut_off);
        let movable = self.parts.movable().take_while(move |_| is_stranding);
        movable
            .filter(|(_, mid)| !self.reaches(*mid))
            .filter_map(|(at, mid)| Some((at, self.parts.get(mid)?)))
    }

    /// Whether its server can be asked for this: it has not been, or it came and went.
    fn takes_over(&self, wish: &Wish) -> bool {
        let came_and_went = |part: &Part| part.is_moved() && !part.is_refused();
        self.same_as(wish).all(came_and_went)
    }

    /// Whether it would ask its server for this now.
    fn is_free_for(&self, wish: &Wish) -> bool {
        let is_put_off = |part: &Part| part.put_off_until().is_some();
        self.takes_over(wish) && !self.same_as(wish).any(is_put_off)
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
        let before = parts::mids(self.same_as(&wish).filter(|part| part.is_moved()));
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
    /// Moves what cannot stay where it is. Returns whether anything did.
    pub(super) fn move_parts(&mut self, now: Now, pvds: &BTreeSet<PvdId>) -> bool {
        let servers = self.associations.ids_of(pvds);
        let mut moved = false;
        for from in &servers {
            let Some(association) = self.associations.get_mut(from) else {
                continue;
            };
            let misdirected = association.take_misdirected();
            let due = self
                .stranded(from)
                .take_while(|(at, ..)| *at <= now.monotonic);
            let stranded = due.map(|(_, mid, to)| (mid, to));
            let stuck: BTreeMap<Mid, AssociationId> =
                stranded.chain(self.put_off(now, from)).collect();
            for mid in misdirected {
                if let Some(to) = self.elsewhere(from, mid) {
                    moved |= self.move_part(now, (from, mid), &to);
                }
            }
            for (mid, to) in stuck {
                moved |= self.move_part(now, (from, mid), &to);
            }
        }
        moved | self.settle_moved(now, pvds)
    }

    /// Withdraws what has moved and is granted, and takes back what is not taken.
    fn settle_moved(&mut self, now: Now, pvds: &BTreeSet<PvdId>) -> bool {
        let mut moving = Vec::new();
        for at in self.associations.ids_of(pvds) {
            let association = self.associations.get(&at);
            let mids = association.into_iter().flat_map(|it| it.parts.moving());
            moving.extend(mids.map(|mid| (at.clone(), mid)));
        }
        let mut changed = false;
        for (at, mid) in moving {
            let Some(association) = self.associations.get(&at) else {
                continue;
            };
            let Some(part) = association.parts.get(mid) else {
                continue;
            };
            let instead = self.instead(&at, part);
            let takes_back = association.takes_back(part);
            let mut change = |change: fn(&mut Part, Now)| {
                if let Some(association) = self.associations.get_mut(&at) {
                    association.parts.change([mid], |part| change(part, now));
                }
            };
            match instead {
                Instead::Taken => change(Part::hand_over),
                Instead::Gone => change(Part::stays),
                Instead::Paused(..) if !takes_back => continue,
                Instead::Refused(from, mid) | Instead::Paused(from, mid) => {
                    self.move_part(now, (&from, mid), &at);
                }
                Instead::Awaited => continue,
            }
            changed = true;
        }
        changed
    }

    /// How a part that has moved stands where it has, which may be further than it went from here.
    fn instead(&self, at: &AssociationId, part: &Part) -> Instead {
        let mut moved = part;
        for _ in self.associations.of(&at.pvd) {
            let Some(to) = moved.moved_to() else { break };
            let there = self.associations.get(to);
            let same = there.into_iter().flat_map(|it| it.same_as(&part.wish));
            let Some(found) = same.max_by_key(|each| (!each.is_moved(), each.mid)) else {
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

    /// When the next part of a PvD is moved because its server has no session.
    pub(super) fn next_move(&self, pvd: &PvdId) -> Option<Instant> {
        let servers = self.associations.of(pvd);
        servers
            .filter_map(|from| self.stranded(&from.id).next())
            .map(|(at, ..)| at)
            .min()
    }

    /// The parts at a server without a session that can go to another: when, the first first, and
    /// where.
    fn stranded<'a>(
        &'a self,
        from: &'a AssociationId,
    ) -> impl Iterator<Item = (Instant, Mid, AssociationId)> {
        let others = self.reachable(from);
        let association = self.associations.get(from).filter(|_| !others.is_empty());
        let stranded = association.into_iter().flat_map(Association::stranded);
        stranded.filter_map(move |(at, part)| {
            let mut others = others.iter();
            let to = others.find(|other| other.takes_over(&part.wish))?;
            Some((at, part.mid, to.id.clone()))
        })
    }

    /// The parts whose server wants to be asked so much later that another one is worth a request, and
    /// where they can go.
    fn put_off<'a>(
        &'a self,
        now: Now,
        from: &'a AssociationId,
    ) -> impl Iterator<Item = (Mid, AssociationId)> + use<'a, C> {
        let others = self.reachable(from);
        let association = self.associations.get(from).filter(|_| !others.is_empty());
        let put_off = association.into_iter().flat_map(|it| it.parts.put_off());
        let is_worth = move |part: &&Part| {
            let until = part.put_off_until();
            until.is_some_and(|until| until >= now.monotonic + UNANSWERED_REQUEST)
        };
        put_off.filter(is_worth).filter_map(move |part| {
            let mut others = others.iter();
            let to = others.find(|other| other.is_free_for(&part.wish))?;
            Some((part.mid, to.id.clone()))
        })
    }

    /// The other servers of the same PvD with a session that answers.
    fn reachable<'a>(&'a self, from: &'a AssociationId) -> Vec<&'a Association<C::Session>> {
        let others = self.others(from);
        others
            .filter(|other| other.reaches(other.next_mid()))
            .collect()
    }

    /// Where a part goes that its server redirects in circles: to each of the others at most once.
    fn elsewhere(&self, from: &AssociationId, mid: Mid) -> Option<AssociationId> {
        let part = self.associations.get(from)?.parts.get(mid)?;
        let is_new = |other: &&Association<_>| other.same_as(&part.wish).next().is_none();
        let others = self
            .others(from)
            .filter(|_| part.is_redirected() && !part.is_moving())
            .filter(is_new);
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

    fn move_part(
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
