//! Requests that overlap and identifiers that collide (RFC 9132 §4.4.1.3).

use agent::server::{Input, SessionId};
use coap::Code;
use dots::mitigation::{ConflictCause, ConflictInformation, ConflictStatus};

use super::names::{WWW, found, named};
use super::rig::{Ask, BRANCH, HOME, Rig, body, granted, parked_body, refusal, report, target};
use crate::world::seconds;

/// Covers: S-029, S-030
#[test]
fn of_overlapping_requests_of_one_client_the_higher_mid_stands() {
    for (older, newer) in [
        ("203.0.113.7/32", "203.0.113.7/32"),
        ("203.0.113.0/28", "203.0.113.7/32"),
        ("203.0.113.7/32", "203.0.113.0/28"),
        ("2001:db8:f::/64", "2001:db8:f::1/128"),
    ] {
        let mut rig = Rig::new();
        rig.expect(HOME, Ask::mitigate(5, &[older], 60), Code::CREATED);
        rig.expect(HOME, Ask::mitigate(6, &[newer], 60), Code::CREATED);
        assert_eq!(rig.mids(), [6], "{older} and then {newer}");
        // The new one is in force before the old one goes, and both before the answer.
        let trace: Vec<_> = rig
            .trace
            .iter()
            .filter(|what| **what != "decided")
            .copied()
            .collect();
        assert_eq!(
            trace,
            ["persist", "enforce", "persist", "withdraw", "respond"]
        );

        let late = rig.expect(HOME, Ask::mitigate(4, &[older], 60), Code::CONFLICT);
        let conflict = refusal(&late).conflict;
        assert_eq!(conflict.cause, Some(ConflictCause::OverlappingTargets));
        assert_eq!(conflict.scope.unwrap().mid.unwrap().0, 6);
        assert_eq!((conflict.status, conflict.retry_timer), (None, None));
        assert_eq!(rig.mids(), [6]);
    }
}

/// Covers: S-029
#[test]
fn one_request_can_take_the_place_of_several() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.8/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(3, &["203.0.113.99/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(4, &["203.0.113.0/28"], 60),
        Code::CREATED,
    );
    assert_eq!(rig.mids(), [3, 4]);
}

/// Covers: S-029
#[test]
fn requests_that_share_no_address_stand_side_by_side_in_any_order_of_mids() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(9, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(3, &["203.0.113.8/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(4, &["2001:db8:f::7/128"], 60),
        Code::CREATED,
    );
    assert_eq!(rig.mids(), [3, 4, 9]);
}

/// Covers: S-029. Only requests of the same trigger-mitigation replace each other.
#[test]
fn a_parked_request_and_an_immediate_one_do_not_replace_each_other() {
    let mut rig = Rig::new();
    let parked = Ask::put(
        "mitigate/cuid=one/mid=1",
        parked_body(&["203.0.113.0/28"], 60),
    );
    rig.expect(HOME, parked, Code::CREATED);
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    assert_eq!(rig.mids(), [1, 2]);
    let lower = Ask::put(
        "mitigate/cuid=one/mid=0",
        parked_body(&["203.0.113.7/32"], 60),
    );
    rig.expect(HOME, lower, Code::CONFLICT);
}

/// Covers: S-033. Both clients' requests stand; the later one learns why, and nothing that is
/// only the other's.
#[test]
fn an_overlap_with_another_client_is_told_without_its_secrets() {
    let mut rig = Rig::new();
    let theirs = ["203.0.113.200/32", "198.51.100.7/32"];
    let ask = Ask::put("mitigate/cuid=two/mid=77", body(&theirs, 60));
    rig.expect(BRANCH, ask, Code::CREATED);
    let response = rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.0/24"], 60),
        Code::CREATED,
    );
    let conflict = granted(&response).conflict.expect("a conflict");
    assert_eq!(conflict.status, Some(ConflictStatus::RequestActive));
    assert_eq!(conflict.cause, Some(ConflictCause::OverlappingTargets));
    assert_eq!(conflict.retry_timer, None, "nothing was deactivated");
    let scope = conflict.scope.expect("a scope");
    assert_eq!(scope.mid, None, "another client's mid");
    let prefixes: Vec<String> = scope
        .target
        .prefixes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(prefixes, ["203.0.113.200/32"], "only what is common");
    assert_eq!(rig.enforced.len(), 2);
}

