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

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{Change, RequestId};
use agent::server_selection::AssociationId;
use dots::identifiers::Mid;
use store::{ClientStore, WallClock};

use crate::clock::running_on;
use crate::control::NotStoredView;

/// How long a disk that refused is left in peace.
const RETRY: Duration = Duration::from_secs(5);
/// Changes of requests that wait for the disk. What is known of servers, the reserved mids above all,
/// waits without a limit: there are as many as the configuration names.
const UNWRITTEN_REQUESTS: usize = 4096;

/// By how many seconds the wall clock may differ from the other one before it counts as set.
const DRIFT: u64 = 5;

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
        let is_written = self.unwritten.is_empty() && self.jumped == 0;
        let retry = self.trouble.as_ref().map(|trouble| trouble.retry);
        if !is_written && retry.is_none_or(|at| at <= now.monotonic) {
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

    fn follow_clock(&mut self, now: Now) {
        let expected = running_on(self.clock, now).cast_signed();
        let jumped = now.unix.cast_signed().saturating_sub(expected);
        if jumped.unsigned_abs() < DRIFT {
            return;
        }
        self.clock = now;
        self.jumped = self.jumped.saturating_add(jumped);
        for change in self.unwritten.values_mut() {
            let ends = match change {
                Change::PutWanted(record) => [Some(&mut record.wanted_until_unix), None],
                Change::PutRequest(record) => {
                    [&mut record.wanted_until_unix, &mut record.expires_unix].map(Some)
                }
                Change::PutAssociation(_) | Change::DeleteWanted(_) | Change::DeleteRequest(..) => {
                    continue;
                }
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

#[cfg(test)]
mod tests {
    use agent::client::{AssociationRecord, Snapshot, WantedRecord};
    use agent::relay::Relayed;
    use agent::server_selection::Attack;
    use store::StoreError;

    use super::*;

    /// A disk that is full, or not, and what was written to it, batch by batch.
    #[derive(Debug, Default)]
    struct Disk {
        is_full: bool,
        tried: usize,
        clock: WallClock,
        written: Vec<Vec<Change>>,
    }

    impl ClientStore for Disk {
        fn load(&mut self) -> Result<Snapshot, StoreError> {
            Ok(Snapshot::default())
        }

        fn last_written(&mut self) -> Result<Option<u64>, StoreError> {
            Ok(None)
        }

        fn commit(&mut self, clock: WallClock, changes: &[Change]) -> Result<(), StoreError> {
            self.tried += 1;
            if self.is_full {
                let path = "state".into();
                return Err(StoreError::NotADatabase { path });
            }
            self.clock = clock;
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
        let mut now = crate::clock::now();
        let mut memory = Memory::new(
            Disk {
                is_full: true,
                ..Disk::default()
            },
            now,
        );
        memory.keep(now, reserved(65));
        memory.write(now);
        memory.keep(now, over(3));
        memory.keep(now, reserved(129));
        memory.write(now);
        let begun = now;
        let at = |monotonic| Now {
            monotonic,
            unix: running_on(begun, Now { monotonic, ..begun }),
        };
        assert_eq!(memory.store.tried, 1, "it is not tried at every change");
        let told = memory.trouble(now.monotonic).unwrap();
        assert_eq!((told.changes, told.seconds), (2, 0));
        assert!(told.reason.contains("state"), "{}", told.reason);
        for _ in 0..3 {
            now = at(memory.next_timeout().unwrap());
            memory.write(now);
        }
        assert_eq!(
            (
                memory.store.tried,
                memory.trouble(now.monotonic).unwrap().seconds
            ),
            (4, 15)
        );
        memory.store.is_full = false;
        now = at(memory.next_timeout().unwrap());
        memory.write(now);
        assert_eq!(memory.store.written, [[reserved(129), over(3)]]);
        assert_eq!(
            (memory.trouble(now.monotonic), memory.next_timeout()),
            (None, None)
        );
        memory.write(now);
        assert_eq!(memory.store.written.len(), 1, "nothing is written twice");
    }

    #[test]
    fn a_disk_that_takes_what_it_is_given_loses_no_change_however_many_come_in_a_row() {
        let now = crate::clock::now();
        let mut memory = Memory::new(Disk::default(), now);
        let changes: Vec<Change> = (0..10_000).map(over).collect();
        for change in &changes {
            memory.keep(now, change.clone());
        }
        memory.write(now);
        assert_eq!(memory.store.written.concat(), changes);
    }

    #[test]
    fn what_is_wanted_is_wanted_for_as_long_when_the_clock_is_set() {
        let at = |seconds, unix| Now {
            monotonic: start() + Duration::from_secs(seconds),
            unix,
        };
        let wish = |id, until| {
            Change::PutWanted(WantedRecord {
                id: RequestId(id),
                attack: Attack::default(),
                trigger_mitigation: true,
                wanted_until_unix: Some(until),
                relayed: Relayed::default(),
            })
        };
        let mut memory = Memory::new(Disk::default(), at(0, 3));
        memory.keep(at(0, 3), wish(1, 603));
        memory.write(at(0, 3));
        memory.store.is_full = true;
        memory.keep(at(1, 4), wish(2, 604));
        memory.write(at(1, 4));
        // The network tells the time while the disk takes nothing.
        memory.write(at(2, 1_900_000_005));
        memory.keep(at(2, 1_900_000_005), wish(3, 1_900_000_605));
        memory.store.is_full = false;
        memory.write(at(9, 1_900_000_012));
        let written = memory.store.written.last().unwrap();
        assert_eq!(*written, [wish(2, 1_900_000_604), wish(3, 1_900_000_605)]);
        let clock = memory.store.clock;
        assert_eq!((clock.unix, clock.jumped), (1_900_000_012, 1_900_000_000));
        // Seconds that clocks drift apart are nothing, and a jump is written without any change.
        memory.write(at(12, 1_900_000_018));
        assert_eq!(memory.store.written.len(), 2);
        memory.write(at(13, 1_900_000_116));
        let clock = memory.store.clock;
        assert_eq!((clock.unix, clock.jumped), (1_900_000_116, 100));
        memory.write(at(14, 1_900_000_117));
        assert_eq!(memory.store.written.len(), 3);
        memory.write_now(at(20, 1_900_000_123));
        assert_eq!(
            (memory.store.clock.unix, memory.store.clock.jumped),
            (1_900_000_123, 0)
        );
    }

    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(|| crate::clock::now().monotonic)
    }

    /// Covers: X-013
    #[test]
    fn what_waits_for_the_disk_is_bounded_and_reserved_mids_always_have_room() {
        let now = crate::clock::now();
        let mut memory = Memory::new(Disk::default(), now);
        memory.store.is_full = true;
        for request in 0..5000 {
            memory.keep(now, over(request));
        }
        memory.keep(now, reserved(65));
        memory.write(now);
        let told = memory.trouble(now.monotonic).unwrap();
        assert_eq!((told.changes, told.dropped), (UNWRITTEN_REQUESTS + 1, 904));
        memory.store.is_full = false;
        memory.write_now(now);
        assert!(memory.store.written[0].contains(&reserved(65)));
    }
}
