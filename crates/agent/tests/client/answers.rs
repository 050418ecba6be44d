//! What the server's answers to a request mean (RFC 9132 §4.4.1.3, RFC 7252 §5.10.5).

use agent::client::{End, State};
use coap::{Code, OptionNumber};
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{ConflictCause, ConflictInformation, ConflictScope, Status};

use super::rig::{FIXED_HOST, Rig};
use crate::world::seconds;

/// Covers: S-022, S-023. Refreshed under the same number, with what is left of the wish.
#[test]
fn a_lifetime_shorter_than_wanted_is_refreshed_in_time() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(1000, 400);
    rig.advance(seconds(199));
    assert!(rig.take().is_empty());
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(put.mid(), 1);
    assert_eq!(put.body().lifetime, Lifetime::from_number(800).unwrap());
    assert_eq!(put.body().attack_status, None);
    rig.grant(&put, 400);
    rig.advance(seconds(200));
    let put = rig.one(Code::PUT);
    assert_eq!(put.body().lifetime, Lifetime::from_number(600).unwrap());
    rig.grant(&put, 600);
    rig.advance(seconds(599));
    assert!(matches!(rig.state(id), State::Accepted(_)));
    rig.advance(seconds(1));
    assert_eq!(rig.state(id), State::Ended(End::Expired));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code != Code::PUT)
    );
    assert!(rig.requests.is_empty());
}

/// Covers: S-022
#[test]
fn an_indefinite_wish_is_refreshed_for_ever() {
    let mut rig = Rig::new();
    let target = super::rig::target(&[FIXED_HOST]);
    let id = rig
        .client
        .mitigate(rig.now(), &target.into(), Lifetime::Indefinite, true)
        .unwrap();
    rig.settle();
    for round in 0..50 {
        let put = rig.one(Code::PUT);
        assert_eq!(put.body().lifetime, Lifetime::Indefinite);
        if round == 0 {
            rig.grant_observed(&put, 86_400);
        } else {
            rig.grant(&put, 86_400);
        }
        assert!(matches!(rig.state(id), State::Accepted(_)));
        rig.advance(seconds(43_200));
    }
    assert!(!rig.client.is_settled(id), "it is asked for again");
}

/// Covers: S-022, S-023. What was granted can be cut short by the server: it is prolonged at half
/// of what is left, so that there is no gap.
#[test]
fn what_the_server_cuts_short_is_prolonged_sooner() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(1000, 1000);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 100);
    rig.advance(seconds(49));
    assert!(rig.take().is_empty());
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(put.body().lifetime, Lifetime::from_number(950).unwrap());
    // Until there is an answer, a status does not make it any sooner.
    rig.status(&get, Some(2), Status::AttackSuccessfullyMitigated, 50);
    rig.grant(&put, 950);
    assert!(matches!(rig.state(id), State::Accepted(_)));
    rig.advance(seconds(900));
    assert!(rig.take().is_empty());
}

/// Covers: S-023. A status that counts down as it should changes nothing.
#[test]
fn a_status_that_counts_down_brings_no_refresh_forward() {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(1000, 400);
    for number in 1..200 {
        rig.advance(seconds(1));
        assert!(rig.take().is_empty(), "after {number} s");
        rig.status(
            &get,
            Some(number),
            Status::AttackSuccessfullyMitigated,
            400 - number,
        );
    }
    rig.advance(seconds(1));
    rig.one(Code::PUT);
}

/// Covers: S-022. A server that lets it expire all the same is asked again.
#[test]
fn what_the_server_lets_expire_early_is_asked_for_again() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(1000, 1000);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 2);
    rig.advance(seconds(3));
    let put = rig.take().remove(0);
    assert_eq!(put.message.code, Code::PUT);
    rig.grant(&put, 997);
    assert!(matches!(rig.state(id), State::Accepted(_)));
}

