//! What session configurations are refused, put up with, and amount to.
#![allow(clippy::unwrap_used)] // test helpers may panic

mod cbor;

use std::time::Duration;

use cbor::*;
use dots::DecodeError;
use dots::configuration::{
    AcceptableConfiguration, AckRandomFactor, AckTimeout, ConfigurationReport,
    ConfigurationRequest, ConfigurationSet, Decimal, HeartbeatInterval, MaxRetransmit,
    MissingHbAllowed, NotAcceptable, ProbingRate, Range, RequestedSet, SessionConfiguration,
};
use dots::key::Key;

fn decimal(exponent: Item, mantissa: u64) -> Item {
    Tag(4, Box::new(List(vec![exponent, Unsigned(mantissa)])))
}

/// `{30: {32: {parameters}}}`
fn mitigating<const N: usize>(parameters: [(u64, Item); N]) -> Vec<u8> {
    map([(30, map([(32, map(parameters))]))]).bytes()
}

/// A request for one value.
fn value(parameter: u64, value: Item) -> Vec<u8> {
    let key = if matches!(parameter, 39 | 40) { 43 } else { 36 };
    mitigating([(parameter, map([(key, value)]))])
}

fn diagnostic(body: &[u8]) -> String {
    ConfigurationRequest::decode(body).unwrap_err().diagnostic()
}

fn hundredths(number: i64) -> Decimal {
    Decimal::from_hundredths(number)
}

/// Covers: S-056
#[test]
fn the_defaults_are_those_of_the_rfc() {
    let ConfigurationSet {
        heartbeat_interval,
        missing_hb_allowed,
        max_retransmit,
        ack_timeout,
        ack_random_factor,
        probing_rate,
    } = SessionConfiguration::default().idle;
    assert_eq!(heartbeat_interval.duration(), Some(Duration::from_secs(30)));
    assert_eq!(missing_hb_allowed.get(), 15);
    assert_eq!(max_retransmit.get(), 3);
    assert_eq!(ack_timeout.duration(), Duration::from_secs(2));
    assert!((ack_random_factor.factor() - 1.5).abs() < f64::EPSILON);
    assert_eq!(probing_rate.get(), 5);
    let SessionConfiguration { mitigating, idle } = SessionConfiguration::default();
    assert_eq!(mitigating, idle);
    assert_eq!(HeartbeatInterval::DISABLED.duration(), None);
}

/// Covers: S-012, S-057
#[test]
fn a_request_without_a_parameter_is_refused() {
    let nothing = RequestedSet::default();
    assert!(ConfigurationRequest::new(nothing, nothing).is_err());
    for body in [
        map([(30, map([]))]).bytes(),
        mitigating([(50, map([]))]),
        mitigating([(32776, map([(36, Unsigned(10))]))]),
    ] {
        assert_eq!(diagnostic(&body), "message: no parameter of the session");
    }
    let other = map([(36, Unsigned(4))]);
    let half = map([(30, map([(32, map([])), (44, map([(38, other)]))]))]);
    assert_eq!(diagnostic(&half.bytes()), "mitigating-config: empty");
    let one = mitigating([(38, map([(36, Unsigned(4))]))]);
    let request = ConfigurationRequest::decode(&one).unwrap();
    assert_eq!(request.mitigating.max_retransmit.unwrap().get(), 4);
    assert_eq!(request.encode(), one);
}

