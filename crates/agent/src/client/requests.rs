//! The requests of a client: made, withdrawn, reported.

use std::collections::{BTreeMap, BTreeSet};

use dots::lifetime::Lifetime;
use dots::mitigation::AttackStatus;
use dots::target::{Target, TargetPrefix};
use pvd::PvdId;

use super::association::Association;
use super::part::{self, Part, Wish};
use super::parts;
use super::splitting;
use super::wanted::Wanted;
use super::{
    Action, Client, Connector, PartReport, Refusal, RequestId, RequestReport, SessionReport,
};
use crate::server_selection::{self, Asked, AssociationId, Attack, Selection};
use crate::time::Now;

/// Finished requests that are kept for people to look at.
const FINISHED_KEPT: usize = 32;

impl<C: Connector> Client<C> {
    /// Who would be asked for protection, without asking.
    pub fn explain(&self, attack: &Attack) -> Selection {
        server_selection::select(attack, &self.pvds, &self.policy, self)
    }

    /// Asks the right servers to protect what is attacked: at once, or without `trigger_mitigation` when
    /// the session with them is lost (RFC 9132 §4.4.1.1). The same again
    /// sets when the request ends anew, be it sooner.
    ///
    /// # Errors
    /// [`Refusal`], when nobody can be asked or too much was asked already.
    pub fn mitigate(
        &mut self,
        now: Now,
        attack: &Attack,
        lifetime: Lifetime,
        trigger_mitigation: bool,
    ) -> Result<RequestId, Refusal> {
        let selection = self.explain(attack);
        if selection.asked.is_empty() {
            return Err(Refusal::NobodyToAsk(selection));
        }
        let until = part::until(now, lifetime);
        if let Some(id) = self.request_for(&selection, trigger_mitigation) {
            self.change_parts(id, |part| {
                if part.is_going() {
                    part.prolong(now, until);
                }
            });
            if let Some(wanted) = self.requests.get_mut(id) {
                wanted.until = until;
            }
            self.settle(now);
            return Ok(id);
        }
        let wanted = Wanted {
            selection,
            ..Wanted::new(attack.clone(), trigger_mitigation, until)
        };
        self.ask(now, wanted)
    }

    /// Makes a request of what was decided.
    pub(super) fn ask(&mut self, now: Now, wanted: Wanted) -> Result<RequestId, Refusal> {
        let mut wishes = Vec::new();
        let id = self.next_request;
        for asked in &wanted.selection.asked {
            if let Some(association) = self.associations.get(&asked.association) {
                let wish = Wish {
                    request: id,
                    target: asked.target.clone(),
                    trigger_mitigation: wanted.trigger_mitigation,
                    until: wanted.until,
                    relayed: wanted.relayed.clone(),
                };
                let limits = self.connector.parameters().limits;
                let limit = association.message_limit().min(limits.max_message_size);
                let named = (&association.id, &association.cuid);
                wishes.push((
                    association.id.clone(),
                    splitting::divide(now, named, &wish, limit)?,
                ));
            }
        }
        self.make_room(now)?;
        self.next_request = RequestId(id.0.saturating_add(1));
        for (name, wishes) in wishes {
            if let Some(association) = self.associations.get_mut(&name) {
                for wish in wishes {
                    association.add(now, wish);
                }
            }
        }
        self.requests.insert(id, wanted);
        self.settle(now);
        Ok(id)
    }

    /// Withdraws a request at every server that was asked.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRequest`].
    pub fn withdraw(&mut self, now: Now, id: RequestId) -> Result<(), Refusal> {
        let is_over = self.is_over(now, id);
        // Also what is over: no network that comes is to be asked for it.
        if let Some(wanted) = self.requests.get_mut(id) {
            wanted.is_withdrawn = true;
        }
        if is_over {
            return Err(Refusal::NoSuchRequest(id));
        }
        self.change_parts(id, |part| part.withdraw(now));
        self.withdraw_absent(now, id);
        self.settle(now);
        Ok(())
    }

