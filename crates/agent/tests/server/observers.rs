//! What observers can make the server do (RFC 9132 §4.4.2.1, §11).

use agent::server::{Policy, SessionId};
use coap::{Code, Token};
use dots::mitigation::Status;

use super::rig::{Ask, BRANCH, HOME, Rig, body, policy, report};
use crate::world::{millis, seconds};

const ALL: &str = "mitigate/cuid=one";

fn path(mid: u32) -> String {
    format!("mitigate/cuid=one/mid={mid}")
}

fn create(rig: &mut Rig, mid: u32) {
    let prefix = format!("203.0.113.{mid}/32");
    rig.expect(HOME, Ask::mitigate(mid, &[&prefix], 600), Code::CREATED);
}

fn observe(rig: &mut Rig, session: SessionId, path: &str, token: u32) -> bool {
    let answer = rig.expect(
        session,
        Ask::get(path).observe(0).token(token),
        Code::CONTENT,
    );
    answer.options.observe().is_some()
}

/// To whom, and `mid` and status of each entry.
type Notified = (SessionId, Token, Vec<(u32, Status)>);

/// Takes to whom notifications went since the last call, with `mid` and status of each entry.
fn notified(rig: &mut Rig) -> Vec<Notified> {
    std::mem::take(&mut rig.notified)
        .into_iter()
        .map(|(session, token, response)| {
            assert!(response.options.observe().is_some());
            let entries = report(&response).0;
            let entries = entries.iter().map(|entry| (entry.mid.0, entry.status));
            (session, token, entries.collect())
        })
        .collect()
}

/// Covers: S-045, X-013
#[test]
fn of_many_changes_an_observer_is_told_the_first_at_once_and_then_how_all_stands() {
    let mut rig = Rig::new();
    create(&mut rig, 1);
    rig.establish(SessionId(3), "home", 1);
    assert!(observe(&mut rig, HOME, ALL, 7));
    assert!(observe(&mut rig, SessionId(3), ALL, 7));
    for mid in 2..=4 {
        create(&mut rig, mid);
        rig.enforce();
    }
    for mid in 1..=3 {
        rig.expect(HOME, Ask::delete(&path(mid)), Code::DELETED);
    }
    let mitigated = Status::AttackSuccessfullyMitigated;
    let told = notified(&mut rig);
    let to: Vec<_> = told.iter().map(|(to, ..)| *to).collect();
    assert_eq!(to, [HOME, SessionId(3)], "the first change alone");
    rig.advance(millis(999));
    assert_eq!(notified(&mut rig), []);
    rig.advance(millis(1));
    let over = |mid| (mid, Status::AttackMitigationTerminated);
    let told = notified(&mut rig);
    assert_eq!(told.len(), 2);
    for (_, _, entries) in told {
        assert_eq!(entries, [(4, mitigated), over(1), over(2), over(3)]);
    }
    rig.advance(seconds(1));
    assert_eq!(notified(&mut rig), []);
    rig.expect(HOME, Ask::delete(&path(4)), Code::DELETED);
    assert_eq!(notified(&mut rig).len(), 2, "at once again");
}

/// Covers: S-045. What is over and then there again is told once, as it is.
#[test]
fn a_mid_that_comes_back_within_the_pause_is_not_over() {
    let mut rig = Rig::new();
    create(&mut rig, 1);
    assert!(observe(&mut rig, HOME, &path(1), 7));
    rig.enforce();
    rig.notified.clear();
    rig.expect(HOME, Ask::delete(&path(1)), Code::DELETED);
    create(&mut rig, 1);
    rig.advance(seconds(1));
    let told = notified(&mut rig);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].2, [(1, Status::AttackMitigationInProgress)]);
    rig.enforce();
    rig.advance(seconds(1));
    assert_eq!(notified(&mut rig).len(), 1, "it is still observed");
}

///
#[test]
fn a_customer_has_a_bounded_number_of_observers() {
    let mut rig = Rig::new();
    create(&mut rig, 1);
    let theirs = Ask::put("mitigate/cuid=b/mid=1", body(&["198.51.100.1/32"], 60));
    rig.expect(BRANCH, theirs, Code::CREATED);
    rig.establish(SessionId(3), "home", 1);
    for token in 1..=3 {
        assert!(observe(&mut rig, HOME, ALL, token));
    }
    assert!(observe(&mut rig, SessionId(3), ALL, 1));
    assert!(observe(&mut rig, SessionId(3), &path(1), 2));
    assert!(!observe(&mut rig, SessionId(3), ALL, 3), "a sixth");
    assert!(observe(&mut rig, SessionId(3), ALL, 2), "a renewal");
    assert!(observe(&mut rig, BRANCH, "mitigate/cuid=b", 1));
    rig.input(agent::server::Input::SessionClosed(HOME));
    assert!(observe(&mut rig, SessionId(3), ALL, 3));
}

/// Covers: S-041, S-044. An answer goes block by block; a notification does not.
#[test]
fn a_long_scope_is_shown_in_an_answer_and_left_out_of_a_notification() {
    let prefixes: Vec<String> = (0..128)
        .map(|host| format!("203.0.113.{host}/32"))
        .collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let mut rig = Rig::new();
    rig.expect(HOME, Ask::mitigate(1, &prefixes, 600), Code::CREATED);
    let answer = rig.expect(HOME, Ask::get(&path(1)).observe(0).token(7), Code::CONTENT);
    assert_eq!(report(&answer).0[0].target.prefixes.len(), 128);
    assert!(answer.options.observe().is_some());
    rig.enforce();
    let (_, _, notification) = rig.notified.pop().expect("a notification");
    assert_eq!(report(&notification).0[0].target.prefixes.len(), 0);
}

/// Covers: S-044, X-013
#[test]
fn what_fits_no_notification_can_be_asked_for_and_not_observed() {
    let mut rig = Rig::with(Policy {
        max_notification: 50,
        ..policy()
    });
    create(&mut rig, 1);
    assert!(observe(&mut rig, HOME, ALL, 7));
    for mid in 2..=4 {
        create(&mut rig, mid);
    }
    assert!(observe(&mut rig, HOME, &path(1), 8));
    assert!(!observe(&mut rig, HOME, ALL, 9));
    rig.enforce();
    let told: Vec<_> = std::mem::take(&mut rig.notified)
        .into_iter()
        .map(|(_, token, response)| (token, response.code, response.options.observe().is_some()))
        .collect();
    let token = |number: u32| Token::new(&number.to_be_bytes()).unwrap();
    let expected = [
        // The end of an observation (RFC 7641 §4.2).
        (token(7), Code::INTERNAL_SERVER_ERROR, false),
        (token(8), Code::CONTENT, true),
    ];
    assert_eq!(told, expected);
    rig.advance(seconds(15));
    assert!(rig.notified.iter().all(|(_, to, _)| *to == token(8)));
}
