//! How the right servers are asked (RFC 9132 §4.4.1, RFC 9284 §5.1).

use agent::client::{Refusal, State};
use coap::{Code, Message, MessageType, OptionNumber, Options};
use dots::lifetime::Lifetime;
use dots::mitigation::Status;

use super::rig::{
    Behaviour, FIXED_HOST, FIXED4, FIXED6, MAX_REQUESTS, MOBILE_HOST, MOBILE4, Rig, target,
};
use crate::world::{EPOCH, seconds};

/// Covers: M-005, M-007, M-008, M-027, S-011, S-013, S-015
#[test]
fn each_server_is_asked_once_for_its_own_prefixes_under_its_own_number() {
    let mut rig = Rig::new();
    rig.mitigate(&[MOBILE_HOST], 600);
    assert_eq!(
        rig.one(Code::PUT).resource(),
        ("mobile.example".to_owned(), 1)
    );
    let id = rig.mitigate(&[FIXED_HOST, MOBILE_HOST, "203.0.113.9/32"], 600);
    let asked = rig.take();
    let seen: Vec<_> = asked
        .iter()
        .map(|asked| {
            (
                rig.paths[&asked.path].as_str(),
                asked.resource(),
                asked.body().target,
            )
        })
        .collect();
    let fixed = target(&[FIXED_HOST, "203.0.113.9/32"]);
    assert_eq!(
        seen,
        [
            (FIXED6, ("fixed.example".to_owned(), 1), fixed),
            (
                MOBILE4,
                ("mobile.example".to_owned(), 2),
                target(&[MOBILE_HOST])
            ),
        ]
    );
    for asked in &asked {
        assert_eq!(asked.message.options.content_format(), Some(271));
        let body = asked.body();
        assert_eq!(body.lifetime, Lifetime::from_number(600).unwrap());
        assert!(body.trigger_mitigation);
        assert_eq!(body.attack_status, None);
    }
    assert!(rig.parts(id).iter().all(|part| part.state == State::Asking));
    assert!(!rig.client.is_settled(id));
}

/// Covers: M-006
#[test]
fn what_nobody_assigned_is_asked_of_nobody() {
    let mut rig = Rig::new();
    let elsewhere = target(&["192.0.2.99/32"]);
    let refused = rig
        .client
        .mitigate(rig.now(), &elsewhere.into(), Lifetime::Indefinite, true);
    let Err(Refusal::NobodyToAsk(selection)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(selection.not_asked.len(), 2);
    rig.advance(seconds(100));
    assert!(rig.asked.is_empty());
}

/// Covers: S-075. Behind a translator a PvD has its external addresses: those alone are asked for.
#[test]
fn an_internal_address_is_never_sent() {
    let mut rig = Rig::new();
    for internal in ["192.168.1.7/32", "10.0.0.0/24", "fd00::7/128"] {
        let refused = rig.client.mitigate(
            rig.now(),
            &target(&[internal]).into(),
            Lifetime::Indefinite,
            true,
        );
        assert!(
            matches!(refused, Err(Refusal::NobodyToAsk(_))),
            "{internal}"
        );
    }
    rig.mitigate(&["192.168.1.7/32", FIXED_HOST], 600);
    let asked = rig.take();
    let [put] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(put.body().target, target(&[FIXED_HOST]));
}

/// Covers: S-037, S-038
#[test]
fn an_unanswered_request_is_repeated_every_3_s_at_most_until_it_is_answered() {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 600);
    rig.advance(seconds(9));
    let copies = rig.take();
    assert_eq!(copies.len(), 4);
    for pair in copies.windows(2) {
        assert!(pair[1].at - pair[0].at >= seconds(3));
        assert_eq!(pair[1].message.token, pair[0].message.token);
        assert_ne!(pair[1].message.message_id, pair[0].message.message_id);
        assert_eq!(pair[1].message.payload, pair[0].message.payload);
    }
    rig.grant(&copies[3], 600);
    let get = rig.one(Code::GET);
    rig.status(
        &get,
        Some(1),
        dots::mitigation::Status::AttackSuccessfullyMitigated,
        590,
    );
    rig.advance(seconds(60));
    assert!(rig.asked.is_empty());
}

/// Covers: M-029
#[test]
fn a_server_that_is_down_delays_nothing_of_the_others() {
    for behaviour in [
        Behaviour::Down,
        Behaviour::Refusing,
        Behaviour::Slamming,
        Behaviour::Saturated,
    ] {
        let mut rig = Rig::idle();
        rig.set(FIXED6, behaviour);
        rig.set(FIXED4, behaviour);
        rig.advance(seconds(0));
        let id = rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 600);
        let put = rig.one(Code::PUT);
        assert_eq!(
            (put.at, put.resource().0.as_str()),
            (seconds(0), "mobile.example")
        );
        rig.grant(&put, 600);
        let states: Vec<_> = rig.parts(id).into_iter().map(|part| part.state).collect();
        assert!(
            matches!(states[..], [State::Asking, State::Accepted(_)]),
            "{behaviour:?}"
        );
        rig.take();
        // And it is asked as soon as it is there.
        rig.set(FIXED6, Behaviour::Up);
        rig.advance(seconds(120));
        let late = rig.take();
        assert!(
            late.iter()
                .any(|asked| asked.resource().0 == "fixed.example"),
            "{behaviour:?}"
        );
    }
}