/// Covers: S-033, S-030. The rig checks that every answer fits.
#[test]
fn a_conflict_with_a_long_list_still_fits_a_datagram() {
    let many: Vec<String> = (0..128)
        .map(|host| format!("2001:db8:f:ffff:ffff:ffff:ffff:ff{host:02x}/128"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut rig = Rig::new();
    rig.expect(HOME, Ask::mitigate(5, &many, 60), Code::CREATED);
    rig.expect(HOME, Ask::mitigate(4, &many, 60), Code::CONFLICT);
    rig.establish(SessionId(3), "home", 3);
    let other = Ask::put("mitigate/cuid=three/mid=1", body(&["2001:db8:f::/48"], 60));
    let response = rig.expect(SessionId(3), other, Code::CREATED);
    assert!(granted(&response).conflict.is_some());
    assert!(response.payload.len() < 400, "{}", response.payload.len());
}

/// Covers: S-034, X-010
#[test]
fn a_cuid_of_another_credential_is_a_collision_and_never_a_takeover() {
    let mut rig = Rig::new();
    rig.establish(SessionId(3), "home", 3);
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    let before = rig.stored.clone();
    // For the same mid or another.
    let attempts = [
        (SessionId(3), Ask::mitigate(1, &["203.0.113.7/32"], 60)),
        (SessionId(3), Ask::mitigate(2, &["203.0.113.99/32"], 60)),
    ];
    for (session, ask) in attempts {
        let response = rig.expect(session, ask, Code::CONFLICT);
        let only_cause = ConflictInformation {
            cause: Some(ConflictCause::CuidCollision),
            ..ConflictInformation::default()
        };
        assert_eq!(refusal(&response).conflict, only_cause);
    }
    // Nor can the other credential look at it, or end it.
    for session in [SessionId(3), BRANCH] {
        rig.expect(
            session,
            Ask::get("mitigate/cuid=one/mid=1"),
            Code::NOT_FOUND,
        );
        rig.expect(session, Ask::get("mitigate/cuid=one"), Code::NOT_FOUND);
        rig.expect(
            session,
            Ask::delete("mitigate/cuid=one/mid=1"),
            Code::DELETED,
        );
    }
    assert_eq!(rig.stored, before);
    // The identity is the credential, not the session: the owner comes back on a new one.
    rig.establish(SessionId(4), "home", 1);
    rig.expect(
        SessionId(4),
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CHANGED,
    );
}

/// Covers: X-010, S-034. A customer cannot keep another from a cuid, nor look at what is under it.
#[test]
fn a_cuid_of_another_customer_is_no_collision() {
    let mut rig = Rig::new();
    let ours = Ask::mitigate(1, &["203.0.113.7/32"], 60);
    let theirs = Ask::mitigate(1, &["198.51.100.7/32"], 60);
    rig.expect(HOME, ours, Code::CREATED);
    rig.expect(BRANCH, Ask::get("mitigate/cuid=one"), Code::NOT_FOUND);
    rig.expect(BRANCH, theirs, Code::CREATED);
    rig.expect(
        BRANCH,
        Ask::delete("mitigate/cuid=one/mid=1"),
        Code::DELETED,
    );
    let left: Vec<_> = rig.stored.keys().map(|key| key.customer.as_str()).collect();
    assert_eq!(left, ["home"]);
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CHANGED,
    );
}

///
#[test]
fn a_cuid_is_free_again_when_its_last_mitigation_is_over() {
    let mut rig = Rig::new();
    rig.establish(SessionId(3), "home", 3);
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.8/32"], 90),
        Code::CREATED,
    );
    rig.advance(seconds(60));
    rig.expect(
        SessionId(3),
        Ask::mitigate(3, &["203.0.113.9/32"], 60),
        Code::CONFLICT,
    );
    rig.advance(seconds(30));
    rig.expect(
        SessionId(3),
        Ask::mitigate(3, &["203.0.113.9/32"], 60),
        Code::CREATED,
    );
}

