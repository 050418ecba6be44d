use std::collections::BTreeSet;

use super::super::registry::KEYS;
use super::super::*;
use super::with;

/// Covers: P-020, P-052
#[test]
fn unknown_keys_are_ignored_wherever_they_are_and_told() {
    let read = with(
        r#""x-dnsZones": ["a"], "urn:example:keys": {"dnsZones": 1}, "vendor-other": {"vpn": [{}]},
           "vendor-moat": {"dotsServers": [{"name": "a.example", "weight": 3}], "x": {}},
           "proxies": [{"protocol": "socks5", "proxy": "a.example:1080", "example_mode": 1}], "\u001b[31m": 1"#,
    );
    assert_eq!(
        read.ignored
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "x-dnsZones is no key that is known",
            "urn:example:keys is no key that is known",
            "vendor-other is no key that is known",
            "vendor-moat.x is no key that is known",
            "vendor-moat.dotsServers[0].weight is no key that is known",
            "proxies[0].example_mode is no key that is known",
            r"\u{1b}[31m is no key that is known",
        ])
    );
    assert_eq!(read.information.dns_zones, []);
    assert_eq!(read.information.moat.dots_servers.len(), 1);
    assert_eq!(read.information.proxies.len(), 1);
    assert!(!KEYS.iter().any(|key| key.name.starts_with("x-")));
}

