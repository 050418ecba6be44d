use agent::client::{AssociationRecord, RequestRecord, Snapshot, WantedRecord};
use agent::relay::Relayed;
use agent::server_selection::Attack;
use dots::target::Target;

use super::*;

/// A disk that is full, or not, and what was written to it, batch by batch.
#[derive(Debug, Default)]
struct Disk {
    is_full: bool,
    /// What no disk takes.
    refused: Option<RequestId>,
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
        let refused = |change: &&Change| match change {
            Change::PutWanted(record) => Some(record.id) == self.refused,
            _ => false,
        };
        if let Some(id) = self
            .refused
            .filter(|_| changes.iter().any(|it| refused(&it)))
        {
            return Err(StoreError::Target {
                path: "state".into(),
                id,
                source: dots::mitigation::RequestError::TooManyTargets,
            });
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
        unix: begun.unix_at(monotonic),
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

#[test]
fn a_clock_that_is_set_and_set_back_while_the_disk_is_full_leaves_no_trouble() {
    let at = |seconds, unix| Now {
        monotonic: start() + Duration::from_secs(seconds),
        unix,
    };
    let mut memory = Memory::new(Disk::default(), at(0, 1000));
    memory.store.is_full = true;
    memory.write(at(1, 1101));
    assert!(memory.next_timeout().is_some());
    memory.write(at(2, 1002));
    assert_eq!(memory.next_timeout(), None);
    assert_eq!(memory.store.tried, 1);
}

#[test]
fn a_request_that_can_never_be_written_keeps_no_other_from_the_disk() {
    let now = crate::clock::now();
    let mut memory = Memory::new(Disk::default(), now);
    memory.store.refused = Some(RequestId(1));
    let wish = |id| {
        Change::PutWanted(WantedRecord {
            id: RequestId(id),
            attack: Attack::default(),
            trigger_mitigation: true,
            wanted_until_unix: None,
            relayed: Relayed::default(),
        })
    };
    memory.keep(now, wish(1));
    memory.keep(now, wish(2));
    memory.keep(now, reserved(65));
    memory.write(now);
    assert!(memory.store.written.is_empty());
    let later = Now {
        monotonic: now.monotonic + RETRY,
        unix: now.unix + RETRY.as_secs(),
    };
    memory.write(later);
    assert_eq!(memory.store.written, [[wish(2), reserved(65)]]);
}

#[test]
fn what_a_server_holds_ends_as_late_when_the_clock_is_set() {
    let at = |seconds, unix| Now {
        monotonic: start() + Duration::from_secs(seconds),
        unix,
    };
    let part = |wanted, expires| {
        Change::PutRequest(RequestRecord {
            id: RequestId(1),
            association: server(),
            mid: Mid(1),
            target: Target::default(),
            trigger_mitigation: true,
            wanted_until_unix: wanted,
            withdrawing: false,
            granted: true,
            expires_unix: expires,
            moved_to: None,
            not_before_unix: None,
        })
    };
    for (wanted, expires) in [(Some(603), Some(303)), (None, Some(303)), (None, None)] {
        let disk = Disk {
            is_full: true,
            ..Disk::default()
        };
        let mut memory = Memory::new(disk, at(0, 3));
        memory.keep(at(0, 3), part(wanted, expires));
        memory.write(at(0, 3));
        memory.store.is_full = false;
        memory.write(at(9, 1_900_000_012));
        let moved = |end: Option<u64>| end.map(|end| end + 1_900_000_000);
        let written = part(moved(wanted), moved(expires));
        assert_eq!(memory.store.written, [[written]]);
    }
}

fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(|| crate::clock::now().monotonic)
}

///
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
