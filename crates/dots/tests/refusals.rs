//! What a peer may not send, and what it is told.
#![allow(clippy::unwrap_used)] // test helpers may panic

mod cbor;

use cbor::*;
use dots::heartbeat::Heartbeat;
use dots::mitigation::{Granted, MitigationReport, MitigationRequest, Refusal};
use dots::{DecodeError, limits};

fn diagnostic(body: &[u8]) -> String {
    MitigationRequest::decode(body).unwrap_err().diagnostic()
}

/// A request that is fine but for one more attribute.
fn with(key: u64, value: Item) -> Vec<u8> {
    scope([
        (6, texts(["192.0.2.0/24"])),
        (14, Unsigned(60)),
        (key, value),
    ])
}

fn prefix(text: &str) -> Vec<u8> {
    scope([(6, texts([text])), (14, Unsigned(60))])
}

fn lifetime(value: Item) -> Vec<u8> {
    scope([(6, texts(["192.0.2.0/24"])), (14, value)])
}

#[test]
fn the_bodies_below_are_refused_for_the_reason_they_are_made_for() {
    assert!(MitigationRequest::decode(&with(45, Bool(false))).is_ok());
    assert!(MitigationRequest::decode(&lifetime(Negative(0))).is_ok());
}

/// Covers: S-010, S-011, S-027, F-005
#[test]
fn required_keys_that_mean_nothing_in_a_request_are_all_named() {
    assert_eq!(
        diagnostic(&with(60, Null)),
        "keys not understood: 60 in scope[0]"
    );
    assert_eq!(
        diagnostic(&with(
            53,
            List(vec![map([(23, text("a")), (52, Unsigned(1))])])
        )),
        "keys not understood: 53 (ietf-dots-signal-control:acl-list) in scope[0]"
    );
    // What only a server says, or belongs into the path.
    for (key, name) in [
        (3, "cdid"),
        (4, "cuid"),
        (5, "mid"),
        (15, "mitigation-start"),
        (16, "status"),
    ] {
        let expected = format!("keys not understood: {key} ({name}) in scope[0]");
        assert_eq!(diagnostic(&with(key, Unsigned(1))), expected);
    }
    let everywhere = map([
        (100, Null),
        (
            1,
            map([
                (300, Null),
                (
                    2,
                    List(vec![map([
                        (7, List(vec![map([(0, Null), (8, Unsigned(80))])])),
                        (65536, Null),
                    ])]),
                ),
            ]),
        ),
    ]);
    assert_eq!(
        diagnostic(&everywhere.bytes()),
        "keys not understood: 100, 300, 0 in scope[0].target-port-range[0], 65536 in scope[0]"
    );
}

/// Covers: S-010
#[test]
fn a_diagnostic_is_bounded_however_many_keys_are_unknown() {
    let unknown = (300..360).map(|key| (Unsigned(key), Null)).collect();
    let error = MitigationRequest::decode(&scopes(vec![Map(unknown)]).bytes()).unwrap_err();
    let DecodeError::NotUnderstood(keys) = &error else {
        panic!("{error}")
    };
    assert_eq!(keys.len(), limits::NAMED_KEYS);
    assert!(error.diagnostic().len() <= limits::DIAGNOSTIC_BYTES);
}

/// Covers: S-017
#[test]
fn a_request_has_one_scope_that_names_a_resource() {
    let one = map([(6, texts(["192.0.2.0/24"])), (14, Unsigned(60))]);
    assert_eq!(
        diagnostic(&scopes(vec![one.clone(), one]).bytes()),
        "scope: more than 1 entry"
    );
    assert_eq!(diagnostic(&scopes(vec![]).bytes()), "scope: empty");
    assert_eq!(
        diagnostic(&map([(1, map([]))]).bytes()),
        "message: scope is missing"
    );
    assert_eq!(
        diagnostic(&map([]).bytes()),
        "message: mitigation-scope is missing"
    );
    let ports = List(vec![map([(8, Unsigned(80))])]);
    assert_eq!(
        diagnostic(&scope([
            (7, ports),
            (10, List(vec![Unsigned(6)])),
            (14, Unsigned(60))
        ])),
        "scope[0]: none of target-prefix, target-fqdn, target-uri, alias-name"
    );
}