/// A replayed PUT of a withdrawn request that a newer one overlaps is refused.
#[test]
fn an_old_request_replayed_after_a_newer_one_has_no_effect() {
    let mut rig = Rig::new();
    let old = Ask::mitigate(1, &["203.0.113.7/32"], 60);
    rig.expect(HOME, old.clone(), Code::CREATED);
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.expect(HOME, old, Code::CONFLICT);
    let found = report(&rig.ask(HOME, Ask::get("mitigate/cuid=one")));
    assert_eq!(
        found.0.iter().map(|each| each.mid.0).collect::<Vec<_>>(),
        [2]
    );
}

/// Covers: S-033
#[test]
fn a_conflict_tells_no_more_of_the_others_scope_than_was_asked_for() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.0/24"], 60),
        Code::CREATED,
    );
    let ask = Ask::put("mitigate/cuid=two/mid=1", body(&["203.0.113.200/32"], 60));
    let response = rig.expect(BRANCH, ask, Code::CREATED);
    let scope = granted(&response).conflict.unwrap().scope.unwrap();
    assert_eq!(scope.target.prefixes, ["203.0.113.200/32".parse().unwrap()]);
}

/// Covers: S-029, X-013. Prefixes that repeat each other, or lie in one another, count once: to
/// replace, and to come and go.
#[test]
fn a_list_that_names_the_same_addresses_again_and_again_is_its_outermost_prefixes() {
    let mut rig = Rig::new();
    let mut repeated = vec!["203.0.113.7/32"; 120];
    repeated.extend(["203.0.113.0/28", "203.0.113.0/29"]);
    rig.expect(HOME, Ask::mitigate(1, &repeated, 60), Code::CREATED);
    rig.establish(SessionId(3), "home", 3);
    let other = Ask::put("mitigate/cuid=three/mid=1", body(&repeated, 60));
    let response = rig.expect(SessionId(3), other, Code::CREATED);
    let scope = granted(&response).conflict.unwrap().scope.unwrap();
    let named: Vec<_> = scope
        .target
        .prefixes
        .iter()
        .map(|each| each.to_string())
        .collect();
    assert_eq!(named, ["203.0.113.0/28"]);
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.15/32"], 60),
        Code::CREATED,
    );
    let left: Vec<_> = rig
        .stored
        .keys()
        .map(|key| (key.cuid.as_str(), key.mid.0))
        .collect();
    assert_eq!(left, [("one", 2), ("three", 1)]);
}

/// Covers: S-029. Requests overlap for the first time when a name moves.
#[test]
fn when_a_name_moves_onto_another_request_of_its_client_the_lower_mid_goes() {
    for (mid_of_name, mid_of_prefix) in [(2, 1), (1, 2)] {
        let mut rig = Rig::new();
        let of_name = format!("mitigate/cuid=one/mid={mid_of_name}");
        rig.ask_and_wait(HOME, named(&of_name, &[WWW]));
        rig.resolve(WWW, found(&["203.0.113.8"], 60));
        let prefix = Ask::mitigate(mid_of_prefix, &["203.0.113.7/32"], 7200);
        rig.expect(HOME, prefix, Code::CREATED);
        rig.advance(seconds(60));
        rig.resolve(WWW, found(&["203.0.113.7"], 60));
        assert_eq!(rig.mids(), [2]);
        assert_eq!(
            rig.enforced.values().collect::<Vec<_>>(),
            [&target(&["203.0.113.7/32"])]
        );
    }
}

/// Covers: S-024, S-029
#[test]
fn when_the_name_of_an_immediate_request_moves_onto_a_preconfigured_one_that_one_gives_way() {
    let mut rig = Rig::new();
    let parked = Ask::put(
        "mitigate/cuid=one/mid=1",
        parked_body(&["203.0.113.7/32"], 7200),
    );
    rig.expect(HOME, parked, Code::CREATED);
    rig.input(Input::SessionLost(HOME));
    assert_eq!(rig.enforced.len(), 1);
    rig.establish(HOME, "home", 1);
    rig.ask_and_wait(HOME, named("mitigate/cuid=one/mid=2", &[WWW]));
    rig.resolve(WWW, found(&["203.0.113.8"], 60));
    assert_eq!(rig.enforced.len(), 2);
    rig.advance(seconds(60));
    rig.resolve(WWW, found(&["203.0.113.7"], 60));
    assert_eq!(rig.mids(), [1, 2]);
    let enforced: Vec<_> = rig.enforced.keys().map(|key| key.mid.0).collect();
    assert_eq!(enforced, [2]);
}