    /// Tells the servers that mitigate for a request whether that helps (RFC 9132 §4.4.3).
    ///
    /// # Errors
    /// [`Refusal::NoSuchMitigation`], when no server has accepted the request.
    pub fn report_efficacy(
        &mut self,
        now: Now,
        id: RequestId,
        status: AttackStatus,
    ) -> Result<(), Refusal> {
        let mut found = false;
        self.change_parts(id, |part| found |= part.report_efficacy(now, status));
        self.settle(now);
        found.then_some(()).ok_or(Refusal::NoSuchMitigation(id))
    }

    /// Whether every server that was asked has answered.
    pub fn is_settled(&self, id: RequestId) -> bool {
        let mut parts = self.parts_of(id).map(|(_, part)| part);
        parts.all(|part| part.is_settled() || part.is_moved())
    }

    /// How one request stands.
    pub fn request(&self, id: RequestId) -> Option<RequestReport> {
        let wanted = self.requests.get(id)?;
        let mut replaced = self.parts_of(id).map(|(_, part)| part.is_replaced());
        let is_outdone = wanted.is_outdone || wanted.is_less || replaced.any(|it| it);
        let selection = wanted.selection.clone();
        let parts = self
            .parts_of(id)
            .map(|(association, part)| PartReport {
                association: association.id.clone(),
                mid: part.mid,
                target: part.wish.target.clone(),
                trigger_mitigation: part.wish.trigger_mitigation,
                state: part.state.clone(),
                moved_to: part.moved_to().cloned(),
                waiting: association.waiting(part),
                is_granted: part.is_granted(),
                shortened_to: part.shortened_to,
                expires: part.expires,
                wanted_until: part.wish.until,
                conflict: part.conflict.clone(),
                dropped: part.dropped,
            })
            .collect();
        Some(RequestReport {
            id,
            is_outdone,
            parts,
            selection,
        })
    }

    /// All requests, the last finished ones included, oldest first.
    pub fn requests(&self) -> Vec<RequestReport> {
        self.requests
            .ids()
            .filter_map(|id| self.request(id))
            .collect()
    }

    /// How the session with each server stands.
    pub fn sessions(&self) -> Vec<SessionReport> {
        self.associations
            .iter()
            .filter_map(|association| {
                let domain = self.pvds.get(&association.id.pvd)?;
                Some(association.report(domain.learned))
            })
            .collect()
    }

    /// Whether nothing more comes of a request: it is not wanted any more, or every server that may
    /// be asked has ended it.
    pub(super) fn is_over(&self, now: Now, id: RequestId) -> bool {
        let Some(wanted) = self.requests.get(id) else {
            return true;
        };
        let mut parts = self.parts_of(id).map(|(_, part)| part).peekable();
        let waits_for_network = wanted.was_cut || parts.peek().is_none();
        !(waits_for_network && wanted.is_going(now)) && parts.all(Part::is_over)
    }

    /// Looks again at the requests that have changed or come to their end, and tells the store what
    /// is wanted, and what is not any more.
    pub(super) fn remember_wanted(&mut self, now: Now) {
        for id in self.requests.take_changed(now) {
            let is_over = self.is_over(now, id);
            let goes_on = |prefix: &TargetPrefix| {
                let going = self.parts_of(id).filter(|(_, part)| part.is_going());
                let mut named = going.flat_map(|(_, part)| &part.wish.target.prefixes);
                named.any(|named| named.overlaps(prefix))
            };
            let replaced = self.parts_of(id).filter(|(_, part)| part.is_replaced());
            let replaced = replaced.flat_map(|(_, part)| &part.wish.target.prefixes);
            // What another server goes on with is wanted.
            let replaced = replaced.filter(|prefix| !goes_on(prefix)).copied();
            let replaced: Vec<TargetPrefix> = replaced.collect();
            let change = self.requests.judge(now, id, is_over, &replaced);
            self.actions.extend(change.map(Action::Persist));
        }
    }

    fn parts_of(&self, id: RequestId) -> impl Iterator<Item = (&Association<C::Session>, &Part)> {
        self.associations.iter().flat_map(move |association| {
            association
                .parts_of(id)
                .map(move |part| (association, part))
        })
    }

