//! What the store and the log are told about the parts of requests: what has changed, and no
//! faster than a server may send notifications.

use std::collections::BTreeMap;
use std::time::Instant;

use dots::identifiers::Mid;
use dots::mitigation::ConflictInformation;

use super::exchange::SHORTEST_PAUSE;
use super::part::Part;
use super::parts::Parts;
use super::state::State;
use super::{Change, Note};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// What of the parts of one association was stored and noted.
#[derive(Debug, Default)]
pub(super) struct Telling(BTreeMap<Mid, Told>);

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

/// What of a record can change.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    wanted_until: Option<Instant>,
    is_withdrawing: bool,
}

impl Stored {
    fn of(part: &Part) -> Option<Self> {
        (!part.is_over()).then(|| Self {
            wanted_until: part.wish.until,
            is_withdrawing: part.is_withdrawn(),
        })
    }
}

impl Telling {
    /// A part as the store has it.
    pub(super) fn restored(&mut self, part: &Part) {
        let mut told = Told::new(part);
        told.stored = Stored::of(part);
        self.0.insert(part.mid, told);
    }

    /// When something that was held back is to be told.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let behind = self.0.values().filter(|told| told.is_behind);
        behind.filter_map(|told| told.quiet_until).min()
    }

    /// What has not been told yet.
    pub(super) fn news(
        &mut self,
        now: Now,
        association: &AssociationId,
        parts: &Parts,
    ) -> (Vec<Change>, Vec<Note>) {
        let (mut changes, mut notes) = (Vec::new(), Vec::new());
        for part in parts.iter() {
            let mid = part.mid;
            let told = self.0.entry(mid).or_insert_with(|| Told::new(part));
            let stored = Stored::of(part);
            if told.stored != stored {
                changes.push(match part.record(now, association) {
                    Some(record) => Change::PutRequest(record),
                    None => Change::DeleteRequest(told.request, association.clone(), mid),
                });
                told.stored = stored;
            }
            told.note(now, association, part, &mut notes);
        }
        let gone = |mid: &Mid, _: &mut Told| !parts.contains(*mid);
        for (mid, told) in self.0.extract_if(.., gone) {
            if told.stored.is_some() {
                changes.push(Change::DeleteRequest(
                    told.request,
                    association.clone(),
                    mid,
                ));
            }
        }
        (changes, notes)
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

    fn note(&mut self, now: Now, association: &AssociationId, part: &Part, notes: &mut Vec<Note>) {
        self.is_behind = self.state != part.state || self.conflict != part.conflict;
        let server_only =
            matches!(self.state, State::Accepted(_)) && matches!(part.state, State::Accepted(_));
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
