//! The body of a mitigation request and its acceptance (RFC 9132 §4.4.1).

use coap::Code;
use dots::lifetime::Lifetime;

use super::rig::{Ask, HOME, Rig, body, granted, target, text_of};
use crate::world::{EPOCH, cbor};

const PATH: &str = "mitigate/cuid=one/mid=1";
const PREFIX: u64 = 6;
const PORTS: u64 = 7;
pub(super) const PROTOCOLS: u64 = 10;
const FQDN: u64 = 11;
const URI: u64 = 12;
const ALIAS: u64 = 13;
const LIFETIME: u64 = 14;
const TRIGGER: u64 = 45;

pub(super) fn owned() -> (u64, Vec<u8>) {
    (PREFIX, cbor::texts(&["203.0.113.7/32"]))
}

pub(super) fn hour() -> (u64, Vec<u8>) {
    (LIFETIME, cbor::uint(3600))
}

pub(super) fn ports(lower: u64, upper: u64) -> (u64, Vec<u8>) {
    (
        PORTS,
        cbor::array(&[cbor::map(&[(8, cbor::uint(lower)), (9, cbor::uint(upper))])]),
    )
}

fn prefix(text: &str) -> Vec<u8> {
    cbor::scope(&[(PREFIX, cbor::texts(&[text])), hour()])
}

/// Covers: S-009, S-010, S-012, S-017, S-018, S-019, S-020, S-021, S-022, S-024, S-027, X-012, X-017
#[test]
fn each_fault_of_a_body_is_a_bad_request_and_changes_nothing() {
    let one = cbor::map(&[owned(), hour()]);
    let faults = [
        ("empty body", vec![]),
        ("not CBOR", vec![0xff]),
        ("truncated", body(&["203.0.113.7/32"], 60)[..20].to_vec()),
        (
            "something after it",
            [prefix("203.0.113.7/32"), vec![0]].concat(),
        ),
        ("no scope", cbor::map(&[(1, cbor::map(&[]))])),
        ("empty scope list", cbor::scopes(&[])),
        ("two scopes", cbor::scopes(&[one.clone(), one])),
        ("empty scope", cbor::scope(&[])),
        ("no lifetime", cbor::scope(&[owned()])),
        ("no target", cbor::scope(&[hour()])),
        ("port alone", cbor::scope(&[ports(80, 80), hour()])),
        (
            "protocol alone",
            cbor::scope(&[(PROTOCOLS, cbor::array(&[cbor::uint(6)])), hour()]),
        ),
        (
            "empty target list",
            cbor::scope(&[(PREFIX, cbor::texts(&[])), hour()]),
        ),
        ("empty prefix", prefix("")),
        ("IPv4 prefix of 33 bits", prefix("203.0.113.7/33")),
        ("IPv6 prefix of 129 bits", prefix("2001:db8:f::1/129")),
        ("loopback", prefix("127.0.0.1/32")),
        ("loopback inside", prefix("126.0.0.0/7")),
        ("IPv6 loopback", prefix("::1/128")),
        ("multicast", prefix("224.0.0.5/32")),
        ("IPv6 multicast", prefix("ff02::1/128")),
        ("broadcast", prefix("255.255.255.255/32")),
        ("everything", prefix("0.0.0.0/0")),
        ("not owned", prefix("192.0.2.1/32")),
        ("of another customer", prefix("198.51.100.7/32")),
        ("wider than owned", prefix("203.0.112.0/23")),
        ("IPv6 not owned", prefix("2001:db8:e::1/128")),
        (
            "one of two not owned",
            cbor::scope(&[
                (PREFIX, cbor::texts(&["203.0.113.7/32", "192.0.2.1/32"])),
                hour(),
            ]),
        ),
        (
            "ports reversed",
            cbor::scope(&[owned(), ports(443, 80), hour()]),
        ),
        (
            "port 65536",
            cbor::scope(&[owned(), ports(80, 65_536), hour()]),
        ),
        (
            "protocol 256",
            cbor::scope(&[
                owned(),
                (PROTOCOLS, cbor::array(&[cbor::uint(256)])),
                hour(),
            ]),
        ),
        (
            "lifetime 0",
            cbor::scope(&[owned(), (LIFETIME, cbor::uint(0))]),
        ),
        (
            "lifetime -2",
            cbor::scope(&[owned(), (LIFETIME, cbor::negative(1))]),
        ),
        (
            "lifetime 2^32",
            cbor::scope(&[owned(), (LIFETIME, cbor::uint(1 << 32))]),
        ),
        (
            "lifetime in words",
            cbor::scope(&[owned(), (LIFETIME, cbor::text("3600"))]),
        ),
        (
            "trigger as number",
            cbor::scope(&[owned(), hour(), (TRIGGER, cbor::uint(1))]),
        ),
        (
            "unknown attack-status",
            cbor::scope(&[owned(), hour(), (29, cbor::uint(3))]),
        ),
        (
            "cuid in the body",
            cbor::scope(&[(4, cbor::text("one")), owned(), hour()]),
        ),
        (
            "mid in the body",
            cbor::scope(&[(5, cbor::uint(1)), owned(), hour()]),
        ),
        (
            "unknown required key",
            cbor::scope(&[owned(), hour(), (100, cbor::uint(1))]),
        ),
        (
            "unknown required key 256",
            cbor::scope(&[owned(), hour(), (256, cbor::uint(1))]),
        ),
        (
            "the same key twice",
            cbor::scope(&[owned(), owned(), hour()]),
        ),
        (
            "JSON names",
            b"{\"ietf-dots-signal-channel:mitigation-scope\":{}}".to_vec(),
        ),
        // Nobody made an alias.
        (
            "foreign alias",
            cbor::scope(&[(ALIAS, cbor::texts(&["https1"])), hour()]),
        ),
        (
            "empty alias",
            cbor::scope(&[(ALIAS, cbor::texts(&[""])), hour()]),
        ),
        (
            "empty name",
            cbor::scope(&[owned(), (FQDN, cbor::texts(&[""])), hour()]),
        ),
        (
            "URI without a host",
            cbor::scope(&[(URI, cbor::texts(&["https:shop"])), hour()]),
        ),
        (
            "URI with an address that is not owned",
            cbor::scope(&[(URI, cbor::texts(&["https://192.0.2.1/"])), hour()]),
        ),
        (
            "a name and a prefix that is not owned",
            cbor::scope(&[
                (PREFIX, cbor::texts(&["192.0.2.1/32"])),
                (FQDN, cbor::texts(&["www.example.com"])),
                hour(),
            ]),
        ),
    ];
    let mut rig = Rig::new();
    for (fault, payload) in faults {
        let response = rig.ask(HOME, Ask::put(PATH, payload));
        assert_eq!(response.code, Code::BAD_REQUEST, "{fault}");
        assert!(!text_of(&response).is_empty(), "{fault}");
        assert!(!rig.trace.contains(&"persist"), "{fault}");
    }
    rig.expect(HOME, Ask::get(PATH), Code::NOT_FOUND);
}

