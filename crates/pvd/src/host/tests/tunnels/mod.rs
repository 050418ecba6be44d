//! Tunnels: explicit PvDs that somebody on this node tells of.

mod cycles;

use std::net::IpAddr;

use super::*;
use crate::bindings::tunnel::{Ends, Tunnel, TunnelFacts};
use crate::evidence::{KeyBinding, TrustPolicy, Use};

const OUTER: &str = "2001:db8:1::5";
const GATEWAY: &str = "2001:db8:ffff::1";

/// A tunnel from `OUTER` to `GATEWAY`, of a peer with this name.
fn facts(pvd: &str) -> TunnelFacts {
    TunnelFacts {
        pvd: pvd.parse().unwrap(),
        ends: vec![ends(OUTER, GATEWAY)],
        addresses: vec!["10.9.0.5".parse().unwrap()],
        sources: Vec::new(),
        reaches: vec!["10.1.0.0/16".parse().unwrap()],
        resolvers: vec!["10.1.0.53".parse().unwrap()],
        search: vec!["office.example".parse().unwrap()],
    }
}

fn ends(own: &str, gateway: &str) -> Ends {
    Ends {
        own: own.parse().unwrap(),
        gateway: gateway.parse().unwrap(),
    }
}

fn told(rig: &mut Rig, interface: &str, facts: TunnelFacts) {
    let tunnel = Tunnel::new(facts).unwrap();
    rig.host.handle_tunnel(&name(interface), tunnel, rig.now);
    rig.poll();
}

fn end(rig: &mut Rig, interface: &str, pvd: &str) {
    let pvd = pvd.parse().unwrap();
    rig.host.handle_tunnel_end(&name(interface), &pvd, rig.now);
    rig.poll();
}

/// A host at home, in `home.example`, with a tunnel to the office that it has an address in.
pub(super) fn at_the_office() -> Rig {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[OUTER]);
    rig.hear(ROUTER, &askable("home.example", 1));
    told(&mut rig, "ipsec0", facts("office.example"));
    rig.address_on("ipsec0", &["10.9.0.5"]);
    rig
}

/// The order that asks for a PvD's information.
fn order(rig: &Rig, pvd: &str) -> FetchOrder {
    let mut orders = rig.orders.iter().rev().map(|(_, order)| order);
    let found = orders.find(|order| order.pvd.as_str() == pvd);
    found
        .unwrap_or_else(|| panic!("{pvd} was not asked"))
        .clone()
}

/// The object of a PvD that describes a tunnel.
fn describing(rig: &Rig, pvd: &str, prefixes: &str, vpn: &str, data: DataEvidence) -> Fetched {
    let expires = time::OffsetDateTime::from(rig.now.system + seconds(3600));
    let expires = expires
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let text = format!(
        r#"{{"identifier":"{pvd}","expires":"{expires}","prefixes":[{prefixes}],"vendor-moat":{{"vpn":{vpn}}}}}"#
    );
    Fetched::Object {
        bytes: text.into_bytes(),
        data,
        signed: None,
    }
}

/// What home says of a tunnel; it is wired, and TLS is enough.
fn at_home_it_says(rig: &mut Rig, vpn: &str) {
    let home = order(rig, "home.example").number;
    let prefixes = r#""2001:db8:1::/48""#;
    let object = describing(rig, "home.example", prefixes, vpn, DataEvidence::Tls);
    rig.host.handle_fetched(home, object, rig.now);
    rig.poll();
    assert_eq!(rig.state("home.example"), InformationState::Held);
}

