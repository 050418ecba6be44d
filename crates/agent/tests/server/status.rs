//! Status and observation (RFC 9132 §4.4.2).

use std::collections::BTreeMap;

use agent::server::{Input, Policy, SessionId};
use coap::{Code, Token};
use dots::mitigation::Status;

use super::rig::{Ask, BRANCH, HOME, Rig, body, policy, report};
use crate::world::{EPOCH, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";
const ALL: &str = "mitigate/cuid=one";

fn mitigating() -> Rig {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 600),
        Code::CREATED,
    );
    rig
}

fn token(number: u32) -> Token {
    Token::new(&number.to_be_bytes()).unwrap()
}

/// Token, Observe number, and `mid` and status of each entry.
type Notified = (Token, Option<u32>, Vec<(u32, Status)>);

/// Takes the notifications since the last call.
fn notified(rig: &mut Rig) -> Vec<Notified> {
    std::mem::take(&mut rig.notified)
        .into_iter()
        .map(|(_, token, response)| {
            let entries = match response.code {
                Code::CONTENT => report(&response).0,
                _ => Vec::new(),
            };
            let entries = entries.iter().map(|entry| (entry.mid.0, entry.status));
            (token, response.options.observe(), entries.collect())
        })
        .collect()
}

/// Covers: S-023, S-039, S-041
#[test]
fn a_get_shows_one_request_or_all_of_the_client() {
    let mut rig = mitigating();
    rig.expect(HOME, Ask::get("mitigate/cuid=one/mid=2"), Code::NOT_FOUND);
    rig.expect(HOME, Ask::get("mitigate/cuid=two"), Code::NOT_FOUND);
    rig.advance(seconds(100));
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.8/32"], 300),
        Code::CREATED,
    );
    let other = Ask::put("mitigate/cuid=other/mid=3", body(&["203.0.113.9/32"], 60));
    rig.expect(HOME, other, Code::CREATED);
    let response = rig.expect(HOME, Ask::get(ALL), Code::CONTENT);
    assert_eq!(response.options.observe(), None);
    let all = report(&response);
    let seen: Vec<_> = all
        .0
        .iter()
        .map(|each| (each.mid.0, each.lifetime.to_number(), each.mitigation_start))
        .collect();
    assert_eq!(seen, [(1, 500, Some(EPOCH)), (2, 300, Some(EPOCH + 100))]);
    let one = report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT));
    assert_eq!(one.0, all.0[..1]);
}

/// Covers: S-041, S-042
#[test]
fn status_and_counters_follow_the_mitigator() {
    let mut rig = mitigating();
    let status = |rig: &mut Rig| report(&rig.ask(HOME, Ask::get(PATH))).0.remove(0);
    assert_eq!(status(&mut rig).status, Status::AttackMitigationInProgress);
    rig.enforce();
    assert_eq!(status(&mut rig).status, Status::AttackSuccessfullyMitigated);
    let known = rig.enforcements().remove(0);
    let mut unknown = known.clone();
    unknown.key.mid.0 = 99;
    rig.input(Input::Dropped(BTreeMap::from([
        (known, (u64::MAX, 7)),
        (unknown.clone(), (1, 1)),
    ])));
    rig.input(Input::Enforced(vec![unknown]));
    let counters = status(&mut rig).counters;
    assert_eq!((counters.pkts, counters.bytes), (Some(u64::MAX), Some(7)));
}

/// Covers: S-044, S-045
#[test]
fn an_observer_is_told_of_changes_and_from_time_to_time_with_rising_numbers() {
    let mut rig = mitigating();
    let answer = rig.expect(HOME, Ask::get(PATH).observe(0).token(7), Code::CONTENT);
    let mut last = answer.options.observe().expect("registered");
    rig.enforce();
    rig.advance(seconds(60));
    let told = notified(&mut rig);
    assert_eq!(told.len(), 1 + 4, "the change, and every 15 s");
    for (to, number, entries) in told {
        assert_eq!(to, token(7));
        assert_eq!(entries, [(1, Status::AttackSuccessfullyMitigated)]);
        assert!(number.expect("a notification") > last);
        last = number.unwrap();
    }
}

