//! What must survive a restart, written as soon as the disk takes it.
//!
//! ```text
//! change --> unwritten (the last one of each record) --commit--> on disk
//!                ^------------ refused: again after 5 s --'
//! ```
//!
//! An attack is no time to stop: what the disk does not take is asked for all the same. Only while it takes
//! nothing may a change find no room.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent::client::{Change, RequestId};
use agent::server_selection::AssociationId;
use dots::identifiers::Mid;
use store::ClientStore;

use crate::control::NotStoredView;

/// How long a disk that refused is left in peace.
const RETRY: Duration = Duration::from_secs(5);
/// Changes of requests that wait for the disk. What is known of servers, the reserved mids above all,
/// waits without a limit: there are as many as the configuration names.
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
}

impl<S: ClientStore> Memory<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            unwritten: BTreeMap::new(),
            trouble: None,
            dropped: 0,
        }
    }

    /// Takes note of a change, which [`Memory::write`] makes durable, as does the want of room.
    pub(super) fn keep(&mut self, now: Instant, change: Change) {
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
    pub(super) fn write(&mut self, now: Instant) {
        let is_early = self.trouble.as_ref().is_some_and(|it| now < it.retry);
        if !is_early {
            self.write_now(now);
        }
    }

    /// The same, however lately the disk has refused.
    pub(super) fn write_now(&mut self, now: Instant) {
        if self.unwritten.is_empty() {
            return;
        }
        let changes: Vec<Change> = self.unwritten.values().cloned().collect();
        match self.store.commit(&changes) {
            Ok(()) => {
                self.unwritten.clear();
                if let Some(trouble) = self.trouble.take() {
                    let after = now.saturating_duration_since(trouble.since).as_secs();
                    let dropped = std::mem::take(&mut self.dropped);
                    tracing::info!(after, dropped, "stored again");
                }
            }
            Err(error) => {
                let reason = error.to_string();
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

#[cfg(test)]
mod tests {
    use agent::client::AssociationRecord;
    use agent::client::Snapshot;
    use store::StoreError;

    use super::*;

    /// A disk that is full, or not, and what was written to it, batch by batch.
    #[derive(Debug, Default)]
    struct Disk {
        is_full: bool,
        tried: usize,
        written: Vec<Vec<Change>>,
    }

    impl ClientStore for Disk {
        fn load(&mut self) -> Result<Snapshot, StoreError> {
            Ok(Snapshot::default())
        }

        fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
            self.tried += 1;
            if self.is_full {
                let path = "state".into();
                return Err(StoreError::NotADatabase { path });
            }
            self.written.push(changes.to_vec());
            Ok(())
        }
    }

    fn server() -> AssociationId {
        AssociationId {
            pvd: "fixed.example".parse().unwrap(),
            server: "dots.fixed.example".to_owned(),
        }
    }

    fn reserved(mid: u32) -> Change {
        Change::PutAssociation(AssociationRecord {
            association: server(),
            cuid: "dz6pHjaADkaFTbjr0JGBpw".parse().unwrap(),
            reserved_mid: Mid(mid),
        })
    }

    fn over(request: u64) -> Change {
        Change::DeleteRequest(RequestId(request), server(), Mid(1))
    }

    #[test]
    fn what_the_disk_refused_is_written_when_it_takes_it() {
        let mut now = crate::clock::now().monotonic;
        let mut memory = Memory::new(Disk {
            is_full: true,
            ..Disk::default()
        });
        memory.keep(now, reserved(65));
        memory.write(now);
        memory.keep(now, over(3));
        memory.keep(now, reserved(129));
        memory.write(now);
        assert_eq!(memory.store.tried, 1, "it is not tried at every change");
        let told = memory.trouble(now).unwrap();
        assert_eq!((told.changes, told.seconds), (2, 0));
        assert!(told.reason.contains("state"), "{}", told.reason);
        for _ in 0..3 {
            now = memory.next_timeout().unwrap();
            memory.write(now);
        }
        assert_eq!(
            (memory.store.tried, memory.trouble(now).unwrap().seconds),
            (4, 15)
        );
        memory.store.is_full = false;
        now = memory.next_timeout().unwrap();
        memory.write(now);
        assert_eq!(memory.store.written, [[reserved(129), over(3)]]);
        assert_eq!((memory.trouble(now), memory.next_timeout()), (None, None));
        memory.write(now);
        assert_eq!(memory.store.written.len(), 1, "nothing is written twice");
    }

    #[test]
    fn a_disk_that_takes_what_it_is_given_loses_no_change_however_many_come_in_a_row() {
        let now = crate::clock::now().monotonic;
        let mut memory = Memory::new(Disk::default());
        let changes: Vec<Change> = (0..10_000).map(over).collect();
        for change in &changes {
            memory.keep(now, change.clone());
        }
        memory.write(now);
        assert_eq!(memory.store.written.concat(), changes);
    }

    /// Covers: X-013
    #[test]
    fn what_waits_for_the_disk_is_bounded_and_reserved_mids_always_have_room() {
        let now = crate::clock::now().monotonic;
        let mut memory = Memory::new(Disk::default());
        memory.store.is_full = true;
        for request in 0..5000 {
            memory.keep(now, over(request));
        }
        memory.keep(now, reserved(65));
        memory.write(now);
        let told = memory.trouble(now).unwrap();
        assert_eq!((told.changes, told.dropped), (UNWRITTEN_REQUESTS + 1, 904));
        memory.store.is_full = false;
        memory.write_now(now);
        assert!(memory.store.written[0].contains(&reserved(65)));
    }
}
