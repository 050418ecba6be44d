//! What Router Advertisements and DHCP bring, and whose it is.

use super::*;
use crate::host::dhcp::{Association, Claim, Lease, Misconfiguration, associate};

/// Covers: P-007
#[test]
fn without_an_option_the_pvd_is_that_of_the_interface_and_the_router() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.attach("mobile0", LinkEvidence::SecuredWireless);
    for (interface, router) in [
        ("fixed0", "fe80::1"),
        ("fixed0", "fe80::2"),
        ("mobile0", "fe80::1"),
    ] {
        rig.hear_on(interface, router, &implicit(&[prefix(PREFIX)]));
    }
    rig.hear(ROUTER, &explicit("pvd.example", None, &[]));
    let views = rig.host.domains(rig.now);
    let found: Vec<_> = views
        .iter()
        .map(|view| format!("{} {}", view.interface, view.identity))
        .collect();
    assert_eq!(
        found,
        [
            "fixed0 pvd.example",
            "fixed0 implicit, of fe80::1",
            "fixed0 implicit, of fe80::2",
            "mobile0 implicit, of fe80::1"
        ]
    );
}

/// Covers: P-008
#[test]
fn an_address_belongs_to_the_pvd_that_advertised_its_prefix_last() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS, "fe80::5"]);
    let owner = |rig: &Rig| -> Vec<String> {
        let views = rig.host.domains(rig.now);
        let owners = views.iter().filter(|view| !view.addresses.is_empty());
        owners.map(|view| view.identity.to_string()).collect()
    };
    let for_a_minute = prefix_for(PREFIX, Lifetime::Seconds(60));
    rig.hear(ROUTER, &explicit("one.example", None, &[prefix(PREFIX)]));
    assert_eq!(owner(&rig), ["one.example"]);
    rig.hear(ROUTER, &explicit("other.example", None, &[for_a_minute]));
    assert_eq!(owner(&rig), ["other.example"]);
    // Both have the prefix; the address goes back when the last one has it no more.
    assert_eq!(rig.view("one.example").prefixes.len(), 1);
    rig.wait(seconds(60));
    assert_eq!(owner(&rig), ["one.example"]);
    rig.hear(
        ROUTER,
        &explicit("one.example", None, &[resolver(RESOLVER)]),
    );
    assert_eq!(owner(&rig), ["one.example"]);
}

/// Covers: P-008
#[test]
fn objects_end_with_their_lifetimes_and_the_pvd_with_the_last_of_them() {
    let mut rig = Rig::new(Settings::default(), 1);
    let mut advertised = explicit(
        "pvd.example",
        None,
        &[prefix_for(PREFIX, Lifetime::Seconds(7200))],
    );
    advertised.outer_options = vec![resolver(RESOLVER)];
    rig.hear(ROUTER, &advertised);
    let count = |rig: &Rig| {
        let view = rig.view("pvd.example");
        [
            view.routers.len(),
            view.resolvers.len(),
            view.prefixes.len(),
        ]
    };
    assert_eq!(count(&rig), [1, 1, 1]);
    rig.wait(seconds(1799));
    assert_eq!(count(&rig), [1, 1, 1]);
    rig.wait(seconds(1));
    assert_eq!(count(&rig), [0, 1, 1]);
    rig.wait(seconds(1800));
    assert_eq!(count(&rig), [0, 0, 1]);
    rig.wait(seconds(3600));
    assert_eq!(rig.identities(), [""; 0]);
}

/// Covers: P-008. A router that is none any more takes only itself away (RFC 4861 §6.3.4).
#[test]
fn a_router_that_leaves_takes_nothing_else_with_it() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.hear(ROUTER, &explicit("pvd.example", None, &[prefix(PREFIX)]));
    rig.hear("fe80::2", &explicit("pvd.example", None, &[]));
    let mut farewell = explicit("pvd.example", None, &[]);
    farewell.outer.router_lifetime = 0;
    rig.hear(ROUTER, &farewell);
    let view = rig.view("pvd.example");
    assert_eq!(view.prefixes.len(), 1);
    let routers: Vec<_> = view
        .routers
        .iter()
        .map(|router| router.what.address)
        .collect();
    assert_eq!(routers, ["fe80::2".parse::<Ipv6Addr>().unwrap()]);
}

