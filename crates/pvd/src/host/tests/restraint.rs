//! How often others are asked, and who is not asked any more (RFC 8801 §4.1, §6, §7).

use super::*;

/// Covers: P-025
#[test]
fn one_pvd_is_asked_once_in_ten_seconds() {
    let mut rig = holding(milliseconds(1500));
    rig.wait(milliseconds(9999));
    assert_eq!(rig.orders.len(), 1);
    rig.wait(milliseconds(1));
    assert_eq!(rig.orders.len(), 2);
    // Also when the link, and with it the PvD, goes and comes.
    rig.attach("fixed0", LinkEvidence::Wired);
    rig.address(&[ADDRESS]);
    rig.hear(ROUTER, &askable("pvd.example", 9));
    assert_eq!(rig.orders.len(), 2);
    rig.wait(seconds(10));
    assert_eq!(rig.orders.len(), 3);
}

/// Covers: P-025, P-047
#[test]
fn a_network_is_asked_five_times_in_ten_seconds() {
    let mut rig = Rig::new(Settings::default(), 1);
    let addresses: Vec<_> = (0..12)
        .map(|number| format!("2001:db8:{number:x}::5"))
        .collect();
    rig.address(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for number in 0..12 {
        let options = [
            prefix(&format!("2001:db8:{number:x}::/64")),
            resolver(RESOLVER),
        ];
        rig.hear(
            ROUTER,
            &explicit(&format!("p{number}.example"), Some(1), &options),
        );
        if number < 5 {
            rig.answer(failed(FailureKind::Tls));
        }
        rig.wait(milliseconds(100));
    }
    assert_eq!(rig.orders.len(), 5);
    rig.wait(milliseconds(8700));
    assert_eq!(rig.orders.len(), 5);
    // Ten seconds after the first one there is room for the sixth.
    rig.wait(milliseconds(150));
    assert_eq!(rig.orders.len(), 6);
    assert_eq!(rig.orders[5].1.pvd.as_str(), "p5.example");
}

/// Covers: P-047. However many may be asked, only so many are at one time.
#[test]
fn so_many_are_asked_at_one_time() {
    let limits = HostLimits {
        fetches: 2,
        ..HostLimits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, 1);
    rig.address(&["2001:db8:a::1", "2001:db8:b::1", "2001:db8:c::1"]);
    for net in ["a", "b", "c"] {
        let options = [prefix(&format!("2001:db8:{net}::/64")), resolver(RESOLVER)];
        rig.hear(
            ROUTER,
            &explicit(&format!("{net}.example"), Some(1), &options),
        );
    }
    rig.wait(seconds(600));
    assert_eq!(rig.orders.len(), 2);
    rig.answer(failed(FailureKind::Tls));
    assert_eq!(rig.orders.len(), 3);
}

/// Covers: P-026
#[test]
fn who_failed_is_not_asked_again_while_attached() {
    for kind in [FailureKind::Tls, FailureKind::Http, FailureKind::Object] {
        let mut rig = asking();
        rig.answer(failed(kind));
        rig.hear(ROUTER, &askable("pvd.example", 8));
        rig.wait(seconds(86_400));
        // Nor when it was gone in between.
        assert_eq!(rig.identities().len(), 1);
        rig.hear(
            ROUTER,
            &explicit(
                "pvd.example",
                None,
                &[prefix_for(PREFIX, Lifetime::Seconds(0))],
            ),
        );
        rig.wait(seconds(86_400));
        assert_eq!(rig.identities(), [""; 0]);
        rig.hear(ROUTER, &askable("PVD.example.", 9));
        rig.wait(seconds(1000));
        assert_eq!(rig.orders.len(), 1);
        assert!(matches!(
            rig.state("pvd.example"),
            InformationState::GivenUp(_)
        ));
        // On another network it may be another one.
        rig.attach("fixed0", LinkEvidence::Wired);
        rig.address(&[ADDRESS]);
        rig.hear(ROUTER, &askable("pvd.example", 9));
        assert_eq!(rig.orders.len(), 2);
    }
}

/// Covers: P-026
#[test]
fn a_refresh_that_fails_takes_away_what_is_held() {
    let mut rig = holding(seconds(1000));
    while rig.orders.len() < 2 {
        rig.wait(seconds(1));
    }
    rig.answer(failed(FailureKind::Http));
    assert!(matches!(
        rig.state("pvd.example"),
        InformationState::GivenUp(_)
    ));
    assert_eq!(rig.view("pvd.example").information, None);
}

/// Covers: P-026
#[test]
fn after_ten_failures_nobody_is_asked_on_this_network() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS]);
    for number in 0..10 {
        rig.hear(ROUTER, &askable(&format!("pvd{number}.example"), 1));
        rig.address(&[ADDRESS]);
        // The last one has the address.
        rig.wait(seconds(10));
        assert_eq!(rig.orders.len(), number + 1);
        rig.answer(failed(FailureKind::Tls));
    }
    rig.hear(ROUTER, &askable("good.example", 1));
    rig.wait(seconds(1000));
    assert_eq!(rig.orders.len(), 10);
    assert_eq!(rig.state("good.example"), InformationState::Closed);
    rig.attach("mobile0", LinkEvidence::Wired);
    rig.address_on("mobile0", &[ADDRESS]);
    rig.hear_on("mobile0", ROUTER, &askable("good.example", 1));
    assert_eq!(rig.orders.len(), 11);
}