/// Covers: S-047. After the pause it is asked again; the session is none the worse for it.
#[test]
fn a_busy_server_is_asked_again_when_it_said_and_not_before() {
    for (max_age, pause) in [
        (Some(100), 100),
        (None, 60),
        (Some(0), 3),
        (Some(4_000_000), 300),
    ] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 6000);
        for _ in 0..5 {
            let put = rig.one(Code::PUT);
            let options = |options: &mut coap::Options| {
                if let Some(seconds) = max_age {
                    options.push_uint(OptionNumber::MAX_AGE, seconds);
                }
            };
            rig.answer(&put, Code::SERVICE_UNAVAILABLE, options, b"busy");
            rig.advance(seconds(pause - 1));
            assert!(rig.asked.is_empty(), "{max_age:?}");
            assert_eq!(rig.state(id), State::Asking);
            rig.advance(seconds(1));
        }
        assert_eq!(rig.opened.len(), 2, "{max_age:?}: no second session for it");
    }
}

/// Covers: S-034, S-014
#[test]
fn a_cuid_collision_gets_a_fresh_cuid_that_is_kept() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    let collision = ConflictInformation {
        cause: Some(ConflictCause::CuidCollision),
        ..ConflictInformation::default()
    };
    rig.conflict(&put, collision);
    rig.advance(seconds(10));
    let again = rig.take().remove(0);
    let (cuid, mid) = again.resource();
    assert_ne!(cuid, "fixed.example");
    assert_eq!((cuid.len(), mid), (22, 1));
    assert_eq!(again.body().target, put.body().target);
    rig.grant(&again, 600);
    assert!(matches!(rig.state(id), State::Accepted(_)));
    let kept = rig.associations.values().next().unwrap();
    assert_eq!(kept.cuid.to_string(), cuid);
    rig.take();
    rig.restart();
    assert_eq!(rig.one(Code::PUT).resource().0, cuid);
}

/// Covers: S-034. A withdrawn request is not revived by the collision of another.
#[test]
fn a_cuid_collision_asks_for_nothing_that_was_withdrawn() {
    let mut rig = Rig::new();
    let withdrawn = rig.mitigate(&["203.0.113.9/32"], 600);
    let asked_for = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.take().pop().unwrap();
    rig.withdraw(withdrawn);
    assert_eq!(rig.one(Code::DELETE).resource().0, "fixed.example");
    let collision = ConflictInformation {
        cause: Some(ConflictCause::CuidCollision),
        ..ConflictInformation::default()
    };
    rig.conflict(&put, collision);
    rig.advance(seconds(20));
    assert_eq!(rig.state(withdrawn), State::Withdrawing);
    for asked in rig.take() {
        let expected = if asked.mid() == 1 {
            Code::DELETE
        } else {
            Code::PUT
        };
        assert_eq!(asked.message.code, expected);
        let is_old = asked.resource().0 == "fixed.example";
        assert_eq!(is_old, expected == Code::DELETE, "{asked:?}");
    }
    assert_eq!(rig.state(asked_for), State::Asking);
}

/// Covers: S-008. What is wrong with the request itself is final, and shown with the server's words.
#[test]
fn a_refusal_that_nothing_mends_is_shown_and_not_asked_again() {
    for code in [
        Code::BAD_REQUEST,
        Code::BAD_OPTION,
        Code::FORBIDDEN,
        Code::NOT_FOUND,
        Code::REQUEST_ENTITY_TOO_LARGE,
        Code::UNPROCESSABLE,
        Code::NOT_IMPLEMENTED,
        Code::HOP_LIMIT_REACHED,
    ] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 600);
        let put = rig.one(Code::PUT);
        rig.answer(&put, code, |_| {}, b"not yours\x1b[31m\r\n");
        let diagnostic = "not yours[31m".to_owned();
        assert_eq!(rig.state(id), State::Refused { code, diagnostic });
        assert!(rig.client.is_settled(id));
        assert!(rig.requests.is_empty());
        rig.advance(seconds(600));
        assert!(rig.take().is_empty());
    }
}

