//! When additional information is asked for, held and dropped (RFC 8801 §4.1).

use super::*;
use crate::evidence::{Insufficient, KeyBinding, TrustPolicy, Use};

/// Covers: P-015
#[test]
fn it_is_asked_for_where_it_is_announced_and_only_there() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS]);
    rig.hear(
        ROUTER,
        &explicit("pvd.example", None, &[prefix(PREFIX), resolver(RESOLVER)]),
    );
    rig.hear(ROUTER, &implicit(&[prefix(PREFIX), resolver(RESOLVER)]));
    rig.wait(seconds(3600));
    assert_eq!(rig.orders, []);
    let rig = asking();
    let (_, order) = &rig.orders[0];
    assert_eq!(order.pvd.as_str(), "pvd.example");
    assert_eq!(order.interface, name("fixed0"));
}

/// Covers: P-015. What is announced no more is not used, and not asked for either.
#[test]
fn it_goes_when_it_is_announced_no_more() {
    let mut rig = asking();
    rig.hear(ROUTER, &explicit("pvd.example", None, &[]));
    assert_eq!(rig.state("pvd.example"), InformationState::Unannounced);
    let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(60));
    rig.answer(object);
    assert_eq!(rig.view("pvd.example").information, None);
    rig.wait(seconds(1000));
    assert_eq!(rig.orders.len(), 1);
    let mut rig = holding(seconds(7200));
    rig.hear(ROUTER, &explicit("pvd.example", None, &[]));
    assert_eq!(rig.view("pvd.example").information, None);
    rig.wait(seconds(1000));
    assert_eq!(rig.orders.len(), 1);
}

/// Covers: P-043. It is asked for with what the PvD itself has, and before that not at all.
#[test]
fn it_waits_for_an_address_and_a_resolver_of_the_pvd() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.hear(ROUTER, &explicit("pvd.example", Some(1), &[prefix(PREFIX)]));
    assert_eq!(rig.state("pvd.example"), InformationState::NoResolver);
    rig.hear(
        "fe80::2",
        &implicit(&[prefix("2001:db8:2::/64"), resolver("2001:db8:2::53")]),
    );
    rig.address(&["2001:db8:2::5"]);
    rig.hear(
        ROUTER,
        &explicit("pvd.example", Some(1), &[resolver(RESOLVER)]),
    );
    assert_eq!(rig.state("pvd.example"), InformationState::NoAddress);
    assert_eq!(rig.orders, []);
    rig.address(&["2001:db8:2::5", ADDRESS]);
    let (_, order) = &rig.orders[0];
    assert_eq!(
        order.resolvers,
        [RESOLVER.parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(
        order.sources,
        [ADDRESS.parse::<std::net::IpAddr>().unwrap()]
    );
}

/// Covers: P-019
#[test]
fn a_temporary_address_asks_before_others() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.hear(ROUTER, &askable("pvd.example", 1));
    let temporary = |text, stage| OwnAddress {
        kind: Kind::Temporary,
        stage,
        ..own(text)
    };
    let addresses = vec![
        own(ADDRESS),
        temporary("2001:db8:1::a", Stage::Deprecated),
        temporary("2001:db8:1::b", Stage::Preferred),
    ];
    rig.host
        .handle_addresses(&name("fixed0"), addresses, rig.now);
    rig.poll();
    let sources: Vec<_> = rig.orders[0]
        .1
        .sources
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(sources, ["2001:db8:1::b", ADDRESS, "2001:db8:1::a"]);
}

/// Covers: P-020
#[test]
fn what_is_no_object_of_this_pvd_is_a_failure() {
    let expired = r#"{"identifier":"pvd.example","expires":"2025-12-31T23:59:59Z","prefixes":["2001:db8:1::/48"]}"#;
    for text in ["", "[]", "{}", expired] {
        let mut rig = asking();
        rig.answer(Fetched::Object {
            bytes: text.into(),
            data: DataEvidence::Tls,
            signed: None,
        });
        let state = rig.state("pvd.example");
        assert!(
            matches!(state, InformationState::GivenUp(_)),
            "{text}: {state}"
        );
    }
    let mut rig = asking();
    let object = rig.object("other.example", r#""2001:db8:1::/48""#, seconds(60));
    rig.answer(object);
    assert_eq!(
        rig.state("pvd.example").to_string(),
        "given up while attached: what the server gave is not it: it is that of other.example"
    );
}

/// Covers: P-021. Whether the prefix was there before the object, or came after it.
#[test]
fn an_object_that_does_not_name_all_prefixes_is_not_used() {
    let stranger: ipnet::Ipv6Net = "2001:db8:bad::/64".parse().unwrap();
    let for_a_minute = prefix_for("2001:db8:bad::/64", Lifetime::Seconds(60));
    let mut rig = holding(seconds(7200));
    rig.hear(
        ROUTER,
        &explicit("pvd.example", Some(7), std::slice::from_ref(&for_a_minute)),
    );
    assert_eq!(
        rig.state("pvd.example"),
        InformationState::Contradicted(stranger)
    );
    assert_eq!(rig.view("pvd.example").information, None);
    rig.wait(seconds(60));
    assert_eq!(rig.state("pvd.example"), InformationState::Held);
    let mut rig = asking();
    rig.hear(ROUTER, &explicit("pvd.example", Some(7), &[for_a_minute]));
    let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(60));
    rig.answer(object);
    assert_eq!(
        rig.state("pvd.example"),
        InformationState::Contradicted(stranger)
    );
}

