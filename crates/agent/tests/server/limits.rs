//! What one customer, or all, can make the server hold (RFC 9132 §11).

use std::num::NonZeroU32;

use agent::server::{Input, Outcome, Policy, SessionId};
use coap::Code;

use super::rig::{Ask, BRANCH, HOME, Rig, body, parked_body, policy, text_of};
use crate::world::{cbor, seconds};

/// How many requests a customer of the rig may make at once.
const BURST: usize = 50_000;

fn of(cuid: &str, mid: u32, prefix: &str) -> Ask {
    Ask::put(
        &format!("mitigate/cuid={cuid}/mid={mid}"),
        body(&[prefix], 600),
    )
}

/// Fills `home` up to its 4 mitigations, each under a cuid of its own.
fn full() -> Rig {
    let mut rig = Rig::new();
    for host in 1..=4 {
        let ask = of(&format!("c{host}"), 1, &format!("203.0.113.{host}/32"));
        rig.expect(HOME, ask, Code::CREATED);
    }
    rig
}

/// New cuids do not lift the limit.
#[test]
fn a_customer_at_its_limit_is_told_when_to_come_back() {
    let mut rig = full();
    let response = rig.expect(
        HOME,
        of("c9", 1, "203.0.113.9/32"),
        Code::SERVICE_UNAVAILABLE,
    );
    assert!(matches!(response.options.max_age(), Some(1..=60)));
    assert!(text_of(&response).contains("limit"));
    assert_eq!(rig.stored.len(), 4);
    // Others are not concerned, and a refresh is no new mitigation.
    rig.expect(BRANCH, of("b", 1, "198.51.100.1/32"), Code::CREATED);
    rig.expect(HOME, of("c1", 1, "203.0.113.1/32"), Code::CHANGED);
    // A request that takes the place of another needs no room.
    rig.expect(HOME, of("c1", 2, "203.0.113.1/32"), Code::CREATED);
    rig.expect(
        HOME,
        of("c1", 3, "203.0.113.9/32"),
        Code::SERVICE_UNAVAILABLE,
    );
    rig.expect(HOME, Ask::delete("mitigate/cuid=c1/mid=2"), Code::DELETED);
    rig.expect(HOME, of("c1", 3, "203.0.113.9/32"), Code::CREATED);
}

///
#[test]
fn all_customers_together_have_a_limit() {
    let mut rig = full();
    for host in 1..=3 {
        rig.expect(
            BRANCH,
            of("b", host, &format!("198.51.100.{host}/32")),
            Code::CREATED,
        );
    }
    let one_more = of("b", 4, "198.51.100.4/32");
    rig.expect(BRANCH, one_more.clone(), Code::SERVICE_UNAVAILABLE);
    rig.expect(BRANCH, of("b", 5, "198.51.100.3/32"), Code::CREATED);
    rig.expect(HOME, Ask::delete("mitigate/cuid=c1/mid=1"), Code::DELETED);
    rig.expect(BRANCH, one_more, Code::CREATED);
}

///
#[test]
fn room_comes_back_with_expiry() {
    let mut rig = full();
    rig.advance(seconds(600));
    rig.expect(HOME, of("c9", 1, "203.0.113.9/32"), Code::CREATED);
}

///
#[test]
fn one_request_names_no_more_than_policy_allows() {
    let prefixes: Vec<String> = (0..100)
        .map(|host| format!("203.0.113.{host}/32"))
        .collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let scope = |protocols: u64| {
        let numbers: Vec<_> = (0..protocols).map(cbor::uint).collect();
        let ports: Vec<_> = (0..100)
            .map(|port| cbor::map(&[(8, cbor::uint(port))]))
            .collect();
        cbor::scope(&[
            (6, cbor::texts(&prefixes)),
            (7, cbor::array(&ports)),
            (10, cbor::array(&numbers)),
            (14, cbor::uint(60)),
        ])
    };
    let path = "mitigate/cuid=one/mid=1";
    let mut rig = Rig::new();
    rig.expect(HOME, Ask::put(path, scope(57)), Code::BAD_REQUEST);
    rig.expect(HOME, Ask::put(path, scope(56)), Code::CREATED);
    // One list has at most 128 entries, whatever the sum.
    let long: Vec<_> = (0..129)
        .map(|host| format!("203.0.113.{host}/32"))
        .collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let scope = cbor::scope(&[(6, cbor::texts(&long)), (14, cbor::uint(60))]);
    rig.expect(
        HOME,
        Ask::put("mitigate/cuid=one/mid=2", scope),
        Code::BAD_REQUEST,
    );
}