/// Covers: P-026, P-048. Who is not reached is tried ever more rarely, and not without end.
#[test]
fn who_is_not_reached_is_tried_later_and_then_no_more() {
    let mut rig = asking();
    let mut last = rig.now.instant;
    for tries in 1..8_u32 {
        rig.answer(failed(FailureKind::Unreachable));
        while rig.orders.len() == tries as usize {
            rig.wait(seconds(1));
        }
        let (at, _) = rig.orders[tries as usize];
        assert!(at - last >= seconds(10 << (tries - 1)));
        last = at;
    }
    rig.answer(failed(FailureKind::Unreachable));
    assert!(matches!(
        rig.state("pvd.example"),
        InformationState::GivenUp(_)
    ));
}

/// While the router goes on advertising; within two days.
fn wait_for_order(rig: &mut Rig) {
    let asked = rig.orders.len();
    for _ in 0..48 * 60 {
        if rig.orders.len() > asked {
            return;
        }
        rig.wait(seconds(60));
        rig.hear(ROUTER, &askable("pvd.example", 7));
    }
    panic!("nobody is asked");
}

/// Covers: P-026, P-032. A network that is flooded for a while comes back with what it says of itself.
#[test]
fn who_has_answered_is_asked_again_however_long_nobody_reaches_him() {
    let mut rig = holding(seconds(100_000));
    for _ in 0..30 {
        let asked = rig.orders.len();
        wait_for_order(&mut rig);
        let is_over = rig.orders[asked].0 > rig.orders[0].0 + seconds(100_000);
        assert_eq!(rig.view("pvd.example").information.is_none(), is_over);
        rig.answer(failed(FailureKind::Unreachable));
    }
    wait_for_order(&mut rig);
    let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(60));
    rig.answer(object);
    assert_eq!(rig.state("pvd.example"), InformationState::Held);
}

/// Covers: P-029
#[test]
fn all_are_asked_or_none_or_those_that_the_administrator_named() {
    let ask = |fetching: Fetching| {
        let settings = Settings {
            fetching,
            ..Settings::default()
        };
        let mut rig = Rig::new(settings, 1);
        rig.address(&["2001:db8:a::1", "2001:db8:b::1", "2001:db8:c::1"]);
        for (id, net) in [
            ("a.example", "a"),
            ("b.a.example", "b"),
            ("ba.example", "c"),
        ] {
            let options = [prefix(&format!("2001:db8:{net}::/64")), resolver(RESOLVER)];
            rig.hear(ROUTER, &explicit(id, Some(1), &options));
        }
        rig.wait(seconds(100));
        let asked = rig.orders.iter().map(|(_, order)| order.pvd.to_string());
        (asked.collect::<Vec<_>>(), rig.state("ba.example"))
    };
    let (asked, _) = ask(Fetching::Everybody);
    assert_eq!(asked, ["a.example", "b.a.example", "ba.example"]);
    assert_eq!(ask(Fetching::Nobody), (vec![], InformationState::Unwanted));
    let named = Fetching::Named(["a.example".parse().unwrap()].into());
    let (asked, state) = ask(named);
    assert_eq!(asked, ["a.example", "b.a.example"]);
    assert_eq!(state, InformationState::Unwanted);
}

/// Covers: P-026, P-048. Names are taken back, or announced anew, before those who are asked can refuse.
#[test]
fn who_is_asked_for_nothing_refuses_all_the_same() {
    let gone = |id: &str| {
        let no_resolver = NdOption::RecursiveDnsServers {
            lifetime: Lifetime::Seconds(0),
            addresses: vec![RESOLVER.parse().unwrap()],
        };
        let none = [prefix_for(PREFIX, Lifetime::Seconds(0)), no_resolver];
        let mut advertisement = explicit(id, None, &none);
        advertisement.outer.router_lifetime = 0;
        advertisement
    };
    for is_taken_back in [false, true] {
        let mut rig = Rig::new(Settings::default(), 1);
        rig.address(&[ADDRESS]);
        for number in 0..30 {
            let id = format!("p{number}.example");
            let asked = rig.orders.len();
            rig.hear(ROUTER, &askable(&id, 1));
            rig.wait(seconds(10));
            match is_taken_back {
                true => rig.hear(ROUTER, &gone(&id)),
                false => rig.hear(ROUTER, &askable(&id, 2)),
            }
            if rig.orders.len() > asked {
                rig.answer(failed(FailureKind::Tls));
            }
        }
        rig.wait(seconds(1000));
        assert_eq!(rig.orders.len(), 10);
        assert_eq!(rig.abandoned, []);
    }
}

/// Covers: P-047
#[test]
fn a_network_whose_servers_keep_silent_takes_the_places_of_no_other() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.attach("mobile0", LinkEvidence::OpenWireless);
    rig.address(&[ADDRESS]);
    rig.address_on("mobile0", &["2001:db8:2::5"]);
    for number in 0..8 {
        rig.hear(ROUTER, &askable(&format!("p{number}.example"), 7));
    }
    let asked = rig.orders.len();
    assert!((1..5).contains(&asked), "{asked}");
    let other = [prefix("2001:db8:2::/64"), resolver("2001:db8:2::53")];
    rig.hear_on(
        "mobile0",
        ROUTER,
        &explicit("mobile.example", Some(1), &other),
    );
    assert_eq!(rig.orders.len(), asked + 1);
}
