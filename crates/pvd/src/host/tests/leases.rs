//! What DHCP brings, over IPv6 and IPv4 (RFC 8801 §3.4.1, §3.4.2).

use super::*;
use crate::host::dhcp::Misconfiguration;
use crate::selection::Candidate;

/// With these flags: M, O.
fn sent_to_dhcpv6(mut advertisement: RouterAdvertisement, flags: [bool; 2]) -> RouterAdvertisement {
    let [is_managed, has_other] = flags;
    advertisement.outer.is_managed = is_managed;
    advertisement.outer.has_other_configuration = has_other;
    advertisement
}

fn with_legacy(id: &str) -> RouterAdvertisement {
    let mut advertisement = explicit(id, None, &[]);
    advertisement.pvd.as_mut().unwrap().has_legacy = true;
    advertisement
}

fn leased(lease: Lease, resolver: &str, domain: &str) -> Leased {
    Leased {
        lease,
        resolvers: vec![resolver.parse().unwrap()],
        search: vec![domain.parse().unwrap()],
    }
}

impl Rig {
    fn lease(&mut self, leased: &[Leased]) {
        let (interface, now) = (name("fixed0"), self.now);
        self.host.handle_leases(&interface, leased.to_vec(), now);
        self.poll();
    }

    /// Resolvers and search domains of a PvD.
    fn names(&self, identity: &str) -> String {
        let view = self.view(identity);
        let resolvers = view.resolvers.iter().map(|it| it.what.to_string());
        let search = view.search.iter().map(|it| it.what.to_string());
        resolvers.chain(search).collect::<Vec<_>>().join(" ")
    }
}

/// Covers: P-011
#[test]
fn stateless_data_is_of_all_pvds_with_the_o_flag() {
    let mut rig = Rig::new(Settings::default(), 1);
    let router = |id| explicit(id, None, &[prefix(PREFIX)]);
    assert!(!rig.host.is_sent_to_dhcpv6(&name("fixed0")));
    rig.hear(ROUTER, &sent_to_dhcpv6(router("a.example"), [false, true]));
    rig.hear("fe80::2", &sent_to_dhcpv6(implicit(&[]), [false, true]));
    rig.hear("fe80::3", &router("b.example"));
    assert!(rig.host.is_sent_to_dhcpv6(&name("fixed0")));
    rig.lease(&[leased(Lease::Stateless, "2001:db8::53", "a.example")]);
    let told = "2001:db8::53 a.example";
    assert_eq!(rig.names("a.example"), told);
    assert_eq!(rig.names("implicit, of fe80::2"), told);
    assert_eq!(rig.names("b.example"), "");
    // A router may change its mind.
    rig.hear(
        "fe80::3",
        &sent_to_dhcpv6(router("b.example"), [false, true]),
    );
    rig.hear("fe80::2", &implicit(&[prefix("2001:db8:2::/64")]));
    assert_eq!(rig.names("b.example"), told);
    assert_eq!(rig.names("implicit, of fe80::2"), "");
    rig.lease(&[]);
    assert_eq!(rig.names("a.example"), "");
}

/// Covers: P-011. With the M-flag and a prefix around the address; the others are told nothing.
#[test]
fn stateful_data_is_of_the_pvd_whose_prefix_is_around_the_address() {
    let mut rig = Rig::new(Settings::default(), 1);
    let managed = |id, net| sent_to_dhcpv6(explicit(id, None, &[prefix(net)]), [true, false]);
    rig.hear(ROUTER, &managed("a.example", "2001:db8:1::/64"));
    rig.hear("fe80::2", &managed("b.example", "2001:db8:2::/64"));
    let address = "2001:db8:1::6".parse().unwrap();
    rig.lease(&[leased(Lease::Address(address), "2001:db8::53", "a.example")]);
    assert_eq!(rig.names("a.example"), "2001:db8::53 a.example");
    assert_eq!(rig.names("b.example"), "");
    // Asked without an address: of whoever has given one.
    rig.address(&["2001:db8:2::6"]);
    rig.lease(&[leased(Lease::Stateless, "2001:db8::53", "b.example")]);
    assert_eq!(rig.names("a.example"), "");
    assert_eq!(rig.names("b.example"), "2001:db8::53 b.example");
}

/// Covers: P-012
#[test]
fn legacy_data_is_of_the_one_that_claims_it_else_of_the_implicit_ones() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&["192.0.2.7"]);
    rig.lease(&[leased(Lease::Legacy, "192.0.2.53", "home.arpa")]);
    let told = "192.0.2.53 home.arpa";
    rig.hear("fe80::2", &implicit(&[]));
    rig.hear("fe80::3", &implicit(&[]));
    assert_eq!(rig.names("implicit, of fe80::2"), told);
    assert_eq!(rig.names("implicit, of fe80::3"), told);
    rig.hear(ROUTER, &with_legacy("a.example"));
    assert_eq!(rig.names("a.example"), told);
    assert_eq!(rig.names("implicit, of fe80::2"), "");
    rig.hear("fe80::4", &with_legacy("b.example"));
    assert_eq!(
        (rig.names("a.example"), rig.names("b.example")),
        Default::default()
    );
    assert_eq!(rig.names("implicit, of fe80::3"), told);
    let faults: Vec<_> = rig
        .host
        .misconfigurations()
        .map(|(_, fault)| fault.clone())
        .collect();
    assert!(matches!(&faults[..], [Misconfiguration::SeveralLegacy(ids)] if ids.len() == 2));
}