/// Covers: S-030. What it is in conflict with comes to its end.
#[test]
fn a_conflict_without_a_retry_timer_is_a_refusal_for_now_told_in_words() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    let conflict = ConflictInformation {
        cause: Some(ConflictCause::OverlappingTargets),
        scope: Some(ConflictScope {
            mid: Some(Mid(99)),
            ..ConflictScope::default()
        }),
        ..ConflictInformation::default()
    };
    rig.conflict(&put, conflict);
    let state = rig.state(id);
    assert!(matches!(state, State::Postponed { .. }), "{state:?}");
    let (code, diagnostic) = state.refusal().unwrap();
    assert_eq!(code, Code::CONFLICT);
    assert!(diagnostic.contains("mid 99"), "{diagnostic}");
    let part = rig.parts(id).remove(0);
    let told = part.conflict.and_then(|conflict| conflict.scope);
    assert_eq!(told.and_then(|scope| scope.mid), Some(Mid(99)));
}

/// Covers: S-029. The server has deleted the older of two that overlap.
#[test]
fn a_newer_request_takes_the_place_of_an_older_one_that_it_overlaps() {
    let mut rig = Rig::new();
    let (older, _) = rig.granted(600, 600);
    let aside = rig.mitigate(&["203.0.113.9/32"], 600);
    let newer = rig.mitigate(&["203.0.113.0/29"], 600);
    let put = rig.take().pop().unwrap();
    assert_eq!(put.mid(), 3);
    rig.grant(&put, 600);
    assert_eq!(rig.state(older), State::Ended(End::Replaced { by: newer }));
    assert_eq!(rig.state(aside), State::Asking);
    assert!(matches!(rig.state(newer), State::Accepted(_)));
    assert_eq!(rig.requests.len(), 2);
}

/// Covers: S-029. The older one's answer may come first, or the newer one's alone.
#[test]
fn an_older_request_takes_no_newer_ones_place() {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 600);
    let newer = rig.mitigate(&["203.0.113.0/29"], 600);
    let puts = rig.take();
    rig.grant(&puts[0], 600);
    assert_eq!(rig.state(newer), State::Asking);
    rig.grant(&puts[1], 600);
    assert!(matches!(rig.state(newer), State::Accepted(_)));
}

/// Covers: S-038. A peer that rejects is not asked at line rate, neither for the request nor for
/// its status.
#[test]
fn a_request_answered_with_reset_is_repeated_every_3_s_at_most() {
    for accepted in [false, true] {
        rejected(accepted);
    }
}

fn rejected(accepted: bool) {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 600);
    if accepted {
        let put = rig.one(Code::PUT);
        rig.grant(&put, 600);
    }
    let mut last = None;
    for _ in 0..40 {
        for asked in rig.take() {
            assert!(last.is_none_or(|last| asked.at >= last + seconds(3)));
            last = Some(asked.at);
            let mut reset = asked.message.clone();
            reset.message_type = coap::MessageType::Reset;
            (reset.code, reset.token) = (Code::EMPTY, coap::Token::EMPTY);
            (reset.options, reset.payload) = (coap::Options::new(), Vec::new());
            rig.send(asked.path, &reset);
        }
        rig.advance(seconds(1));
    }
    assert!(last.unwrap() >= seconds(6), "it is still asked");
}

/// Covers: S-047. The person asks for the same again, sooner than the server said.
#[test]
fn asking_again_does_not_cut_short_what_the_server_said() {
    for is_refresh in [false, true] {
        let mut rig = Rig::new();
        if is_refresh {
            rig.granted(1000, 400);
            rig.advance(seconds(200));
        } else {
            rig.mitigate(&[FIXED_HOST], 1000);
        }
        let put = rig.one(Code::PUT);
        let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 60);
        rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"later");
        rig.mitigate(&[FIXED_HOST], 1000);
        rig.advance(seconds(59));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        assert_eq!(rig.one(Code::PUT).mid(), put.mid());
    }
}
