//! Requests that go to another attachment to the same provider, because theirs has no session any more
//! (RFC 9284 §5.4).
//!
//! ```text
//! asked over one --no server of it answers, and of a sibling one does--> decided anew without it
//!                    (what was sent may have been heard: only after 10 s; what is granted, when it is over)
//! ```

use std::collections::BTreeSet;
use std::time::Instant;

use pvd::{ProvisioningDomain, PvdId};

use super::association::Association;
use super::homing::Steady;
use super::{Client, Connector, RequestId};
use crate::server_selection::{self, AssociationId, SameProvider, Selection, SessionStates};
use crate::time::Now;

/// The servers as they look to a request whose attachment is cut off.
struct Without<'a, C: Connector> {
    steady: Steady<'a, C>,
    pvd: &'a PvdId,
}

impl<C: Connector> SessionStates for Without<'_, C> {
    fn is_established(&self, asked: &AssociationId) -> bool {
        asked.pvd != *self.pvd && self.steady.is_established(asked)
    }
}

impl<C: Connector> Client<C> {
    /// Decides anew for what is asked over attachments that are cut off. Returns whether anything changed.
    pub(super) fn change_attachments(&mut self, now: Now, pvds: &BTreeSet<PvdId>) -> bool {
        let touched = pvds.iter().filter_map(|id| self.pvds.get(id));
        let siblings = touched.flat_map(|domain| self.siblings(domain));
        let all: BTreeSet<PvdId> = siblings
            .map(|it| it.id.clone())
            .chain(pvds.clone())
            .collect();
        let mut changed = false;
        for pvd in all {
            let cut_off = self.cut_off(&pvd).into_iter();
            for (_, id) in cut_off.take_while(|(at, _)| *at <= now.monotonic) {
                let Some(selection) = self.decide_without(&pvd, id) else {
                    continue;
                };
                self.associations.stir(&pvd);
                self.carry_out(now, id, selection);
                changed = true;
            }
        }
        changed
    }

    /// When the next request of a PvD is decided anew because its attachment is cut off.
    pub(super) fn next_change(&self, pvd: &PvdId) -> Option<Instant> {
        let mut cut_off = self.cut_off(pvd).into_iter();
        let leaving = cut_off.find(|(_, id)| self.decide_without(pvd, *id).is_some());
        leaving.map(|(at, _)| at)
    }

    /// The other attachments to the same provider, where one of them is asked for all.
    fn siblings<'a>(
        &'a self,
        domain: &'a ProvisioningDomain,
    ) -> impl Iterator<Item = &'a ProvisioningDomain> {
        let is_one = self.policy.same_provider == SameProvider::One && domain.provider.is_some();
        self.pvds.iter().filter(move |other| {
            is_one && other.provider == domain.provider && other.id != domain.id
        })
    }

    /// The requests that another attachment can take over from a PvD that has no session: from when on.
    fn cut_off(&self, pvd: &PvdId) -> BTreeSet<(Instant, RequestId)> {
        let is_reached = |id: &PvdId| self.associations.of(id).any(Association::is_reached);
        let domain = self.pvds.get(pvd);
        let mut siblings = domain.into_iter().flat_map(|domain| self.siblings(domain));
        if !siblings.any(|it| is_reached(&it.id)) || is_reached(pvd) {
            return BTreeSet::new();
        }
        let stranded = self.associations.of(pvd).flat_map(Association::stranded);
        let requests: BTreeSet<RequestId> = stranded.map(|(_, part)| part.wish.request).collect();
        let movable = requests.into_iter().filter_map(|id| {
            let parts = self.associations.of(pvd).flat_map(|it| it.parts_of(id));
            let going = parts.filter(|part| part.is_going() && !part.is_moved());
            let movable: Option<Vec<Instant>> = going.map(|part| part.movable_at()).collect();
            Some((movable?.into_iter().max()?, id))
        });
        movable.collect()
    }

    /// To whom a request goes when a PvD has no session; `None`: it stays there all the same.
    fn decide_without(&self, pvd: &PvdId, id: RequestId) -> Option<Selection> {
        let without = Without {
            steady: Steady {
                client: self,
                request: id,
            },
            pvd,
        };
        let attack = &self.requests.get(id)?.attack;
        let selection = server_selection::select(attack, &self.pvds, &self.policy, &without);
        let mut asked = selection.asked.iter();
        let is_left = asked.all(|asked| asked.association.pvd != *pvd);
        is_left.then_some(selection)
    }
}
