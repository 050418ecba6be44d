use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

use super::super::json::Json;
use super::super::registry::{self, Dictionary, KEYS, Owner, Presence};
use super::super::*;
use super::{EVERYTHING, now, read, with};
use crate::domain::{DotsAgent, Transport};

/// Covers: P-052
#[test]
fn every_key_of_the_registry_is_read_and_written_and_no_other() {
    let Read {
        information,
        ignored,
    } = read(EVERYTHING).unwrap();
    assert_eq!(ignored, [""; 0]);
    let written = information.to_json();
    assert_eq!(read(&written).unwrap().information, information);
    for text in [EVERYTHING, &written] {
        let mut found = BTreeSet::new();
        let root = Json::Object(json::read(text.as_bytes()).unwrap());
        collect(Dictionary::Root, &root, &mut found);
        // What is sealed is read by who has the key.
        let is_open = |key: &&registry::Key| {
            ![Dictionary::Credentials, Dictionary::Network].contains(&key.dictionary)
        };
        let expected = KEYS.iter().filter(is_open);
        let expected = expected.map(|key| (key.dictionary, key.name.to_owned()));
        assert_eq!(found, expected.collect());
    }
    let mandatory = |key: &&registry::Key| {
        key.dictionary == Dictionary::Root && key.presence == Presence::Mandatory
    };
    let mandatory: Vec<_> = KEYS.iter().filter(mandatory).map(|key| key.name).collect();
    assert_eq!(mandatory, ["identifier", "expires", "prefixes"]);
    let is_ours =
        |key: &&registry::Key| key.owner == Owner::Moat && key.dictionary == Dictionary::Root;
    let ours: Vec<_> = KEYS.iter().filter(is_ours).map(|key| key.name).collect();
    assert_eq!(ours, ["vendor-moat"]);
}