/// Covers: S-018, S-020, S-021
#[test]
fn targets_that_the_rfc_refuses_are_refused_with_their_place() {
    for (text, reason) in [
        ("127.0.0.1/32", "contains loopback addresses"),
        ("0.0.0.0/0", "contains loopback addresses"),
        ("::1/128", "contains loopback addresses"),
        ("239.1.2.3/32", "contains multicast addresses"),
        ("ff02::1/128", "contains multicast addresses"),
        ("255.255.255.255/32", "contains the broadcast address"),
        (
            "::ffff:192.0.2.1/128",
            "contains IPv4-mapped addresses: write them as IPv4",
        ),
        ("192.0.2.0/33", "prefix length is not a number from 0 to 32"),
        (
            "2001:db8::/129",
            "prefix length is not a number from 0 to 128",
        ),
        ("192.0.2.0/", "prefix length is not a number from 0 to 32"),
        ("192.0.2.0/+8", "prefix length is not a number from 0 to 32"),
        ("192.0.2.0/08", "prefix length is not a number from 0 to 32"),
        ("192.0.2/24", "not an IP prefix"),
        ("fe80::1%eth0/128", "not an IP prefix"),
        ("", "not an IP prefix"),
    ] {
        assert_eq!(
            diagnostic(&prefix(text)),
            format!("scope[0].target-prefix[0]: {reason}"),
            "{text:?}"
        );
    }
    let ranges = List(vec![
        map([(8, Unsigned(80))]),
        map([(8, Unsigned(90)), (9, Unsigned(80))]),
    ]);
    assert_eq!(
        diagnostic(&with(7, ranges)),
        "scope[0].target-port-range[1]: upper port 80 is below lower port 90"
    );
    for (range, reason) in [
        (map([(9, Unsigned(80))]), ": lower-port is missing"),
        (
            map([(8, Unsigned(65536))]),
            ".lower-port: number greater than 65535",
        ),
    ] {
        let expected = format!("scope[0].target-port-range[0]{reason}");
        assert_eq!(diagnostic(&with(7, List(vec![range]))), expected);
    }
    assert_eq!(
        diagnostic(&with(10, List(vec![Unsigned(6), Unsigned(256)]))),
        "scope[0].target-protocol[1]: number greater than 255"
    );
    assert_eq!(
        diagnostic(&with(11, texts(["192.0.2.1"]))),
        "scope[0].target-fqdn[0]: an IP address, not a domain name"
    );
    assert_eq!(
        diagnostic(&with(12, texts(["https://[::1]/"]))),
        "scope[0].target-uri[0]: contains loopback addresses"
    );
}

/// Covers: S-022
#[test]
fn a_lifetime_is_there_and_is_minus_one_or_positive() {
    assert_eq!(
        diagnostic(&scope([(6, texts(["192.0.2.0/24"]))])),
        "scope[0]: lifetime is missing"
    );
    assert_eq!(
        diagnostic(&lifetime(Unsigned(0))),
        "scope[0].lifetime: a lifetime of 0 is invalid"
    );
    for value in [
        Negative(1),
        Negative(u64::MAX),
        Unsigned(1 << 32),
        Unsigned(u64::MAX),
    ] {
        assert_eq!(
            diagnostic(&lifetime(value)),
            "scope[0].lifetime: neither -1 nor a number of seconds up to 4294967295"
        );
    }
}

/// Covers: S-012
#[test]
fn empty_attributes_are_refused() {
    for (key, name) in [
        (6, "target-prefix"),
        (7, "target-port-range"),
        (10, "target-protocol"),
    ] {
        let body = scope([(key, List(vec![])), (13, texts(["a"])), (14, Unsigned(60))]);
        assert_eq!(diagnostic(&body), format!("scope[0].{name}: empty"));
    }
    assert_eq!(
        diagnostic(&with(13, texts([""]))),
        "scope[0].alias-name[0]: is empty"
    );
    assert_eq!(
        diagnostic(&with(11, texts([""]))),
        "scope[0].target-fqdn[0]: not a domain name"
    );
}

#[test]
fn an_unknown_attack_status_is_refused() {
    assert_eq!(
        diagnostic(&with(29, Unsigned(3))),
        "scope[0].attack-status: unknown code 3"
    );
}

