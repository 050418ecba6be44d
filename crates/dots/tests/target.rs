//! What is a target and which targets overlap.
#![allow(clippy::unwrap_used)] // test helpers may panic

use dots::limits;
use dots::target::{AliasName, DomainName, Target, TargetError, TargetPrefix, TargetUri, UriHost};

fn prefix(text: &str) -> TargetPrefix {
    text.parse().unwrap()
}

fn uri(text: &str) -> TargetUri {
    text.parse().unwrap()
}

#[test]
fn an_address_is_a_prefix_and_host_bits_are_cleared() {
    assert_eq!(prefix("192.0.2.1").to_string(), "192.0.2.1/32");
    assert_eq!(prefix("2001:DB8::1").to_string(), "2001:db8::1/128");
    assert_eq!(prefix("192.0.2.77/24").to_string(), "192.0.2.0/24");
    assert_eq!(prefix("192.0.2.77/24"), prefix("192.0.2.0/24"));
}

#[test]
fn prefixes_contain_and_overlap() {
    let (wide, narrow, other) = (
        prefix("192.0.2.0/24"),
        prefix("192.0.2.7"),
        prefix("198.51.100.0/24"),
    );
    assert!(wide.contains(&narrow) && wide.contains(&wide) && !narrow.contains(&wide));
    assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide) && !wide.overlaps(&other));
    assert!(!prefix("2001:db8::/32").overlaps(&wide));
}

/// Covers: S-018
#[test]
fn neighbours_of_refused_ranges_are_accepted() {
    for text in [
        "126.255.255.255",
        "128.0.0.0",
        "223.255.255.255",
        "::2",
        "fe00::/16",
        "255.255.255.254",
    ] {
        assert!(text.parse::<TargetPrefix>().is_ok(), "{text}");
    }
}

#[test]
fn names_are_host_names_in_lower_case() {
    let name = |text: &str| text.parse::<DomainName>();
    assert_eq!(
        name("WWW.Example.COM.").unwrap().as_str(),
        "www.example.com"
    );
    assert!(name("a.b2c").is_ok() && name("192.0.2.example").is_ok());
    assert!(name("_dots._udp.example.com").is_ok());
    assert!(name("xn--bcher-kva.example").is_ok());
    let long = "a".repeat(64);
    let longest = ["a.".repeat(126), "ab".to_owned()].concat();
    for text in [
        "",
        ".",
        "a..b",
        ".a",
        "-a.b",
        "a-.b",
        "a b",
        "a/b",
        "bücher.example",
        &long,
        &longest,
    ] {
        assert_eq!(name(text), Err(TargetError::NotADomainName), "{text:?}");
    }
    for text in ["192.0.2.1", "127.1", "0", "1.2.3.4."] {
        assert_eq!(name(text), Err(TargetError::AddressAsDomainName), "{text}");
    }
}

/// Covers: S-021
#[test]
fn a_uri_gives_scheme_host_and_port() {
    for (text, scheme, host, port) in [
        (
            "https://www.example.com/shop?x#y",
            "https",
            "www.example.com",
            Some(443),
        ),
        (
            "HTTP://WWW.Example.com:8080",
            "http",
            "www.example.com",
            Some(8080),
        ),
        (
            "http://www.example.com:",
            "http",
            "www.example.com",
            Some(80),
        ),
        (
            "coaps+tcp://[2001:DB8::1]",
            "coaps+tcp",
            "[2001:db8::1]",
            Some(5684),
        ),
        (
            "coap://[2001:db8::1]:61616/x",
            "coap",
            "[2001:db8::1]",
            Some(61616),
        ),
        ("sip://192.0.2.1", "sip", "192.0.2.1", Some(5060)),
        ("foo://a.example", "foo", "a.example", None),
    ] {
        let uri = uri(text);
        let parts = (uri.scheme(), uri.host().to_string(), uri.port());
        assert_eq!(parts, (scheme, host.to_owned(), port), "{text}");
    }
    let address = UriHost::Address(prefix("192.0.2.1"));
    assert_eq!(uri("http://192.0.2.1/").host(), &address);
    assert_eq!(
        uri("HTTP://A.Example:80/X").to_string(),
        "http://a.example:80/X"
    );
}

