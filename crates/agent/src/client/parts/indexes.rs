//! By what parts are found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::identifiers::Mid;

use super::scopes::Scopes;
use crate::client::RequestId;
use crate::client::part::Part;

/// Parts in the order of an instant of each.
type Instants = BTreeSet<(Instant, Mid)>;

/// What of a part decides where it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    timeout: Option<Instant>,
    awaiting: Option<Instant>,
    movable: Option<Instant>,
    is_under_attack: bool,
    is_restless: bool,
    is_open: bool,
    is_renumbered: bool,
    is_left_behind: bool,
}

impl Standing {
    pub(super) fn of(part: &Part) -> Self {
        Self {
            timeout: part.next_timeout(),
            awaiting: part.awaits_answer().then_some(part.asking_since),
            movable: part.movable_at(),
            is_under_attack: part.is_under_attack(),
            is_restless: !part.is_at_rest(),
            is_open: !part.is_over(),
            is_renumbered: part.is_renumbered() && part.is_over(),
            is_left_behind: part.is_left_behind(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Indexes {
    by_request: BTreeMap<RequestId, BTreeSet<Mid>>,
    /// What those that are not over protect.
    pub(super) scopes: Scopes,
    pub(super) timers: Instants,
    pub(super) awaiting: Instants,
    pub(super) movable: Instants,
    pub(super) under_attack: BTreeSet<Mid>,
    pub(super) restless: BTreeSet<Mid>,
    pub(super) open: BTreeSet<Mid>,
    pub(super) renumbered: BTreeSet<Mid>,
    pub(super) left_behind: BTreeSet<Mid>,
    pub(super) unsaid: BTreeSet<Mid>,
    pub(super) untold: BTreeSet<Mid>,
    pub(super) changed: BTreeSet<RequestId>,
    pub(super) unplaced: BTreeSet<RequestId>,
}

impl Indexes {
    pub(super) fn of(&self, request: RequestId) -> impl Iterator<Item = Mid> {
        let mids = self.by_request.get(&request).into_iter().flatten();
        mids.copied()
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = RequestId> {
        self.by_request.keys().copied()
    }

    pub(super) fn add(&mut self, part: &Part) {
        let mids = self.by_request.entry(part.wish.request).or_default();
        mids.insert(part.mid);
        let standing = Standing::of(part);
        self.enter(standing, part.mid);
        if standing.is_open {
            self.scopes.insert(&part.wish.target, part.mid);
        }
        self.mark(part);
    }

    pub(super) fn remove(&mut self, part: &Part) {
        let request = part.wish.request;
        if let Some(mids) = self.by_request.get_mut(&request) {
            mids.remove(&part.mid);
            if mids.is_empty() {
                self.by_request.remove(&request);
            }
        }
        let standing = Standing::of(part);
        self.leave(standing, part.mid);
        if standing.is_open {
            self.scopes.remove(&part.wish.target, part.mid);
        }
        self.mark(part);
    }

    /// A part may have changed.
    pub(super) fn follow(&mut self, before: Standing, part: &Part) {
        let standing = Standing::of(part);
        if before != standing {
            self.leave(before, part.mid);
            self.enter(standing, part.mid);
        }
        match (before.is_open, standing.is_open) {
            (true, false) => self.scopes.remove(&part.wish.target, part.mid),
            (false, true) => self.scopes.insert(&part.wish.target, part.mid),
            _ => {}
        }
        self.mark(part);
    }

    fn mark(&mut self, part: &Part) {
        self.unsaid.insert(part.mid);
        self.untold.insert(part.mid);
        self.changed.insert(part.wish.request);
        self.unplaced.insert(part.wish.request);
    }

    /// With each index of instants, where a part of this standing is in it.
    fn instants(&mut self, standing: Standing) -> [(&mut Instants, Option<Instant>); 3] {
        [
            (&mut self.timers, standing.timeout),
            (&mut self.awaiting, standing.awaiting),
            (&mut self.movable, standing.movable),
        ]
    }

    /// With each set of parts, whether one of this standing is in it.
    fn kinds(&mut self, standing: Standing) -> [(&mut BTreeSet<Mid>, bool); 5] {
        [
            (&mut self.under_attack, standing.is_under_attack),
            (&mut self.restless, standing.is_restless),
            (&mut self.open, standing.is_open),
            (&mut self.renumbered, standing.is_renumbered),
            (&mut self.left_behind, standing.is_left_behind),
        ]
    }

    fn enter(&mut self, standing: Standing, mid: Mid) {
        for (index, at) in self.instants(standing) {
            index.extend(at.map(|at| (at, mid)));
        }
        let kinds = self.kinds(standing).into_iter();
        for (kind, _) in kinds.filter(|(_, is_one)| *is_one) {
            kind.insert(mid);
        }
    }

    fn leave(&mut self, standing: Standing, mid: Mid) {
        for (index, at) in self.instants(standing) {
            if let Some(at) = at {
                index.remove(&(at, mid));
            }
        }
        let kinds = self.kinds(standing).into_iter();
        for (kind, _) in kinds.filter(|(_, is_one)| *is_one) {
            kind.remove(&mid);
        }
    }
}
