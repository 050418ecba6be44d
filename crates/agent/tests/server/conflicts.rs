//! Requests of different clients for the same addresses, by policy (RFC 9132 §4.4.1.3, §4.4.2.1).

use agent::server::{ConflictPolicy, Input, Policy, Resolution, SessionId, Standing};
use coap::Code;
use dots::lifetime::Lifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, ConflictStatus, MitigationRequest, MitigationStatus, Status,
};
use dots::target::{DomainName, Target};

use super::rig::{Ask, BRANCH, HOME, Rig, body, granted, parked_body, policy, refusal, report};
use crate::world::seconds;

const OLDER: &str = "mitigate/cuid=two/mid=77";
const NEWER: &str = "mitigate/cuid=one/mid=1";

fn rig(on_conflict: ConflictPolicy) -> Rig {
    Rig::with(Policy {
        on_conflict,
        ..policy()
    })
}

/// `branch` has a mitigation of 600 seconds, which it observes.
fn with_older(on_conflict: ConflictPolicy) -> Rig {
    let mut rig = rig(on_conflict);
    let older = ["203.0.113.200/32", "198.51.100.7/32"];
    rig.expect(BRANCH, Ask::put(OLDER, body(&older, 600)), Code::CREATED);
    rig.enforce();
    rig.expect(BRANCH, Ask::get(OLDER).observe(0).token(7), Code::CONTENT);
    rig
}

fn newer(lifetime: u32) -> Ask {
    Ask::put(NEWER, body(&["203.0.113.0/24"], lifetime))
}

fn status(rig: &mut Rig, session: SessionId, path: &str) -> MitigationStatus {
    let found = report(&rig.expect(session, Ask::get(path), Code::CONTENT));
    found.0[0].clone()
}

/// The entries of the notifications since the last look.
fn notified(rig: &mut Rig) -> Vec<MitigationStatus> {
    let told = std::mem::take(&mut rig.notified);
    told.iter()
        .flat_map(|(_, _, notification)| report(notification).0)
        .collect()
}

/// What is common, and neither the mid nor the other addresses of the other client.
fn assert_only_what_is_common(conflict: &ConflictInformation) {
    assert_eq!(conflict.cause, Some(ConflictCause::OverlappingTargets));
    let scope = conflict.scope.as_ref().expect("a scope");
    assert_eq!(scope.mid, None);
    assert_eq!(scope.target.prefixes, ["203.0.113.200/32".parse().unwrap()]);
}

fn in_force(rig: &Rig) -> Vec<u32> {
    rig.enforced.keys().map(|key| key.mid.0).collect()
}

/// Covers: S-033
#[test]
fn when_both_stand_both_clients_are_told() {
    let mut rig = with_older(ConflictPolicy::Both);
    rig.expect(HOME, newer(60), Code::CREATED);
    assert_eq!(rig.enforced.len(), 2);
    for (session, path) in [(BRANCH, OLDER), (HOME, NEWER)] {
        let conflict = status(&mut rig, session, path)
            .conflict
            .expect("a conflict");
        assert_only_what_is_common(&conflict);
        assert_eq!(conflict.status, Some(ConflictStatus::RequestActive));
        assert_eq!(conflict.retry_timer, None);
    }
    let told = notified(&mut rig);
    assert!(told.last().is_some_and(|last| last.conflict.is_some()));
    // A restart does not end it.
    rig.restart();
    rig.establish(HOME, "home", 1);
    rig.establish(BRANCH, "branch", 2);
    for (session, path) in [(BRANCH, OLDER), (HOME, NEWER)] {
        let conflict = status(&mut rig, session, path).conflict;
        let conflict = conflict.expect("a conflict");
        assert_only_what_is_common(&conflict);
        assert_eq!(conflict.status, Some(ConflictStatus::RequestActive));
    }
    // Once it is over, so is the conflict.
    rig.expect(HOME, Ask::delete(NEWER), Code::DELETED);
    assert_eq!(status(&mut rig, BRANCH, OLDER).conflict, None);
}