/// Covers: P-007, P-012. RFC 7556 §2.2: IPv4 alone makes an implicit PvD, until a router has it.
#[test]
fn ipv4_that_no_router_has_is_an_implicit_pvd() {
    let mut rig = Rig::new(Settings::default(), 1);
    assert_eq!(rig.identities().len(), 0);
    rig.address(&["169.254.1.2", "2001:db8:9::7"]);
    assert_eq!(rig.identities().len(), 0);
    rig.address(&["192.0.2.7"]);
    rig.lease(&[leased(Lease::Legacy, "192.0.2.53", "home.arpa")]);
    let legacy = rig.view("implicit, of IPv4");
    assert_eq!(legacy.addresses, [own("192.0.2.7")]);
    assert_eq!(legacy.state, InformationState::Unannounced);
    assert!(Candidate::from(&legacy).router.is_some());
    assert_eq!(rig.names("implicit, of IPv4"), "192.0.2.53 home.arpa");
    // An explicit one that does not claim it leaves it alone.
    rig.hear(ROUTER, &explicit("a.example", None, &[prefix(PREFIX)]));
    assert_eq!(rig.names("implicit, of IPv4"), "192.0.2.53 home.arpa");
    rig.hear(ROUTER, &with_legacy("a.example"));
    assert_eq!(rig.identities(), ["a.example"]);
    assert_eq!(rig.names("a.example"), "192.0.2.53 home.arpa");
    rig.host.handle_detached(&name("fixed0"), rig.now);
    assert_eq!(rig.identities().len(), 0);
    rig.attach("fixed0", LinkEvidence::Wired);
    rig.address(&["192.0.2.7"]);
    assert_eq!(rig.names("implicit, of IPv4"), "", "of the last network");
}

/// Covers: P-012, P-047. Whoever fills all places does not take that of IPv4, nor get its place each time.
#[test]
fn the_pvd_of_ipv4_gives_way_to_nobody() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&["192.0.2.7"]);
    for round in 0..60 {
        for number in 0..40 {
            let id = format!("p{number}.example");
            rig.hear(ROUTER, &explicit(&id, None, &[prefix(PREFIX)]));
        }
        rig.wait(seconds(5));
        assert_eq!(
            rig.view("implicit, of IPv4").addresses,
            [own("192.0.2.7")],
            "{round}"
        );
        assert!(rig.identities().len() <= 33);
    }
}

/// Covers: P-014, P-015. A resolver that DHCPv6 alone names is asked for where the PvD's server is; one of IPv4 cannot be.
#[test]
fn a_pvd_is_fetched_with_resolvers_that_dhcp_brought() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS]);
    let mut announced = sent_to_dhcpv6(
        explicit("pvd.example", Some(1), &[prefix(PREFIX)]),
        [false, true],
    );
    announced.pvd.as_mut().unwrap().has_legacy = true;
    rig.hear(ROUTER, &announced);
    rig.wait(seconds(5));
    assert_eq!(rig.state("pvd.example"), InformationState::NoResolver);
    rig.lease(&[leased(Lease::Legacy, "192.0.2.53", "home.arpa")]);
    rig.wait(seconds(5));
    assert_eq!(rig.state("pvd.example"), InformationState::NoResolver);
    let both = [
        leased(Lease::Legacy, "192.0.2.53", "home.arpa"),
        leased(Lease::Stateless, "2001:db8::53", "home.arpa"),
    ];
    rig.lease(&both);
    rig.wait(seconds(5));
    assert_eq!(
        rig.orders[0].1.resolvers,
        ["2001:db8::53".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(
        rig.names("pvd.example"),
        "2001:db8::53 192.0.2.53 home.arpa"
    );
}

/// A node that had its addresses before the daemon came knows them before its routers.
#[test]
fn nobody_is_at_fault_before_a_router_has_spoken() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&["192.0.2.5", "2001:db8:1::5"]);
    assert_eq!(rig.identities(), ["implicit, of IPv4"]);
    assert_eq!(rig.host.misconfigurations().count(), 0);
    rig.hear(
        ROUTER,
        &explicit("pvd.example", None, &[prefix("2001:db8:2::/64")]),
    );
    assert_eq!(rig.host.misconfigurations().count(), 1);
    rig.hear(ROUTER, &explicit("pvd.example", None, &[prefix(PREFIX)]));
    assert_eq!(rig.host.misconfigurations().count(), 0);
}