/// Covers: S-010, S-011
#[test]
fn what_does_not_belong_into_a_request_is_refused() {
    for (body, reason) in [
        (
            map([(30, map([(31, Unsigned(1))]))]).bytes(),
            "keys not understood: 31 (sid)",
        ),
        (
            mitigating([(33, map([(34, Unsigned(240)), (36, Unsigned(30))]))]),
            "keys not understood: 34 (max-value) in mitigating-config.heartbeat-interval",
        ),
        (
            mitigating([(33, map([(43, decimal(Negative(1), 3000))]))]),
            "keys not understood: 43 (current-value-decimal) in mitigating-config.heartbeat-interval",
        ),
        (
            mitigating([(45, Bool(true))]),
            "keys not understood: 45 (trigger-mitigation) in mitigating-config",
        ),
        (
            mitigating([(33, map([]))]),
            "mitigating-config.heartbeat-interval: empty",
        ),
        (
            mitigating([(50, map([(40000, Null)]))]),
            "mitigating-config.probing-rate: current-value is missing",
        ),
        (
            value(37, Unsigned(65536)),
            "mitigating-config.missing-hb-allowed.current-value: number greater than 65535",
        ),
        (
            value(37, decimal(Negative(1), 300)),
            "mitigating-config.missing-hb-allowed.current-value: an unsigned number expected, found a tag",
        ),
        (
            value(39, Unsigned(2)),
            "mitigating-config.ack-timeout.current-value-decimal: a decimal fraction expected, found an unsigned number",
        ),
        (
            value(39, Tag(5, Box::new(List(vec![])))),
            "mitigating-config.ack-timeout.current-value-decimal: a decimal fraction expected, found another tag",
        ),
    ] {
        assert_eq!(diagnostic(&body), reason);
    }
}

/// Covers: S-009
#[test]
fn a_decimal_has_at_most_two_fraction_digits_whatever_its_exponent() {
    for (exponent, mantissa) in [(Negative(1), 250), (Negative(0), 25), (Unsigned(0), 2)] {
        let hundreds = if exponent == Unsigned(0) { 200 } else { 250 };
        let body = value(39, decimal(exponent, mantissa));
        let request = ConfigurationRequest::decode(&body).unwrap();
        let timeout = request.mitigating.ack_timeout.unwrap();
        assert_eq!(timeout.get(), hundredths(hundreds));
        let sent = value(39, decimal(Negative(1), hundreds.unsigned_abs()));
        assert_eq!(request.encode(), sent, "always with exponent -2");
    }
    let place = "mitigating-config.ack-timeout.current-value-decimal";
    let reason = "not a decimal number with two fraction digits";
    let parts = |parts| Tag(4, Box::new(List(parts)));
    for (fraction, within) in [
        (decimal(Negative(2), 2500), ""),
        (decimal(Unsigned(1), 1), ""),
        (decimal(Negative(0), i64::MAX as u64 / 2), ""),
        (parts(vec![Negative(1)]), ""),
        (decimal(Negative(1), u64::MAX), "[1]"),
        (decimal(Negative(u64::MAX), 1), "[0]"),
    ] {
        assert_eq!(
            diagnostic(&value(39, fraction)),
            format!("{place}{within}: {reason}")
        );
    }
    let three = parts(vec![Negative(1), Unsigned(200), Unsigned(0)]);
    assert_eq!(
        diagnostic(&value(39, three)),
        format!("{place}: more than 2 entries")
    );
}

/// Covers: S-056
#[test]
fn numbers_that_a_parameter_cannot_have_are_unacceptable_and_not_malformed() {
    let hb = "heartbeat-interval.current-value: neither 0 nor from 15 to 240 seconds";
    let timeout = "ack-timeout.current-value-decimal: not from 1.00 to 300.00 seconds";
    let factor = "ack-random-factor.current-value-decimal: not from 1.00 to 10.00";
    for (parameter, number, reason) in [
        (33, Unsigned(1), hb),
        (33, Unsigned(14), hb),
        (33, Unsigned(241), hb),
        (
            37,
            Unsigned(0),
            "missing-hb-allowed.current-value: not from 1 to 65535",
        ),
        (
            38,
            Unsigned(16),
            "max-retransmit.current-value: not from 0 to 15",
        ),
        (39, decimal(Negative(1), 99), timeout),
        (39, decimal(Negative(1), 30001), timeout),
        (40, decimal(Negative(1), 99), factor),
        (
            40,
            Tag(4, Box::new(List(vec![Negative(1), Negative(149)]))),
            factor,
        ),
        (
            50,
            Unsigned(0),
            "probing-rate.current-value: not from 1 to 65535 bytes per second",
        ),
    ] {
        let error = ConfigurationRequest::decode(&value(parameter, number)).unwrap_err();
        assert!(
            matches!(error, DecodeError::Unacceptable { .. }),
            "{error:?}"
        );
        assert_eq!(error.diagnostic(), format!("mitigating-config.{reason}"));
    }
    for (parameter, number) in [
        (33, Unsigned(0)),
        (33, Unsigned(15)),
        (33, Unsigned(240)),
        (37, Unsigned(1)),
        (38, Unsigned(0)),
        (38, Unsigned(15)),
        (39, decimal(Negative(1), 100)),
        (40, decimal(Negative(1), 100)),
        (50, Unsigned(65535)),
    ] {
        let body = value(parameter, number);
        assert_eq!(ConfigurationRequest::decode(&body).unwrap().encode(), body);
    }
}