/// Covers: M-011, M-009, M-010
#[test]
fn sockets_are_bound_to_interface_and_address_of_the_pvd_and_no_other_family_is_tried() {
    let mut rig = Rig::idle();
    rig.set(FIXED6, Behaviour::Refusing);
    rig.advance(seconds(0));
    let opened: Vec<_> = rig
        .opened
        .iter()
        .map(|each| {
            let source = each.source.as_deref().unwrap();
            (
                each.interface.as_deref().unwrap(),
                source,
                each.remote.as_str(),
            )
        })
        .collect();
    assert_eq!(
        opened,
        [
            ("fixed", "2001:db8:f::1", FIXED6),
            ("mobile", "198.51.100.1", MOBILE4),
            ("fixed", "203.0.113.1", FIXED4),
        ]
    );
}

/// Covers: S-026. The same again prolongs: no second request, and no second number.
#[test]
fn the_same_targets_again_prolong_the_request() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(600, 600);
    rig.advance(seconds(300));
    rig.take();
    assert_eq!(rig.mitigate(&[FIXED_HOST], 600), id);
    let put = rig.one(Code::PUT);
    assert_eq!(put.mid(), 1);
    assert_eq!(put.body().lifetime, Lifetime::from_number(600).unwrap());
    rig.grant(&put, 600);
    rig.advance(seconds(599));
    assert!(matches!(rig.state(id), State::Accepted(_)));
    let record = rig.requests.values().next().unwrap();
    assert_eq!(record.wanted_until_unix, Some(EPOCH + 900));
}

///
#[test]
fn requests_that_go_on_are_limited_and_finished_ones_are_not_counted() {
    let mut rig = Rig::new();
    let host = |number: usize| format!("203.0.113.{number}/32");
    let ids: Vec<_> = (0..MAX_REQUESTS)
        .map(|number| rig.mitigate(&[&host(number)], 600))
        .collect();
    let one_more = target(&[&host(9)]);
    let refused = rig
        .client
        .mitigate(rig.now(), &one_more.into(), Lifetime::RECOMMENDED, true);
    assert!(matches!(
        refused,
        Err(Refusal::TooManyRequests(MAX_REQUESTS))
    ));
    // What goes on can be prolonged, and one that is over makes room.
    rig.mitigate(&[&host(1)], 600);
    rig.take();
    rig.withdraw(ids[0]);
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.mitigate(&[&host(9)], 600);
}

///
#[test]
fn of_finished_requests_the_last_32_are_kept() {
    let mut rig = Rig::new();
    let ids: Vec<_> = (0..40)
        .map(|_| {
            let id = rig.mitigate(&[FIXED_HOST], 600);
            let put = rig.take().remove(0);
            rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"no");
            id
        })
        .collect();
    rig.mitigate(&[FIXED_HOST], 600);
    assert_eq!(rig.client.requests().len(), 33);
    assert!(rig.client.request(ids[7]).is_none());
    assert!(rig.client.request(ids[8]).is_some());
    assert_eq!(
        rig.requests.len(),
        1,
        "finished ones leave the store at once"
    );
    let gone = rig.client.withdraw(rig.now(), ids[39]);
    assert_eq!(gone, Err(Refusal::NoSuchRequest(ids[39])));
}

/// Covers: S-006. A client serves nothing but heartbeats.
#[test]
fn a_request_of_the_server_is_refused() {
    let mut rig = Rig::new();
    let path = *rig.paths.keys().next().unwrap();
    for (segments, code) in [
        (
            &[".well-known", "dots", "mitigate", "cuid=x"][..],
            Code::METHOD_NOT_ALLOWED,
        ),
        (&[".well-known", "core"], Code::NOT_FOUND),
        (&[], Code::NOT_FOUND),
    ] {
        let mut options = coap::Options::new();
        for segment in segments {
            options.push(coap::OptionNumber::URI_PATH, segment.as_bytes());
        }
        let message = Message {
            message_type: MessageType::Confirmable,
            code: Code::GET,
            message_id: coap::MessageId(u16::try_from(segments.len()).unwrap()),
            token: coap::Token::EMPTY,
            options,
            payload: Vec::new(),
        };
        rig.send(path, &message);
        assert_eq!(rig.answered.pop().unwrap().code, code);
    }
}

/// Covers: S-037. Under loss, places for requests are few, and questions would hold them all.
#[test]
fn who_asks_for_help_is_served_before_those_who_ask_how_it_goes() {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    rig.grant(&put, 600);
    let get = rig.one(Code::GET);
    rig.status(&get, None, Status::AttackMitigationInProgress, 600);
    rig.mitigate(&["203.0.113.9/32"], 600);
    let put = rig.one(Code::PUT);
    let max_age = |options: &mut Options| options.push_uint(OptionNumber::MAX_AGE, 15);
    rig.answer(&put, Code::SERVICE_UNAVAILABLE, max_age, b"busy");
    // Both are due in the same instant.
    rig.advance(seconds(15));
    let asked: Vec<_> = rig.take().iter().map(|asked| asked.message.code).collect();
    assert_eq!(asked, [Code::PUT, Code::GET]);
}
