//! Requests that conflict with those of other clients (RFC 9132 §4.4.1.3, §4.4.2.1).

use agent::client::{End, Note, State};
use coap::Code;
use dots::identifiers::Mid;
use dots::lifetime::RemainingLifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, ConflictStatus, Granted, MitigationStatus, Status,
};
use dots::target::Target;

use super::rig::{FIXED_HOST, Rig};
use crate::world::seconds;

fn conflict(status: ConflictStatus, retry_timer: Option<u32>) -> ConflictInformation {
    ConflictInformation {
        status: Some(status),
        cause: Some(ConflictCause::OverlappingTargets),
        retry_timer,
        scope: None,
    }
}

fn notification(
    status: Status,
    left: u32,
    conflict: Option<ConflictInformation>,
) -> MitigationStatus {
    MitigationStatus {
        mid: Mid(1),
        target: Target::default(),
        trigger_mitigation: None,
        mitigation_start: None,
        status,
        lifetime: RemainingLifetime::Seconds(left),
        counters: Default::default(),
        conflict,
    }
}

/// Covers: S-035. Not a second before the retry-timer is over, whatever happens meanwhile.
#[test]
fn a_request_refused_with_a_retry_timer_waits_for_that() {
    for (timer, pause) in [(120, 120), (0, 3)] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        let inactive = conflict(ConflictStatus::RequestInactiveOtherActive, Some(timer));
        rig.conflict(&put, inactive.clone());
        let retry = rig.now().monotonic + seconds(pause);
        assert_eq!(rig.state(id), State::Deactivated { retry });
        assert!(rig.client.is_settled(id));
        assert_eq!(rig.parts(id)[0].conflict, Some(inactive.clone()));
        assert!(rig.notes.iter().any(|note| {
            matches!(note, Note::Conflict(_, _, Mid(1), Some(told)) if *told == inactive)
        }));
        // The person asks again, too soon.
        assert_eq!(rig.mitigate(&[FIXED_HOST], 6000), id);
        rig.advance(seconds(pause - 1));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        let put = rig.one(Code::PUT);
        assert_eq!(put.mid(), 1);
        rig.grant(&put, 6000);
        assert!(matches!(rig.state(id), State::Accepted(_)));
        assert_eq!(rig.parts(id)[0].conflict, None);
    }
}

/// Covers: S-035
#[test]
fn what_is_not_wanted_any_more_is_not_asked_again_when_the_timer_is_over() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 60);
    let put = rig.one(Code::PUT);
    rig.conflict(
        &put,
        conflict(ConflictStatus::RequestInactiveOtherActive, Some(120)),
    );
    rig.advance(seconds(600));
    // The server may have kept it: it is told to forget it, and nothing else.
    let asked = rig.take();
    assert!(
        asked
            .iter()
            .all(|asked| asked.message.code == Code::DELETE && asked.at >= seconds(60)),
        "{asked:?}"
    );
    let delete = asked.last().unwrap();
    rig.answer(delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Expired));
}

/// Covers: S-035. The timer holds over a withdrawal too: that is another message.
#[test]
fn a_request_that_waits_for_its_timer_can_be_withdrawn() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    rig.conflict(
        &put,
        conflict(ConflictStatus::RequestInactiveOtherActive, Some(120)),
    );
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
}

/// Covers: S-033, S-035. The server keeps it for the timer and 45 s, tells when it is in force
/// again, and else is asked when the timer is over.
#[test]
fn a_mitigation_that_a_conflict_deactivates_waits_and_comes_back() {
    for comes_back in [false, true] {
        let mut rig = Rig::new();
        let (id, get) = rig.granted(6000, 6000);
        let inactive = conflict(ConflictStatus::RequestInactiveOtherActive, Some(100));
        for number in 1..=4 {
            let told = notification(
                Status::AttackMitigationWithdrawn,
                145,
                Some(inactive.clone()),
            );
            rig.report(&get, Some(number), told);
            rig.advance(seconds(3));
        }
        let retry = rig.now().monotonic - seconds(12) + seconds(100);
        assert_eq!(rig.state(id), State::Deactivated { retry });
        assert_eq!(rig.requests.len(), 1, "it is still wanted");
        if comes_back {
            let told = notification(Status::AttackMitigationInProgress, 5900, None);
            rig.report(&get, Some(9), told);
            let going = State::Accepted(Status::AttackMitigationInProgress);
            assert_eq!(rig.state(id), going);
            rig.advance(seconds(200));
            assert!(rig.take().is_empty());
        } else {
            rig.advance(seconds(87));
            assert!(rig.take().is_empty());
            rig.advance(seconds(1));
            assert_eq!(rig.one(Code::PUT).mid(), 1);
        }
    }
}