/// Covers: S-009
#[test]
fn a_value_of_another_type_is_refused() {
    for (value, found) in [
        (text("60"), "text"),
        (Float(60.0), "a floating-point number"),
        (Tag(0, Box::new(Unsigned(60))), "a tag"),
        (Null, "a simple value"),
        (Bool(true), "a boolean"),
        (Bytes(vec![60]), "bytes"),
    ] {
        let expected = format!("scope[0].lifetime: a number expected, found {found}");
        assert_eq!(diagnostic(&lifetime(value)), expected);
    }
    assert_eq!(
        diagnostic(&with(10, List(vec![Negative(5)]))),
        "scope[0].target-protocol[0]: an unsigned number expected, found a negative number"
    );
    assert_eq!(
        diagnostic(&with(45, Unsigned(1))),
        "scope[0].trigger-mitigation: a boolean expected, found an unsigned number"
    );
    assert_eq!(
        diagnostic(&with(13, text("a"))),
        "scope[0].alias-name: a list expected, found text"
    );
    assert_eq!(
        diagnostic(&with(13, List(vec![Bytes(vec![0x61])]))),
        "scope[0].alias-name[0]: text expected, found bytes"
    );
    assert_eq!(
        diagnostic(&List(vec![]).bytes()),
        "message: a map expected, found a list"
    );
    // JSON names in CBOR.
    let names = Map(vec![(
        text("ietf-dots-signal-channel:mitigation-scope"),
        map([]),
    )]);
    assert_eq!(
        diagnostic(&names.bytes()),
        "message: an unsigned number as key expected, found text"
    );
}

/// Covers: S-007
#[test]
fn the_tag_is_271_and_outermost() {
    let request = |tag, inner: Item| Tag(tag, Box::new(inner)).bytes();
    let other = diagnostic(&request(270, map([])));
    assert_eq!(other, "message: a DOTS message expected, found another tag");
    let twice = diagnostic(&request(271, Tag(271, Box::new(map([])))));
    assert_eq!(twice, "message: a map expected, found a tag");
    let inside = map([(1, Tag(271, Box::new(map([]))))]).bytes();
    assert_eq!(diagnostic(&inside), "message: a map expected, found a tag");
}

#[test]
fn a_key_that_comes_twice_is_refused_even_if_it_is_optional() {
    assert_eq!(
        diagnostic(&with(6, texts(["192.0.2.0/24"]))),
        "scope[0].target-prefix: present twice"
    );
    let optional = scope([(40000, Null), (40000, Null)]);
    assert_eq!(diagnostic(&optional), "scope[0].40000: present twice");
}

#[test]
fn a_body_that_is_cut_short_anywhere_is_refused() {
    let whole = with(
        7,
        OpenList(vec![map([(8, Unsigned(80)), (9, Unsigned(8080))])]),
    );
    for end in 0..whole.len() {
        let error = MitigationRequest::decode(&whole[..end]).unwrap_err();
        assert!(
            matches!(error, DecodeError::Truncated { .. }),
            "{end} bytes: {error}"
        );
    }
    let mut longer = whole;
    longer.extend([0, 0]);
    assert_eq!(diagnostic(&longer), "2 bytes after the message");
}

#[test]
fn what_is_not_well_formed_is_refused_also_where_it_is_skipped() {
    let broken: [(&str, &[u8]); 5] = [
        ("reserved additional information", &[0x1c]),
        ("break outside of a container", &[0xff]),
        ("map of odd length", &[0xbf, 0x00, 0xff]),
        ("text that is not UTF-8", &[0x61, 0xff]),
        ("indefinite number", &[0x1f]),
    ];
    for (what, octets) in broken {
        let mut body = vec![0xa2, 0x19, 0x9c, 0x40]; // two entries, the first with key 40000
        body.extend(octets);
        body.extend([0x01, 0xa0]);
        let error = MitigationRequest::decode(&body).unwrap_err();
        assert!(
            matches!(error, DecodeError::Malformed { .. }),
            "{what}: {error}"
        );
    }
    let mut bad_text = prefix("192.0.2.0/24");
    let position = bad_text.iter().position(|byte| *byte == b'1').unwrap();
    bad_text[position] = 0xff;
    assert_eq!(
        diagnostic(&bad_text),
        "scope[0].target-prefix[0]: not well-formed CBOR"
    );
}

