//! The router on a virtual clock.

mod others;
mod timing;

use std::time::Duration;

use super::*;
use crate::bindings::router_advertisement::{
    Delay, Header, Lifetime, Preference, PrefixInformation, PvdOption, RouteInformation,
};

const SHARED: &str = "fe80::1";
const OWN: &str = "fe80::a";

fn source(address: &str) -> Source {
    Source {
        address: address.parse().unwrap(),
        is_exclusive: address == OWN,
    }
}

fn lasting(router_lifetime: u16) -> Header {
    Header {
        router_lifetime,
        ..Header::default()
    }
}

fn prefix(net: &str) -> NdOption {
    NdOption::PrefixInformation(PrefixInformation {
        prefix: net.parse().unwrap(),
        is_on_link: true,
        is_autonomous: true,
        valid: Lifetime::Seconds(7200),
        preferred: Lifetime::Seconds(3600),
    })
}

fn resolver(lifetime: u32) -> NdOption {
    NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(lifetime),
        addresses: vec!["2001:db8::53".parse().unwrap()],
    }
}

fn option(id: &str, header: Option<Header>, options: &[NdOption]) -> PvdOption {
    PvdOption {
        id: id.parse().unwrap(),
        additional_information: None,
        has_legacy: false,
        header,
        options: options.to_vec(),
    }
}

/// For all hosts.
fn visible(from: &str, lifetime: u16, id: Option<&str>) -> Domain {
    Domain {
        source: source(from),
        advertisement: RouterAdvertisement {
            outer: lasting(lifetime),
            outer_options: vec![prefix("2001:db8:cafe::/64"), resolver(600)],
            pvd: id.map(|id| option(id, None, &[])),
        },
    }
}

/// For hosts that know PvDs alone.
fn hidden(from: &str, id: &str) -> Domain {
    let options = [prefix("2001:db8:f00d::/64"), resolver(600)];
    Domain {
        source: source(from),
        advertisement: RouterAdvertisement {
            outer: Header::default(),
            outer_options: Vec::new(),
            pvd: Some(option(id, Some(lasting(1600)), &options)),
        },
    }
}

fn link() -> Link {
    Link {
        mtu: 1500,
        intervals: Intervals::default(),
        options: vec![NdOption::Mtu(1500)],
    }
}

fn router(domains: Vec<Domain>, now: Instant) -> Result<Router, Conflict> {
    Router::new(link(), domains, fastrand::Rng::with_seed(7), now)
}

fn actions(router: &mut Router) -> Vec<Action> {
    std::iter::from_fn(|| router.poll_action()).collect()
}

fn sent(router: &mut Router) -> Vec<(String, RouterAdvertisement)> {
    let sent = actions(router)
        .into_iter()
        .filter_map(|action| match action {
            Action::Send { source, message } => {
                let received = RouterAdvertisement::decode(&message).unwrap();
                assert_eq!(received.ignored, []);
                Some((source.to_string(), received.advertisement))
            }
            Action::Report(_) => None,
        });
    sent.collect()
}

/// What is sent at the next time, and when that is.
fn next(router: &mut Router) -> (Instant, Vec<(String, RouterAdvertisement)>) {
    let at = router.next_timeout().unwrap();
    router.on_timeout(at);
    (at, sent(router))
}

