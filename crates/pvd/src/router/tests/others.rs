use super::*;

/// Covers: P-010. A program beside this one keeps the default route that it gives, to the second.
#[test]
fn beside_another_program_its_header_is_sent_with_what_is_left_of_its_lifetime() {
    let now = start();
    let mut router = router(vec![hidden(SHARED, "bar.example.org")], now).unwrap();
    hear(&mut router, 1800, now);
    let shared = Action::Report(Finding::Shared(SHARED.parse().unwrap()));
    assert_eq!(router.poll_action(), Some(shared));
    let (at, sent) = next(&mut router);
    let (_, advertisement) = &sent[0];
    assert_eq!(advertisement.outer.router_lifetime, 1800);
    assert!(advertisement.outer.is_managed);
    assert_eq!(advertisement.header(), &lasting(1600));
    let (later, sent) = next(&mut router);
    let left = 1800 - u16::try_from((later - at).as_secs()).unwrap();
    assert_eq!(sent[0].1.outer.router_lifetime, left);
    // When it is silent so long that hosts have no route from it, or says that it ends, there is nothing to keep.
    router.on_timeout(now + seconds(1801));
    assert_eq!(super::sent(&mut router)[0].1.outer, lasting(0));
    let now = now + seconds(1900);
    hear(&mut router, 1800, now);
    hear(&mut router, 0, now);
    router.on_timeout(now + seconds(700));
    assert_eq!(super::sent(&mut router)[0].1.outer, lasting(0));
    assert_eq!(actions(&mut router), []);
}

/// Covers: P-010. RFC 4861 §6.2.5.
#[test]
fn who_stops_says_so_and_takes_nothing_away_from_another_program() {
    let now = start();
    let domains = || vec![visible(SHARED, 1800, Some("foo.example"))];
    let mut alone = router(domains(), now).unwrap();
    next(&mut alone);
    alone.stop(now);
    let last = sent(&mut alone);
    let (_, advertisement) = &last[0];
    assert_eq!(advertisement.outer, lasting(0));
    // A prefix is not the router's; its resolvers go with it.
    assert_eq!(advertisement.outer_options, [resolver(0)]);
    assert_eq!(last.len(), 1);
    assert_eq!(alone.next_timeout(), None);
    alone.stop(now);
    alone.on_timeout(now + seconds(5000));
    assert_eq!(actions(&mut alone), []);

    let mut beside = router(domains(), now).unwrap();
    hear(&mut beside, 900, now);
    beside.stop(now);
    let (_, advertisement) = sent(&mut beside).remove(0);
    assert_eq!(advertisement.outer.router_lifetime, 900);
    assert_eq!(advertisement.header(), &lasting(0));
    assert_eq!(advertisement.outer_options, []);
}

/// Whoever is on the link can say anything from any address; nobody is to believe moat for it.
#[test]
fn what_is_forged_from_our_own_address_is_told_and_not_sent_on() {
    let now = start();
    let mut router = router(vec![hidden(OWN, "bar.example.org")], now).unwrap();
    let forged = visible(OWN, 9000, None).advertisement.encode();
    let address: Ipv6Addr = OWN.parse().unwrap();
    router.handle_advertisement(&forged, address, now);
    router.handle_advertisement(&forged, address, now);
    let told = Action::Report(Finding::Forged(address));
    assert_eq!(actions(&mut router), [told]);
    assert_eq!(next(&mut router).1[0].1.outer, lasting(0));
}

/// RFC 4861 §6.2.7. Covers: P-012
#[test]
fn what_another_router_says_differently_is_told_once() {
    let now = start();
    let mut own = visible(SHARED, 1800, Some("foo.example"));
    own.advertisement.outer.hop_limit = 64;
    own.advertisement.pvd.as_mut().unwrap().has_legacy = true;
    let mut router = router(vec![own.clone()], now).unwrap();
    let other: Ipv6Addr = "fe80::2".parse().unwrap();
    let mut theirs = own.advertisement.clone();
    theirs.outer.hop_limit = 0;
    router.handle_advertisement(&theirs.encode(), other, now);
    assert_eq!(actions(&mut router), []);
    theirs.outer = Header {
        hop_limit: 32,
        is_managed: true,
        ..lasting(60)
    };
    let net = "2001:db8:cafe::/64".parse().unwrap();
    theirs.outer_options = vec![
        NdOption::Mtu(1400),
        NdOption::PrefixInformation(PrefixInformation {
            prefix: net,
            is_on_link: true,
            is_autonomous: true,
            valid: Lifetime::Infinite,
            preferred: Lifetime::Seconds(3600),
        }),
    ];
    theirs.pvd = Some(PvdOption {
        has_legacy: true,
        ..option("bar.example", None, &[])
    });
    let legacy = "bar.example".parse().unwrap();
    let expected = [
        Difference::HopLimit,
        Difference::Managed,
        Difference::Mtu,
        Difference::Lifetimes(net),
        Difference::Legacy(legacy),
    ];
    let expected = expected.map(|what| {
        Action::Report(Finding::Differs {
            router: other,
            what,
        })
    });
    router.handle_advertisement(&theirs.encode(), other, now);
    assert_eq!(actions(&mut router), expected);
    router.handle_advertisement(&theirs.encode(), other, now);
    assert_eq!(actions(&mut router), []);
    // However many there are, what is remembered is bounded.
    for number in 0..1000 {
        let many = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number);
        router.handle_advertisement(&theirs.encode(), many, now);
    }
    assert!(actions(&mut router).len() < MAX_DIFFERENCES);
}
