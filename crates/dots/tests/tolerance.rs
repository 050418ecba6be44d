//! What a peer may send although moat does not.

mod cbor;

use cbor::*;
use dots::heartbeat::Heartbeat;
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{
    ConflictCause, ConflictInformation, Granted, MitigationReport, MitigationRequest, Refusal,
    Status,
};
use dots::target::{PortRange, Target};

/// Covers: S-007, S-024
#[test]
fn any_order_indefinite_lengths_and_the_tag_make_no_difference() {
    let plain = scope([
        (6, texts(["192.0.2.1/32"])),
        (7, List(vec![map([(8, Unsigned(80))])])),
        (14, Negative(0)),
    ]);
    let odd = Tag(
        271,
        Box::new(OpenMap(vec![(
            Unsigned(1),
            OpenMap(vec![(
                Unsigned(2),
                OpenList(vec![OpenMap(vec![
                    (Unsigned(45), Bool(true)),
                    (Unsigned(14), Negative(0)),
                    (
                        Unsigned(7),
                        OpenList(vec![map([(9, Unsigned(80)), (8, Unsigned(80))])]),
                    ),
                    (
                        Unsigned(6),
                        List(vec![Chunks(vec![
                            "192.0.".into(),
                            String::new(),
                            "2.1".into(),
                        ])]),
                    ),
                ])]),
            )]),
        )])),
    );
    let request = MitigationRequest::decode(&plain).unwrap();
    assert_eq!(MitigationRequest::decode(&odd.bytes()).unwrap(), request);
    assert_eq!(request.lifetime, Lifetime::Indefinite);
    assert_eq!(request.target.port_ranges, [PortRange::single(80)]);
    assert!(request.trigger_mitigation);
    assert_eq!(request.encode(), plain);
}

/// Covers: S-010
#[test]
fn optional_keys_that_are_not_known_are_skipped_with_all_they_hold() {
    let telemetry = List(vec![OpenMap(vec![
        (Unsigned(134), Unsigned(1)),
        (
            Unsigned(130),
            Tag(4, Box::new(List(vec![Negative(1), Unsigned(150)]))),
        ),
        (text("x"), Chunks(vec!["a".into(), "b".into()])),
        (Bytes(vec![1, 2]), Float(1.5)),
        (Null, List(vec![])),
    ])]);
    for key in [128, 207, 255, 16384, 32768, 65535] {
        let body = map([
            (key, telemetry.clone()),
            (
                1,
                map([
                    (key, telemetry.clone()),
                    (
                        2,
                        List(vec![map([
                            (key, telemetry.clone()),
                            (13, texts(["web"])),
                            (14, Unsigned(60)),
                        ])]),
                    ),
                ]),
            ),
        ]);
        let request = MitigationRequest::decode(&body.bytes()).unwrap();
        assert_eq!(request.target.aliases.len(), 1);
    }
    let heartbeat = map([(49, map([(51, Bool(true)), (40000, telemetry)]))]);
    assert_eq!(
        Heartbeat::decode(&heartbeat.bytes()),
        Ok(Heartbeat {
            peer_hb_status: true
        })
    );
}

/// Covers: S-017
#[test]
fn one_way_to_name_a_resource_is_enough() {
    for (key, value) in [
        (6, "192.0.2.1/32"),
        (11, "a.example"),
        (12, "https://a.example/"),
        (13, "web"),
    ] {
        let body = scope([(key, texts([value])), (14, Unsigned(60))]);
        let request = MitigationRequest::decode(&body).unwrap();
        let again = MitigationRequest::new(request.target.clone(), request.lifetime, true, None);
        assert_eq!(again, Ok(request), "{value}");
    }
}

/// The PUT of the deployed open implementation.
#[test]
fn a_deployed_client_is_understood() {
    let body = scope([
        (6, texts(["198.51.100.7/32"])),
        (7, List(vec![map([(8, Unsigned(80))])])),
        (10, List(vec![Unsigned(6)])),
        (14, Unsigned(100)),
        (45, Bool(true)),
    ]);
    let request = MitigationRequest::decode(&body).unwrap();
    assert_eq!(request.lifetime.to_number(), 100);
    assert!(request.trigger_mitigation);
}

/// Covers: S-030, S-034
#[test]
fn a_refusal_may_repeat_mid_and_lifetime_of_what_it_refuses() {
    let conflict = map([(19, Unsigned(3))]);
    let body = scope([(5, Unsigned(12)), (14, Unsigned(60)), (17, conflict)]);
    let expected = ConflictInformation {
        cause: Some(ConflictCause::CuidCollision),
        ..Default::default()
    };
    assert_eq!(Refusal::decode(&body), Ok(Refusal { conflict: expected }));
}

#[test]
fn codes_registered_later_survive() {
    let body = scope([
        (5, Unsigned(1)),
        (14, Unsigned(0)),
        (16, Unsigned(9)),
        (17, map([(18, Unsigned(7))])),
    ]);
    let report = MitigationReport::decode(&body).unwrap();
    assert_eq!(report.0[0].status, Status::from_code(9));
    assert_eq!(report.0[0].status.code(), 9);
    assert_eq!(report.0[0].lifetime, RemainingLifetime::Seconds(0));
    assert_eq!(report.encode(), body);
}

#[test]
fn a_status_alone_has_no_target() {
    let body = scope([
        (5, Unsigned(1)),
        (14, Negative(0)),
        (16, Unsigned(2)),
        (25, Unsigned(u64::MAX)),
    ]);
    let report = MitigationReport::decode(&body).unwrap();
    assert_eq!(report.0[0].target, Target::default());
    assert_eq!(report.0[0].lifetime, RemainingLifetime::Indefinite);
    assert_eq!(report.0[0].counters.bytes, Some(u64::MAX));
    assert_eq!(report.0[0].counters.bps, None);
}

/// Covers: S-025
#[test]
fn a_granted_lifetime_may_be_indefinite() {
    let granted = Granted::decode(&scope([(5, Unsigned(123)), (14, Negative(0))])).unwrap();
    assert_eq!(
        (granted.mid.0, granted.lifetime),
        (123, Lifetime::Indefinite)
    );
}
