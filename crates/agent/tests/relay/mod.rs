//! Requests that pass through gateways, and loops (RFC 8768).

use std::num::NonZeroU8;

use agent::relay::{NotForwarded, OwnLoop, Relay, RelayIdentifier, RelayIdentifierError};
use coap::{Code, HopLimitError, OptionNumber, Options};

fn relay(identifier: &str) -> Relay {
    Relay::new(identifier.parse().unwrap())
}

fn with(hop_limit: &[u8]) -> Options {
    let mut options = Options::new();
    options.push(OptionNumber::HOP_LIMIT, hop_limit);
    options
}

fn hops(hops: u8) -> NonZeroU8 {
    NonZeroU8::new(hops).unwrap()
}

/// Covers: G-008
#[test]
fn a_request_without_hop_limit_gets_one() {
    let mut relay = relay("p1");
    assert_eq!(relay.forward(&Options::new()), Ok(hops(16)));
    relay.initial_hop_limit = hops(5);
    assert_eq!(relay.forward(&Options::new()), Ok(hops(5)));
}

/// Covers: G-009
#[test]
fn a_hop_limit_goes_down_by_one_and_never_to_zero() {
    let relay = relay("p1");
    for limit in 2..=255 {
        assert_eq!(relay.forward(&with(&[limit])), Ok(hops(limit - 1)));
    }
    let exhausted = relay.forward(&with(&[1])).unwrap_err();
    assert_eq!(exhausted, NotForwarded::Exhausted);
    let response = relay.refuse(&exhausted);
    assert_eq!(response.code, Code::HOP_LIMIT_REACHED);
    assert_eq!(response.payload, b"p1");
}

/// Covers: G-009
#[test]
fn a_hop_limit_that_is_none_is_a_bad_request() {
    let relay = relay("p1");
    for (value, error) in [
        (&[][..], HopLimitError::Zero),
        (&[0], HopLimitError::Zero),
        (&[1, 0], HopLimitError::TooLong(2)),
        (&[0, 1], HopLimitError::TooLong(2)),
    ] {
        let refused = relay.forward(&with(value)).unwrap_err();
        assert_eq!(refused, NotForwarded::Invalid(error));
        assert_eq!(relay.refuse(&refused).code, Code::BAD_REQUEST);
    }
}

/// Covers: G-010
#[test]
fn each_relay_puts_its_name_before_the_others_of_a_508_that_comes_back() {
    let far = relay("p3").refuse(&NotForwarded::Exhausted).payload;
    let middle = relay("p2").pass_back(&far).unwrap();
    let near = relay("p1").pass_back(&middle.payload).unwrap();
    assert_eq!(near.code, Code::HOP_LIMIT_REACHED);
    assert_eq!(near.payload, b"p1 p2 p3");
    assert_eq!(relay("p1").pass_back(b"").unwrap().payload, b"p1");
}

/// Covers: G-010
#[test]
fn a_name_that_finds_no_room_is_left_out() {
    let relay = relay("p1");
    let room = "p1 ".len();
    for (length, is_named) in [(1024 - room, true), (1025 - room, false)] {
        let path = vec![b'x'; length];
        let passed = relay.pass_back(&path).unwrap().payload;
        assert_eq!(passed.starts_with(b"p1 "), is_named);
        assert!(passed.ends_with(&path));
    }
}

/// Covers: G-010. A whole name, and not a part of one.
#[test]
fn a_508_that_names_the_relay_is_not_passed_on() {
    let relay = relay("p1");
    for in_loop in [&b"p1"[..], b"p2 p1", b"p1 p2", b"p3 p1 p2"] {
        assert_eq!(relay.pass_back(in_loop), Err(OwnLoop));
    }
    for other in [&b"p11"[..], b"xp1 p2", b"p2 p1x", b"\xff\xfe"] {
        assert!(relay.pass_back(other).is_ok());
    }
}

/// Covers: G-010
#[test]
fn a_relay_is_named_without_spaces() {
    for good in ["p11.example.net", "myproxyalias", "2001:db8::1"] {
        assert!(good.parse::<RelayIdentifier>().is_ok());
    }
    for (bad, error) in [
        ("", RelayIdentifierError::Length),
        ("p1 p2", RelayIdentifierError::Character),
        ("p1\n", RelayIdentifierError::Character),
        ("p\u{e9}", RelayIdentifierError::Character),
    ] {
        assert_eq!(bad.parse::<RelayIdentifier>(), Err(error));
    }
    let long = "x".repeat(65);
    assert_eq!(
        long.parse::<RelayIdentifier>(),
        Err(RelayIdentifierError::Length)
    );
}
