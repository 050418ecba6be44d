//! Mitigations that go on for a while after their withdrawal (RFC 9132 §4.4.4).

use agent::server::{Outcome, Policy, Standing};
use coap::Code;
use dots::mitigation::Status;

use super::rig::{Ask, BRANCH, HOME, Rig, body, parked_body, policy, report};
use crate::world::{EPOCH, cbor, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";
const TARGET: &str = "203.0.113.7/32";

fn rig() -> Rig {
    Rig::with(Policy {
        terminating: Policy::default().terminating,
        ..policy()
    })
}

/// A mitigation that is in force and observed.
fn mitigating() -> Rig {
    let mut rig = rig();
    rig.expect(HOME, Ask::mitigate(1, &[TARGET], 600), Code::CREATED);
    rig.enforce();
    rig.expect(HOME, Ask::get(PATH).observe(0).token(7), Code::CONTENT);
    rig.advance(seconds(5));
    rig.notified.clear();
    rig
}

fn statuses(rig: &mut Rig) -> Vec<Status> {
    let told = std::mem::take(&mut rig.notified);
    let entries = told
        .iter()
        .flat_map(|(_, _, notification)| report(notification).0);
    entries.map(|entry| entry.status).collect()
}

fn withdraw(rig: &mut Rig, mid: u32) {
    let path = format!("mitigate/cuid=one/mid={mid}");
    rig.expect(HOME, Ask::delete(&path), Code::DELETED);
}

/// For how many seconds what is withdrawn now stays in force.
fn measure(rig: &mut Rig) -> u32 {
    (1..=1000)
        .find(|_| {
            rig.advance(seconds(1));
            rig.enforced.is_empty()
        })
        .expect("it ends")
}

/// Covers: S-050, S-049
#[test]
fn a_withdrawn_mitigation_goes_on_for_two_minutes() {
    let mut rig = mitigating();
    let response = rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert!(response.payload.is_empty());
    assert_eq!(rig.trace, ["persist", "decided", "respond", "notify"]);
    assert_eq!(statuses(&mut rig), [Status::DotsClientWithdrawnMitigation]);
    let found = report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT));
    assert_eq!(found.0[0].status, Status::DotsClientWithdrawnMitigation);
    assert_eq!(found.0[0].lifetime.to_number(), 120);
    assert_eq!(found.0[0].mitigation_start, Some(EPOCH));
    rig.advance(seconds(119));
    assert_eq!(rig.enforced.len(), 1);
    rig.notified.clear();
    rig.advance(seconds(1));
    assert!(rig.enforced.is_empty() && rig.stored.is_empty());
    assert_eq!(statuses(&mut rig), [Status::AttackMitigationTerminated]);
    rig.expect(HOME, Ask::get(PATH), Code::NOT_FOUND);
}

/// Covers: S-049, S-050. A repetition of the withdrawal does not prolong it.
#[test]
fn a_second_withdrawal_changes_nothing() {
    let mut rig = mitigating();
    withdraw(&mut rig, 1);
    rig.advance(seconds(100));
    withdraw(&mut rig, 1);
    assert_eq!(rig.trace, ["respond"]);
    let withdrawn = |outcome: &&Outcome| matches!(outcome, Outcome::Withdrawn { .. });
    assert_eq!(rig.outcomes.iter().filter(withdrawn).count(), 1);
    assert_eq!(measure(&mut rig), 20);
}

/// Covers: S-050
#[test]
fn what_is_asked_for_again_meanwhile_goes_on_twice_as_long_the_next_time() {
    // Under the same number, or a new one, for the same or a part of it.
    for step in [0, 1] {
        let mut rig = mitigating();
        let mut mid = 1;
        for expected in [120, 240, 300, 300] {
            withdraw(&mut rig, mid);
            let found = report(&rig.ask(HOME, Ask::get("mitigate/cuid=one")));
            assert_eq!(found.0[0].lifetime.to_number(), expected);
            rig.advance(seconds(60));
            mid += step;
            rig.expect(HOME, Ask::mitigate(mid, &[TARGET], 600), Code::CREATED);
            assert_eq!(rig.mids(), [mid]);
            assert_eq!(rig.enforced.len(), 1);
        }
        // After a quiet end it begins anew.
        withdraw(&mut rig, mid);
        assert_eq!(measure(&mut rig), 300);
        rig.expect(HOME, Ask::mitigate(mid, &[TARGET], 600), Code::CREATED);
        withdraw(&mut rig, mid);
        assert_eq!(measure(&mut rig), 120);
    }
}