/// Covers: S-033, S-035
#[test]
fn when_the_first_wins_the_newcomer_is_refused_until_the_other_ends() {
    let mut rig = with_older(ConflictPolicy::First);
    rig.advance(seconds(100));
    let refused = rig.expect(HOME, newer(60), Code::CONFLICT);
    let conflict = refusal(&refused).conflict;
    assert_only_what_is_common(&conflict);
    assert_eq!(
        conflict.status,
        Some(ConflictStatus::RequestInactiveOtherActive)
    );
    assert_eq!(conflict.retry_timer, Some(500));
    assert_eq!(in_force(&rig), [77]);
    assert_eq!(rig.stored.len(), 1);
    rig.advance(seconds(500));
    rig.expect(HOME, newer(60), Code::CREATED);
}

/// Covers: S-033. Two clients of one customer are different clients.
#[test]
fn clients_of_one_customer_conflict_like_any_others() {
    let mut rig = rig(ConflictPolicy::First);
    rig.expect(HOME, newer(60), Code::CREATED);
    rig.establish(SessionId(3), "home", 3);
    let other = Ask::put("mitigate/cuid=three/mid=1", body(&["203.0.113.7/32"], 60));
    rig.expect(SessionId(3), other, Code::CONFLICT);
    // What one client replaces of its own is no conflict.
    let own = Ask::put("mitigate/cuid=one/mid=2", body(&["203.0.113.7/32"], 60));
    rig.expect(HOME, own, Code::CREATED);
}

/// Covers: S-033, S-035
#[test]
fn when_the_last_wins_the_older_is_deactivated_for_its_lifetime() {
    let mut rig = with_older(ConflictPolicy::Last);
    let response = rig.expect(HOME, newer(100), Code::CREATED);
    let conflict = granted(&response).conflict.expect("a conflict");
    assert_only_what_is_common(&conflict);
    assert_eq!(conflict.status, Some(ConflictStatus::RequestActive));
    assert_eq!(conflict.retry_timer, None, "for the deactivated one alone");
    // The new filter is there before the old one goes.
    let position = |what: &str| rig.trace.iter().position(|each| *each == what);
    assert!(position("enforce") < position("withdraw"));
    assert!(position("withdraw") < position("respond"));
    assert_eq!(in_force(&rig), [1]);

    rig.advance(seconds(1));
    let told = notified(&mut rig).pop().expect("the older client is told");
    assert_eq!(told.status, Status::AttackMitigationWithdrawn);
    assert_eq!(told.mitigation_start, None);
    assert_eq!(told.lifetime.to_number(), 100 + 45);
    let conflict = told.conflict.expect("a conflict");
    assert_only_what_is_common(&conflict);
    assert_eq!(
        conflict.status,
        Some(ConflictStatus::RequestInactiveOtherActive)
    );
    assert_eq!(conflict.retry_timer, Some(100));
    let record = rig.stored.values().find(|record| record.key.mid.0 == 77);
    assert_eq!(
        record.map(|record| record.standing),
        Some(Standing::Deactivated)
    );
}

/// Covers: S-035. Neither again nor under another mid before the retry-timer is over.
#[test]
fn a_deactivated_request_does_not_come_back_before_its_time() {
    let mut rig = with_older(ConflictPolicy::Last);
    rig.expect(HOME, newer(100), Code::CREATED);
    rig.advance(seconds(40));
    let older = ["203.0.113.200/32", "198.51.100.7/32"];
    for path in [OLDER, "mitigate/cuid=two/mid=78"] {
        let refused = rig.expect(BRANCH, Ask::put(path, body(&older, 600)), Code::CONFLICT);
        let conflict = refusal(&refused).conflict;
        assert_only_what_is_common(&conflict);
        assert_eq!(conflict.retry_timer, Some(60));
    }
    assert_eq!(in_force(&rig), [1]);
    // The winner goes on: the request is kept for as long again.
    rig.advance(seconds(59));
    rig.expect(HOME, newer(1000), Code::CHANGED);
    rig.advance(seconds(1));
    let again = Ask::put(OLDER, body(&older, 600));
    let refused = rig.expect(BRANCH, again, Code::CONFLICT);
    assert_eq!(refusal(&refused).conflict.retry_timer, Some(999));
    rig.advance(seconds(900));
    assert_eq!(
        status(&mut rig, BRANCH, OLDER).status,
        Status::AttackMitigationWithdrawn
    );
}