pub(super) fn description(gateway: &str, identity: &str, prefixes: &str) -> String {
    format!(r#"{{"gateway":"{gateway}","identity":"{identity}","prefixes":[{prefixes}]}}"#)
}

fn standing(rig: &Rig, pvd: &str) -> Standing {
    rig.view(pvd).tunnel.unwrap().1
}

/// What a view has that somebody could use.
fn used(view: &View) -> [usize; 4] {
    [
        view.addresses.len(),
        view.resolvers.len(),
        view.search.len(),
        usize::from(view.information.is_some()),
    ]
}

/// Covers: P-033, P-035. With addresses, resolvers and domains of its own, IPv4 alone if it has no other, and asked inside.
#[test]
fn a_tunnel_makes_an_explicit_pvd_that_is_asked_inside_it() {
    let mut rig = at_the_office();
    let view = rig.view("office.example");
    assert_eq!(view.interface, name("ipsec0"));
    assert_eq!(view.link, LinkEvidence::Vpn);
    assert_eq!(used(&view), [1, 1, 1, 0]);
    assert_eq!(view.resolvers[0].until, None);
    let order = order(&rig, "office.example");
    assert_eq!(order.interface, name("ipsec0"));
    let inside = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
    assert_eq!(
        (order.resolvers, order.sources),
        (inside("10.1.0.53"), inside("10.9.0.5"))
    );
    let (_, standing) = view.tunnel.unwrap();
    assert_eq!(
        standing.to_string(),
        "used as its peer describes it; nobody else does"
    );
    assert_eq!(standing.carried_by[0].to_string(), "home.example on fixed0");

    let object = rig.object("office.example", "", seconds(3600));
    rig.host.handle_fetched(order.number, object, rig.now);
    let view = rig.view("office.example");
    let information = view.information.unwrap();
    let policy = TrustPolicy::default();
    assert_eq!(information.evidence.link, LinkEvidence::Vpn);
    assert!(information.trusted(&policy, Use::Names).is_ok());

    // Neither time nor another network outside ends it; who made it does.
    rig.wait(seconds(100_000));
    rig.attach("ipsec0", LinkEvidence::OpenWireless);
    rig.address_on("ipsec0", &["10.9.0.5"]);
    assert_eq!(used(&rig.view("office.example"))[0], 1);
    end(&mut rig, "ipsec0", "office.example");
    rig.address_on("ipsec0", &[]);
    assert_eq!(rig.identities(), ["home.example"]);
}

#[test]
fn what_is_asked_in_a_tunnel_is_abandoned_with_it() {
    let mut rig = at_the_office();
    let inside = order(&rig, "office.example").number;
    end(&mut rig, "ipsec0", "office.example");
    assert_eq!(rig.abandoned, [inside]);
    // It is not asked again at once, but it is.
    told(&mut rig, "ipsec0", facts("office.example"));
    rig.wait(seconds(10));
    assert_ne!(order(&rig, "office.example").number, inside);
}

/// Covers: P-030
#[test]
fn who_advertises_the_name_of_a_tunnel_is_not_merged_with_it() {
    let mut rig = at_the_office();
    rig.attach("ipsec0", LinkEvidence::OpenWireless);
    rig.hear_on("ipsec0", ROUTER, &askable("office.example", 1));
    let view = rig.view("office.example");
    assert!(view.routers.is_empty() && view.link == LinkEvidence::Vpn);
    // Who was there first gives way to who has proved the name.
    rig.hear_on("ipsec0", ROUTER, &askable("branch.example", 1));
    told(&mut rig, "ipsec0", facts("branch.example"));
    assert!(rig.view("branch.example").routers.is_empty());
}

/// Covers: P-034. Whoever of both sides describes it: the network outside, and the one inside.
#[test]
fn what_both_describe_alike_is_used() {
    let mut rig = at_the_office();
    let same = description(GATEWAY, "Office.Example", r#""10.0.0.0/8""#);
    at_home_it_says(&mut rig, &same);
    assert_eq!(
        standing(&rig, "office.example").to_string(),
        "as described by home.example on fixed0"
    );
    let inside = order(&rig, "office.example").number;
    let named = description("vpn.office.example", "office.example", "");
    let object = describing(&rig, "office.example", "", &named, DataEvidence::Tls);
    rig.host.handle_fetched(inside, object, rig.now);
    assert_eq!(
        standing(&rig, "office.example").to_string(),
        "as described by home.example on fixed0 and office.example on ipsec0"
    );
    assert_eq!(used(&rig.view("office.example")), [1, 1, 1, 1]);
}

/// Covers: P-034
#[test]
fn a_tunnel_that_leads_elsewhere_or_to_somebody_else_is_refused_and_nothing_of_it_used() {
    let elsewhere = description("192.0.2.1", "office.example", "");
    let else_who = description(GATEWAY, "other.example", "");
    let nothing = description(GATEWAY, "office.example", r#""172.16.0.0/12""#);
    let cases = [
        (
            &elsewhere,
            "refused: BY says that it leads to 192.0.2.1, and it leads to 2001:db8:ffff::1",
        ),
        (
            &else_who,
            "refused: BY says that its peer is other.example, and it has proved to be office.example",
        ),
        (
            &nothing,
            "refused: nothing that it reaches is in what BY says of it",
        ),
    ];
    for (vpn, expected) in cases {
        let mut outside = at_the_office();
        at_home_it_says(&mut outside, vpn);
        let mut inside = at_the_office();
        let asked = order(&inside, "office.example").number;
        let object = describing(&inside, "office.example", "", vpn, DataEvidence::Tls);
        inside.host.handle_fetched(asked, object, inside.now);
        for (rig, by) in [
            (outside, "home.example on fixed0"),
            (inside, "office.example on ipsec0"),
        ] {
            let said = standing(&rig, "office.example").to_string();
            assert_eq!(said, expected.replace("BY", by));
            let view = rig.view("office.example");
            assert_eq!(used(&view), [0; 4]);
            assert_eq!(view.state, InformationState::Refused);
        }
    }
}

/// Covers: P-034
#[test]
fn claims_beyond_the_description_are_not_used() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[OUTER]);
    rig.hear(ROUTER, &askable("home.example", 1));
    let mut wide = facts("office.example");
    wide.reaches = vec!["0.0.0.0/0".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
    wide.resolvers.push("192.0.2.53".parse().unwrap());
    told(&mut rig, "ipsec0", wide);
    // Both halves are as good as the whole.
    let described = description(GATEWAY, "office.example", r#""10.0.0.0/9","10.128.0.0/9""#);
    at_home_it_says(&mut rig, &described);
    let view = rig.view("office.example");
    let standing = standing(&rig, "office.example");
    let ten = "10.0.0.0/8".parse().unwrap();
    assert_eq!(standing.reaches, [ten, "10.1.0.0/16".parse().unwrap()]);
    assert_eq!(
        standing.to_string(),
        "used as far as described by home.example on fixed0; its peer claims more, which is not used: 0.0.0.0/0"
    );
    let resolvers: Vec<_> = view
        .resolvers
        .iter()
        .map(|it| it.what.to_string())
        .collect();
    assert_eq!(resolvers, ["10.1.0.53"]);
}

/// Covers: P-034, P-041
#[test]
fn only_who_is_trusted_describes_a_tunnel() {
    let wrong = description(GATEWAY, "other.example", "");
    for (link, data, counts) in [
        (LinkEvidence::Wired, DataEvidence::Tls, true),
        (LinkEvidence::OpenWireless, DataEvidence::Tls, false),
        (
            LinkEvidence::OpenWireless,
            DataEvidence::Signed(KeyBinding::Certificate),
            true,
        ),
        (LinkEvidence::Wired, DataEvidence::Absent, false),
    ] {
        let mut rig = Rig::new(Settings::default(), 1);
        rig.attach("fixed0", link);
        rig.address(&[OUTER]);
        rig.hear(ROUTER, &askable("home.example", 1));
        told(&mut rig, "ipsec0", facts("office.example"));
        let home = order(&rig, "home.example").number;
        let prefixes = r#""2001:db8:1::/48""#;
        let object = describing(&rig, "home.example", prefixes, &wrong, data);
        rig.host.handle_fetched(home, object, rig.now);
        let is_refused = standing(&rig, "office.example").refusal.is_some();
        assert_eq!(is_refused, counts, "{link}");
    }
}

/// A network may describe a tunnel, and another one be up.
#[test]
fn a_description_of_another_tunnel_says_nothing_of_this_one() {
    let mut rig = at_the_office();
    let other = description("192.0.2.1", "branch.example", "");
    at_home_it_says(&mut rig, &other);
    assert_eq!(standing(&rig, "office.example").described_by, []);
}

/// Two peers on one interface, as with the TUN device that all tunnels of a program share.
#[test]
fn tunnels_that_share_an_interface_keep_their_addresses_apart() {
    let mut rig = at_the_office();
    let mut other = facts("branch.example");
    other.addresses = vec![
        "10.8.0.5".parse().unwrap(),
        "2001:db8:8::5".parse().unwrap(),
    ];
    told(&mut rig, "ipsec0", other);
    rig.address_on(
        "ipsec0",
        &["10.9.0.5", "10.8.0.5", "2001:db8:8::5", "10.7.0.5"],
    );
    let of = |pvd: &str| {
        let view = rig.view(pvd);
        let own = view.addresses.iter().map(|own| own.address.to_string());
        own.collect::<Vec<_>>()
    };
    assert_eq!(of("office.example"), ["10.9.0.5"]);
    assert_eq!(of("branch.example"), ["10.8.0.5", "2001:db8:8::5"]);
}

/// Covers: P-035. Whoever describes it or not: what is asked of a resolver beyond the tunnel leaves in the clear.
#[test]
fn a_resolver_that_the_tunnel_does_not_reach_is_not_asked() {
    let mut rig = Rig::new(Settings::default(), 1);
    let mut office = facts("office.example");
    office.resolvers = vec!["192.0.2.53".parse().unwrap()];
    // The kernel has its address before anybody tells of it.
    rig.address_on("ipsec0", &["10.9.0.5"]);
    told(&mut rig, "ipsec0", office);
    let view = rig.view("office.example");
    assert_eq!((view.addresses.len(), view.resolvers.len()), (1, 0));
    rig.wait(seconds(100));
    assert!(rig.orders.is_empty());
}

/// Covers: P-021. What the object does not name, the tunnel should not have given.
#[test]
fn an_object_that_does_not_cover_the_address_in_the_tunnel_is_not_used() {
    let mut rig = Rig::new(Settings::default(), 1);
    let mut six = facts("office.example");
    six.addresses = vec!["2001:db8:9::5".parse().unwrap()];
    six.resolvers = vec!["2001:db8:9::53".parse().unwrap()];
    six.reaches = vec!["2001:db8:9::/48".parse().unwrap()];
    told(&mut rig, "ipsec0", six);
    rig.address_on("ipsec0", &["2001:db8:9::5"]);
    let object = rig.object("office.example", r#""2001:db8:8::/48""#, seconds(60));
    rig.answer(object);
    assert_eq!(
        rig.state("office.example"),
        InformationState::Contradicted("2001:db8:9::5/128".parse().unwrap())
    );
}

/// Covers: P-034, P-039. A signed object says from the beginning what a tunnel must be, and a tunnel has what one says.
#[test]
fn a_signed_object_that_somebody_brought_describes_a_tunnel_as_one_that_was_fetched() {
    for (identity, is_refused) in [("office.example", false), ("other.example", true)] {
        let mut rig = Rig::new(Settings::default(), 1);
        let vpn = description(GATEWAY, identity, r#""10.1.0.0/16""#);
        let binding = KeyBinding::Certificate;
        let data = DataEvidence::Signed(binding.clone());
        let Fetched::Object { bytes, .. } = describing(&rig, "office.example", "", &vpn, data)
        else {
            panic!("an object was made");
        };
        let object = SignedObject {
            bytes,
            compact: "a.b.c".into(),
            binding,
            provenance: Provenance::Given,
        };
        rig.host.handle_object(object, rig.now).unwrap();
        told(&mut rig, "ipsec0", facts("office.example"));
        rig.address_on("ipsec0", &["10.9.0.5"]);
        let view = rig.view("office.example");
        let standing = standing(&rig, "office.example");
        assert_eq!(standing.described_by.len(), 1);
        assert_eq!(standing.refusal.is_some(), is_refused);
        assert_eq!(used(&view) == [0; 4], is_refused);
        assert_eq!(view.information.is_some(), !is_refused);
        assert_eq!(rig.orders.is_empty(), is_refused);
    }
}
