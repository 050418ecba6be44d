//! What the mitigator makes of a mitigation, as its client is told (RFC 9132 §4.4.2, Table 3).

use agent::server::{Input, SessionId};
use coap::Code;
use dots::mitigation::{DroppedCounters, MitigationStatus, Status};

use super::rig::{Ask, HOME, Rig, parked_body, report};
use crate::world::{cbor, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";
const TARGET: &str = "203.0.113.7/32";

fn mitigating() -> Rig {
    let mut rig = Rig::new();
    rig.expect(HOME, Ask::mitigate(1, &[TARGET], 7200), Code::CREATED);
    rig.enforce();
    rig
}

/// A preconfigured request whose session was lost and is back, observed.
fn triggered() -> Rig {
    let mut rig = Rig::new();
    let parked = Ask::put(PATH, parked_body(&["203.0.113.0/28"], 7200));
    rig.expect(HOME, parked, Code::CREATED);
    rig.input(Input::SessionLost(HOME));
    rig.enforce();
    rig.establish(HOME, "home", 1);
    rig.expect(HOME, Ask::get(PATH).observe(0).token(7), Code::CONTENT);
    rig.notified.clear();
    rig
}

/// Lets time pass with a reading of the mitigator every five seconds.
fn quiet(rig: &mut Rig, time: u64, packets: u64) {
    for _ in 0..time / 5 {
        rig.advance(seconds(5));
        rig.dropped(packets, packets * 100);
    }
}

fn status(rig: &mut Rig) -> MitigationStatus {
    report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT))
        .0
        .remove(0)
}

fn told(rig: &mut Rig) -> Vec<Status> {
    let told = std::mem::take(&mut rig.notified);
    let entries = told
        .iter()
        .flat_map(|(_, _, notification)| report(notification).0);
    entries.map(|entry| entry.status).collect()
}

/// Covers: S-043
#[test]
fn an_attack_of_which_nothing_is_dropped_for_five_minutes_has_stopped() {
    let mut rig = mitigating();
    quiet(&mut rig, 200, 10);
    quiet(&mut rig, 295, 11);
    assert_eq!(status(&mut rig).status, Status::AttackSuccessfullyMitigated);
    quiet(&mut rig, 10, 11);
    assert_eq!(status(&mut rig).status, Status::AttackStopped);
    // It is still in force, and the status stays, until the client withdraws it.
    quiet(&mut rig, 3000, 11);
    assert_eq!(status(&mut rig).status, Status::AttackStopped);
    assert_eq!(rig.enforced.len(), 1);
    // Or until the attack goes on.
    rig.dropped(12, 1200);
    assert_eq!(status(&mut rig).status, Status::AttackSuccessfullyMitigated);
}

/// Covers: S-043. Silence of the mitigator says nothing about the attack.
#[test]
fn without_readings_no_attack_has_stopped() {
    let mut rig = mitigating();
    rig.advance(seconds(3600));
    assert_eq!(status(&mut rig).status, Status::AttackSuccessfullyMitigated);
}

/// Covers: S-043
#[test]
fn a_preconfigured_mitigation_says_four_times_that_the_attack_stopped_and_waits_again() {
    let mut rig = triggered();
    quiet(&mut rig, 290, 5);
    rig.notified.clear();
    quiet(&mut rig, 15, 5);
    assert_eq!(rig.enforced.len(), 1);
    quiet(&mut rig, 100, 5);
    let told = told(&mut rig);
    let stopped = told
        .iter()
        .filter(|status| **status == Status::AttackStopped);
    assert_eq!(stopped.count(), 4, "{told:?}");
    assert_eq!(told.last(), Some(&Status::AttackMitigationSignalLoss));
    assert!(rig.enforced.is_empty());
    let found = status(&mut rig);
    assert_eq!(found.status, Status::AttackMitigationSignalLoss);
    assert_eq!(found.mitigation_start, None);
    // The next loss starts it again.
    rig.input(Input::SessionLost(HOME));
    assert_eq!(rig.enforced.len(), 1);
}