#[test]
fn nesting_lists_maps_texts_and_bodies_are_limited() {
    let nested = |depth: usize| {
        // Two maps, a list and a map are around it.
        (4..depth).fold(Null, |inner, _| List(vec![inner]))
    };
    assert!(MitigationRequest::decode(&with(40000, nested(limits::NESTING))).is_ok());
    for wrap in [
        |inner| List(vec![inner]),
        |inner| Tag(1, Box::new(inner)),
        |inner| OpenMap(vec![(Null, inner)]),
    ] {
        let error =
            MitigationRequest::decode(&with(40000, wrap(nested(limits::NESTING)))).unwrap_err();
        assert_eq!(error.diagnostic(), "scope[0].40000: nested deeper than 16");
    }
    let bomb = [&[0xa1, 0x19, 0x9c, 0x40][..], &[0x9f; 100_000]].concat();
    assert!(matches!(
        MitigationRequest::decode(&bomb),
        Err(DecodeError::TooDeep { .. })
    ));

    let protocols = |count| with(10, List(vec![Unsigned(6); count]));
    assert!(MitigationRequest::decode(&protocols(limits::LIST_ENTRIES)).is_ok());
    assert_eq!(
        diagnostic(&protocols(limits::LIST_ENTRIES + 1)),
        "scope[0].target-protocol: more than 128 entries"
    );
    let entries = (0..=limits::MAP_ENTRIES as u64).map(|key| (Unsigned(40000 + key), Null));
    assert_eq!(
        diagnostic(&scopes(vec![Map(entries.collect())]).bytes()),
        "scope[0]: more than 64 entries"
    );
    let long = "a".repeat(limits::TEXT_BYTES + 1);
    assert_eq!(
        diagnostic(&with(13, texts([&long]))),
        "scope[0].alias-name[0]: text longer than 512 bytes"
    );
    assert_eq!(
        diagnostic(&with(13, texts([&long[..256]]))),
        "scope[0].alias-name[0]: is longer than 255 bytes"
    );
    let chunks = Chunks(vec!["a".repeat(200); 3]);
    assert_eq!(
        diagnostic(&with(13, List(vec![chunks]))),
        "scope[0].alias-name[0]: text longer than 512 bytes"
    );
    let body = vec![0; limits::MESSAGE_BYTES + 1];
    assert_eq!(diagnostic(&body), "body of 262145 bytes, more than 262144");
    // The head of a list that promises what the body cannot hold.
    let promise = [
        0xa1, 0x01, 0xa1, 0x02, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    assert!(matches!(
        MitigationReport::decode(&promise),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn responses_and_heartbeats_miss_nothing_that_is_mandatory() {
    let granted = |body: &[u8]| Granted::decode(body).unwrap_err().diagnostic();
    assert_eq!(
        granted(&scope([(14, Unsigned(1))])),
        "scope[0]: mid is missing"
    );
    assert_eq!(
        granted(&scope([(5, Unsigned(1))])),
        "scope[0]: lifetime is missing"
    );
    assert_eq!(
        granted(&scope([
            (5, Unsigned(1)),
            (4, text("c")),
            (14, Unsigned(1))
        ])),
        "keys not understood: 4 (cuid) in scope[0]"
    );
    let report = |body: &[u8]| MitigationReport::decode(body).unwrap_err().diagnostic();
    assert_eq!(
        report(&scope([(14, Unsigned(1)), (16, Unsigned(1))])),
        "scope[0]: mid is missing"
    );
    assert_eq!(
        report(&scope([(5, Unsigned(1)), (14, Unsigned(1))])),
        "scope[0]: status is missing"
    );
    assert_eq!(
        report(&scope([(5, Unsigned(1)), (16, Unsigned(1))])),
        "scope[0]: lifetime is missing"
    );
    let refusal = Refusal::decode(&scope([(5, Unsigned(1))]))
        .unwrap_err()
        .diagnostic();
    assert_eq!(refusal, "scope[0]: conflict-information is missing");
    let heartbeat = Heartbeat::decode(&map([(49, map([]))]).bytes())
        .unwrap_err()
        .diagnostic();
    assert_eq!(heartbeat, "message: peer-hb-status is missing");
}
