//! Requests that the server starts when the session is lost (RFC 9132 §4.4.1.1).

use agent::client::{Setback, State};
use coap::Code;
use dots::identifiers::Mid;
use dots::mitigation::Status;

use super::replies::Asked;
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig};
use crate::world::seconds;

/// Parks a request and accepts its observation.
fn parked(rig: &mut Rig, host: &str) -> (agent::client::RequestId, Asked) {
    let id = rig.ask(&[host], 100_000, false);
    let put = rig.take().pop().unwrap();
    assert!(!put.body().trigger_mitigation);
    rig.grant(&put, 100_000);
    let get = rig.take().pop().unwrap();
    rig.status_of(
        &get,
        Some(0),
        (put.mid(), Status::AttackMitigationSignalLoss, 100_000),
    );
    (id, get)
}

/// Covers: S-024
#[test]
fn a_parked_request_is_no_attack() {
    let mut rig = Rig::new();
    let (id, _) = parked(&mut rig, FIXED_HOST);
    let parked = State::Accepted(Status::AttackMitigationSignalLoss);
    assert_eq!(rig.state(id), parked);
    assert!(!rig.parts(id)[0].trigger_mitigation);
    // A silent session is given up, as in peace.
    let first = rig.opened[0].path;
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Saturated);
    }
    rig.advance(seconds(125));
    assert!(!rig.paths.contains_key(&first));
}

/// Covers: S-024, S-051. The server started it when the session was lost; that the session is
/// back is no reason to withdraw it.
#[test]
fn recovery_does_not_stop_what_the_loss_started() {
    let mut rig = Rig::new();
    let (id, get) = parked(&mut rig, FIXED_HOST);
    rig.inject(get.path, &[crate::world::BYE]);
    rig.advance(seconds(60));
    let get = rig.one(Code::GET);
    rig.status(&get, Some(0), Status::AttackMitigationInProgress, 90_000);
    rig.advance(seconds(600));
    assert!(rig.take().is_empty());
    let going = State::Accepted(Status::AttackMitigationInProgress);
    assert_eq!(rig.state(id), going);
}

/// Covers: S-043. It comes to its end at the server four times over, and is parked again.
#[test]
fn an_attack_that_stopped_parks_it_again() {
    let mut rig = Rig::new();
    let (id, get) = parked(&mut rig, FIXED_HOST);
    rig.status(&get, Some(1), Status::AttackMitigationInProgress, 90_000);
    for number in 2..=5 {
        rig.status(&get, Some(number), Status::AttackStopped, 90_000);
        assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
    }
    rig.status(&get, Some(6), Status::AttackMitigationSignalLoss, 90_000);
    let parked = State::Accepted(Status::AttackMitigationSignalLoss);
    assert_eq!(rig.state(id), parked);
}

