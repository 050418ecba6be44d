//! What servers may have that no PvD names now: their network is away, or has not been discovered since the
//! client was started.
//!
//! ```text
//! restored, and no such server ----------------.
//! named no more, and not told what it may have -+--> absent --named again--> parts as they were
//!                                                      '--over by itself, or too many--> forgotten
//! ```

use std::collections::BTreeMap;

use dots::identifiers::Mid;

use super::part::Part;
use super::{Action, Change, Client, Connector, RequestId};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// Parts that are kept for servers that are away; the oldest requests give way.
const ABSENT: usize = 4096;

type Key = (RequestId, AssociationId, Mid);

/// The parts of servers that are away.
#[derive(Debug, Default)]
pub(super) struct Absent {
    parts: BTreeMap<Key, Part>,
}

impl Absent {
    /// Keeps a part. Returns what has to be forgotten instead.
    fn keep(&mut self, association: AssociationId, part: Part) -> Option<Key> {
        let key = (part.wish.request, association, part.mid);
        self.parts.insert(key, part);
        let is_full = self.parts.len() > ABSENT;
        is_full
            .then(|| self.parts.pop_first())
            .flatten()
            .map(|(key, _)| key)
    }

    /// The parts of a server that is named again.
    fn take(&mut self, association: &AssociationId) -> Vec<Part> {
        let of_it = self.parts.extract_if(.., |(_, at, _), _| at == association);
        of_it.map(|(_, part)| part).collect()
    }

    /// Changes the parts of some requests, and forgets those that are over. Returns what the store is told.
    fn change(
        &mut self,
        now: Now,
        is_one: impl Fn(RequestId) -> bool,
        change: impl Fn(&mut Part),
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        self.parts.retain(|(id, association, mid), part| {
            if !is_one(*id) {
                return true;
            }
            change(part);
            let record = part.record(now, association);
            let is_kept = record.is_some();
            changes.push(match record {
                Some(record) => Change::PutRequest(record),
                None => Change::DeleteRequest(*id, association.clone(), *mid),
            });
            is_kept
        });
        changes
    }
}

impl<C: Connector> Client<C> {
    /// A server is away, and has a part that it is to hear more of.
    pub(super) fn keep_absent(&mut self, association: AssociationId, part: Part) {
        if part.is_going()
            && let Some(wanted) = self.requests.get_mut(part.wish.request)
        {
            wanted.was_cut = true;
        }
        if let Some((id, association, mid)) = self.absent.keep(association, part) {
            let forgotten = Change::DeleteRequest(id, association, mid);
            self.actions.push_back(Action::Persist(forgotten));
        }
    }

    /// A server is named (again): it gets the parts that it had.
    pub(super) fn take_absent(&mut self, now: Now, id: &AssociationId) {
        for mut part in self.absent.take(id) {
            if let Some(wanted) = self.requests.get(part.wish.request) {
                part.wish.until = wanted.until;
            }
            part.asking_since = now.monotonic;
            if let Some(association) = self.associations.get_mut(id) {
                association.restore(part);
            }
        }
    }

    /// A request is not wanted any more, and servers that are away are to be told.
    pub(super) fn withdraw_absent(&mut self, now: Now, id: RequestId) {
        let is_it = |each| each == id;
        let changes = self.absent.change(now, is_it, |part| part.withdraw(now));
        self.actions
            .extend(changes.into_iter().map(Action::Persist));
    }

    /// Forgets what servers that are away have no more in any case.
    pub(super) fn expire_absent(&mut self, now: Now) {
        let is_due = |part: &Part| part.next_timeout().is_some_and(|at| at <= now.monotonic);
        let due = self.absent.parts.iter().filter(|(_, part)| is_due(part));
        let due: std::collections::BTreeSet<RequestId> = due.map(|((id, ..), _)| *id).collect();
        let is_due = |id| due.contains(&id);
        let changes = self
            .absent
            .change(now, is_due, |part| part.handle_timeout(now));
        self.actions
            .extend(changes.into_iter().map(Action::Persist));
    }
}