#[test]
fn what_is_no_uri_of_a_resource_is_refused() {
    use TargetError::*;
    for (text, reason) in [
        ("", NotAUri),
        ("www.example.com", NotAUri),
        ("mailto:a@example.com", NotAUri),
        ("1http://a.example", NotAUri),
        ("http://a.example/a b", NotAUri),
        ("http://a.example/\u{e9}", NotAUri),
        ("http://[2001:db8::1", NotADomainName),
        ("http://[fe80::1%25eth0]/", NotAUri),
        ("http://", NotADomainName),
        ("http:///x", NotADomainName),
        ("http://%61.example", NotADomainName),
        ("http://user:secret@a.example", UriUserInformation),
        ("http://a.example:65536", UriPort),
        ("http://a.example:8o", UriPort),
        ("http://127.0.0.1/", Loopback),
        ("http://127.1/", AddressAsDomainName),
        ("http://[::ffff:7f00:1]/", Ipv4Mapped),
        ("http://[ff02::1]:80/", Multicast),
    ] {
        assert_eq!(text.parse::<TargetUri>(), Err(reason), "{text:?}");
    }
}

/// Covers: S-029
#[test]
fn targets_overlap_by_what_they_name_not_by_ports() {
    let prefixes = |texts: &[&str]| Target {
        prefixes: texts.iter().map(|text| prefix(text)).collect(),
        ..Target::default()
    };
    let fqdn = |text: &str| Target {
        fqdns: vec![text.parse().unwrap()],
        ..Target::default()
    };
    let by_uri = |text: &str| Target {
        uris: vec![uri(text)],
        ..Target::default()
    };
    let alias = |text: &str| Target {
        aliases: vec![text.parse::<AliasName>().unwrap()],
        ..Target::default()
    };
    for (one, other, overlap) in [
        (
            prefixes(&["198.51.100.1", "192.0.2.0/24"]),
            prefixes(&["192.0.2.7", "203.0.113.1"]),
            true,
        ),
        (
            prefixes(&["192.0.2.0/25"]),
            prefixes(&["192.0.2.128/25"]),
            false,
        ),
        (fqdn("a.example"), fqdn("A.example"), true),
        (fqdn("a.example"), fqdn("b.example"), false),
        (by_uri("https://a.example/x"), fqdn("a.example"), true),
        (
            by_uri("https://a.example/x"),
            by_uri("http://a.example/y"),
            true,
        ),
        (
            by_uri("https://192.0.2.1/"),
            prefixes(&["192.0.2.0/24"]),
            true,
        ),
        (alias("web"), alias("web"), true),
        (alias("web"), alias("Web"), false),
        (alias("a.example"), fqdn("a.example"), false),
        (Target::default(), Target::default(), false),
    ] {
        assert_eq!(one.overlaps(&other), overlap, "{one:?} {other:?}");
        assert_eq!(other.overlaps(&one), overlap, "{other:?} {one:?}");
    }
}

/// A single group of zeros may be written as two colons, but we write it as 0: one character more.
#[test]
fn a_uri_is_no_longer_than_a_text_may_be_when_it_is_written_again() {
    let start = "https://[2001:db8::1:2:3:4:5]/";
    for (length, fits) in [(limits::TEXT_BYTES - 1, true), (limits::TEXT_BYTES, false)] {
        let text = format!("{start}{}", "a".repeat(length - start.len()));
        let uri = text.parse::<TargetUri>();
        assert_eq!(uri.is_ok(), fits);
        assert!(uri.is_ok_and(|uri| uri.to_string().len() <= limits::TEXT_BYTES) == fits);
    }
}
