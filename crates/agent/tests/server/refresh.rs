//! The lifetime of a mitigation, and the same request again (RFC 9132 §4.4.1.3).

use coap::Code;
use dots::lifetime::Lifetime;
use dots::mitigation::Status;

use super::put::{PROTOCOLS, hour, owned, ports};
use super::rig::{Ask, HOME, Rig, body, granted, parked_body, report};
use crate::world::{cbor, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";

/// Covers: S-026
#[test]
fn the_same_request_again_only_renews_the_lifetime() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 100),
        Code::CREATED,
    );
    rig.advance(seconds(90));
    let response = rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 50),
        Code::CHANGED,
    );
    assert_eq!(
        granted(&response).lifetime,
        Lifetime::from_number(50).unwrap()
    );
    assert_eq!(
        rig.trace.iter().filter(|what| **what == "enforce").count(),
        0
    );
    assert!(
        rig.trace.iter().position(|what| *what == "persist")
            < rig.trace.iter().position(|what| *what == "respond")
    );
    rig.advance(seconds(49));
    assert_eq!(rig.mids(), [1]);
    rig.advance(seconds(1));
    assert!(rig.stored.is_empty());
}

/// Covers: S-026
#[test]
fn a_known_mid_with_other_parameters_is_refused_and_stays_as_it_was() {
    let others = [
        body(&["203.0.113.8/32"], 60),
        body(&["203.0.113.7/32", "203.0.113.8/32"], 60),
        parked_body(&["203.0.113.7/32"], 60),
        cbor::scope(&[owned(), ports(80, 80), hour()]),
        cbor::scope(&[owned(), (PROTOCOLS, cbor::array(&[cbor::uint(6)])), hour()]),
    ];
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    let before = rig.stored.clone();
    for other in others {
        rig.expect(HOME, Ask::put(PATH, other), Code::BAD_REQUEST);
        assert_eq!(rig.stored, before);
    }
}

/// Covers: S-026. The order in which a list names its entries means nothing (RFC 7950 §7.7.7).
#[test]
fn a_refresh_may_name_the_targets_in_another_order() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32", "203.0.113.9/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.9/32", "203.0.113.7/32"], 60),
        Code::CHANGED,
    );
}

/// Covers: S-023
#[test]
fn a_mitigation_ends_with_its_lifetime_to_the_second() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.advance(seconds(59));
    let found = report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT));
    assert_eq!(found.0[0].lifetime.to_number(), 1);
    assert_eq!(found.0[0].status, Status::AttackMitigationInProgress);
    rig.advance(seconds(1));
    assert!(rig.stored.is_empty() && rig.enforced.is_empty());
    rig.expect(HOME, Ask::get(PATH), Code::NOT_FOUND);
}

/// Covers: S-023. A wall clock that is set does not touch what is running.
#[test]
fn a_wall_clock_that_jumps_neither_shortens_nor_lengthens_a_lifetime() {
    for jump in [-86_400, -30, 30, 86_400] {
        let mut rig = Rig::new();
        rig.expect(
            HOME,
            Ask::mitigate(1, &["203.0.113.7/32"], 60),
            Code::CREATED,
        );
        rig.wall_offset = jump;
        rig.advance(seconds(59));
        assert_eq!(rig.mids(), [1], "jump of {jump} s");
        let found = report(&rig.ask(HOME, Ask::get(PATH)));
        assert_eq!(found.0[0].lifetime.to_number(), 1, "jump of {jump} s");
        rig.advance(seconds(1));
        assert!(rig.stored.is_empty(), "jump of {jump} s");
    }
}