/// Covers: S-043, S-051. While the session is lost, no loss would start it again: it stays.
#[test]
fn a_preconfigured_mitigation_does_not_wait_for_a_loss_that_has_happened() {
    let mut rig = Rig::new();
    let parked = Ask::put(PATH, parked_body(&[TARGET], 7200));
    rig.expect(HOME, parked, Code::CREATED);
    rig.input(Input::SessionLost(HOME));
    rig.enforce();
    quiet(&mut rig, 1000, 5);
    assert_eq!(rig.enforced.len(), 1);
    rig.establish(HOME, "home", 1);
    assert_eq!(status(&mut rig).status, Status::AttackStopped);
    // Nobody observes: it stays for as long as four notifications would take.
    quiet(&mut rig, 60, 5);
    assert_eq!(status(&mut rig).status, Status::AttackMitigationSignalLoss);
    assert!(rig.enforced.is_empty());
}

/// Covers: S-043
#[test]
fn an_attack_that_goes_on_interrupts_the_announcement() {
    let mut rig = triggered();
    quiet(&mut rig, 305, 5);
    assert_eq!(status(&mut rig).status, Status::AttackStopped);
    quiet(&mut rig, 100, 6);
    assert_eq!(status(&mut rig).status, Status::AttackSuccessfullyMitigated);
    assert_eq!(rig.enforced.len(), 1);
}

/// Covers: S-031
#[test]
fn an_immediate_request_takes_the_place_of_a_preconfigured_one_in_force() {
    let mut rig = triggered();
    let other = Ask::put(
        "mitigate/cuid=one/mid=2",
        parked_body(&["203.0.113.64/28"], 600),
    );
    rig.expect(HOME, other, Code::CREATED);
    rig.expect(HOME, Ask::mitigate(3, &[TARGET], 7200), Code::CREATED);
    // The immediate one is in force before the other goes.
    let position = |what: &str| rig.trace.iter().position(|each| *each == what);
    assert!(position("enforce") < position("withdraw"));
    let in_force: Vec<_> = rig.enforced.keys().map(|key| key.mid.0).collect();
    assert_eq!(in_force, [3]);
    assert_eq!(rig.mids(), [1, 2, 3]);
    assert_eq!(status(&mut rig).status, Status::AttackMitigationWithdrawn);
    rig.advance(seconds(100));
    let told = told(&mut rig);
    let withdrawn = [Status::AttackMitigationWithdrawn; 4];
    assert_eq!(told[..4], withdrawn);
    assert!(
        told[4..]
            .iter()
            .all(|status| *status == Status::AttackMitigationSignalLoss)
    );
    assert!(told.len() > 4);
}

/// Covers: S-031. What waits goes on waiting.
#[test]
fn an_immediate_request_says_nothing_to_a_preconfigured_one_that_waits() {
    let mut rig = Rig::new();
    let parked = Ask::put(PATH, parked_body(&[TARGET], 600));
    rig.expect(HOME, parked, Code::CREATED);
    rig.expect(HOME, Ask::mitigate(2, &[TARGET], 600), Code::CREATED);
    assert_eq!(status(&mut rig).status, Status::AttackMitigationSignalLoss);
}

/// Covers: S-032
#[test]
fn the_loss_of_the_session_withdraws_immediate_requests_that_overlap() {
    let mut rig = Rig::with(agent::server::Policy {
        terminating: seconds(120),
        ..super::rig::policy()
    });
    let parked = Ask::put(PATH, parked_body(&["203.0.113.0/28"], 7200));
    rig.expect(HOME, parked, Code::CREATED);
    rig.expect(HOME, Ask::mitigate(2, &[TARGET], 600), Code::CREATED);
    let beside = "203.0.113.99/32";
    rig.expect(HOME, Ask::mitigate(3, &[beside], 600), Code::CREATED);
    rig.input(Input::SessionLost(HOME));
    let in_force: Vec<_> = rig.enforced.keys().map(|key| key.mid.0).collect();
    assert_eq!(in_force, [1, 3], "without terminating");
    assert_eq!(rig.mids(), [1, 3]);
}

