//! The numbers of requests (RFC 9132 §4.4.1.1).

use coap::Code;
use dots::identifiers::Mid;
use dots::mitigation::{ConflictCause, ConflictInformation, ConflictScope};

use super::replies::Asked;
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig};
use crate::world::seconds;

/// Makes a request, has it refused, and returns its number.
fn next_mid(rig: &mut Rig) -> u32 {
    rig.mitigate(&["203.0.113.3/32"], 600);
    let put = rig.take().pop().unwrap();
    rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"");
    put.mid()
}

/// Covers: S-015. At any moment the process may die; what was sent is never sent for another
/// request.
#[test]
fn mids_rise_strictly_also_over_restarts() {
    let mut rig = Rig::new();
    let mut last = 0;
    for round in 1..=200_u32 {
        let mid = next_mid(&mut rig);
        assert!(mid > last, "{mid} after {last}");
        last = mid;
        let [reserved] = &rig
            .associations
            .values()
            .map(|known| known.reserved_mid.0)
            .collect::<Vec<_>>()[..]
        else {
            panic!("one server was asked");
        };
        assert!(
            *reserved > mid,
            "{mid} is not covered by the reserve of {reserved}"
        );
        if round % 37 == 0 {
            rig.restart();
        }
    }
    assert!(last < 200 + 6 * 64, "numbers are not wasted: {last}");
}

/// Covers: S-015. The reserve is stored before the request leaves.
#[test]
fn a_number_is_reserved_before_it_is_sent() {
    let mut rig = Rig::new();
    let lifetime = dots::lifetime::Lifetime::RECOMMENDED;
    let target = super::rig::target(&[FIXED_HOST]);
    rig.client
        .mitigate(rig.now(), &target.into(), lifetime, true)
        .unwrap();
    let first = rig.client.poll_action();
    assert!(
        matches!(
            first,
            Some(agent::client::Action::Persist(
                agent::client::Change::PutAssociation(_)
            ))
        ),
        "{first:?}"
    );
}

/// Covers: S-015
#[test]
fn a_request_that_goes_on_keeps_its_number_over_a_restart() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(600, 600);
    rig.advance(seconds(100));
    rig.take();
    rig.restart();
    let put = rig.one(Code::PUT);
    assert_eq!(put.resource(), ("fixed.example".to_owned(), 1));
    let left = dots::lifetime::Lifetime::from_number(500).unwrap();
    assert_eq!(put.body().lifetime, left);
    assert_eq!(rig.parts(id)[0].mid, Mid(1));
    assert!(next_mid(&mut rig) > 1);
}

/// A client whose numbers have come to three quarters of the number space.
fn worn(reserved: u32) -> Rig {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.take().remove(0);
    rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"");
    for known in rig.associations.values_mut() {
        known.reserved_mid = Mid(reserved);
    }
    rig.restart();
    rig
}

/// Covers: S-016
#[test]
fn in_peace_numbers_start_again_at_0_after_three_quarters_of_the_space() {
    let mut rig = worn(Mid::ROLLOVER.0 - 1);
    assert_eq!(next_mid(&mut rig), 3_221_225_470);
    assert_eq!(next_mid(&mut rig), 0);
    assert_eq!(next_mid(&mut rig), 1);
    rig.restart();
    assert!((2..1000).contains(&next_mid(&mut rig)));
}

/// Covers: S-016
#[test]
fn under_attack_numbers_go_on() {
    let mut rig = worn(Mid::ROLLOVER.0 - 1);
    let id = rig.mitigate(&["203.0.113.9/32"], 600);
    let put = rig.one(Code::PUT);
    rig.grant(&put, 600);
    rig.take();
    assert_eq!(next_mid(&mut rig), 3_221_225_471);
    assert_eq!(next_mid(&mut rig), 3_221_225_472);
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(next_mid(&mut rig), 0);
}

/// Covers: S-015. A number belongs to a request even if the server never heard of it.
#[test]
fn numbers_of_requests_that_never_left_are_not_used_again() {
    let mut rig = Rig::idle();
    rig.set(FIXED6, Behaviour::Down);
    rig.set(FIXED4, Behaviour::Down);
    rig.mitigate(&[FIXED_HOST], 600);
    rig.mitigate(&["203.0.113.9/32"], 600);
    rig.set(FIXED6, Behaviour::Up);
    rig.advance(seconds(120));
    let mut mids: Vec<_> = rig.take().iter().map(Asked::mid).collect();
    mids.sort_unstable();
    mids.dedup();
    assert_eq!(mids, [1, 2]);
}

/// Covers: S-015. Even if nothing but a request is left of the store.
#[test]
fn a_stored_request_keeps_later_numbers_above_its_own() {
    let mut rig = Rig::new();
    for _ in 0..9 {
        next_mid(&mut rig);
    }
    rig.granted(600, 600);
    for record in rig.associations.values_mut() {
        record.reserved_mid = Mid(1);
    }
    rig.restart();
    assert_eq!(next_mid(&mut rig), 11);
}

/// Covers: S-015. The server may know the client from before it lost its state, or under another name
/// of the PvD: a mid of that time means something else there.
#[test]
fn a_client_without_memory_does_not_begin_where_an_earlier_one_did() {
    let mut rig = Rig::new();
    rig.associations.clear();
    rig.restart();
    rig.take();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    assert_eq!(u64::from(rig.parts(id)[0].mid.0), rig.now().unix);
}

/// Covers: S-015, S-029. A request leaves before it is on the disk: who died in between finds the place taken by a
/// request of his own that he knows nothing of, and asks under a number that takes its place.
#[test]
fn what_was_asked_just_before_the_process_died_gives_way() {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(6000, 6000);
    let known = (rig.wanted.clone(), rig.requests.clone());
    rig.mitigate(&["203.0.113.0/28"], 6000);
    let lost = rig.one(Code::PUT);
    (rig.wanted, rig.requests) = known;
    rig.restart();
    let put = rig.one(Code::PUT);
    assert!(put.mid() < lost.mid());
    let conflict = |mid| ConflictInformation {
        cause: Some(ConflictCause::OverlappingTargets),
        scope: Some(ConflictScope {
            mid: Some(Mid(mid)),
            ..ConflictScope::default()
        }),
        ..ConflictInformation::default()
    };
    rig.conflict(&put, conflict(lost.mid()));
    let delete = rig.one(Code::DELETE);
    assert_eq!(delete.mid(), put.mid());
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    let anew = rig.one(Code::PUT);
    assert!(anew.mid() > lost.mid());
    assert_eq!(anew.body().target, put.body().target);
    rig.grant(&anew, 600);
    // A number that was never used is no reason.
    rig.advance(seconds(300));
    let puts = rig.take();
    let put = puts.iter().find(|asked| asked.message.code == Code::PUT);
    rig.conflict(put.unwrap(), conflict(get.mid() + 10_000));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code != Code::DELETE)
    );
}