/// Covers: S-044
#[test]
fn who_deregisters_or_resets_is_told_nothing_more() {
    for explicit in [true, false] {
        let mut rig = mitigating();
        rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
        rig.ask(HOME, Ask::get(PATH).observe(0).token(8));
        if explicit {
            let answer = rig.expect(HOME, Ask::get(PATH).observe(1).token(7), Code::CONTENT);
            assert_eq!(answer.options.observe(), None);
        } else {
            rig.input(Input::NotificationRejected(HOME, token(7)));
        }
        rig.enforce();
        rig.advance(seconds(30));
        let told = notified(&mut rig);
        assert!(!told.is_empty() && told.iter().all(|(to, ..)| *to == token(8)));
    }
}

/// Covers: S-044
#[test]
fn observers_go_with_their_session() {
    for input in [Input::SessionClosed(HOME), Input::SessionLost(HOME)] {
        let mut rig = mitigating();
        rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
        rig.input(input);
        rig.enforce();
        rig.advance(seconds(60));
        assert_eq!(notified(&mut rig), []);
        assert_eq!(
            rig.server.poll_timeout(),
            Some(rig.now().monotonic + seconds(540))
        );
    }
}

/// Covers: S-044, X-013
#[test]
fn a_session_has_a_bounded_number_of_observers() {
    let mut rig = mitigating();
    for number in 1..=3 {
        let answer = rig.ask(HOME, Ask::get(PATH).observe(0).token(number));
        assert!(answer.options.observe().is_some());
    }
    let one_more = rig.expect(HOME, Ask::get(PATH).observe(0).token(4), Code::CONTENT);
    assert_eq!(
        one_more.options.observe(),
        None,
        "answered, but not registered"
    );
    let again = rig.expect(HOME, Ask::get(PATH).observe(0).token(1), Code::CONTENT);
    assert!(again.options.observe().is_some(), "a renewal");
    rig.ask(HOME, Ask::get(PATH).observe(1).token(2));
    let freed = rig.expect(HOME, Ask::get(PATH).observe(0).token(4), Code::CONTENT);
    assert!(freed.options.observe().is_some());
}

/// Covers: S-044. A mitigation that is over needs no observer (RFC 7641 §4.2).
#[test]
fn the_observers_of_one_mitigation_go_with_it() {
    let mut rig = Rig::new();
    for mid in 1..=10 {
        let path = format!("mitigate/cuid=one/mid={mid}");
        rig.expect(
            HOME,
            Ask::mitigate(mid, &["203.0.113.7/32"], 60),
            Code::CREATED,
        );
        let answer = rig.expect(HOME, Ask::get(&path).observe(0).token(mid), Code::CONTENT);
        assert!(answer.options.observe().is_some(), "mid {mid}");
        rig.expect(HOME, Ask::delete(&path), Code::DELETED);
        let told = notified(&mut rig);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].2, [(mid, Status::AttackMitigationTerminated)]);
    }
}

/// Covers: S-023, S-045
#[test]
fn expiry_and_override_are_told_with_nothing_left() {
    let mut rig = mitigating();
    rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
    rig.ask(HOME, Ask::get(ALL).observe(0).token(8));
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.0/28"], 60),
        Code::CREATED,
    );
    let ended = (1, Status::AttackMitigationTerminated);
    let going = (2, Status::AttackMitigationInProgress);
    let told: Vec<_> = notified(&mut rig)
        .into_iter()
        .map(|(to, _, entries)| (to, entries))
        .collect();
    assert_eq!(
        told,
        [(token(8), vec![going, ended]), (token(7), vec![ended])]
    );
    rig.advance(seconds(60));
    let told = notified(&mut rig);
    let (to, _, entries) = told.last().unwrap();
    assert_eq!(
        (*to, entries),
        (token(8), &vec![(2, Status::AttackMitigationTerminated)])
    );
}