/// Covers: P-005, P-008. RFC 8801 §5.2: who knows PvDs goes by the inner header.
#[test]
fn the_inner_header_decides_who_is_a_default_router() {
    let mut rig = Rig::new(Settings::default(), 1);
    let mut advertised = explicit("pvd.example", None, &[prefix(PREFIX)]);
    if let Some(pvd) = &mut advertised.pvd {
        pvd.header = Some(Header::default());
    }
    rig.hear(ROUTER, &advertised);
    assert_eq!(rig.view("pvd.example").routers, []);
}

#[test]
fn what_is_not_of_the_link_does_not_count() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.hear("2001:db8::1", &implicit(&[prefix(PREFIX)]));
    rig.hear_on("mobile0", ROUTER, &implicit(&[prefix(PREFIX)]));
    rig.host.handle_detached(&name("fixed0"), rig.now);
    rig.hear(ROUTER, &implicit(&[prefix(PREFIX)]));
    assert_eq!(rig.identities(), [""; 0]);
}

fn claim(identity: &Identity, legacy: bool, managed: bool, other: bool, covers: bool) -> Claim<'_> {
    Claim {
        identity,
        has_legacy: legacy,
        is_managed: managed,
        has_other_configuration: other,
        covers,
    }
}

fn association(identities: &[&Identity], fault: Option<Misconfiguration>) -> Association {
    Association {
        identities: identities.iter().copied().cloned().collect(),
        fault,
    }
}

fn identities() -> [Identity; 4] {
    [
        Identity::Explicit("a.example".parse().unwrap()),
        Identity::Explicit("b.example".parse().unwrap()),
        Identity::Implicit("fe80::1".parse().unwrap()),
        Identity::Implicit("fe80::2".parse().unwrap()),
    ]
}

/// Covers: P-011
#[test]
fn what_dhcpv6_brings_belongs_to_who_sent_the_host_there() {
    let [a, b, one, other] = &identities();
    let address = "2001:db8:1::6".parse().unwrap();
    let claims = [
        claim(a, false, true, false, true),
        claim(b, false, true, true, false),
        claim(one, false, false, true, true),
        claim(other, false, false, false, false),
    ];
    // The M-flag says what the O-flag does, and more.
    assert_eq!(
        associate(Lease::Stateless, &claims),
        association(&[a, b, one], None)
    );
    assert_eq!(
        associate(Lease::Stateless, &claims[1..]),
        association(&[b, one], None)
    );
    assert_eq!(
        associate(Lease::Address(address), &claims),
        association(&[a], None)
    );
    // Without a prefix around it: with the implicit ones, and somebody should know.
    assert_eq!(
        associate(Lease::Address(address), &claims[1..]),
        association(&[one, other], Some(Misconfiguration::NoPrefix(address)))
    );
}

/// Covers: P-012
#[test]
fn what_dhcpv4_brings_belongs_to_the_one_that_claims_it() {
    let [a, b, one, other] = &identities();
    let claims = |legacy_a, legacy_b| {
        [
            claim(a, legacy_a, false, false, false),
            claim(b, legacy_b, false, false, false),
            claim(one, false, false, false, false),
            claim(other, false, false, false, false),
        ]
    };
    let of = |legacy_a, legacy_b| associate(Lease::Legacy, &claims(legacy_a, legacy_b));
    assert_eq!(of(false, false), association(&[one, other], None));
    assert_eq!(of(false, true), association(&[b], None));
    let both = [a, b]
        .map(|identity| identity.id().unwrap().clone())
        .to_vec();
    let fault = Misconfiguration::SeveralLegacy(both);
    let told = "a.example, b.example each claim what DHCPv4 brings, so none of them has it";
    assert_eq!(fault.to_string(), told);
    assert_eq!(of(true, true), association(&[one, other], Some(fault)));
}

