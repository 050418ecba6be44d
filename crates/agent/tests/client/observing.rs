//! How the client learns how a mitigation stands (RFC 9132 §4.4.2).

use agent::client::{Note, State};
use coap::Code;
use dots::mitigation::Status;

use super::rig::{FIXED_HOST, Rig};
use crate::world::seconds;

/// Covers: S-044
#[test]
fn an_accepted_request_is_observed_under_its_own_number() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    assert_eq!(get.message.options.observe(), Some(0));
    assert_eq!(get.resource(), ("fixed.example".to_owned(), 1));
    assert!(get.message.payload.is_empty());
    assert_eq!(
        rig.state(id),
        State::Accepted(Status::AttackMitigationInProgress)
    );
    for (number, status) in [
        (1, Status::AttackMitigationInProgress),
        (2, Status::AttackSuccessfullyMitigated),
        (5, Status::AttackExceededCapability),
        (9, Status::AttackStopped),
        (10, Status::from_code(77)),
    ] {
        rig.status(&get, Some(number), status, 500);
        assert_eq!(rig.state(id), State::Accepted(status));
        assert_eq!(rig.parts(id)[0].dropped.pkts, Some(500));
    }
    // One that was overtaken on the way changes nothing (RFC 7641 §3.4).
    rig.status(&get, Some(3), Status::AttackMitigationInProgress, 500);
    assert_eq!(rig.state(id), State::Accepted(Status::from_code(77)));
    assert!(rig.take().is_empty());
}

/// Covers: S-023. A server that lost the request is asked again, under the same number.
#[test]
fn not_found_on_observation_asks_again() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    rig.answer(&get, Code::NOT_FOUND, |_| {}, b"no such mitigation");
    assert_eq!(rig.state(id), State::Asking);
    rig.advance(seconds(3));
    let put = rig.one(Code::PUT);
    assert_eq!((put.mid(), put.at), (1, seconds(3)));
    rig.grant(&put, 597);
    let get = rig.one(Code::GET);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 590);
    assert_eq!(
        rig.state(id),
        State::Accepted(Status::AttackSuccessfullyMitigated)
    );
}

/// Covers: S-044, S-046
#[test]
fn a_server_that_does_not_notify_is_asked_from_time_to_time() {
    let mut rig = Rig::new();
    let (id, mut get) = rig.granted(6000, 6000);
    for _ in 0..10 {
        rig.status(&get, None, Status::AttackSuccessfullyMitigated, 500);
        assert_eq!(
            rig.state(id),
            State::Accepted(Status::AttackSuccessfullyMitigated)
        );
        rig.advance(seconds(14));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        get = rig.one(Code::GET);
    }
    for code in [
        Code::INTERNAL_SERVER_ERROR,
        Code::UNAUTHORIZED,
        Code::SERVICE_UNAVAILABLE,
    ] {
        rig.answer(&get, code, |_| {}, b"later");
        rig.advance(seconds(14));
        assert!(rig.take().is_empty(), "{code}");
        rig.advance(seconds(1));
        get = rig.one(Code::GET);
    }
    assert!(matches!(rig.state(id), State::Accepted(_)));
}

/// Covers: S-044. A refresh does not cost the observation.
#[test]
fn the_status_is_followed_beyond_a_refresh() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(1000, 400);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 400);
    rig.advance(seconds(200));
    let put = rig.one(Code::PUT);
    let before = State::Accepted(Status::AttackSuccessfullyMitigated);
    assert_eq!(rig.state(id), before);
    rig.grant(&put, 800);
    assert_eq!(rig.state(id), before);
    assert!(rig.take().is_empty());
    rig.status(&get, Some(7), Status::AttackStopped, 800);
    assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
}

