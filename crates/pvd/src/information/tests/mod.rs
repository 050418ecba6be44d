mod optional;
mod written;

use std::time::{Duration, SystemTime};

use super::*;

/// 2020-05-01T00:00:00Z, before the examples of RFC 8801 expire.
const MAY_2020: u64 = 1_588_291_200;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(MAY_2020)
}

fn read(text: &str) -> Result<Read, Refused> {
    AdditionalInformation::read(text.as_bytes(), now())
}

/// An object with these keys beside the mandatory ones.
fn with(keys: &str) -> Read {
    let text = format!("{{{MANDATORY}, {keys}}}");
    read(&text).unwrap_or_else(|refused| panic!("{text}: {refused}"))
}

const MANDATORY: &str = r#""identifier": "cafe.example.com.", "expires": "2020-05-23T06:00:00Z",
    "prefixes": ["2001:db8:1::/48", "2001:db8:4::/48"]"#;

/// Every key of the registry.
const EVERYTHING: &str = r#"{
    "identifier": "cafe.example.com.", "expires": "2020-05-23T06:00:00Z", "prefixes": ["2001:db8:1::/48"],
    "dnsZones": ["example.com", "sub.example.com"], "noInternet": true,
    "splitDnsClaims": [{"resolver": "dns.example.net", "parent": "example.com", "subdomains": ["sub", "*"],
        "algorithm": "SHA384", "salt": "abc123"}],
    "proxies": [{"protocol": "connect-udp", "proxy": "https://proxy.example.org/masque{?target_host,target_port}",
        "mandatory": ["alpn"], "alpn": ["h3", "h2"], "identifier": "udp"}],
    "proxy-match": [{"proxies": ["udp"], "domains": ["www.example.com", "*.internal.example.com"],
        "subnets": ["2001:db8::1", "192.0.2.0/24"], "ports": ["80", "1024-65535"]}],
    "vendor-moat": {"ipv4Prefixes": ["198.51.100.0/24"],
        "dotsServers": [{"name": "dots.example.com", "addresses": ["2001:db8::1", "192.0.2.9:5000"], "transports": ["udp"]}],
        "dotsAgent": "client-domain-gateway",
        "vpn": {"gateway": "2001:db8::2", "identity": "vpn.example.com", "prefixes": ["10.0.0.0/8"]},
        "networks": "eyJhbGciOiJ4In0.AAAA.AAAA.AAAA.AAAA"}
}"#;

/// The two examples of RFC 8801 §4.3.1, typed as they are there, with their trailing commas.
const EXAMPLES: [&str; 2] = [
    r#"{ "identifier": "cafe.example.com.", "expires": "2020-05-23T06:00:00Z",
         "prefixes": ["2001:db8:1::/48", "2001:db8:4::/48"], }"#,
    r#"{ "identifier": "company.foo.example.com.", "expires": "2020-05-23T06:00:00Z",
         "prefixes": ["2001:db8:1::/48", "2001:db8:4::/48"],
         "vendor-foo": { "private-key": "private-value", }, }"#,
];

/// Covers: P-022
#[test]
fn the_examples_of_the_specification_are_refused_for_their_trailing_commas() {
    for (example, identifier, ignored) in [
        (EXAMPLES[0], "cafe.example.com", &[][..]),
        (
            EXAMPLES[1],
            "company.foo.example.com",
            &["vendor-foo is no key that is known"],
        ),
    ] {
        let refused = read(example);
        assert!(
            matches!(refused, Err(Refused::NotIJson(NotIJson::NotJson(_)))),
            "{refused:?}"
        );
        let Read {
            information,
            ignored: told,
        } = read(&example.replace(", }", " }")).unwrap();
        assert_eq!(information.identifier, identifier.parse().unwrap());
        let prefixes = ["2001:db8:1::/48", "2001:db8:4::/48"].map(|text| text.parse().unwrap());
        assert_eq!(information.prefixes, prefixes);
        assert_eq!(information.expires, now() + Duration::from_secs(1_922_400));
        assert_eq!(information.moat, Extension::default());
        assert_eq!(told, ignored);
    }
}