    /// The servers that were asked for something of a request.
    fn asked_for(&self, id: RequestId) -> BTreeSet<AssociationId> {
        let parts = self.parts_of(id);
        parts.map(|(at, _)| at.id.clone()).collect()
    }

    /// Changes all parts of a request.
    pub(super) fn change_parts(&mut self, id: RequestId, mut change: impl FnMut(&mut Part)) {
        for at in self.asked_for(id) {
            if let Some(association) = self.associations.get_mut(&at) {
                let of_it = parts::mids(association.parts_of(id));
                association.parts.change(of_it, &mut change);
            }
        }
    }

    /// The request that asks the same of the same PvDs, or of other attachments to their providers, of servers that can be
    /// asked, if one is going on.
    fn request_for(&self, selection: &Selection, trigger: bool) -> Option<RequestId> {
        let mut wanted: BTreeMap<PvdId, (Target, Vec<&AssociationId>)> = BTreeMap::new();
        for Asked {
            association,
            target,
            ..
        } in &selection.asked
        {
            let one = wanted.entry(self.one_attachment(&association.pvd));
            let nothing = || Target {
                prefixes: Vec::new(),
                ..target.clone()
            };
            let (whole, servers) = one.or_insert_with(|| (nothing(), Vec::new()));
            whole.prefixes.extend(&target.prefixes);
            servers.push(association);
        }
        self.candidates(selection).into_iter().find(|id| {
            let mut asked: BTreeMap<PvdId, Vec<(&AssociationId, &Part)>> = BTreeMap::new();
            for association in self.associations.iter() {
                let pieces = association.known(*id).map(|part| (&association.id, part));
                let mut pieces = pieces.peekable();
                if pieces.peek().is_some() {
                    let one = asked.entry(self.one_attachment(&association.id.pvd));
                    one.or_default().extend(pieces);
                }
            }
            let is_same = |(one, (whole, servers)): (&PvdId, &(Target, Vec<&AssociationId>))| {
                let Some(pieces) = asked.get(one) else {
                    return false;
                };
                let wishes: Vec<&Wish> = pieces.iter().map(|(_, part)| &part.wish).collect();
                let going =
                    |part: &Part| part.is_going() && part.wish.trigger_mitigation == trigger;
                let mut pieces = pieces.iter();
                pieces
                    .all(|(at, part)| going(part) && (servers.contains(at) || self.has_session(at)))
                    && splitting::make_up(&wishes, whole)
            };
            asked.len() == wanted.len() && wanted.iter().all(is_same)
        })
    }

    fn has_session(&self, at: &AssociationId) -> bool {
        let association = self.associations.get(at);
        association.is_some_and(Association::is_established)
    }

    /// The requests that may ask the same: all that share something with what would be asked first.
    fn candidates(&self, selection: &Selection) -> BTreeSet<RequestId> {
        let Some(first) = selection.asked.first() else {
            return BTreeSet::new();
        };
        let attachments = self.attachments(&first.association.pvd);
        let servers = attachments.iter().flat_map(|pvd| self.associations.of(pvd));
        let near = servers.flat_map(|it| it.parts.overlapping(&first.target));
        near.map(|part| part.wish.request).collect()
    }

    fn make_room(&mut self, now: Now) -> Result<(), Refusal> {
        self.remember_wanted(now);
        self.forget_finished();
        if self.requests.going() >= self.max_requests {
            return Err(Refusal::TooManyRequests(self.max_requests));
        }
        Ok(())
    }

    /// Forgets all but the last finished requests.
    fn forget_finished(&mut self) {
        let finished = self.requests.over();
        let surplus = finished.len().saturating_sub(FINISHED_KEPT);
        let surplus: Vec<RequestId> = finished.iter().take(surplus).copied().collect();
        for id in surplus {
            self.requests.remove(id);
            for at in self.asked_for(id) {
                if let Some(association) = self.associations.get_mut(&at) {
                    association.forget(id);
                }
            }
        }
    }
}