fn collect(dictionary: Dictionary, value: &Json, found: &mut BTreeSet<(Dictionary, String)>) {
    match value {
        Json::List(values) => values
            .iter()
            .for_each(|value| collect(dictionary, value, found)),
        Json::Object(keys) => {
            for (key, value) in keys {
                found.insert((dictionary, key.clone()));
                let inner = match (dictionary, key.as_str()) {
                    (Dictionary::Root, "splitDnsClaims") => Dictionary::SplitDnsClaim,
                    (Dictionary::Root, "proxies") => Dictionary::Proxy,
                    (Dictionary::Root, "proxy-match") => Dictionary::ProxyMatch,
                    (Dictionary::Root, "vendor-moat") => Dictionary::Moat,
                    (Dictionary::Moat, "dotsServers") => Dictionary::DotsServer,
                    (Dictionary::Moat, "vpn") => Dictionary::Vpn,
                    _ => continue,
                };
                collect(inner, value, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_table_in_the_documentation_is_the_registry() {
    let page = include_str!("../../../../../docs/pvd.md");
    let from = page
        .split("## Keys of a PvD's additional information")
        .nth(1);
    let table = from.and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected = KEYS.iter().map(|key| {
        let owner = format!("{}, {}", key.owner, key.reference);
        format!(
            "| `{}` | {} | {} | {} | {owner} |",
            key.name, key.dictionary, key.presence, key.value
        )
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
}

#[test]
fn a_date_that_cannot_be_written_becomes_one_that_can() {
    let mut information = with(r#""noInternet": true"#).information;
    for (expires, written) in [
        (
            SystemTime::UNIX_EPOCH - Duration::from_secs(1),
            "1970-01-01T00:00:00Z",
        ),
        (now() + Duration::from_secs(1 << 50), "9999-12-31T23:59:59Z"),
    ] {
        information.expires = expires;
        let text = information.to_json();
        assert!(
            text.contains(&format!(r#""expires":"{written}""#)),
            "{text}"
        );
    }
}

fn name() -> impl Strategy<Value = DomainName> {
    "[a-z0-9_-]{1,20}(\\.[a-z0-9]{1,9}){0,3}".prop_map(|name| name.parse().unwrap())
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("\\PC{1,9}", 0..3)
}

fn proxies() -> impl Strategy<Value = Vec<Proxy>> {
    const PROTOCOLS: [&str; 3] = ["socks5", "connect-ip", "connect-mail"];
    let proxy = (prop::sample::select(&PROTOCOLS[..]), texts(), "\\PC{0,9}").prop_map(
        |(protocol, alpn, identifier)| {
            let location = match protocol {
                "socks5" => "proxy.example:1080",
                _ => "https://proxy.example/{target}",
            };
            Proxy {
                protocol: protocol.to_owned().into(),
                location: location.to_owned(),
                mandatory: alpn
                    .first()
                    .map(|_| "alpn".to_owned())
                    .into_iter()
                    .collect(),
                alpn,
                identifier: Some(identifier).filter(|identifier| !identifier.is_empty()),
            }
        },
    );
    prop::collection::vec(proxy, 0..3)
}

fn rules() -> impl Strategy<Value = Vec<ProxyMatch>> {
    let domain = (name(), any::<bool>()).prop_map(|(name, all)| match all {
        true => DomainPattern::Within(name),
        false => DomainPattern::Exactly(name),
    });
    let ports = any::<(u16, u16)>()
        .prop_map(|(one, other)| Ports::new(one.min(other), one.max(other)).unwrap());
    let subnet = (any::<u32>(), 0..=32_u8).prop_map(|(address, length)| {
        IpNet::from(Ipv4Net::new(address.into(), length).unwrap()).trunc()
    });
    let rule = (
        texts(),
        prop::collection::vec(domain, 0..3),
        prop::collection::vec(subnet, 0..3),
        prop::collection::vec(ports, 0..3),
    );
    let rule = rule.prop_map(|(proxies, domains, subnets, ports)| ProxyMatch {
        proxies,
        domains,
        subnets,
        ports,
    });
    prop::collection::vec(rule, 0..3)
}

fn prefixes() -> impl Strategy<Value = Vec<Ipv6Net>> {
    let prefix = (any::<u128>(), 0..=128_u8)
        .prop_map(|(address, length)| Ipv6Net::new(address.into(), length).unwrap().trunc());
    prop::collection::vec(prefix, 0..4)
}

fn claims() -> impl Strategy<Value = Vec<SplitDnsClaim>> {
    let claim = (
        name(),
        name(),
        prop::collection::vec(prop::option::of(name()), 0..3),
        "\\PC{1,9}",
    );
    let claim = claim.prop_map(|(resolver, parent, subdomains, salt)| SplitDnsClaim {
        resolver,
        parent,
        subdomains: subdomains
            .into_iter()
            .map(|name| name.map_or(ClaimedName::Everything, ClaimedName::Below))
            .collect(),
        algorithm: "SHA384".into(),
        salt,
    });
    prop::collection::vec(claim, 0..3)
}

fn extensions() -> impl Strategy<Value = Extension> {
    let transports = prop::sample::subsequence(vec![Transport::Udp, Transport::Tcp], 0..=2);
    let server = (transports, any::<u16>(), any::<bool>());
    let agents = prop::sample::select(vec![
        None,
        Some(DotsAgent::Server),
        Some(DotsAgent::ClientDomainGateway),
    ]);
    (agents, prop::option::of(server), any::<bool>()).prop_map(|(dots_agent, server, has_vpn)| {
        let server = server.map(|(transports, port, has_address)| DotsServerEntry {
            name: "dots.example".parse().unwrap(),
            addresses: has_address
                .then(|| ([192, 0, 2, 1], port.max(1)).into())
                .into_iter()
                .collect(),
            transports,
        });
        Extension {
            ipv4_prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            dots_servers: server.into_iter().collect(),
            dots_agent,
            vpn: has_vpn.then(|| VpnConnection {
                gateway: "vpn.example".parse().unwrap(),
                identity: "vpn.example".parse().unwrap(),
                prefixes: vec![],
            }),
            networks: has_vpn.then(|| "a..b.c.d".parse().unwrap()),
        }
    })
}

prop_compose! {
    fn objects()(
        seconds in 1..8_000_000_000_000_u64 / 1000,
        nanoseconds in 0..1_000_000_000_u32,
        prefixes in prefixes(),
        dns_zones in prop::collection::vec(name(), 0..3),
        no_internet in any::<bool>(),
        split_dns_claims in claims(),
        proxies in proxies(),
        proxy_match in rules(),
        moat in extensions(),
    ) -> AdditionalInformation {
        AdditionalInformation {
            identifier: "cafe.example.com".parse().unwrap(),
            expires: now() + Duration::new(seconds, nanoseconds),
            prefixes, dns_zones, no_internet, split_dns_claims, proxies, proxy_match, moat,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(information in objects()) {
        let text = information.to_json();
        prop_assert_eq!(read(&text), Ok(Read { information, ignored: vec![] }));
    }

    #[test]
    fn any_octets_are_an_object_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = AdditionalInformation::read(&octets, now());
    }

    /// An object with something in it changed, which finds more than noise does.
    #[test]
    fn any_change_of_an_object_is_an_object_or_refused(
        place in 0..EVERYTHING.len(), octet in any::<u8>(), cut in 0..3_usize,
    ) {
        let mut octets = EVERYTHING.as_bytes().to_vec();
        let end = (place + cut).min(octets.len());
        octets.splice(place..end, [octet]);
        if let Ok(read) = AdditionalInformation::read(&octets, now()) {
            let again = AdditionalInformation::read(read.information.to_json().as_bytes(), now());
            prop_assert_eq!(again.map(|again| again.information), Ok(read.information));
        }
    }
}

/// An empty list that has to be understood is there, or the proxy would be none.
#[test]
fn what_is_written_is_read_as_the_same_also_where_a_mandatory_list_is_empty() {
    let entry = r#""proxies": [{"protocol": "socks5", "proxy": "a.example:1080", "mandatory": ["alpn"], "alpn": []}]"#;
    let read = with(entry).information;
    assert_eq!(read.proxies.len(), 1);
    let text = read.to_json();
    let again = AdditionalInformation::read(text.as_bytes(), SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((again.information, again.ignored), (read, vec![]));
}