/// Covers: P-011, P-012
#[test]
fn addresses_that_no_prefix_made_go_by_the_rules_for_dhcp() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&["192.0.2.7", "2001:db8:9::7"]);
    rig.hear(ROUTER, &implicit(&[]));
    let mut legacy = explicit("a.example", None, &[]);
    legacy.pvd.as_mut().unwrap().has_legacy = true;
    rig.hear(ROUTER, &legacy);
    let addresses = |rig: &Rig, of: &str| -> Vec<String> {
        let view = rig.view(of);
        view.addresses
            .iter()
            .map(|own| own.address.to_string())
            .collect()
    };
    assert_eq!(addresses(&rig, "a.example"), ["192.0.2.7"]);
    assert_eq!(addresses(&rig, "implicit, of fe80::1"), ["2001:db8:9::7"]);
    let faults: Vec<_> = rig
        .host
        .misconfigurations()
        .map(|(_, fault)| fault.clone())
        .collect();
    assert_eq!(
        faults,
        [Misconfiguration::NoPrefix("2001:db8:9::7".parse().unwrap())]
    );
    let mut managed = explicit("b.example", None, &[prefix("2001:db8:9::/64")]);
    if let Some(NdOption::PrefixInformation(prefix)) =
        managed.pvd.as_mut().unwrap().options.first_mut()
    {
        prefix.is_autonomous = false;
    }
    managed.outer.is_managed = true;
    rig.hear(ROUTER, &managed);
    assert_eq!(addresses(&rig, "b.example"), ["2001:db8:9::7"]);
    assert_eq!(rig.host.misconfigurations().count(), 0);
}

/// Covers: P-047
#[test]
fn one_pvd_has_so_many_routers_and_objects_and_no_more() {
    let mut rig = Rig::new(Settings::default(), 1);
    for number in 1..100 {
        let options = [
            prefix(&format!("2001:db8:{number:x}::/64")),
            resolver(&format!("2001:db8::{number:x}")),
        ];
        rig.hear(
            &format!("fe80::{number:x}"),
            &explicit("pvd.example", None, &options),
        );
    }
    let view = rig.view("pvd.example");
    assert_eq!(
        (
            view.routers.len(),
            view.prefixes.len(),
            view.resolvers.len()
        ),
        (8, 16, 16)
    );
    // What was there first has stayed, and is renewed.
    assert_eq!(
        view.resolvers[0].what,
        "2001:db8::1".parse::<std::net::IpAddr>().unwrap()
    );
}

/// RFC 4861 §6.3.7
#[test]
fn routers_are_asked_three_times_or_until_one_answers() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.wait(seconds(60));
    assert_eq!(rig.solicited, 3);
    rig.attach("fixed0", LinkEvidence::Wired);
    rig.wait(seconds(2));
    rig.hear(ROUTER, &implicit(&[]));
    rig.wait(seconds(60));
    assert_eq!(rig.solicited, 4);
}

/// Covers: P-047. Whoever advertises the same ever again makes no work for those who read.
#[test]
fn the_same_again_is_no_change_and_anything_else_is_one() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS]);
    let all = |lifetime: u32| {
        [
            prefix_for(PREFIX, Lifetime::Seconds(lifetime)),
            resolver(RESOLVER),
            NdOption::Mtu(1480),
        ]
    };
    let hears = |rig: &mut Rig, advertisement: &RouterAdvertisement| {
        let before = (rig.changes, rig.renewals);
        rig.wait(seconds(1));
        rig.hear(ROUTER, advertisement);
        (rig.changes - before.0, rig.renewals - before.1)
    };
    let (changed, renewed) = ((1, 0), (0, 1));
    let same = explicit("pvd.example", None, &all(3600));
    assert_eq!(hears(&mut rig, &same), changed);
    assert_eq!(hears(&mut rig, &same), renewed);
    let longer = explicit("pvd.example", None, &all(7200));
    assert_eq!(hears(&mut rig, &longer), renewed);
    for other in [
        explicit("pvd.example", Some(1), &all(7200)),
        explicit("pvd.example", Some(2), &all(7200)),
        explicit("pvd.example", Some(2), &[NdOption::Mtu(1400)]),
        explicit("pvd.example", Some(2), &[prefix("2001:db8:2::/64")]),
        explicit(
            "pvd.example",
            Some(2),
            &[prefix_for(PREFIX, Lifetime::Seconds(0))],
        ),
        explicit("other.example", None, &all(7200)),
    ] {
        assert_eq!(hears(&mut rig, &other), changed, "{other:?}");
        assert_eq!(hears(&mut rig, &other), renewed, "{other:?}");
    }
}