/// Covers: S-035
#[test]
fn a_deactivated_request_is_in_force_again_when_the_winner_ends() {
    type End = fn(&mut Rig);
    let withdrawn: End = |rig| {
        rig.expect(HOME, Ask::delete(NEWER), Code::DELETED);
    };
    let expired: End = |rig| rig.advance(seconds(100));
    let moved: End = |rig| {
        let elsewhere = Ask::put("mitigate/cuid=one/mid=2", body(&["203.0.113.0/28"], 100));
        rig.expect(HOME, elsewhere, Code::CREATED);
    };
    for end in [withdrawn, expired, moved] {
        let mut rig = with_older(ConflictPolicy::Last);
        rig.expect(HOME, newer(100), Code::CREATED);
        assert_eq!(in_force(&rig), [1]);
        rig.advance(seconds(2));
        rig.notified.clear();
        end(&mut rig);
        assert!(in_force(&rig).contains(&77));
        rig.enforce();
        rig.advance(seconds(1));
        let told = notified(&mut rig).pop().expect("the older client is told");
        assert_eq!(told.status, Status::AttackSuccessfullyMitigated);
        assert_eq!(told.conflict, None);
        assert!((40..=143).contains(&told.lifetime.to_number()));
        let record = rig.stored.values().find(|record| record.key.mid.0 == 77);
        assert!(record.is_some_and(|record| record.standing.is_in_force()));
    }
}

/// Covers: S-035
#[test]
fn a_deactivated_request_is_gone_after_its_grace() {
    let mut rig = with_older(ConflictPolicy::Last);
    rig.expect(HOME, newer(100), Code::CREATED);
    rig.advance(seconds(90));
    rig.expect(HOME, newer(1000), Code::CHANGED);
    rig.advance(seconds(54));
    assert_eq!(rig.stored.len(), 2);
    rig.advance(seconds(1));
    assert_eq!(rig.mids(), [1]);
    assert_eq!(status(&mut rig, HOME, NEWER).conflict, None);
}

/// Covers: S-035. Deactivation survives a restart, and so does its end.
#[test]
fn a_restart_does_not_revive_what_is_deactivated() {
    let mut rig = with_older(ConflictPolicy::Last);
    rig.expect(HOME, newer(100), Code::CREATED);
    rig.restart();
    rig.establish(HOME, "home", 1);
    rig.establish(BRANCH, "branch", 2);
    assert_eq!(in_force(&rig), [1]);
    let found = status(&mut rig, BRANCH, OLDER);
    assert_only_what_is_common(&found.conflict.expect("a conflict"));
    rig.expect(HOME, Ask::delete(NEWER), Code::DELETED);
    assert_eq!(in_force(&rig), [77]);
}

/// Covers: S-033. Of three that overlap, one is in force at a time.
#[test]
fn of_several_deactivated_requests_the_latest_comes_back_first() {
    let mut rig = with_older(ConflictPolicy::Last);
    rig.expect(HOME, newer(600), Code::CREATED);
    rig.establish(SessionId(3), "home", 3);
    let third = "mitigate/cuid=three/mid=5";
    let ask = Ask::put(third, body(&["203.0.113.192/26"], 600));
    rig.expect(SessionId(3), ask, Code::CREATED);
    assert_eq!(in_force(&rig), [5]);
    rig.expect(SessionId(3), Ask::delete(third), Code::DELETED);
    assert_eq!(in_force(&rig), [1]);
    rig.expect(HOME, Ask::delete(NEWER), Code::DELETED);
    assert_eq!(in_force(&rig), [77]);
}

/// Covers: S-033, S-024. A parked request is in nobody's way until it is triggered.
#[test]
fn a_parked_request_conflicts_when_it_is_triggered() {
    for (on_conflict, during, after) in [
        (ConflictPolicy::First, vec![77], vec![1]),
        (ConflictPolicy::Last, vec![1], vec![1]),
    ] {
        let mut rig = with_older(on_conflict);
        let parked = Ask::put(NEWER, parked_body(&["203.0.113.0/24"], 600));
        let response = rig.expect(HOME, parked, Code::CREATED);
        assert_eq!(granted(&response).conflict, None);
        assert_eq!(in_force(&rig), [77]);
        rig.input(Input::SessionLost(HOME));
        assert_eq!(in_force(&rig), during, "{on_conflict:?}");
        rig.expect(BRANCH, Ask::delete(OLDER), Code::DELETED);
        assert_eq!(in_force(&rig), after, "{on_conflict:?}");
    }
}