/// Whatever is asked, and before it is understood; others are not concerned.
#[test]
fn a_customer_that_asks_too_often_is_told_when_to_come_back() {
    let mut rig = Rig::new();
    let decided = rig.outcomes.len();
    for _ in 0..BURST {
        rig.expect(HOME, Ask::get("mitigate/cuid=one"), Code::NOT_FOUND);
    }
    let broken = Ask::put("mitigate/cuid=one/mid=1", vec![0xff; 1000]);
    for ask in [broken, of("one", 1, "203.0.113.1/32")] {
        let response = rig.expect(HOME, ask, Code::SERVICE_UNAVAILABLE);
        assert!(matches!(response.options.max_age(), Some(1..=3)));
    }
    assert_eq!(rig.outcomes.len(), decided + BURST + 2);
    assert!(matches!(
        rig.outcomes.last(),
        Some(Outcome::Refused { customer: Some(name), code: Code::SERVICE_UNAVAILABLE, .. }) if name == "home"
    ));
    rig.expect(BRANCH, of("b", 1, "198.51.100.1/32"), Code::CREATED);
    // A new session is no new budget.
    rig.establish(SessionId(9), "home", 9);
    rig.expect(
        SessionId(9),
        of("nine", 1, "203.0.113.1/32"),
        Code::SERVICE_UNAVAILABLE,
    );
    rig.advance(std::time::Duration::from_micros(1_000_000 / 2_000));
    rig.expect(HOME, of("one", 1, "203.0.113.1/32"), Code::CREATED);
    rig.expect(
        HOME,
        of("one", 1, "203.0.113.1/32"),
        Code::SERVICE_UNAVAILABLE,
    );
}

///
#[test]
fn whoever_asks_for_much_may_ask_less_often() {
    let mut rig = Rig::with(Policy {
        request_burst: NonZeroU32::new(100).unwrap(),
        ..policy()
    });
    for mid in 1..=2 {
        let hosts: Vec<String> = (0..128)
            .map(|host| format!("2001:db8:f:{mid}::{host:x}/128"))
            .collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let ask = Ask::put(&format!("mitigate/cuid=one/mid={mid}"), body(&hosts, 600));
        rig.expect(HOME, ask, Code::CREATED);
    }
    // Each took 1 and 128 / 16; a look at both takes 1 and 258 / 16.
    for _ in 0..(100 - 2 * 9) / 17 {
        rig.expect(HOME, Ask::get("mitigate/cuid=one"), Code::CONTENT);
    }
    let all = Ask::get("mitigate/cuid=one");
    rig.expect(HOME, all, Code::SERVICE_UNAVAILABLE);
    rig.expect(BRANCH, of("b", 1, "198.51.100.1/32"), Code::CREATED);
}

///
#[test]
fn a_customer_has_a_bounded_number_of_sessions() {
    let mut rig = Rig::with(Policy {
        max_sessions_of_customer: 2,
        ..policy()
    });
    rig.advance(seconds(1));
    // The number of a session does not say when it came up.
    rig.establish(SessionId(0), "home", 3);
    rig.advance(seconds(1));
    rig.establish(SessionId(4), "home", 4);
    assert_eq!(rig.closed, [HOME]);
    assert!(matches!(
        rig.outcomes.last(),
        Some(Outcome::TooManySessions { session: HOME, customer, limit: 2 }) if customer == "home"
    ));
    rig.expect(HOME, of("one", 1, "203.0.113.1/32"), Code::UNAUTHORIZED);
    rig.expect(SessionId(4), of("four", 1, "203.0.113.1/32"), Code::CREATED);
    // Its end frees nothing, and that of another does.
    rig.input(Input::SessionClosed(HOME));
    rig.establish(SessionId(5), "home", 5);
    rig.input(Input::SessionLost(SessionId(4)));
    rig.establish(SessionId(6), "home", 6);
    assert_eq!(rig.closed, [HOME, SessionId(0), SessionId(4)]);
}

/// Covers: X-013, S-024
#[test]
fn a_client_whose_last_session_made_room_counts_as_lost_when_it_stays_away() {
    let mut rig = Rig::with(Policy {
        max_sessions_of_customer: 1,
        ..policy()
    });
    let parked = parked_body(&["203.0.113.7/32"], 7200);
    let parked = Ask::put("mitigate/cuid=one/mid=1", parked);
    rig.expect(HOME, parked, Code::CREATED);
    rig.establish(SessionId(3), "home", 3);
    rig.advance(seconds(449));
    assert!(rig.enforced.is_empty());
    rig.advance(seconds(1));
    assert_eq!(rig.enforced.len(), 1);
}