/// Covers: S-050
#[test]
fn a_revived_mitigation_was_never_out_of_force() {
    let mut rig = mitigating();
    withdraw(&mut rig, 1);
    rig.advance(seconds(60));
    rig.notified.clear();
    rig.expect(HOME, Ask::mitigate(1, &[TARGET], 300), Code::CREATED);
    for gone in ["enforce", "withdraw", "set-mitigating"] {
        assert!(!rig.trace.contains(&gone), "{gone}");
    }
    rig.advance(seconds(2));
    assert_eq!(statuses(&mut rig), [Status::AttackSuccessfullyMitigated]);
    rig.advance(seconds(290));
    assert_eq!(rig.enforced.len(), 1);
    let found = report(&rig.ask(HOME, Ask::get(PATH)));
    assert_eq!(found.0[0].mitigation_start, Some(EPOCH));
}

/// Covers: S-015, S-050. A number that was withdrawn is free for another request, and lower ones
/// are not late: after a rollover a client begins at 0.
#[test]
fn what_is_withdrawn_stands_in_no_requests_way() {
    for (mid, prefix) in [(1, "203.0.113.99/32"), (1, "203.0.113.0/28"), (0, TARGET)] {
        let mut rig = mitigating();
        withdraw(&mut rig, 1);
        rig.expect(HOME, Ask::mitigate(mid, &[prefix], 600), Code::CREATED);
        assert_eq!(rig.mids(), [mid]);
        let scopes: Vec<_> = rig.enforced.values().map(|scope| &scope.prefixes).collect();
        assert_eq!(scopes, [&vec![prefix.parse().unwrap()]]);
    }
}

/// Covers: S-048, S-050. A late efficacy update revives nothing.
#[test]
fn an_efficacy_update_after_the_withdrawal_is_left_unanswered() {
    let mut rig = mitigating();
    withdraw(&mut rig, 1);
    let scope = [
        (6, cbor::texts(&[TARGET])),
        (14, cbor::uint(600)),
        (29, cbor::uint(1)),
    ];
    let update = Ask::put(PATH, cbor::scope(&scope)).if_match();
    assert_eq!(rig.request(HOME, update), None);
    assert_eq!(measure(&mut rig), 120);
}

/// Covers: S-050. Neither what waits nor what the policy excludes.
#[test]
fn only_what_is_in_force_goes_on() {
    let mut rig = rig();
    let parked = Ask::put(PATH, parked_body(&[TARGET], 600));
    rig.expect(HOME, parked, Code::CREATED);
    withdraw(&mut rig, 1);
    assert!(rig.stored.is_empty());
    let mut rig = Rig::new();
    rig.expect(HOME, Ask::mitigate(1, &[TARGET], 600), Code::CREATED);
    withdraw(&mut rig, 1);
    assert!(rig.stored.is_empty());
}

/// Covers: S-050. An acknowledged withdrawal is no promise any more, whatever crashes.
#[test]
fn a_restart_prolongs_nothing_that_is_withdrawn() {
    let mut rig = mitigating();
    withdraw(&mut rig, 1);
    rig.advance(seconds(20));
    rig.restart();
    rig.establish(HOME, "home", 1);
    let found = report(&rig.ask(HOME, Ask::get(PATH)));
    assert_eq!(found.0[0].status, Status::DotsClientWithdrawnMitigation);
    assert_eq!(measure(&mut rig), 100);
}

/// Covers: S-050, X-013. What is withdrawn takes no room from what is asked for.
#[test]
fn a_customer_at_its_limit_gets_the_room_of_what_it_withdrew() {
    let mut rig = rig();
    for mid in 1..=4 {
        let prefix = format!("203.0.113.{mid}/32");
        rig.expect(HOME, Ask::mitigate(mid, &[&prefix], 600), Code::CREATED);
    }
    withdraw(&mut rig, 2);
    rig.advance(seconds(1));
    withdraw(&mut rig, 3);
    rig.expect(
        HOME,
        Ask::mitigate(5, &["203.0.113.5/32"], 600),
        Code::CREATED,
    );
    assert_eq!(rig.mids(), [1, 3, 4, 5]);
    let other = Ask::put("mitigate/cuid=two/mid=1", body(&["198.51.100.1/32"], 600));
    rig.expect(BRANCH, other, Code::CREATED);
}

/// Covers: S-033, S-050
#[test]
fn what_is_withdrawn_is_in_no_conflict() {
    let mut rig = Rig::with(Policy {
        on_conflict: agent::server::ConflictPolicy::First,
        terminating: seconds(120),
        ..policy()
    });
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.200/32"], 600),
        Code::CREATED,
    );
    let theirs = || Ask::put("mitigate/cuid=two/mid=1", body(&["203.0.113.200/32"], 600));
    rig.expect(BRANCH, theirs(), Code::CONFLICT);
    withdraw(&mut rig, 1);
    rig.expect(BRANCH, theirs(), Code::CREATED);
    // Now it is the first one's turn to be refused.
    let again = Ask::mitigate(1, &["203.0.113.200/32"], 600);
    rig.expect(HOME, again, Code::CONFLICT);
    let record = rig
        .stored
        .values()
        .find(|record| record.key.cuid.as_str() == "one");
    assert!(matches!(
        record.map(|record| record.standing),
        Some(Standing::Terminating { .. })
    ));
}
