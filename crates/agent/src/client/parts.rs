//! The parts at one server, with what finds some of them without a look at all.
//!
//! ```text
//! get_mut --> Changing --dropped--> the indexes follow; to be looked at again by the sessions,
//!                                   by the store and the log, and by its request
//! ```

mod indexes;
mod scopes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Deref, DerefMut};
use std::time::Instant;

use dots::identifiers::Mid;
use dots::target::Target;

use self::indexes::{Indexes, Standing};
use super::RequestId;
use super::part::Part;
use crate::time::Now;

/// The parts of one association.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: BTreeMap<Mid, Part>,
    indexes: Indexes,
}

/// A part that is being changed.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    part: &'a mut Part,
    before: Standing,
    indexes: &'a mut Indexes,
}

impl Deref for Changing<'_> {
    type Target = Part;

    fn deref(&self) -> &Part {
        self.part
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Part {
        self.part
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.indexes.follow(self.before, self.part);
    }
}

impl Parts {
    pub(super) fn get(&self, mid: Mid) -> Option<&Part> {
        let part = self.parts.get(&mid)?;
        effort::visit();
        Some(part)
    }

    /// In the order of their mids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.values().inspect(|_| effort::visit())
    }

    /// The parts of one request.
    pub(super) fn of(&self, request: RequestId) -> impl Iterator<Item = &Part> {
        self.indexes.of(request).filter_map(|mid| self.get(mid))
    }

    /// The parts that are not over and share an address, a name or an alias with a target, in the
    /// order of their mids.
    pub(super) fn overlapping(&self, target: &Target) -> impl Iterator<Item = &Part> {
        let near = self.indexes.scopes.near(target);
        let near = near.into_iter().filter_map(|mid| self.get(mid));
        near.filter(move |part| part.wish.target.overlaps(target))
    }

    pub(super) fn get_mut(&mut self, mid: Mid) -> Option<Changing<'_>> {
        let part = self.parts.get_mut(&mid)?;
        effort::visit();
        Some(Changing {
            before: Standing::of(part),
            part,
            indexes: &mut self.indexes,
        })
    }

    /// Changes some parts.
    pub(super) fn change(
        &mut self,
        mids: impl IntoIterator<Item = Mid>,
        mut change: impl FnMut(&mut Part),
    ) {
        for mid in mids {
            if let Some(mut part) = self.get_mut(mid) {
                change(&mut part);
            }
        }
    }

    pub(super) fn insert(&mut self, part: Part) {
        self.remove(part.mid);
        self.indexes.add(&part);
        self.parts.insert(part.mid, part);
    }

    pub(super) fn remove(&mut self, mid: Mid) -> Option<Part> {
        let part = self.parts.remove(&mid)?;
        self.indexes.remove(&part);
        Some(part)
    }

    /// When the next part changes by itself.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.indexes.timers.first().map(|(at, _)| *at)
    }

    /// Those that change by themselves now.
    pub(super) fn due(&self, now: Now) -> Vec<Mid> {
        let due = self.indexes.timers.iter();
        let due = due.take_while(|(at, _)| *at <= now.monotonic);
        due.map(|(_, mid)| *mid).collect()
    }

    /// Since when each of those that wait for an answer does, the longest first.
    pub(super) fn awaiting(&self) -> impl Iterator<Item = (Instant, Mid)> {
        let awaiting = self.indexes.awaiting.iter().copied();
        awaiting.inspect(|_| effort::visit())
    }

    /// From when on each of those may be asked for elsewhere that may later than `past`, the first first.
    pub(super) fn movable_after(
        &self,
        past: Option<Instant>,
    ) -> impl Iterator<Item = (Instant, Mid)> {
        let past = past.map_or(Bound::Unbounded, |past| {
            Bound::Excluded((past, Mid(u32::MAX)))
        });
        let movable = self.indexes.movable.range((past, Bound::Unbounded));
        movable.copied().inspect(|_| effort::visit())
    }

    /// All requests.
    pub(super) fn requests(&self) -> impl Iterator<Item = RequestId> {
        self.indexes.requests()
    }

    /// Whether a mitigation is in force or being asked for.
    pub(super) fn are_under_attack(&self) -> bool {
        !self.indexes.under_attack.is_empty()
    }

    /// Whether nothing is going on, and the server has said so.
    pub(super) fn are_at_rest(&self) -> bool {
        self.indexes.restless.is_empty()
    }

    /// Whether the provisioned server is to be told of a withdrawal, whoever is asked instead.
    pub(super) fn are_left_behind(&self) -> bool {
        !self.indexes.left_behind.is_empty()
    }

    pub(super) fn are_over(&self) -> bool {
        self.indexes.open.is_empty()
    }

    /// Those that are over to be asked for again under a new number.
    pub(super) fn take_renumbered(&mut self) -> Vec<Part> {
        let renumbered = self.indexes.renumbered.clone();
        let removed = renumbered.into_iter().map(|mid| self.remove(mid));
        removed.flatten().collect()
    }

    /// Those that came, went or may have changed since this was asked, for what is said to the server.
    pub(super) fn take_unsaid(&mut self) -> BTreeSet<Mid> {
        std::mem::take(&mut self.indexes.unsaid)
    }

    /// The same for what is told to the store and the log.
    pub(super) fn take_untold(&mut self) -> BTreeSet<Mid> {
        std::mem::take(&mut self.indexes.untold)
    }

    /// The requests of those that came, went or may have changed since this was asked, for what asks whether they are over.
    pub(super) fn take_changed(&mut self) -> BTreeSet<RequestId> {
        std::mem::take(&mut self.indexes.changed)
    }

    /// The same for what asks whether another server is to be asked.
    pub(super) fn take_unplaced(&mut self) -> BTreeSet<RequestId> {
        std::mem::take(&mut self.indexes.unplaced)
    }
}

/// The mids of parts, so that these can be changed.
pub(super) fn mids<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<Mid> {
    parts.map(|part| part.mid).collect()
}

/// How many parts are looked at, which a test holds against how many there are.
pub(super) mod effort {
    #[cfg(test)]
    thread_local! {
        static VISITED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    pub(super) fn visit() {
        #[cfg(test)]
        VISITED.with(|visited| visited.set(visited.get() + 1));
    }

    /// How many since this was asked.
    #[cfg(test)]
    pub(in crate::client) fn take() -> u64 {
        VISITED.with(|visited| visited.take())
    }
}
