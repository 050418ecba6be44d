//! What the store and the log are told about the parts of requests: what has changed, and no
//! faster than a server may send notifications.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::identifiers::Mid;
use dots::mitigation::ConflictInformation;

use super::exchange::SHORTEST_PAUSE;
use super::part::{Part, Stored};
use super::parts::Parts;
use super::state::State;
use super::{Change, Note};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// What of the parts of one association was stored and noted.
#[derive(Debug, Default)]
pub(super) struct Telling {
    told: BTreeMap<Mid, Told>,
    /// When what was held back is to be noted.
    behind: BTreeSet<(Instant, Mid)>,
}

#[derive(Debug)]
struct Told {
    request: super::RequestId,
    stored: Option<Stored>,
    state: State,
    conflict: Option<ConflictInformation>,
    /// Nothing more is noted before this instant, while the server changes its mind.
    quiet_until: Option<Instant>,
    /// Something is to be noted then.
    is_behind: bool,
}

impl Telling {
    /// A part as the store has it.
    pub(super) fn restored(&mut self, part: &Part) {
        let mut told = Told::new(part);
        told.stored = Stored::of(part);
        self.told.insert(part.mid, told);
    }

    /// When something that was held back is to be told.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.behind.first().map(|(at, _)| *at)
    }

    /// What has not been told yet.
    pub(super) fn news(
        &mut self,
        now: Now,
        association: &AssociationId,
        parts: &mut Parts,
    ) -> (Vec<Change>, Vec<Note>) {
        let (mut changes, mut notes) = (Vec::new(), Vec::new());
        let due = self.behind.iter();
        let due = due.take_while(|(at, _)| *at <= now.monotonic);
        let mut mids = parts.take_untold();
        mids.extend(due.map(|(_, mid)| *mid));
        for mid in mids {
            let Some(part) = parts.get(mid) else {
                changes.extend(self.forget(association, mid));
                continue;
            };
            let told = self.told.entry(mid).or_insert_with(|| Told::new(part));
            let stored = Stored::of(part);
            if told.stored != stored {
                changes.push(match part.record(now, association) {
                    Some(record) => Change::PutRequest(record),
                    None => Change::DeleteRequest(told.request, association.clone(), mid),
                });
                told.stored = stored;
            }
            if let Some(at) = told.behind() {
                self.behind.remove(&(at, mid));
            }
            told.note(now, association, part, &mut notes);
            self.behind.extend(told.behind().map(|at| (at, mid)));
        }
        (changes, notes)
    }

    /// A part is no more.
    fn forget(&mut self, association: &AssociationId, mid: Mid) -> Option<Change> {
        let told = self.told.remove(&mid)?;
        if let Some(at) = told.behind() {
            self.behind.remove(&(at, mid));
        }
        told.stored
            .map(|_| Change::DeleteRequest(told.request, association.clone(), mid))
    }
}

impl Told {
    /// That a server is asked is no news.
    fn new(part: &Part) -> Self {
        Self {
            request: part.wish.request,
            stored: None,
            state: State::Asking,
            conflict: None,
            quiet_until: None,
            is_behind: false,
        }
    }

    /// When what is held back is to be noted.
    fn behind(&self) -> Option<Instant> {
        self.quiet_until.filter(|_| self.is_behind)
    }

    fn note(&mut self, now: Now, association: &AssociationId, part: &Part, notes: &mut Vec<Note>) {
        self.is_behind = self.state != part.state || self.conflict != part.conflict;
        // What a notification alone brings about.
        let may_alternate =
            |state: &State| matches!(state, State::Accepted(_) | State::Deactivated { .. });
        let server_only = may_alternate(&self.state) && may_alternate(&part.state);
        let is_quiet = self.quiet_until.is_some_and(|at| at > now.monotonic);
        if !self.is_behind || server_only && is_quiet {
            return;
        }
        let (id, mid) = (part.wish.request, part.mid);
        if self.state != part.state {
            self.state = part.state.clone();
            let state = part.state.clone();
            notes.push(Note::Request(id, association.clone(), mid, state));
        }
        if self.conflict != part.conflict {
            self.conflict.clone_from(&part.conflict);
            let conflict = part.conflict.clone();
            notes.push(Note::Conflict(id, association.clone(), mid, conflict));
        }
        self.is_behind = false;
        self.quiet_until = Some(now.monotonic + SHORTEST_PAUSE);
    }
}