/// Covers: S-010
#[test]
fn the_diagnostic_names_the_keys_that_were_not_understood() {
    let unknown = cbor::scope(&[owned(), hour(), (100, cbor::uint(1)), (301, cbor::uint(1))]);
    let response = Rig::new().expect(HOME, Ask::put(PATH, unknown), Code::BAD_REQUEST);
    let text = text_of(&response);
    assert!(text.contains("100") && text.contains("301"), "{text}");
}

/// Covers: S-010, S-018, S-020, S-022, S-024
#[test]
fn what_the_rfc_allows_is_accepted() {
    let many: Vec<String> = (0..100)
        .map(|host| format!("203.0.113.{host}/32"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bodies = [
        prefix("203.0.113.7/32"),
        prefix("203.0.113.7"),
        prefix("203.0.113.0/24"),
        prefix("2001:db8:f::1/128"),
        prefix("2001:db8:f::/48"),
        cbor::scope(&[(PREFIX, cbor::texts(&many)), hour()]),
        cbor::scope(&[owned(), ports(0, 65_535), hour()]),
        cbor::scope(&[
            owned(),
            (PORTS, cbor::array(&[cbor::map(&[(8, cbor::uint(80))])])),
            hour(),
        ]),
        cbor::scope(&[
            owned(),
            (PROTOCOLS, cbor::array(&[cbor::uint(0), cbor::uint(255)])),
            hour(),
        ]),
        cbor::scope(&[owned(), hour(), (TRIGGER, cbor::boolean(true))]),
        // Comprehension-optional keys are skipped.
        cbor::scope(&[
            owned(),
            hour(),
            (128, cbor::texts(&["x"])),
            (16_384, cbor::map(&[])),
        ]),
    ];
    for payload in bodies {
        let mut rig = Rig::new();
        rig.expect(HOME, Ask::put(PATH, payload), Code::CREATED);
        assert_eq!(rig.enforced.len(), 1);
    }
}

/// Covers: S-022, S-023, S-025
#[test]
fn the_answer_states_the_lifetime_that_is_granted() {
    for (asked, granted_seconds) in [
        (cbor::uint(1), 1),
        (cbor::uint(3600), 3600),
        (cbor::uint(7200), 7200),
        (cbor::uint(7201), 7200),
        (cbor::uint(u32::MAX.into()), 7200),
        (cbor::negative(0), 7200),
    ] {
        let mut rig = Rig::new();
        let ask = Ask::put(PATH, cbor::scope(&[owned(), (LIFETIME, asked)]));
        let response = rig.expect(HOME, ask, Code::CREATED);
        let granted = granted(&response);
        assert_eq!(granted.mid.0, 1);
        assert_eq!(
            granted.lifetime,
            Lifetime::from_number(granted_seconds).unwrap()
        );
        assert_eq!(granted.conflict, None);
        let record = rig.stored.values().next().unwrap();
        assert_eq!(
            record.expires_unix,
            Some(EPOCH + granted_seconds.unsigned_abs())
        );
        // {1: {2: [{5: mid, 14: lifetime}]}}: nothing else, so neither cuid nor cdid.
        assert_eq!(
            response.payload[..7],
            [0xa1, 0x01, 0xa1, 0x02, 0x81, 0xa2, 0x05]
        );
    }
}

/// Covers: S-023. What is acknowledged is durable and in force; then the client is told.
#[test]
fn a_mitigation_is_stored_enforced_and_then_promised() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    let order: Vec<_> = rig
        .trace
        .iter()
        .filter(|what| **what != "decided")
        .collect();
    assert_eq!(
        order,
        [&"persist", &"enforce", &"set-mitigating", &"respond"]
    );
    let (key, scope) = rig.enforced.iter().next().unwrap();
    assert_eq!(
        (key.customer.as_str(), key.cuid.as_str(), key.mid.0),
        ("home", "one", 1)
    );
    assert_eq!(*scope, target(&["203.0.113.7/32"]));
}
