//! What servers may have that no PvD names now: their network is away, or has not been discovered since the
//! client was started.
//!
//! ```text
//! restored, and no such server ----------------.
//! named no more, and not told what it may have -+--> absent --named again--> parts as they were
//!                                                      '--over by itself, or too many--> forgotten
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::part::Part;
use super::wanted::Wanted;
use super::{Action, Change, Client, Connector, RequestId};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// So many parts are kept for servers that are away, for each request that the client may have. Beyond that those that
/// end soonest by themselves give way.
const ABSENT_OF_REQUEST: usize = 8;
/// So many are kept in any case.
const ABSENT: usize = 4096;

/// The parts of servers that are away.
#[derive(Debug, Default)]
pub(super) struct Absent {
    parts: BTreeMap<RequestId, Vec<(AssociationId, Part)>>,
}

impl Absent {
    fn keep(&mut self, association: AssociationId, part: Part) {
        let of_request = self.parts.entry(part.wish.request).or_default();
        of_request.retain(|(at, other)| *at != association || other.mid != part.mid);
        of_request.push((association, part));
    }

    /// The parts of servers that are named again.
    fn take(&mut self, named: &BTreeSet<AssociationId>) -> Vec<(AssociationId, Part)> {
        let mut taken = Vec::new();
        self.parts.retain(|_, parts| {
            taken.extend(parts.extract_if(.., |(at, _)| named.contains(at)));
            !parts.is_empty()
        });
        taken
    }

    /// The servers that something is kept for.
    pub(super) fn servers(&self) -> BTreeSet<&AssociationId> {
        let parts = self.parts.values().flatten();
        parts.map(|(at, _)| at).collect()
    }

    /// Changes the parts of a request, and forgets those that are over. Returns what the store is told.
    fn change(&mut self, now: Now, id: RequestId, change: impl Fn(&mut Part)) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(parts) = self.parts.get_mut(&id) else {
            return changes;
        };
        parts.retain_mut(|(at, part)| {
            change(part);
            let record = part.record(now, at);
            let is_kept = record.is_some();
            changes.push(match record {
                Some(record) => Change::PutRequest(record),
                None => Change::DeleteRequest(id, at.clone(), part.mid),
            });
            is_kept
        });
        if parts.is_empty() {
            self.parts.remove(&id);
        }
        changes
    }

    /// Forgets those that end soonest where there are more. Returns what the store is told.
    fn limit(&mut self, limit: usize) -> Vec<Change> {
        let all = self.parts.values().flatten();
        let surplus = all.count().saturating_sub(limit);
        if surplus == 0 {
            return Vec::new();
        }
        let all = self.parts.values().flatten();
        let mut ends: Vec<_> = all
            .map(|(at, part)| {
                let end = part.next_timeout();
                (
                    (end.is_none(), end),
                    part.wish.request,
                    at.clone(),
                    part.mid,
                )
            })
            .collect();
        ends.sort_unstable();
        ends.truncate(surplus);
        for (_, id, at, mid) in &ends {
            if let Some(parts) = self.parts.get_mut(id) {
                parts.retain(|(other, part)| other != at || part.mid != *mid);
                if parts.is_empty() {
                    self.parts.remove(id);
                }
            }
        }
        let forgotten = ends.into_iter();
        forgotten
            .map(|(_, id, at, mid)| Change::DeleteRequest(id, at, mid))
            .collect()
    }
}

impl<C: Connector> Client<C> {
    /// A server is away, and has a part that it is to hear more of. See [`Client::limit_absent`].
    pub(super) fn keep_absent(&mut self, association: AssociationId, part: Part) {
        if let Some(wanted) = self.requests.get_mut(part.wish.request) {
            wanted.was_cut = true;
        }
        self.absent.keep(association, part);
    }

    /// Forgets what there is no room for.
    pub(super) fn limit_absent(&mut self) {
        let limit = self.max_requests.saturating_mul(ABSENT_OF_REQUEST);
        let forgotten = self.absent.limit(limit.max(ABSENT)).into_iter();
        self.actions.extend(forgotten.map(Action::Persist));
    }

    /// Servers are named (again): they get the parts that they had.
    pub(super) fn take_absent(&mut self, now: Now, named: &BTreeSet<AssociationId>) {
        for (at, mut part) in self.absent.take(named) {
            let id = part.wish.request;
            match self.requests.get(id) {
                Some(wanted) => part.wish.until = wanted.until,
                // It has been forgotten since, and is to be once more.
                None => {
                    let wanted = Wanted::of_part(&part.wish, part.is_withdrawn());
                    self.requests.insert(id, wanted);
                }
            }
            part.asking_since = now.monotonic;
            if let Some(association) = self.associations.get_mut(&at) {
                association.restore(part);
            }
        }
    }

    /// A request is not wanted any more, and servers that are away are to be told.
    pub(super) fn withdraw_absent(&mut self, now: Now, id: RequestId) {
        let changes = self.absent.change(now, id, |part| part.withdraw(now));
        self.actions
            .extend(changes.into_iter().map(Action::Persist));
    }

    /// Forgets what servers that are away have no more in any case.
    pub(super) fn expire_absent(&mut self, now: Now) {
        let is_due = |part: &Part| part.next_timeout().is_some_and(|at| at <= now.monotonic);
        let all = self.absent.parts.iter();
        let due = all.filter(|(_, parts)| parts.iter().any(|(_, part)| is_due(part)));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            let changes = self.absent.change(now, id, |part| part.handle_timeout(now));
            self.actions
                .extend(changes.into_iter().map(Action::Persist));
        }
    }
}