/// Covers: S-019, S-033, S-035. A name that moves to where another client is meets it there, and
/// leaves what it moves away from.
#[test]
fn a_name_that_moves_conflicts_where_it_is_now() {
    let name: DomainName = "www.example".parse().unwrap();
    let named = || {
        let target = Target {
            fqdns: vec![name.clone()],
            ..Target::default()
        };
        let request = MitigationRequest::new(target, Lifetime::RECOMMENDED, true, None);
        Ask::put(NEWER, request.unwrap().encode())
    };
    let resolve = |rig: &mut Rig, address: &str| {
        let addresses = vec![address.parse().unwrap()];
        let found = Resolution { addresses, ttl: 60 };
        rig.input(Input::Resolved(name.clone(), Ok(found)));
    };
    for (on_conflict, moved, away) in [
        (ConflictPolicy::Both, vec![1, 77], vec![1, 77]),
        (ConflictPolicy::First, vec![77], vec![1, 77]),
        (ConflictPolicy::Last, vec![1], vec![1, 77]),
    ] {
        let mut rig = with_older(on_conflict);
        rig.request(HOME, named());
        resolve(&mut rig, "203.0.113.7");
        assert_eq!(in_force(&rig).len(), 2);
        assert_eq!(status(&mut rig, HOME, NEWER).conflict, None);
        rig.advance(seconds(60));
        resolve(&mut rig, "203.0.113.200");
        let mut now_in_force = in_force(&rig);
        now_in_force.sort_unstable();
        assert_eq!(now_in_force, moved, "{on_conflict:?}");
        let conflict = status(&mut rig, HOME, NEWER).conflict;
        assert_only_what_is_common(&conflict.expect("a conflict"));
        rig.advance(seconds(60));
        resolve(&mut rig, "203.0.113.7");
        let mut now_in_force = in_force(&rig);
        now_in_force.sort_unstable();
        assert_eq!(now_in_force, away, "{on_conflict:?}");
        for (session, path) in [(HOME, NEWER), (BRANCH, OLDER)] {
            let conflict = status(&mut rig, session, path).conflict;
            assert_eq!(conflict, None, "{on_conflict:?}");
        }
    }
}

/// Covers: S-033, S-035. What a deactivated request had kept out has nothing in its way.
#[test]
fn a_request_comes_back_when_what_kept_it_out_is_deactivated_itself() {
    let mut rig = with_older(ConflictPolicy::Last);
    rig.expect(HOME, newer(600), Code::CREATED);
    assert_eq!(in_force(&rig), [1]);
    rig.establish(SessionId(3), "home", 3);
    let third = Ask::put("mitigate/cuid=three/mid=5", body(&["203.0.113.7/32"], 600));
    rig.expect(SessionId(3), third, Code::CREATED);
    let mut now_in_force = in_force(&rig);
    now_in_force.sort_unstable();
    assert_eq!(now_in_force, [5, 77], "the third leaves the first alone");
}

/// Covers: S-033, S-035. Which request came last is known after a restart, whatever the names of the clients.
#[test]
fn the_order_of_acceptance_outlives_a_restart() {
    const THIRD: SessionId = SessionId(3);
    // The winner ends while the server runs, or while it is down.
    for is_down in [false, true] {
        let mut rig = rig(ConflictPolicy::Last);
        let target = ["203.0.113.200/32"];
        rig.expect(HOME, newer(600), Code::CREATED);
        rig.expect(BRANCH, Ask::put(OLDER, body(&target, 600)), Code::CREATED);
        rig.establish(THIRD, "home", 3);
        let last = "mitigate/cuid=three/mid=3";
        rig.expect(THIRD, Ask::put(last, body(&target, 100)), Code::CREATED);
        assert_eq!(in_force(&rig), [3]);
        if is_down {
            rig.wall_offset = 120;
        }
        rig.restart();
        if !is_down {
            rig.advance(seconds(100));
        }
        assert_eq!(in_force(&rig), [77], "down: {is_down}");
    }
}