/// Covers: S-045
#[test]
fn a_new_observer_is_not_told_again_at_once() {
    let mut rig = mitigating();
    rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
    rig.ask(HOME, Ask::get(PATH).observe(1).token(7));
    rig.advance(seconds(100));
    rig.ask(HOME, Ask::get(PATH).observe(0).token(8));
    rig.advance(seconds(14));
    assert_eq!(notified(&mut rig), []);
    rig.advance(seconds(1));
    assert_eq!(notified(&mut rig).len(), 1);
}

/// Covers: S-039. An observer keeps seeing only what its own credential asked for.
#[test]
fn an_observer_sees_nothing_of_a_cuid_that_has_gone_to_another_credential() {
    for path in [PATH, ALL] {
        let mut rig = mitigating();
        rig.establish(SessionId(3), "home", 3);
        rig.ask(HOME, Ask::get(path).observe(0).token(7));
        rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
        rig.notified.clear();
        rig.expect(
            SessionId(3),
            Ask::mitigate(1, &["203.0.113.66/32"], 600),
            Code::CREATED,
        );
        rig.enforce();
        rig.advance(seconds(30));
        assert_eq!(notified(&mut rig), [], "{path}");
    }
}

/// Covers: S-039. Nor of another customer that uses the same cuid later.
#[test]
fn customers_do_not_hear_of_each_other() {
    let mut rig = mitigating();
    rig.ask(HOME, Ask::get(ALL).observe(0).token(7));
    let theirs = Ask::put("mitigate/cuid=two/mid=1", body(&["203.0.113.200/32"], 60));
    rig.expect(BRANCH, theirs, Code::CREATED);
    rig.enforce();
    rig.advance(seconds(60));
    for (_, _, entries) in notified(&mut rig) {
        assert_eq!(entries.len(), 1);
    }
}

/// Covers: S-044
#[test]
fn nothing_to_observe_is_4_04_and_registers_nobody() {
    let mut rig = Rig::new();
    let answer = rig.expect(HOME, Ask::get(ALL).observe(0).token(7), Code::NOT_FOUND);
    assert_eq!(answer.options.observe(), None);
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.enforce();
    assert_eq!(notified(&mut rig), []);
}

/// Covers: S-045. A client that registers again and again silences nobody.
#[test]
fn registrations_do_not_put_off_the_notifications_of_others() {
    let mut rig = mitigating();
    rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
    for _ in 0..30 {
        rig.advance(seconds(1));
        rig.ask(HOME, Ask::get(PATH).observe(0).token(8));
    }
    let told = notified(&mut rig);
    assert_eq!(told.iter().filter(|(to, ..)| *to == token(7)).count(), 2);
}

/// Covers: S-044. Numbers rise over a renewal too, or its answer would pass for old.
#[test]
fn a_renewed_observation_counts_on() {
    let mut rig = mitigating();
    rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
    rig.advance(seconds(60));
    let last = notified(&mut rig).last().unwrap().1;
    let renewed = rig.ask(HOME, Ask::get(PATH).observe(0).token(7));
    assert!(renewed.options.observe() > last);
}

/// Covers: S-023, S-041
#[test]
fn a_scope_that_fits_no_answer_is_left_out_of_its_status() {
    let many: Vec<String> = (0..100)
        .map(|host| format!("203.0.113.{host}/32"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut rig = Rig::with(Policy {
        max_body: 1024,
        ..policy()
    });
    rig.expect(HOME, Ask::mitigate(1, &many, 600), Code::CREATED);
    let answer = rig.expect(HOME, Ask::get(PATH).observe(0).token(7), Code::CONTENT);
    let found = report(&answer);
    assert_eq!(
        (found.0[0].mid.0, found.0[0].lifetime.to_number()),
        (1, 600)
    );
    assert!(found.0[0].target.prefixes.is_empty());
    rig.enforce();
    let told = notified(&mut rig);
    assert_eq!(told[0].2, [(1, Status::AttackSuccessfullyMitigated)]);
}