#[test]
fn of_very_much_that_is_ignored_the_first_is_told_and_how_much_there_was() {
    let keys: Vec<_> = (0..MAX_IGNORED + 3)
        .map(|number| format!(r#""{number}": 1"#))
        .collect();
    let ignored = with(&keys.join(",")).ignored;
    assert_eq!(ignored.len(), MAX_IGNORED + 1);
    assert_eq!(ignored.last().map(String::as_str), Some("and 3 more"));
    let long = with(&format!(r#""{}": 1"#, "k".repeat(1000))).ignored;
    assert!(long.iter().all(|note| note.len() < 100), "{long:?}");
}

#[test]
fn an_optional_key_of_another_type_costs_the_smallest_part() {
    let read = with(
        r#""dnsZones": ["example.com", 7, "a b"], "noInternet": "true", "splitDnsClaims": {},
           "vendor-moat": {"ipv4Prefixes": ["192.0.2.0/24", "192.0.2.1/24"], "dotsAgent": 1, "networks": {"ssid": "a"},
               "vpn": {"gateway": "vpn.example"}}"#,
    );
    assert_eq!(read.information.dns_zones, ["example.com".parse().unwrap()]);
    assert!(!read.information.no_internet);
    assert_eq!(
        read.information.moat,
        Extension {
            ipv4_prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            ..Extension::default()
        }
    );
    assert_eq!(
        read.ignored
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "dnsZones[1] is no text",
            "dnsZones[2] is no domain name",
            "noInternet is neither true nor false",
            "splitDnsClaims is no list",
            "vendor-moat.ipv4Prefixes[1] is no IPv4 prefix, or has bits behind its length",
            "vendor-moat.dotsAgent is no text",
            "vendor-moat.networks is no text",
            "vendor-moat.vpn.identity is missing",
        ])
    );
}

/// Covers: P-051
#[test]
fn credentials_in_the_clear_are_not_even_read() {
    for networks in [
        r#"[{"ssid": "home", "passphrase": "correct horse"}]"#,
        r#""home: correct horse""#,
        r#""a.b.c.d""#,
        r#""a..c.d.""#,
        r#""a.b.c.d.e.f""#,
    ] {
        let read = with(&format!(r#""vendor-moat": {{"networks": {networks}}}"#));
        assert_eq!(read.information.moat.networks, None);
        assert_eq!(read.ignored.len(), 1);
        assert!(!read.ignored.concat().contains("horse"));
    }
}

#[test]
fn a_proxy_that_needs_what_is_not_known_is_no_proxy() {
    let proxy = |rest: &str| {
        let proxy = format!(r#"{{"protocol": "https-connect", "proxy": "a.example:443"{rest}}}"#);
        with(&format!(r#""proxies": [{proxy}]"#))
            .information
            .proxies
            .len()
    };
    assert_eq!(proxy(""), 1);
    assert_eq!(proxy(r#", "alpn": ["h2"], "mandatory": ["alpn"]"#), 1);
    assert_eq!(proxy(r#", "mandatory": ["alpn"]"#), 0);
    assert_eq!(
        proxy(r#", "example_mode": 1, "mandatory": ["example_mode"]"#),
        0
    );
    assert_eq!(proxy(r#", "mandatory": "alpn""#), 0);
    // Without its name it would serve everything.
    assert_eq!(proxy(r#", "identifier": 7"#), 0);
    assert_eq!(proxy(r#", "identifier": """#), 0);
}

#[test]
fn a_proxy_is_where_its_protocol_says() {
    for (protocol, location, is_right) in [
        ("socks5", "proxy.example:1080", true),
        ("socks5", "[2001:db8::1]:1080", true),
        ("socks5", "192.0.2.1:1080", true),
        ("http-connect", "proxy.example", false),
        ("http-connect", "proxy.example:0", false),
        ("http-connect", "proxy.example:+80", false),
        ("https-connect", "https://proxy.example:443", false),
        ("connect-udp", "https://proxy.example/{target_host}", true),
        ("connect-ip", "http://proxy.example/", false),
        ("connect-tcp", "https://", false),
        ("connect-tcp", "https://a b", false),
        ("connect-mail", "whatever it takes", true),
    ] {
        let proxy = format!(r#""proxies": [{{"protocol": "{protocol}", "proxy": "{location}"}}]"#);
        let proxies = with(&proxy).information.proxies;
        assert_eq!(!proxies.is_empty(), is_right, "{protocol} {location}");
        assert!(
            proxies
                .iter()
                .all(|proxy| proxy.protocol.as_str() == protocol)
        );
    }
}

#[test]
fn a_rule_that_is_not_understood_whole_is_no_rule() {
    let rule = |keys: &str| {
        let rules = with(&format!(r#""proxy-match": [{{{keys}}}]"#));
        rules.information.proxy_match
    };
    assert_eq!(rule(r#""proxies": []"#), [ProxyMatch::default()]);
    for refused in [
        r#""domains": ["a.example"]"#,
        r#""proxies": [], "domains": []"#,
        r#""proxies": [], "domains": ["a.*.example"]"#,
        r#""proxies": [], "domains": ["*"]"#,
        r#""proxies": [], "subnets": ["192.0.2.1/24"]"#,
        r#""proxies": [], "ports": [443]"#,
        r#""proxies": [], "ports": ["2-1"]"#,
        r#""proxies": [], "ports": ["1-2-3"]"#,
        r#""proxies": [], "ports": ["65536"]"#,
        r#""proxies": [], "acme_process": 1"#,
    ] {
        assert_eq!(rule(refused), [], "{refused}");
    }
}

#[test]
fn a_dots_server_is_at_an_address_of_one_host() {
    let server = |address: &str| {
        let server = format!(r#"{{"name": "dots.example", "addresses": ["{address}"]}}"#);
        let read = with(&format!(r#""vendor-moat": {{"dotsServers": [{server}]}}"#));
        read.information.moat.dots_servers
    };
    for (text, address) in [
        ("2001:db8::1", "[2001:db8::1]:4646"),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ("192.0.2.1:5000", "192.0.2.1:5000"),
    ] {
        assert_eq!(server(text)[0].addresses, [address.parse().unwrap()]);
    }
    for refused in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "fe80::1",
        "[fe80::1%2]:4646",
        "169.254.0.1",
        "255.255.255.255",
        "192.0.2.1:0",
        "dots.example",
    ] {
        assert_eq!(server(refused), [], "{refused}");
    }
}

#[test]
fn a_text_that_a_terminal_would_obey_is_none() {
    for text in [r"\u001b[2J", r"\u009b2J", r"\u202eelpmaxe", r"\u2066"] {
        let read = with(&format!(
            r#""proxies": [{{"protocol": "socks5", "proxy": "a.example:1080", "identifier": "{text}"}}]"#
        ));
        assert_eq!(read.information.proxies.len(), 0, "{text}");
        assert!(
            read.ignored[0].ends_with("has control characters"),
            "{:?}",
            read.ignored
        );
    }
}