/// Covers: S-051. The return of the session stops nothing, a withdrawal does.
#[test]
fn a_triggered_mitigation_ends_by_withdrawal() {
    let mut rig = triggered();
    rig.establish(SessionId(9), "home", 1);
    rig.advance(seconds(600));
    assert_eq!(rig.enforced.len(), 1);
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert!(rig.enforced.is_empty());
}

/// Covers: S-047
#[test]
fn what_the_mitigator_cannot_do_is_said() {
    let mut rig = Rig::new();
    rig.expect(HOME, Ask::mitigate(1, &[TARGET], 600), Code::CREATED);
    rig.expect(HOME, Ask::get(PATH).observe(0).token(7), Code::CONTENT);
    rig.input(Input::NotEnforced(rig.enforcements()));
    assert_eq!(told(&mut rig), [Status::AttackExceededCapability]);
    let scope = [
        (6, cbor::texts(&[TARGET])),
        (14, cbor::uint(900)),
        (29, cbor::uint(1)),
    ];
    let update = || Ask::put(PATH, cbor::scope(&scope)).if_match();
    let before = rig.stored.clone();
    let failed = rig.expect(HOME, update(), Code::SERVICE_UNAVAILABLE);
    assert!(failed.options.max_age().is_some_and(|seconds| seconds > 0));
    assert_eq!(rig.stored, before);
    // Once it can, all is well.
    rig.enforce();
    assert_eq!(status(&mut rig).status, Status::AttackSuccessfullyMitigated);
    rig.expect(HOME, update(), Code::CHANGED);
}

/// Covers: S-042
#[test]
fn counters_are_totals_and_averages() {
    let mut rig = mitigating();
    assert_eq!(status(&mut rig).counters, DroppedCounters::default());
    rig.advance(seconds(10));
    rig.dropped(1000, 50_000);
    let expected = |pkts, bytes, pps, bps| DroppedCounters {
        bytes: Some(bytes),
        bps: Some(bps),
        pkts: Some(pkts),
        pps: Some(pps),
    };
    assert_eq!(status(&mut rig).counters, expected(1000, 50_000, 100, 5000));
    rig.advance(seconds(290));
    rig.dropped(6000, 300_000);
    assert_eq!(status(&mut rig).counters, expected(6000, 300_000, 20, 1000));
    // The mitigator has started anew, and so has the server.
    rig.restart();
    rig.establish(HOME, "home", 1);
    rig.enforce();
    rig.advance(seconds(300));
    rig.dropped(12_000, 600_000);
    assert_eq!(
        status(&mut rig).counters,
        expected(12_000, 600_000, 20, 1000)
    );
}

/// Covers: S-042. A client that withdraws and asks again under the same number has a new mitigation.
#[test]
fn what_is_said_of_an_ended_mitigation_is_not_told_of_one_with_its_number() {
    let mut rig = mitigating();
    let ended = rig.enforcements();
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    rig.expect(HOME, Ask::mitigate(1, &[TARGET], 7200), Code::CREATED);
    rig.input(Input::Enforced(ended.clone()));
    let dropped = ended.iter().map(|each| (each.clone(), (1000, 50_000)));
    rig.input(Input::Dropped(dropped.collect()));
    let found = status(&mut rig);
    assert_eq!(found.status, Status::AttackMitigationInProgress);
    assert_eq!(found.counters, DroppedCounters::default());
    rig.enforce();
    rig.input(Input::NotEnforced(ended));
    rig.dropped(1, 50);
    let found = status(&mut rig);
    assert_eq!(found.status, Status::AttackSuccessfullyMitigated);
    assert_eq!(found.counters.pkts, Some(1));
}
