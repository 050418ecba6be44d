//! What must survive a restart, written as soon as the disk takes it.
//!
//! ```text
//! change --> unwritten (the last one of each record) --commit--> on disk
//!                ^------------ refused: again after 5 s --'
//! ```
//!
//! An attack is no time to stop: what the disk does not take is asked for all the same. Only while it takes
//! nothing may a change find no room.
//!
//! When the wall clock is set, the ends of what is wanted move with it, here and on disk: a wish of an hour is one
//! of an hour, also on a device that learns the time after it was made.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{Change, RequestId};
use agent::server_selection::AssociationId;
use dots::identifiers::Mid;
use store::{ClientStore, StoreError, WallClock};

use crate::control::NotStoredView;

/// How long a disk that refused is left in peace.
const RETRY: Duration = Duration::from_secs(5);
/// Changes of requests that wait for the disk. What is known of servers, the reserved mids above all,
/// waits without a limit of its own: there are as many as the client knows.
const UNWRITTEN_REQUESTS: usize = 4096;

/// Of what a change is. Only the last one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Record {
    Wanted(RequestId),
    Association(AssociationId),
    Request(RequestId, AssociationId, Mid),
}

impl Record {
    fn of(change: &Change) -> Self {
        match change {
            Change::PutAssociation(record) => Self::Association(record.association.clone()),
            Change::DeleteAssociation(association) => Self::Association(association.clone()),
            Change::PutWanted(record) => Self::Wanted(record.id),
            Change::DeleteWanted(id) => Self::Wanted(*id),
            Change::PutRequest(record) => {
                Self::Request(record.id, record.association.clone(), record.mid)
            }
            Change::DeleteRequest(id, association, mid) => {
                Self::Request(*id, association.clone(), *mid)
            }
        }
    }
}

/// Why nothing is written, and since when.
#[derive(Debug)]
struct Trouble {
    since: Instant,
    retry: Instant,
    reason: String,
}

/// The store, and what it has not taken yet.
#[derive(Debug)]
pub(super) struct Memory<S> {
    store: S,
    unwritten: BTreeMap<Record, Change>,
    trouble: Option<Trouble>,
    /// Changes that there was no room for; what the disk holds of these requests is old.
    dropped: usize,
    /// By which clock the ends in `unwritten` are.
    clock: Now,
    /// By how many seconds that was set since those on disk were.
    jumped: i64,
}

impl<S: ClientStore> Memory<S> {
    pub(super) fn new(store: S, now: Now) -> Self {
        Self {
            store,
            clock: now,
            jumped: 0,
            unwritten: BTreeMap::new(),
            trouble: None,
            dropped: 0,
        }
    }

    /// Takes note of a change, which [`Memory::write`] makes durable, as does the want of room.
    pub(super) fn keep(&mut self, now: Now, change: Change) {
        self.follow_clock(now);
        let record = Record::of(&change);
        if !self.has_room_for(&record) {
            self.write(now);
        }
        if self.has_room_for(&record) {
            self.unwritten.insert(record, change);
        } else {
            self.dropped += 1;
        }
    }

    fn has_room_for(&self, record: &Record) -> bool {
        let is_request = matches!(record, Record::Wanted(_) | Record::Request(..));
        let is_full = self.unwritten.len() >= UNWRITTEN_REQUESTS;
        !(is_request && is_full) || self.unwritten.contains_key(record)
    }

    /// Makes durable what is not, all together, unless the disk has just refused.
    pub(super) fn write(&mut self, now: Now) {
        self.follow_clock(now);
        if self.unwritten.is_empty() && self.jumped == 0 {
            // A clock that was set and set back leaves nothing to write.
            self.trouble = None;
            return;
        }
        let retry = self.trouble.as_ref().map(|trouble| trouble.retry);
        if retry.is_none_or(|at| at <= now.monotonic) {
            self.write_now(now);
        }
    }

    /// The same, however lately the disk has refused, and the time also when there is nothing else.
    pub(super) fn write_now(&mut self, now: Now) {
        self.follow_clock(now);
        let changes: Vec<Change> = self.unwritten.values().cloned().collect();
        let clock = WallClock {
            unix: now.unix,
            jumped: self.jumped,
        };
        let now = now.monotonic;
        match self.store.commit(clock, &changes) {
            Ok(()) => {
                self.unwritten.clear();
                self.jumped = 0;
                if let Some(trouble) = self.trouble.take() {
                    let after = now.saturating_duration_since(trouble.since).as_secs();
                    let dropped = std::mem::take(&mut self.dropped);
                    tracing::info!(after, dropped, "stored again");
                }
            }
            Err(error) => {
                let reason = error.to_string();
                if let StoreError::Target { id, .. } = error {
                    self.give_up(id);
                }
                let since = self.trouble.as_ref().map(|it| it.since);
                if since.is_none() {
                    tracing::error!(%reason, "not stored; it is tried again every 5 s, and a restart before that would not know it");
                }
                self.trouble = Some(Trouble {
                    since: since.unwrap_or(now),
                    retry: now + RETRY,
                    reason,
                });
            }
        }
    }

    /// What can never be written keeps nothing else from the disk.
    fn give_up(&mut self, id: RequestId) {
        let before = self.unwritten.len();
        self.unwritten.retain(|_, change| match change {
            Change::PutWanted(record) => record.id != id,
            Change::PutRequest(record) => record.id != id,
            _ => true,
        });
        self.dropped += before.saturating_sub(self.unwritten.len());
    }

    fn follow_clock(&mut self, now: Now) {
        let Some(jumped) = now.jump_since(self.clock) else {
            return;
        };
        self.clock = now;
        self.jumped = self.jumped.saturating_add(jumped);
        for change in self.unwritten.values_mut() {
            let ends = match change {
                Change::PutWanted(record) => [Some(&mut record.wanted_until_unix), None, None],
                Change::PutRequest(record) => [
                    &mut record.wanted_until_unix,
                    &mut record.expires_unix,
                    &mut record.not_before_unix,
                ]
                .map(Some),
                Change::PutAssociation(_)
                | Change::DeleteAssociation(_)
                | Change::DeleteWanted(_)
                | Change::DeleteRequest(..) => continue,
            };
            for end in ends.into_iter().flatten() {
                *end = end.map(|at| at.saturating_add_signed(jumped));
            }
        }
    }

    /// When the disk is tried again.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.trouble.as_ref().map(|it| it.retry)
    }

    /// What people should know of it.
    pub(super) fn trouble(&self, now: Instant) -> Option<NotStoredView> {
        self.trouble.as_ref().map(|trouble| NotStoredView {
            reason: trouble.reason.clone(),
            seconds: now.saturating_duration_since(trouble.since).as_secs(),
            changes: self.unwritten.len(),
            dropped: self.dropped,
        })
    }
}