/// Covers: S-029, S-031. An immediate request for the same takes no place: the server parks the
/// other, and says 7 four times if it was active.
#[test]
fn an_immediate_request_does_not_replace_a_parked_one() {
    let mut rig = Rig::new();
    let (id, get) = parked(&mut rig, FIXED_HOST);
    let immediate = rig.mitigate(&[FIXED_HOST], 600);
    assert_ne!(immediate, id);
    let put = rig.one(Code::PUT);
    rig.grant(&put, 600);
    assert!(matches!(rig.state(id), State::Accepted(_)));
    for number in 1..=4 {
        rig.status(
            &get,
            Some(number),
            Status::AttackMitigationWithdrawn,
            90_000,
        );
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
    rig.status(&get, Some(5), Status::AttackMitigationTerminated, 0);
    let ended = Setback::Ended(Status::AttackMitigationTerminated);
    assert!(
        matches!(rig.state(id), State::Postponed { after, .. } if after == ended),
        "it is still to be there when the session is lost"
    );
}

/// Covers: S-024
#[test]
fn a_parked_request_is_parked_again_after_a_restart() {
    let mut rig = Rig::new();
    let (id, _) = parked(&mut rig, FIXED_HOST);
    rig.restart();
    let put = rig.one(Code::PUT);
    assert!(!put.body().trigger_mitigation);
    rig.grant(&put, 90_000);
    let parked = State::Accepted(Status::AttackMitigationSignalLoss);
    assert_eq!(rig.state(id), parked);
}

/// A client whose numbers come to three quarters of the number space.
fn worn() -> Rig {
    let mut rig = Rig::new();
    parked(&mut rig, FIXED_HOST);
    parked(&mut rig, "203.0.113.9/32");
    for known in rig.associations.values_mut() {
        known.reserved_mid = Mid(Mid::ROLLOVER.0 - 1);
    }
    rig.restart();
    for put in rig.take() {
        rig.grant(&put, 90_000);
    }
    for get in rig.take() {
        let mid = get.mid();
        rig.status_of(
            &get,
            Some(0),
            (mid, Status::AttackMitigationSignalLoss, 90_000),
        );
    }
    assert!(rig.take().is_empty());
    rig
}

/// Covers: S-016. A lower number would not take the place of a higher one: the old ones are
/// withdrawn first.
#[test]
fn parked_requests_are_made_anew_from_0_when_numbers_start_again() {
    let mut rig = worn();
    let last = rig.mitigate(&["203.0.113.3/32"], 600);
    let put = rig.one(Code::PUT);
    assert_eq!(put.mid(), Mid::ROLLOVER.0 - 1);
    rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"no");
    assert!(matches!(rig.state(last), State::Refused { .. }));
    let deletes = rig.take();
    let withdrawn: Vec<u32> = deletes.iter().map(Asked::mid).collect();
    assert_eq!(withdrawn, [1, 2]);
    for delete in deletes {
        assert_eq!(delete.message.code, Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    }
    rig.advance(seconds(6));
    let puts = rig.take();
    let mut mids: Vec<u32> = puts.iter().map(Asked::mid).collect();
    mids.sort_unstable();
    mids.dedup();
    assert_eq!(mids, [0, 1]);
    assert!(puts.iter().all(|put| !put.body().trigger_mitigation));
    assert_eq!(rig.requests.len(), 2, "under their new numbers alone");
}

/// Covers: S-016. The process may die in between: what is wanted is not forgotten.
#[test]
fn numbers_that_start_again_lose_nothing_over_a_restart() {
    let mut rig = worn();
    rig.mitigate(&["203.0.113.3/32"], 600);
    let put = rig.one(Code::PUT);
    rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"no");
    rig.take();
    rig.restart();
    let puts = rig.take();
    assert_eq!(puts.len(), 2);
    assert!(puts.iter().all(|put| put.message.code == Code::PUT));
}

/// Covers: S-016. While one of them is active there is an attack, and numbers go on.
#[test]
fn numbers_do_not_start_again_while_a_parked_request_is_active() {
    let mut rig = Rig::new();
    let (_, get) = parked(&mut rig, FIXED_HOST);
    rig.status(&get, Some(1), Status::AttackMitigationInProgress, 90_000);
    for known in rig.associations.values_mut() {
        known.reserved_mid = Mid(Mid::ROLLOVER.0);
    }
    rig.restart();
    let put = rig.one(Code::PUT);
    rig.grant(&put, 90_000);
    let get = rig.one(Code::GET);
    rig.status(&get, Some(0), Status::AttackMitigationInProgress, 90_000);
    rig.mitigate(&["203.0.113.3/32"], 600);
    let put = rig.take().pop().unwrap();
    assert_eq!(put.mid(), Mid::ROLLOVER.0);
}

/// Covers: S-024, S-044. Its refresh is no end of the attack: it stands as the server last said,
/// and a silent session is kept.
#[test]
fn an_active_request_stays_active_while_it_is_refreshed() {
    let mut rig = Rig::new();
    let id = rig.ask(&[FIXED_HOST], 100_000, false);
    let put = rig.one(Code::PUT);
    rig.grant(&put, 1000);
    let get = rig.one(Code::GET);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 1000);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Saturated);
    }
    let mitigated = State::Accepted(Status::AttackSuccessfullyMitigated);
    rig.advance(seconds(800));
    assert!(rig.take().iter().any(|put| put.message.code == Code::PUT));
    assert!(rig.paths.contains_key(&get.path), "the session is kept");
    assert_eq!(rig.state(id), mitigated);
    assert!(!rig.client.is_settled(id));
    rig.status(&get, Some(2), Status::AttackStopped, 200);
    assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
}