#[test]
fn a_server_accepts_what_is_in_its_range_and_says_what_is_not() {
    let mut acceptable = AcceptableConfiguration::default();
    let intervals = [60, 120].map(HeartbeatInterval::nearest);
    acceptable.idle.heartbeat_interval = Range::new(intervals[0], intervals[1]).unwrap();
    let requested = |seconds| RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::new(seconds).unwrap()),
        ..RequestedSet::default()
    };
    let nothing = RequestedSet::default();
    for (seconds, in_mitigating, in_idle) in [
        (0, true, true),
        (15, true, false),
        (59, true, false),
        (60, true, true),
        (120, true, true),
        (121, true, false),
    ] {
        let request = ConfigurationRequest::new(requested(seconds), nothing).unwrap();
        assert_eq!(acceptable.check(&request).is_ok(), in_mitigating);
        let request = ConfigurationRequest::new(nothing, requested(seconds)).unwrap();
        assert_eq!(acceptable.check(&request).is_ok(), in_idle, "{seconds}");
    }

    // Each parameter, just outside of what the default accepts.
    let outside = RequestedSet {
        heartbeat_interval: None,
        missing_hb_allowed: Some(MissingHbAllowed::new(2).unwrap()),
        max_retransmit: Some(MaxRetransmit::new(1).unwrap()),
        ack_timeout: Some(AckTimeout::new(hundredths(3001)).unwrap()),
        ack_random_factor: Some(AckRandomFactor::new(hundredths(109)).unwrap()),
        probing_rate: Some(ProbingRate::new(21).unwrap()),
    };
    let mut left = outside;
    for parameter in [
        Key::MISSING_HB_ALLOWED,
        Key::MAX_RETRANSMIT,
        Key::ACK_TIMEOUT,
        Key::ACK_RANDOM_FACTOR,
        Key::PROBING_RATE,
    ] {
        let request = ConfigurationRequest::new(nothing, left).unwrap();
        let set = Key::IDLE_CONFIG;
        let expected = NotAcceptable { set, parameter };
        assert_eq!(acceptable.check(&request), Err(expected));
        match parameter {
            Key::MISSING_HB_ALLOWED => left.missing_hb_allowed = None,
            Key::MAX_RETRANSMIT => left.max_retransmit = None,
            Key::ACK_TIMEOUT => left.ack_timeout = None,
            _ => left.ack_random_factor = None,
        }
    }
    let error = acceptable
        .check(&ConfigurationRequest::new(outside, nothing).unwrap())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "mitigating-config.missing-hb-allowed is outside of the acceptable range"
    );

    let report = ConfigurationReport::new(&SessionConfiguration::default(), &acceptable);
    let nearest = report.nearest(&ConfigurationRequest::new(outside, requested(15)).unwrap());
    assert_eq!(acceptable.check(&nearest), Ok(()));
    assert_eq!(nearest.idle, requested(60));
    assert_eq!(nearest.mitigating.missing_hb_allowed.unwrap().get(), 3);
    assert_eq!(
        nearest.mitigating.ack_timeout.unwrap().get(),
        hundredths(3000)
    );
    let disabled = ConfigurationRequest::new(requested(0), requested(0)).unwrap();
    assert_eq!(report.nearest(&disabled), disabled);
}

