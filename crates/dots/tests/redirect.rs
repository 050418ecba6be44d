//! Which redirections are none.
#![allow(clippy::unwrap_used)] // test helpers may panic

mod cbor;

use cbor::*;
use dots::limits;
use dots::redirect::RedirectedSignal;

/// `{46: {entries}}`
fn redirected<const N: usize>(entries: [(u64, Item); N]) -> Vec<u8> {
    map([(46, map(entries))]).bytes()
}

/// Covers: S-063
#[test]
fn the_name_alone_is_mandatory() {
    let signal = RedirectedSignal::decode(&redirected([(47, text("B.Example."))])).unwrap();
    assert_eq!(signal.alt_server.as_str(), "b.example");
    assert!(signal.alt_server_records.is_empty());
    assert_eq!(signal.encode(), redirected([(47, text("b.example"))]));
}

/// Covers: S-063
#[test]
fn what_is_no_redirection_is_refused() {
    let with = |records: Item| redirected([(47, text("b.example")), (48, records)]);
    let too_many = List(vec![text("192.0.2.1"); limits::LIST_ENTRIES + 1]);
    for (body, reason) in [
        (
            redirected([(48, texts(["192.0.2.1"]))]),
            "message: alt-server is missing",
        ),
        (
            redirected([(47, text("192.0.2.1"))]),
            "alt-server: an IP address, not a domain name",
        ),
        (
            redirected([(47, text(""))]),
            "alt-server: not a domain name",
        ),
        (with(List(vec![])), "alt-server-record: empty"),
        (
            with(texts(["192.0.2.1", "192.0.2.1/32"])),
            "alt-server-record[1]: not an IP address",
        ),
        (
            with(texts(["fe80::1%eth0"])),
            "alt-server-record[0]: not an IP address",
        ),
        (with(too_many), "alt-server-record: more than 128 entries"),
        (
            redirected([(47, text("b.example")), (6, texts(["192.0.2.0/24"]))]),
            "keys not understood: 6 (target-prefix)",
        ),
    ] {
        let error = RedirectedSignal::decode(&body).unwrap_err();
        assert_eq!(error.diagnostic(), reason);
    }
    let optional = redirected([(47, text("b.example")), (32775, Unsigned(60))]);
    assert!(RedirectedSignal::decode(&optional).is_ok());
}