/// Covers: S-033. Both stand, and the person is told.
#[test]
fn a_conflict_that_leaves_the_request_in_force_is_kept_and_told() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    let active = conflict(ConflictStatus::RequestActive, None);
    let granted = Granted {
        mid: Mid(1),
        lifetime: dots::lifetime::Lifetime::from_number(600).unwrap(),
        conflict: Some(active.clone()),
    };
    rig.answer(&put, Code::CREATED, |_| {}, &granted.encode());
    assert!(matches!(rig.state(id), State::Accepted(_)));
    assert_eq!(rig.parts(id)[0].conflict, Some(active));
    let get = rig.one(Code::GET);
    rig.report(
        &get,
        Some(1),
        notification(Status::AttackMitigationInProgress, 590, None),
    );
    assert_eq!(rig.parts(id)[0].conflict, None);
    rig.advance(seconds(3));
    let told = rig
        .notes
        .iter()
        .filter(|note| matches!(note, Note::Conflict(..)));
    assert_eq!(told.count(), 2);
}

/// Covers: S-034, S-035. A collision of cuids brings nothing forward that waits for its timer.
#[test]
fn a_cuid_collision_does_not_cut_a_retry_timer_short() {
    let mut rig = Rig::new();
    let waiting = rig.mitigate(&["203.0.113.9/32"], 6000);
    let put = rig.one(Code::PUT);
    rig.conflict(
        &put,
        conflict(ConflictStatus::RequestInactiveOtherActive, Some(120)),
    );
    rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    let collision = ConflictInformation {
        cause: Some(ConflictCause::CuidCollision),
        ..ConflictInformation::default()
    };
    rig.conflict(&put, collision);
    rig.advance(seconds(60));
    assert!(rig.take().iter().all(|asked| asked.mid() == 2));
    assert!(matches!(rig.state(waiting), State::Deactivated { .. }));
}

/// Covers: S-035, S-049. The server brings it back by itself when the conflict is over.
#[test]
fn a_mitigation_that_waits_for_its_timer_is_withdrawn_with_the_wish() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(1000, 600);
    rig.advance(seconds(300));
    let put = rig.one(Code::PUT);
    let inactive = conflict(ConflictStatus::RequestInactiveOtherActive, Some(2000));
    rig.conflict(&put, inactive);
    rig.advance(seconds(699));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code == Code::GET)
    );
    rig.advance(seconds(1));
    assert_eq!(rig.one(Code::DELETE).mid(), 1);
    rig.advance(seconds(1000));
    assert_eq!(rig.state(id), State::Withdrawing, "nobody has answered");
    let delete = rig.take().pop().unwrap();
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Expired));
}

/// Covers: S-035, S-065, M-005. Neither the retry-timer nor the Max-Age of one that is busy is cut short by a
/// restart, or a client that crashes again and again would leave no peace.
#[test]
fn a_restart_does_not_ask_sooner_than_the_server_said() {
    for is_conflict in [true, false] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        if is_conflict {
            let inactive = conflict(ConflictStatus::RequestInactiveOtherActive, Some(120));
            rig.conflict(&put, inactive);
        } else {
            let later = |options: &mut coap::Options| {
                options.push_uint(coap::OptionNumber::MAX_AGE, 120);
            };
            rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"busy");
        }
        for _ in 0..3 {
            rig.advance(seconds(30));
            rig.restart();
            assert!(rig.take().is_empty());
        }
        rig.advance(seconds(29));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        assert_eq!(rig.one(Code::PUT).mid(), 1);
        assert_eq!(rig.state(id), State::Asking);
    }
}

/// Covers: S-035, X-013. It is told that it changes its mind, at a pace.
#[test]
fn a_server_that_changes_its_mind_at_each_notification_fills_no_log() {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(6000, 6000);
    rig.notes.clear();
    for number in 0..1000 {
        let retry = (number % 2 == 0).then_some(100 + number);
        let inactive =
            retry.map(|it| conflict(ConflictStatus::RequestInactiveOtherActive, Some(it)));
        let status = match retry {
            Some(_) => Status::AttackMitigationWithdrawn,
            None => Status::AttackMitigationInProgress,
        };
        rig.report(&get, Some(number + 1), notification(status, 6000, inactive));
        rig.advance(std::time::Duration::from_millis(10));
    }
    assert!(rig.notes.len() <= 10, "{}", rig.notes.len());
}