/// Covers: P-023
#[test]
fn another_sequence_number_drops_it_at_once_and_asks_again_at_chance() {
    let mut delays = Vec::new();
    for seed in 0..200 {
        let mut rig = Rig::new(Settings::default(), seed);
        rig.address(&[ADDRESS]);
        rig.hear(ROUTER, &askable("pvd.example", 7));
        let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(86_400));
        rig.answer(object);
        rig.wait(seconds(60));
        rig.hear(ROUTER, &askable("pvd.example", 7));
        assert_eq!(rig.state("pvd.example"), InformationState::Held);
        rig.hear(ROUTER, &delayed("pvd.example", Some((6, 3)), &[]));
        assert_eq!(rig.view("pvd.example").information, None);
        assert_eq!(rig.orders.len(), 1);
        let changed = rig.now.instant;
        rig.wait(milliseconds(1 << 13));
        let (at, _) = rig.orders[1];
        delays.push(at - changed);
    }
    delays.sort();
    assert!(
        delays[0] < milliseconds(400) && delays[199] > milliseconds(7800),
        "{delays:?}"
    );
    let middle = delays[100];
    assert!(
        (milliseconds(3000)..milliseconds(5200)).contains(&middle),
        "{middle:?}"
    );
}

/// Covers: P-023
#[test]
fn what_is_under_way_is_thrown_away_when_the_number_changes() {
    let mut rig = asking();
    let old = rig.orders[0].1.number;
    rig.hear(ROUTER, &askable("pvd.example", 8));
    assert_eq!(rig.abandoned, []);
    let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(60));
    rig.host.handle_fetched(old, object, rig.now);
    assert_eq!(rig.state("pvd.example"), InformationState::Due);
    rig.wait(seconds(10));
    assert_eq!(rig.orders.len(), 2);
}

/// Covers: P-023. Whoever changes the number without end does not keep the host from asking.
#[test]
fn a_number_that_never_rests_puts_nothing_off_for_ever() {
    let mut rig = holding(seconds(86_400));
    let mut answered = rig.orders.len();
    for number in 8..1000 {
        rig.wait(milliseconds(100));
        rig.hear(ROUTER, &delayed("pvd.example", Some((number, 3)), &[]));
        if rig.orders.len() > answered {
            answered = rig.orders.len();
            let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(60));
            rig.answer(object);
        }
    }
    assert!(rig.orders.len() > 2);
}

/// Covers: P-024
#[test]
fn it_is_renewed_in_the_second_half_of_its_validity() {
    let mut times = Vec::new();
    for seed in 0..200 {
        let mut rig = Rig::new(Settings::default(), seed);
        rig.address(&[ADDRESS]);
        rig.hear(ROUTER, &askable("pvd.example", 7));
        let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(1000));
        rig.answer(object);
        let obtained = rig.now.instant;
        rig.wait(seconds(1000));
        let (at, _) = rig.orders[1];
        times.push(at - obtained);
    }
    times.sort();
    assert!(times[0] >= seconds(500) && times[0] < seconds(520));
    assert!(times[199] <= seconds(1000) && times[199] > seconds(980));
}

/// Covers: P-024. It is used until it expires, and not longer, whatever became of the new one.
#[test]
fn it_is_dropped_when_it_expires() {
    let mut rig = holding(seconds(1000));
    rig.wait(seconds(999));
    assert_eq!(rig.state("pvd.example"), InformationState::Held);
    assert_eq!(rig.orders.len(), 2);
    rig.wait(seconds(1));
    assert_eq!(rig.view("pvd.example").information, None);
}