/// Covers: S-044, S-045. Notifications get lost, and the last one says that a mitigation is over: a server that says
/// nothing is asked once, under the same token.
#[test]
fn an_observation_that_is_silent_is_renewed() {
    let mut rig = Rig::new();
    rig.leaves_renewals = true;
    let (id, first) = rig.granted(6000, 6000);
    rig.status(&first, Some(1), Status::AttackSuccessfullyMitigated, 6000);
    for number in 2..6 {
        rig.advance(seconds(59));
        assert!(rig.take().is_empty());
        rig.status(
            &first,
            Some(number),
            Status::AttackSuccessfullyMitigated,
            5000,
        );
    }
    rig.advance(seconds(60));
    let again = rig.one(Code::GET);
    assert_eq!(again.message.token, first.message.token);
    assert_eq!(again.message.options, first.message.options);
    rig.status(&again, Some(6), Status::AttackStopped, 4000);
    assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
    rig.advance(seconds(59));
    assert!(rig.take().is_empty());
    // What was told last was lost on the way.
    rig.advance(seconds(1));
    let again = rig.one(Code::GET);
    rig.answer(&again, Code::NOT_FOUND, |_| {}, b"no such mitigation");
    assert_eq!(rig.state(id), State::Asking);
}

/// Covers: S-041. Only a change is noted and stored, whatever the server repeats.
#[test]
fn a_notification_that_says_nothing_new_is_neither_stored_nor_noted() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 600);
    rig.advance(seconds(3));
    let (persisted, notes) = (rig.persisted, rig.notes.len());
    for number in 2..100 {
        rig.status(&get, Some(number), Status::AttackSuccessfullyMitigated, 600);
    }
    assert_eq!((rig.persisted, rig.notes.len()), (persisted, notes));
    rig.advance(seconds(3));
    rig.status(&get, Some(100), Status::AttackStopped, 600);
    let noted = rig.notes.last();
    assert!(
        matches!(noted, Some(Note::Request(of, _, mid, State::Accepted(Status::AttackStopped))) if *of == id && mid.0 == 1),
        "{noted:?}"
    );
}

/// Covers: S-044, X-013. Long use of one session does not use up what it may observe.
#[test]
fn observations_that_are_over_are_not_counted() {
    let mut rig = Rig::new();
    for round in 0..200 {
        let (id, get) = rig.granted(600, 600);
        rig.status(&get, Some(1), Status::AttackStopped, 600);
        rig.withdraw(id);
        let delete = rig.one(Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        assert!(matches!(rig.state(id), State::Ended(_)), "round {round}");
    }
    rig.mitigate(&[FIXED_HOST], 600);
}

/// A server that changes its mind all the time fills no log and no disk, and its
/// last word is noted all the same.
#[test]
fn of_a_status_that_flickers_one_is_noted_every_3_s() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(6000, 6000);
    let (persisted, notes) = (rig.persisted, rig.notes.len());
    for number in 1..=1000 {
        let status = if number % 2 == 0 {
            Status::AttackStopped
        } else {
            Status::AttackSuccessfullyMitigated
        };
        rig.status(&get, Some(number), status, 6000);
        rig.advance(std::time::Duration::from_millis(9));
    }
    assert_eq!(rig.persisted, persisted);
    assert!(rig.notes.len() <= notes + 4, "{:?}", rig.notes);
    rig.advance(seconds(3));
    assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
    let noted = rig.notes.last();
    assert!(
        matches!(
            noted,
            Some(Note::Request(
                _,
                _,
                _,
                State::Accepted(Status::AttackStopped)
            ))
        ),
        "{noted:?}"
    );
}

/// Covers: S-044. An error ends an observation, whatever options it carries (RFC 7641 §4.2).
#[test]
fn an_observation_goes_on_only_after_a_success_code() {
    for code in [Code::INTERNAL_SERVER_ERROR, Code::NOT_FOUND] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        rig.grant(&put, 6000);
        let get = rig.one(Code::GET);
        let observe = |options: &mut coap::Options| {
            options.push_uint(coap::OptionNumber::OBSERVE, 1);
        };
        rig.answer(&get, code, observe, b"trouble");
        if code == Code::NOT_FOUND {
            rig.advance(seconds(3));
            let put = rig.one(Code::PUT);
            rig.grant(&put, 6000);
        } else {
            rig.advance(seconds(14));
            assert!(rig.take().is_empty(), "{code}");
            rig.advance(seconds(1));
        }
        let get = rig.one(Code::GET);
        rig.status(&get, Some(2), Status::AttackStopped, 6000);
        assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
    }
}