/// Covers: P-022
#[test]
fn what_readers_of_json_could_understand_differently_is_refused() {
    let within = |text: &str| format!(r#"{{{MANDATORY}, "vendor-other": {text}}}"#);
    let twice = format!(r#"{{{MANDATORY}, "expires": "2020-05-24T06:00:00Z"}}"#);
    // The same key, once written with an escape.
    let escaped = format!(r#"{{{MANDATORY}, "expir\u0065s": "2020-05-24T06:00:00Z"}}"#);
    let deep = |levels: usize| within(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    let cases = [
        (twice, NotIJson::DuplicateKey),
        (escaped, NotIJson::DuplicateKey),
        (
            within(r#"{"a": [{"b": 1, "b": 1}]}"#),
            NotIJson::DuplicateKey,
        ),
        (within("\"\u{fdd0}\""), NotIJson::NoCharacter),
        (within(r#""\uffff""#), NotIJson::NoCharacter),
        (within("{\"\u{1fffe}\": 1}"), NotIJson::NoCharacter),
        (deep(MAX_DEPTH), NotIJson::TooDeep),
        (deep(60_000 / 2), NotIJson::TooDeep),
        ("[]".into(), NotIJson::NoObject),
        ("null".into(), NotIJson::NoObject),
    ];
    for (text, fault) in cases {
        assert_eq!(read(&text), Err(Refused::NotIJson(fault)), "{text:.200}");
    }
    assert!(read(&deep(MAX_DEPTH - 1)).is_ok());

    let fine = format!("{{{MANDATORY}}}");
    for text in [
        within(r#""\ud800""#),
        within(r#""\udc00\ud800""#),
        within("1e400"),
        within("01"),
        within("NaN"),
        within("\"\t\""),
        format!("{fine} {fine}"),
        format!("{fine}x"),
        format!("\u{feff}{fine}"),
        format!("// {fine}"),
        fine.replace('"', "'"),
        fine.replace("}", ""),
        String::new(),
    ] {
        let refused = read(&text);
        assert!(
            matches!(refused, Err(Refused::NotIJson(NotIJson::NotJson(_)))),
            "{text}: {refused:?}"
        );
    }
    assert!(read(&within(r#""\ud83d\ude00 \u00e4""#)).is_ok());
    assert!(read(&format!(" \r\n\t{fine}\n")).is_ok());
    let latin = [fine.replace('}', ", \"a").as_bytes(), b"\xe4\": 1}"].concat();
    let not_utf8 = NotIJson::NotUtf8(latin.len() - 6);
    assert_eq!(
        AdditionalInformation::read(&latin, now()),
        Err(Refused::NotIJson(not_utf8))
    );
}

/// Covers: P-047
#[test]
fn the_longest_object_is_read_and_none_that_is_longer() {
    let fine = format!("{{{MANDATORY}}}");
    let padded = |length: usize| fine.clone() + &" ".repeat(length - fine.len());
    assert!(read(&padded(MAX_OBJECT_BYTES)).is_ok());
    let longer = MAX_OBJECT_BYTES + 1;
    assert_eq!(read(&padded(longer)), Err(Refused::TooLarge(longer)));
}

/// Covers: P-020
#[test]
fn without_each_mandatory_key_in_order_the_object_does_not_count() {
    let fine = format!("{{{MANDATORY}}}");
    let expires = "2020-05-23T06:00:00Z";
    let cases = [
        ("\"identifier\"", "\"identity\"", "identifier is missing"),
        ("\"expires\"", "\"Expires\"", "expires is missing"),
        ("\"prefixes\"", "\"prefix\"", "prefixes is missing"),
        ("\"cafe.example.com.\"", "7", "identifier is no text"),
        (
            "cafe.example.com.",
            "cafe..example",
            "identifier is no domain name",
        ),
        ("cafe.example.com.", "", "identifier is empty"),
        (
            expires,
            "2020-05-23",
            "expires is no date and time of RFC 3339",
        ),
        (
            expires,
            "2020-02-30T06:00:00Z",
            "expires is no date and time of RFC 3339",
        ),
        (
            expires,
            "2020-05-23T06:00:00",
            "expires is no date and time of RFC 3339",
        ),
        (
            expires,
            "9999-12-31T23:59:59-01:00",
            "expires is no date and time of RFC 3339",
        ),
        ("[", "{\"a\": [", "prefixes is no list"),
        ("\"2001:db8:4::/48\"", "null", "prefixes[1] is no text"),
        (
            "2001:db8:4::/48",
            "2001:db8:4:1::/48",
            "prefixes[1] is no IPv6 prefix, or has bits behind its length",
        ),
        (
            "2001:db8:4::/48",
            "192.0.2.0/24",
            "prefixes[1] is no IPv6 prefix, or has bits behind its length",
        ),
        (
            "2001:db8:4::/48",
            "2001:db8:4::",
            "prefixes[1] is no IPv6 prefix, or has bits behind its length",
        ),
    ];
    for (from, to, reason) in cases {
        let mut text = fine.replacen(from, to, 1);
        if from == "[" {
            text = text.replacen(']', "]}", 1);
        }
        match read(&text) {
            Err(Refused::Mandatory(unreadable)) => assert_eq!(unreadable.to_string(), reason),
            other => panic!("{text}: {other:?}"),
        }
    }
    let none = fine.replace(r#""2001:db8:1::/48", "2001:db8:4::/48""#, "");
    assert_eq!(read(&none).unwrap().information.prefixes, []);
    let east = fine.replace("06:00:00Z", "08:00:00.5+02:00");
    let half_a_second = Duration::from_millis(500);
    let expires = read(&fine).unwrap().information.expires;
    assert_eq!(
        read(&east).unwrap().information.expires,
        expires + half_a_second
    );
}

/// Covers: P-020
#[test]
fn what_has_expired_is_refused() {
    let fine = format!("{{{MANDATORY}}}");
    let expires = read(&fine).unwrap().information.expires;
    let at = |now| AdditionalInformation::read(fine.as_bytes(), now);
    assert!(at(expires - Duration::from_nanos(1)).is_ok());
    assert_eq!(at(expires), Err(Refused::Expired));
}

/// Covers: P-021
#[test]
fn an_advertised_prefix_is_covered_by_one_that_contains_it() {
    let information = with(r#""noInternet": false"#).information;
    for (prefix, is_covered) in [
        ("2001:db8:1::/48", true),
        ("2001:db8:1:ffff::/64", true),
        ("2001:db8:4::1/128", true),
        ("2001:db8:2::/64", false),
        ("2001:db8::/32", false),
        ("::/0", false),
    ] {
        assert_eq!(
            information.covers(&prefix.parse().unwrap()),
            is_covered,
            "{prefix}"
        );
    }
}
