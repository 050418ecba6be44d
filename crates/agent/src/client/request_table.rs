//! All requests, with what finds those that may have to be looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::target::TargetPrefix;

use super::wanted::Wanted;
use super::{Change, RequestId};
use crate::time::Now;

/// The requests of a client.
#[derive(Debug, Default)]
pub(super) struct RequestTable {
    requests: BTreeMap<RequestId, Wanted>,
    /// Those that came or may have changed since this was taken.
    changed: BTreeSet<RequestId>,
    /// When those that the store has are not wanted any more.
    ends: BTreeSet<(Instant, RequestId)>,
    /// Those of which nothing more comes, as they were last looked at.
    over: BTreeSet<RequestId>,
}

impl RequestTable {
    pub(super) fn get(&self, id: RequestId) -> Option<&Wanted> {
        self.requests.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Wanted> {
        let wanted = self.requests.get_mut(&id)?;
        self.changed.insert(id);
        Some(wanted)
    }

    /// In the order of their numbers.
    pub(super) fn ids(&self) -> impl Iterator<Item = RequestId> {
        self.requests.keys().copied()
    }

    pub(super) fn insert(&mut self, id: RequestId, wanted: Wanted) {
        self.remove(id);
        self.ends
            .extend(wanted.stored.flatten().map(|end| (end, id)));
        self.requests.insert(id, wanted);
        self.changed.insert(id);
    }

    pub(super) fn remove(&mut self, id: RequestId) {
        if let Some(wanted) = self.requests.remove(&id) {
            self.stop(id, wanted.stored);
        }
        self.over.remove(&id);
    }

    fn stop(&mut self, id: RequestId, stored: Option<Option<Instant>>) {
        if let Some(end) = stored.flatten() {
            self.ends.remove(&(end, id));
        }
    }

    /// How many are going on.
    pub(super) fn going(&self) -> usize {
        self.requests.len().saturating_sub(self.over.len())
    }

    /// Those of which nothing more comes, oldest first.
    pub(super) fn over(&self) -> &BTreeSet<RequestId> {
        &self.over
    }

    /// When the next one is not wanted any more.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Something that belongs to these has changed.
    pub(super) fn touch(&mut self, ids: impl IntoIterator<Item = RequestId>) {
        self.changed.extend(ids);
    }

    /// Those that may have changed since this was asked, or have come to their end.
    pub(super) fn take_changed(&mut self, now: Now) -> BTreeSet<RequestId> {
        let due = self.ends.iter();
        let due = due.take_while(|(end, _)| *end <= now.monotonic);
        self.changed.extend(due.map(|(_, id)| *id));
        std::mem::take(&mut self.changed)
    }

    /// Whether nothing more comes of a request, and what of it others have taken the place of. Returns
    /// what the store is to be told.
    pub(super) fn judge(
        &mut self,
        now: Now,
        id: RequestId,
        is_over: bool,
        replaced: &[TargetPrefix],
    ) -> Option<Change> {
        let wanted = self.requests.get_mut(&id)?;
        if is_over {
            self.over.insert(id);
        } else {
            self.over.remove(&id);
        }
        wanted.shed(replaced);
        let was_shed = std::mem::take(&mut wanted.was_shed);
        let is_something = !wanted.attack.target.prefixes.is_empty();
        let kept = !is_over && is_something && wanted.is_going(now);
        let kept = kept.then_some(wanted.until);
        let before = wanted.stored;
        if kept == before && (!was_shed || kept.is_none()) {
            return None;
        }
        wanted.stored = kept;
        let change = match kept {
            Some(_) => Change::PutWanted(wanted.record(now, id)),
            None => Change::DeleteWanted(id),
        };
        self.stop(id, before);
        self.ends.extend(kept.flatten().map(|end| (end, id)));
        Some(change)
    }
}
