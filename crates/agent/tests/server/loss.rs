//! Requests that wait for the session to be lost (RFC 9132 §4.4.1.1, §4.7).

use agent::server::{Enforcement, Input, SessionId};
use agent::session::Event;
use coap::Code;
use dots::mitigation::Status;
use dtls::CloseReason;

use super::rig::{Ask, BRANCH, HOME, Rig, parked_body, report};
use crate::world::{EPOCH, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";

fn parked() -> Rig {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::put(PATH, parked_body(&["203.0.113.7/32"], 600)),
        Code::CREATED,
    );
    rig
}

fn status(rig: &mut Rig, session: SessionId) -> (Status, Option<u64>) {
    let found = report(&rig.expect(session, Ask::get(PATH), Code::CONTENT));
    (found.0[0].status, found.0[0].mitigation_start)
}

/// Covers: S-024, S-041
#[test]
fn a_parked_request_is_stored_and_not_enforced() {
    let mut rig = parked();
    assert!(rig.enforced.is_empty());
    assert_eq!(
        status(&mut rig, HOME),
        (Status::AttackMitigationSignalLoss, None)
    );
    let waiting = rig.stored.values().map(|record| Enforcement {
        key: record.key.clone(),
        accepted: record.accepted,
        started_unix: EPOCH,
    });
    let waiting = waiting.collect();
    rig.input(Input::Enforced(waiting));
    assert_eq!(
        status(&mut rig, HOME),
        (Status::AttackMitigationSignalLoss, None)
    );
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert!(!rig.trace.contains(&"withdraw"));
}

/// Covers: S-024, S-070, S-041
#[test]
fn the_loss_of_the_session_starts_it_durably() {
    let mut rig = parked();
    rig.advance(seconds(10));
    rig.input(Input::SessionLost(HOME));
    assert_eq!(rig.trace, ["close", "persist", "enforce"]);
    assert_eq!(rig.closed, [HOME]);
    assert_eq!(rig.enforced.len(), 1);
    rig.establish(SessionId(3), "home", 1);
    let started = Some(EPOCH + 10);
    let seen = status(&mut rig, SessionId(3));
    assert_eq!(seen, (Status::AttackMitigationInProgress, started));
    rig.enforce();
    let seen = status(&mut rig, SessionId(3));
    assert_eq!(seen, (Status::AttackSuccessfullyMitigated, started));
}

/// Covers: S-024
#[test]
fn an_orderly_close_starts_nothing() {
    let mut rig = parked();
    rig.input(Input::SessionClosed(HOME));
    assert!(rig.enforced.is_empty());
    // Nor does the loss of a session of someone else, or of none.
    rig.input(Input::SessionLost(BRANCH));
    rig.input(Input::SessionLost(SessionId(77)));
    rig.establish(SessionId(3), "home", 3);
    rig.input(Input::SessionLost(SessionId(3)));
    assert!(rig.enforced.is_empty());
}

/// Covers: S-069. The client is there as long as one of its sessions is.
#[test]
fn the_loss_of_one_of_two_sessions_of_a_client_starts_nothing() {
    let mut rig = parked();
    rig.establish(SessionId(3), "home", 1);
    rig.input(Input::SessionLost(HOME));
    assert!(rig.enforced.is_empty());
    rig.input(Input::SessionLost(SessionId(3)));
    assert_eq!(rig.enforced.len(), 1);
}

/// Covers: S-051
#[test]
fn the_return_of_the_session_does_not_stop_it() {
    let mut rig = parked();
    rig.input(Input::SessionLost(HOME));
    rig.enforce();
    rig.establish(SessionId(3), "home", 1);
    rig.advance(seconds(300));
    assert_eq!(rig.enforced.len(), 1);
    // A refresh does not park it again either.
    let refresh = Ask::put(PATH, parked_body(&["203.0.113.7/32"], 600));
    rig.expect(SessionId(3), refresh, Code::CHANGED);
    let seen = status(&mut rig, SessionId(3));
    assert_eq!(seen.0, Status::AttackSuccessfullyMitigated);
    // The second loss finds it running.
    rig.input(Input::SessionLost(SessionId(3)));
    assert_eq!(rig.trace, ["close"]);
}

/// Covers: S-024
#[test]
fn a_parked_request_expires_like_any_other() {
    let mut rig = parked();
    rig.advance(seconds(600));
    assert!(rig.stored.is_empty());
    rig.input(Input::SessionLost(HOME));
    assert!(rig.enforced.is_empty());
}

/// Covers: S-024
#[test]
fn only_the_parked_requests_of_the_lost_client_start() {
    let mut rig = parked();
    let other = |mid| {
        Ask::put(
            &format!("mitigate/cuid=two/mid={mid}"),
            parked_body(&["198.51.100.1/32"], 600),
        )
    };
    rig.expect(BRANCH, other(1), Code::CREATED);
    rig.input(Input::SessionLost(HOME));
    let started: Vec<_> = rig
        .enforced
        .keys()
        .map(|key| key.customer.as_str())
        .collect();
    assert_eq!(started, ["home"]);
}

/// Covers: S-024, S-070
#[test]
fn only_an_end_that_was_said_is_orderly() {
    for (reason, is_orderly) in [
        (CloseReason::Local, true),
        (CloseReason::PeerClosed, true),
        (CloseReason::HandshakeTimedOut, false),
        (CloseReason::Superseded, false),
    ] {
        let input = Input::from_event(HOME, Event::Closed(reason));
        assert_eq!(
            matches!(input, Some(Input::SessionClosed(HOME))),
            is_orderly
        );
        assert_eq!(
            matches!(input, Some(Input::SessionBroken(HOME))),
            !is_orderly
        );
    }
}

/// Covers: S-024, S-070. A TCP connection breaks when its host dies, and when a NAT starts again.
#[test]
fn a_client_whose_session_broke_is_lost_unless_it_comes_back_in_time() {
    let mut rig = parked();
    rig.expect(
        HOME,
        Ask::put(PATH, parked_body(&["203.0.113.7/32"], 7200)),
        Code::CHANGED,
    );
    rig.input(Input::SessionBroken(HOME));
    rig.advance(seconds(449));
    rig.establish(SessionId(3), "home", 1);
    rig.advance(seconds(1000));
    assert!(rig.enforced.is_empty(), "it came back");
    rig.establish(SessionId(4), "home", 1);
    rig.input(Input::SessionBroken(SessionId(3)));
    rig.advance(seconds(1000));
    assert!(rig.enforced.is_empty(), "another session is up");
    rig.input(Input::SessionBroken(SessionId(4)));
    rig.establish(SessionId(5), "home", 3);
    rig.advance(seconds(449));
    assert!(rig.enforced.is_empty());
    rig.advance(seconds(1));
    assert_eq!(rig.enforced.len(), 1, "nobody else's session counts");
}

/// Covers: S-023, S-024. After a restart a client that is gone has no session to lose.
#[test]
fn a_client_that_does_not_come_back_after_a_restart_is_lost() {
    for comes_back in [true, false] {
        let mut rig = parked();
        rig.restart();
        rig.advance(seconds(449));
        if comes_back {
            rig.establish(SessionId(3), "home", 1);
        }
        assert!(rig.enforced.is_empty());
        rig.advance(seconds(1));
        assert_eq!(rig.enforced.is_empty(), comes_back);
    }
}