/// Covers: S-057
#[test]
fn what_is_not_asked_for_is_the_default_of_the_server() {
    let mut default = SessionConfiguration::default();
    default.idle.probing_rate = ProbingRate::new(9).unwrap();
    let idle = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::DISABLED),
        ..RequestedSet::default()
    };
    let request = ConfigurationRequest::new(RequestedSet::default(), idle).unwrap();
    let configuration = request.over(&default);
    assert_eq!(configuration.mitigating, default.mitigating);
    let expected = ConfigurationSet {
        heartbeat_interval: HeartbeatInterval::DISABLED,
        ..default.idle
    };
    assert_eq!(configuration.idle, expected);
}

/// Covers: S-055
#[test]
fn a_report_with_exchanged_ends_is_read_as_it_was_meant() {
    let report = |first: u64, second: u64| {
        let seconds = map([
            (34, Unsigned(first)),
            (35, Unsigned(second)),
            (36, Unsigned(30)),
        ]);
        let wait = map([
            (41, decimal(Negative(1), first * 100)),
            (42, decimal(Negative(1), second * 100)),
            (43, decimal(Negative(1), 200)),
        ]);
        ConfigurationReport::decode(&mitigating([(33, seconds), (39, wait)])).unwrap()
    };
    assert_eq!(report(15, 240), report(240, 15));
    let range = report(15, 240).mitigating.heartbeat_interval.unwrap().range;
    let range = range.unwrap();
    assert_eq!((range.min().get(), range.max().get()), (15, 240));
    let sent = report(15, 240).encode();
    assert!(
        sent.windows(5).any(|w| w == [0x18, 34, 0x18, 240, 0x18]),
        "max-value is sent as 34"
    );
    assert!(Range::new(2, 1).is_err());
}

#[test]
fn a_report_that_says_less_or_strange_things_still_makes_a_configuration() {
    for body in [map([(30, map([]))]).bytes(), mitigating([])] {
        let empty = ConfigurationReport::decode(&body).unwrap();
        assert_eq!(empty.current(), SessionConfiguration::default());
    }

    let body = mitigating([
        (33, map([(36, Unsigned(5))])),
        (37, map([(34, Unsigned(20)), (35, Unsigned(3))])),
        (38, map([(36, Unsigned(65535))])),
        (40, map([(43, decimal(Negative(0), 5))])),
        (50, map([])),
        (32776, map([(36, Unsigned(10))])),
    ]);
    let current = ConfigurationReport::decode(&body).unwrap().current();
    let expected = ConfigurationSet {
        heartbeat_interval: HeartbeatInterval::new(15).unwrap(),
        max_retransmit: MaxRetransmit::new(15).unwrap(),
        ack_random_factor: AckRandomFactor::new(hundredths(100)).unwrap(),
        ..ConfigurationSet::default()
    };
    assert_eq!(current.mitigating, expected);

    let half = mitigating([(33, map([(34, Unsigned(20)), (36, Unsigned(20))]))]);
    let error = ConfigurationReport::decode(&half).unwrap_err();
    assert_eq!(
        error.diagnostic(),
        "mitigating-config.heartbeat-interval: min-value is missing"
    );
}

/// Deployed clients leave the value of probing-rate out.
#[test]
fn an_empty_probing_rate_beside_another_parameter_asks_for_nothing() {
    let body = mitigating([(37, map([(36, Unsigned(5))])), (50, map([]))]);
    let request = ConfigurationRequest::decode(&body).unwrap();
    assert_eq!(request.mitigating.probing_rate, None);
    let open = mitigating([(37, map([(36, Unsigned(5))])), (50, OpenMap(vec![]))]);
    assert_eq!(ConfigurationRequest::decode(&open), Ok(request));
}

#[test]
fn over_a_reliable_transport_nothing_is_said_about_loss() {
    let acceptable = AcceptableConfiguration::default();
    let mut report = ConfigurationReport::new(&SessionConfiguration::default(), &acceptable);
    report.mitigating = report.mitigating.over_reliable_transport();
    assert!(report.mitigating.heartbeat_interval.is_some());
    assert!(report.mitigating.probing_rate.is_some());
    assert_eq!(report.mitigating.missing_hb_allowed, None);
    assert_eq!(report.mitigating.max_retransmit, None);
    assert_eq!(report.mitigating.ack_timeout, None);
    assert_eq!(report.mitigating.ack_random_factor, None);
    assert!(report.idle.ack_timeout.is_some());
}