/// Covers: P-024. A wall clock that is set ends it, and makes nothing more trustworthy.
#[test]
fn a_wall_clock_that_is_set_ends_it() {
    let mut rig = holding(seconds(1000));
    rig.now.system += seconds(5000);
    assert_eq!(rig.view("pvd.example").information, None);
    rig.host.handle_timeout(rig.now);
    rig.poll();
    assert_eq!(rig.state("pvd.example"), InformationState::Due);
    let mut rig = holding(seconds(1000));
    rig.now.system -= seconds(5000);
    rig.wait(seconds(1000));
    assert_eq!(rig.view("pvd.example").information, None);
}

/// Covers: P-030. A hotspot that uses another's name is another PvD, and none of the attachments of who has proved it.
#[test]
fn the_same_name_on_two_interfaces_is_two_pvds() {
    let mut rig = holding(seconds(7200));
    rig.attach("wlan0", LinkEvidence::OpenWireless);
    rig.address_on("wlan0", &["2001:db8:1::7"]);
    rig.hear_on("wlan0", ROUTER, &askable("pvd.example", 7));
    let views = rig.host.domains(rig.now);
    let [fixed, wlan] = &views[..] else {
        panic!("{views:?}")
    };
    assert!(fixed.information.is_some() && wlan.information.is_none());
    assert!(fixed.also_on.is_empty() && wlan.also_on.is_empty());
    assert_eq!(wlan.addresses, [own("2001:db8:1::7")]);
    let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, seconds(60));
    rig.answer(object);
    let views = rig.host.domains(rig.now);
    let on: Vec<_> = views.iter().map(|view| view.also_on.clone()).collect();
    assert_eq!(on, [[name("wlan0")], [name("fixed0")]]);
    assert_eq!(views[0].addresses, [own(ADDRESS)]);
}

/// Covers: P-040, P-041, P-042
#[test]
fn both_evidences_stay_with_it_and_policy_goes_by_both() {
    let evidences = |link, data: DataEvidence| {
        let mut rig = Rig::new(Settings::default(), 1);
        rig.attach("fixed0", link);
        rig.address(&[ADDRESS]);
        rig.hear(ROUTER, &askable("pvd.example", 7));
        let Fetched::Object { bytes, .. } =
            rig.object("pvd.example", r#""2001:db8::/32""#, seconds(60))
        else {
            panic!("it is an object");
        };
        rig.answer(Fetched::Object {
            bytes,
            data,
            signed: None,
        });
        rig.view("pvd.example").information.unwrap()
    };
    let policy = TrustPolicy::default();
    let open = evidences(LinkEvidence::OpenWireless, DataEvidence::Tls);
    assert_eq!(open.evidence.link, LinkEvidence::OpenWireless);
    assert!(matches!(
        open.trusted(&policy, Use::Names),
        Err(Insufficient::Unsigned { .. })
    ));
    assert!(open.trusted(&policy, Use::Attachment).is_ok());
    let signed = DataEvidence::Signed(KeyBinding::Certificate);
    let signed = evidences(LinkEvidence::OpenWireless, signed);
    assert_eq!(
        signed.trusted(&policy, Use::Names).unwrap().dns_zones.len(),
        1
    );
    let wired = evidences(LinkEvidence::Wired, DataEvidence::Tls);
    assert!(wired.trusted(&policy, Use::Names).is_ok());
    let unproved = evidences(LinkEvidence::Wired, DataEvidence::Absent);
    assert_eq!(
        unproved.trusted(&policy, Use::Names),
        Err(Insufficient::Unproved)
    );
}

/// Covers: P-028. Whatever the wall clock shows: an object that has not ended by it is believed exactly as far as its evidence goes, and
/// one that has ended is not there; nobody is believed more for it.
#[test]
fn a_wrong_wall_clock_makes_nobody_more_believed() {
    let policy = TrustPolicy::default();
    for years in [0, 1, 30] {
        let mut rig = Rig::new(Settings::default(), 1);
        let validity = seconds(600);
        let text = rig.text("pvd.example", r#""2001:db8::/32""#, validity);
        rig.now.system -= seconds(years * 31_536_000);
        rig.attach("fixed0", LinkEvidence::OpenWireless);
        rig.address(&[ADDRESS]);
        rig.hear(ROUTER, &askable("pvd.example", 7));
        rig.answer(Fetched::Object {
            bytes: text,
            data: DataEvidence::Tls,
            signed: None,
        });
        let held = rig.view("pvd.example").information.unwrap();
        for to in [Use::Names, Use::DotsServers, Use::Ways, Use::Credentials] {
            assert!(held.trusted(&policy, to).is_err(), "{years}: {to:?}");
        }
        rig.now.system += seconds((years + 1) * 31_536_000);
        rig.wait(seconds(20_000));
        assert_eq!(rig.view("pvd.example").information, None);
    }
}
