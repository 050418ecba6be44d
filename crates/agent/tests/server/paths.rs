//! Resources, methods, formats and who may ask (RFC 9132 §3, §4.2, §8, §9).

use agent::server::{Outcome, SessionId};
use coap::{Code, OptionNumber};

use super::rig::{Ask, HOME, Rig, body, report, text_of};
use crate::world::cbor;

const ALL: &[&str] = &["203.0.113.7/32"];

/// Covers: S-005, S-006, S-011, S-012, S-027, S-049, S-053, S-077
#[test]
fn paths_and_methods_are_answered_as_the_rfc_says() {
    let cases = [
        // Resources.
        (Code::PUT, "mitigate/cuid=one/mid=1", Code::CREATED),
        (Code::PUT, "v1/mitigate/cuid=one/mid=1", Code::CREATED),
        (Code::PUT, "mitigate/cuid=one/mid=4294967295", Code::CREATED),
        (Code::PUT, "mitigate/cuid=one/mid=0", Code::CREATED),
        (Code::PUT, "mitigation/cuid=one/mid=1", Code::NOT_FOUND),
        (Code::PUT, "v2/mitigate/cuid=one/mid=1", Code::NOT_FOUND),
        (Code::GET, "config", Code::NOT_FOUND),
        (Code::PUT, "config/sid=1", Code::NOT_FOUND),
        (Code::GET, "config/cuid=one", Code::BAD_REQUEST),
        (Code::GET, "tm-setup/cuid=one", Code::NOT_FOUND),
        // Parameters: all there, in order, none empty, none unknown.
        (Code::PUT, "mitigate", Code::BAD_REQUEST),
        (Code::GET, "mitigate", Code::BAD_REQUEST),
        (Code::DELETE, "mitigate", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/cuid=one", Code::BAD_REQUEST),
        (Code::DELETE, "mitigate/cuid=one", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/mid=1", Code::BAD_REQUEST),
        (Code::DELETE, "mitigate/mid=1", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/mid=1/cuid=one", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/cuid=/mid=1", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/cuid=one/mid=", Code::BAD_REQUEST),
        (
            Code::PUT,
            "mitigate/cdid=/cuid=one/mid=1",
            Code::BAD_REQUEST,
        ),
        (Code::GET, "mitigate/cuid=", Code::BAD_REQUEST),
        (Code::DELETE, "mitigate/cuid=/mid=1", Code::BAD_REQUEST),
        (Code::DELETE, "mitigate/cuid=one/mid=", Code::BAD_REQUEST),
        (
            Code::PUT,
            "mitigate/cuid=one/cuid=two/mid=1",
            Code::BAD_REQUEST,
        ),
        (
            Code::PUT,
            "mitigate/cuid=one/mid=1/mid=2",
            Code::BAD_REQUEST,
        ),
        (
            Code::PUT,
            "mitigate/cuid=one/mid=1/sid=1",
            Code::BAD_REQUEST,
        ),
        (Code::PUT, "mitigate/cuid=one/mid=1/more", Code::BAD_REQUEST),
        (
            Code::PUT,
            "mitigate/cuid=one/mid=4294967296",
            Code::BAD_REQUEST,
        ),
        (Code::PUT, "mitigate/cuid=one/mid=-1", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/cuid=one/mid=+1", Code::BAD_REQUEST),
        (Code::PUT, "mitigate/cuid=one/mid=one", Code::BAD_REQUEST),
        // Methods.
        (
            Code::POST,
            "mitigate/cuid=one/mid=1",
            Code::METHOD_NOT_ALLOWED,
        ),
        (Code::FETCH, "mitigate/cuid=one", Code::METHOD_NOT_ALLOWED),
        (
            Code::from_byte(7),
            "mitigate/cuid=one",
            Code::METHOD_NOT_ALLOWED,
        ),
    ];
    for (method, path, code) in cases {
        let mut rig = Rig::new();
        let ask = Ask::new(method, path).uint(OptionNumber::CONTENT_FORMAT, 271);
        let response = rig.ask(HOME, ask.body(body(ALL, 60)));
        assert_eq!(
            response.code,
            code,
            "{method} {path}: {}",
            text_of(&response)
        );
        assert_eq!(
            rig.stored.len(),
            usize::from(code == Code::CREATED),
            "{path}"
        );
    }
}

/// Covers: S-005
#[test]
fn nothing_outside_the_well_known_root_exists() {
    let paths = [
        "mitigate/cuid=one",
        "dots/mitigate/cuid=one",
        ".well-known/mitigate",
        "",
    ];
    for path in paths {
        Rig::new().expect(HOME, Ask::at(Code::GET, path), Code::NOT_FOUND);
    }
}

/// Covers: S-007
#[test]
fn a_body_is_dots_cbor_or_is_refused_with_4_15() {
    for (format, code) in [
        (Some(271), Code::CREATED),
        (None, Code::CREATED),
        (Some(60), Code::UNSUPPORTED_CONTENT_FORMAT),
        (Some(0), Code::UNSUPPORTED_CONTENT_FORMAT),
        (Some(50), Code::UNSUPPORTED_CONTENT_FORMAT),
    ] {
        let mut ask = Ask::new(Code::PUT, "mitigate/cuid=one/mid=1").body(body(ALL, 60));
        if let Some(format) = format {
            ask = ask.uint(OptionNumber::CONTENT_FORMAT, format);
        }
        Rig::new().expect(HOME, ask, code);
    }
    // Tag 271, as 0xd9010f, is allowed around a body, and only there.
    let tagged = [&[0xd9, 0x01, 0x0f][..], &body(ALL, 60)].concat();
    let path = "mitigate/cuid=one/mid=1";
    Rig::new().expect(HOME, Ask::put(path, tagged), Code::CREATED);
    let inner = cbor::map(&[(1, [&[0xd9, 0x01, 0x0f][..], &body(ALL, 60)].concat())]);
    Rig::new().expect(HOME, Ask::put(path, inner), Code::BAD_REQUEST);
}

/// Covers: G-013, X-001
#[test]
fn a_peer_that_is_no_customer_is_told_so_and_gets_nothing() {
    let mut rig = Rig::new();
    rig.establish(SessionId(3), "stranger", 3);
    assert!(matches!(
        rig.outcomes[..],
        [Outcome::NoCustomer {
            session: SessionId(3),
            ..
        }]
    ));
    for session in [SessionId(3), SessionId(99)] {
        for ask in [
            Ask::mitigate(1, ALL, 60),
            Ask::get("mitigate/cuid=one"),
            Ask::delete("mitigate/cuid=one/mid=1"),
        ] {
            rig.expect(session, ask, Code::UNAUTHORIZED);
        }
    }
    assert!(rig.stored.is_empty());
}

/// A customer is found by its certificate's names, in any case of letters.
#[test]
fn names_of_customers_are_compared_as_host_names() {
    let mut rig = Rig::new();
    rig.establish(SessionId(3), "HOME", 3);
    rig.expect(SessionId(3), Ask::mitigate(1, ALL, 60), Code::CREATED);
    assert_eq!(rig.stored.keys().next().unwrap().customer, "home");
}

/// Covers: G-003
#[test]
fn a_cdid_from_a_client_is_not_looked_at() {
    let mut rig = Rig::new();
    let with = |cdid: &str| {
        Ask::put(
            &format!("mitigate/cdid={cdid}/cuid=one/mid=1"),
            body(ALL, 60),
        )
    };
    rig.expect(HOME, with("a"), Code::CREATED);
    rig.expect(HOME, with("b"), Code::CHANGED);
    let found = report(&rig.expect(HOME, Ask::get("mitigate/cuid=one/mid=1"), Code::CONTENT));
    assert_eq!(found.0.len(), 1);
}

/// Covers: G-009. A server is the last hop, and sees what the hops before it did.
#[test]
fn a_hop_limit_of_none_or_too_many_is_refused() {
    let mut rig = Rig::new();
    for value in [&[][..], &[0], &[1, 0], &[0, 5]] {
        for ask in [
            Ask::mitigate(1, &["203.0.113.7/32"], 60),
            Ask::get("mitigate/cuid=one"),
            Ask::delete("mitigate/cuid=one/mid=1"),
        ] {
            let ask = ask.option(OptionNumber::HOP_LIMIT, value);
            rig.expect(HOME, ask, Code::BAD_REQUEST);
        }
    }
    for value in [1, 16, 255] {
        let ask = Ask::mitigate(1, &["203.0.113.7/32"], 60);
        let answer = rig.ask(HOME, ask.option(OptionNumber::HOP_LIMIT, &[value]));
        assert!(answer.code.is_success());
    }
}