fn start() -> Instant {
    // Only differences count.
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Another program's header from our address.
fn hear(router: &mut Router, lifetime: u16, now: Instant) {
    let other = RouterAdvertisement {
        outer: Header {
            is_managed: true,
            preference: Preference::High,
            ..lasting(lifetime)
        },
        outer_options: Vec::new(),
        pvd: None,
    };
    router.handle_advertisement(&other.encode(), SHARED.parse().unwrap(), now);
}

/// Covers: P-010. RFC 8801 §5.2: each of its two advertisements from its own address.
#[test]
fn pvds_go_in_advertisements_of_their_own() {
    let domains = vec![
        visible(SHARED, 6000, Some("foo.example.org")),
        hidden(OWN, "bar.example.org"),
        hidden(OWN, "third.example.org"),
    ];
    let mut router = router(domains.clone(), start()).unwrap();
    let (_, sent) = next(&mut router);
    assert_eq!(sent.len(), 3);
    for ((from, advertisement), domain) in sent.iter().zip(domains) {
        let mut expected = domain.advertisement;
        expected.outer_options.insert(0, NdOption::Mtu(1500));
        assert_eq!(*from, domain.source.address.to_string());
        assert_eq!(*advertisement, expected);
    }
}

/// Covers: P-010. Nothing that is sent from an address takes away the default route that another from there gives.
#[test]
fn advertisements_of_one_address_have_one_outer_header() {
    let domains = vec![
        hidden(SHARED, "bar.example.org"),
        visible(SHARED, 6000, Some("foo.example.org")),
    ];
    let mut router = router(domains, start()).unwrap();
    for (_, advertisement) in next(&mut router).1 {
        assert_eq!(advertisement.outer, lasting(6000));
        let id = advertisement.pvd.as_ref().unwrap().id.to_string();
        let expected = if id == "bar.example.org" { 1600 } else { 6000 };
        assert_eq!(advertisement.header().router_lifetime, expected);
    }
}

/// Covers: P-010, P-012
#[test]
fn what_hosts_would_mix_up_is_refused() {
    let address = |from: &str| from.parse::<Ipv6Addr>().unwrap();
    let refused = |domains: Vec<Domain>| router(domains, start()).map(drop);
    let implicit = || visible(SHARED, 1800, None);
    let conflict = Err(Conflict::Implicit(address(SHARED)));
    assert_eq!(refused(vec![implicit(), implicit()]), conflict);
    assert_eq!(refused(vec![implicit(), visible(OWN, 0, None)]), Ok(()));
    // An implicit and explicit PvDs may share an address.
    let explicit = visible(SHARED, 1800, Some("foo.example"));
    assert_eq!(refused(vec![implicit(), explicit.clone()]), Ok(()));
    let twice = Conflict::Twice("foo.example".parse().unwrap(), address(SHARED));
    assert_eq!(
        refused(vec![explicit.clone(), explicit.clone()]),
        Err(twice)
    );
    let other = visible(SHARED, 900, Some("bar.example"));
    let headers = Err(Conflict::Headers(address(SHARED)));
    assert_eq!(refused(vec![explicit.clone(), other]), headers);
    assert_eq!(refused(vec![explicit, visible(SHARED, 0, None)]), headers);
    // Without a default route, too, what is not for all hosts says what the other one does.
    let mut silent = visible(OWN, 0, Some("foo.example"));
    silent.advertisement.outer.hop_limit = 64;
    for domains in [[0, 1], [1, 0]] {
        let both = [silent.clone(), hidden(OWN, "bar.example")];
        let domains = domains.map(|which: usize| both[which].clone()).to_vec();
        let mut router = router(domains, start()).unwrap();
        for (_, advertisement) in next(&mut router).1 {
            assert_eq!(advertisement.outer.hop_limit, 64);
        }
    }
    let legacy = |id: &str| {
        let mut domain = hidden(OWN, id);
        domain.advertisement.pvd.as_mut().unwrap().has_legacy = true;
        domain
    };
    assert!(matches!(
        refused(vec![legacy("a.example"), legacy("b.example")]),
        Err(Conflict::Legacy(..))
    ));
    let mut large = hidden(OWN, "large.example");
    let pvd = large.advertisement.pvd.as_mut().unwrap();
    pvd.options.push(NdOption::Other {
        kind: 200,
        body: vec![0; 1502],
    });
    assert!(matches!(
        refused(vec![large]),
        Err(Conflict::TooLarge(TooLarge { .. }))
    ));
    let many = (0..=MAX_DOMAINS).map(|number| hidden(OWN, &format!("n{number}.example")));
    let too_many = Err(Conflict::TooMany(MAX_DOMAINS + 1));
    assert_eq!(refused(many.collect()), too_many);
}

/// Covers: P-010
#[test]
fn what_does_not_fit_the_link_is_sent_in_parts() {
    let mut domain = hidden(OWN, "bar.example.org");
    let pvd = domain.advertisement.pvd.as_mut().unwrap();
    pvd.options = (0..60)
        .map(|number| prefix(&format!("2001:db8:{number:x}::/64")))
        .collect();
    let mut router = router(vec![domain], start()).unwrap();
    router.on_timeout(router.next_timeout().unwrap());
    let actions = actions(&mut router);
    let lengths = actions.iter().map(|action| match action {
        Action::Send { message, .. } => message.len() + 40,
        Action::Report(_) => 0,
    });
    assert!(lengths.clone().count() > 1);
    assert!(lengths.max() <= Some(1500));
}

/// Covers: P-013
#[test]
fn a_pvd_from_upstream_is_the_same_downstream() {
    let route = NdOption::RouteInformation(RouteInformation {
        prefix: "2001:db8:1::/48".parse().unwrap(),
        preference: Preference::Medium,
        lifetime: Lifetime::Seconds(60),
    });
    let announced = Some(Announced {
        delay: Delay::new(5).unwrap(),
        sequence_number: 123,
    });
    let address = NdOption::Other {
        kind: 1,
        body: vec![2, 0, 0, 0, 0, 1],
    };
    // With bits set that are reserved: they are not sent on.
    let upstream = RouterAdvertisement {
        outer: lasting(1800),
        outer_options: vec![prefix("2001:db8:cafe::/64"), NdOption::Mtu(1400), address],
        pvd: Some(PvdOption {
            additional_information: announced,
            has_legacy: true,
            ..option(
                "up.example",
                Some(lasting(60)),
                &[resolver(600), route.clone()],
            )
        }),
    };
    let mut octets = upstream.encode();
    let at = octets.windows(4).position(|four| four[0] == 21).unwrap();
    octets[at + 2] |= 0x1f;
    octets[at + 3] |= 0xf0;
    let upstream = RouterAdvertisement::decode(&octets).unwrap().advertisement;
    let sharing = |audience, has_ipv4| Sharing {
        audience,
        has_ipv4,
        header: lasting(900),
    };
    let passes = |option: &NdOption| *option != route;
    let aware = tether(&upstream, sharing(Audience::PvdAware, false), passes).unwrap();
    let expected = RouterAdvertisement {
        outer: Header::default(),
        outer_options: Vec::new(),
        pvd: Some(PvdOption {
            additional_information: announced,
            ..option(
                "up.example",
                Some(lasting(900)),
                &[prefix("2001:db8:cafe::/64"), resolver(600)],
            )
        }),
    };
    assert_eq!(aware, expected);
    let sent = aware.encode();
    assert_eq!(sent[16..20], [21, sent[17], 0xa0, 5]);
    let all = tether(&upstream, sharing(Audience::Everybody, true), |_| true).unwrap();
    assert_eq!(all.outer, lasting(900));
    assert_eq!(all.outer_options, [prefix("2001:db8:cafe::/64")]);
    let pvd = all.pvd.unwrap();
    assert_eq!((pvd.has_legacy, pvd.header), (true, None));
    assert_eq!(pvd.options, [resolver(600), route]);
    let implicit = visible(SHARED, 1800, None).advertisement;
    let none = tether(&implicit, sharing(Audience::Everybody, true), |_| true);
    assert_eq!(none, None);
}
