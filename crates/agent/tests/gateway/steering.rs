//! Which provider is asked, and what becomes of what belongs to none (RFC 9284 §5.2, §5.3).

use std::collections::BTreeSet;

use agent::server_selection::Policy;
use coap::Code;
use pvd::PvdSet;

use super::net::*;

/// Covers: M-012, M-021. What a provider assigned is asked of that one alone.
#[test]
fn what_a_provider_assigned_is_asked_of_it_alone() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.check(&[FIXED], &[]);
    net.expect(HOME, put(HOME, 2, &[MOBILE]), Code::CREATED);
    net.check(&[FIXED], &[MOBILE]);
}

/// Covers: M-021, M-012. A request of which parts belong to several is forwarded to each for its part.
#[test]
fn a_request_is_forwarded_for_the_parts_that_belong_upstream() {
    let mut net = Net::new();
    let all = [FIXED, MOBILE, "8.8.8.8/32"];
    net.expect(HOME, put(HOME, 1, &all), Code::CREATED);
    net.check(&[FIXED], &[MOBILE]);
}

/// Covers: G-018, M-021
#[test]
fn what_belongs_to_no_provider_is_rejected_with_the_prefix_and_the_reason() {
    let mut net = Net::new();
    let response = net.expect(HOME, put(HOME, 1, &["8.8.8.8/32"]), Code::BAD_REQUEST);
    let text = text_of(&response).to_owned();
    assert!(text.contains("8.8.8.8/32"), "{text}");
    assert!(text.contains("no provider assigned it"), "{text}");
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    net.check(&[], &[]);
    assert!(net.node("g1").requests.is_empty());
}

/// Covers: G-013
#[test]
fn who_is_no_customer_is_unauthorised_and_nothing_is_relayed() {
    let mut net = Net::new();
    let stranger = Inside {
        customer: "stranger",
        number: 9,
    };
    net.expect(stranger, put(stranger, 1, &[FIXED]), Code::UNAUTHORIZED);
    net.check(&[], &[]);
}

/// Covers: M-013. Policy may say otherwise.
#[test]
fn a_policy_narrows_who_is_asked_for_what_is_the_sites_own() {
    let mut policy = Policy::default();
    let mobile = BTreeSet::from(["mobile.example".parse().unwrap()]);
    policy.prefer("192.0.2.0/24".parse().unwrap(), mobile);
    let mut net = Net::with(terms("g1"), policy);
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    net.check(&[], &[OWN]);
}

/// One gateway for each provider: the client asks both, and each decides by itself.
fn two_gateways() -> Net {
    let mut net = Net::empty();
    net.add_provider("fixed", FIXED_SERVER, &["g1"]);
    net.add_provider("mobile", MOBILE_SERVER, &["g2"]);
    let (mut one, mut two) = (PvdSet::default(), PvdSet::default());
    one.insert(domain("fixed.example", &["203.0.113.0/24"], FIXED_SERVER));
    two.insert(domain(
        "mobile.example",
        &["198.51.100.0/24"],
        MOBILE_SERVER,
    ));
    for pvds in [&mut one, &mut two] {
        pvds.insert_independent("192.0.2.0/24".parse().unwrap());
    }
    let customers: &[(&str, &[&str])] = &[("home", SITE)];
    let policy = Policy::default;
    net.add_gateway(terms("g1"), (one, policy()), customers, None);
    let second = Some(("g2", "192.0.2.112:4646"));
    net.add_gateway(terms("g2"), (two, policy()), customers, second);
    net.settle();
    net
}

fn ask_both(net: &mut Net, prefix: &str) -> [Code; 2] {
    ["g1", "g2"].map(|name| {
        let number = if name == "g1" { 1 } else { 2 };
        let client = Inside {
            customer: "home",
            number,
        };
        let question = net.send(name, client, put(client, 1, &[prefix]));
        net.answer(name, question).expect("an answer").code
    })
}

/// Covers: M-018, M-020, M-021. Several CPEs.
#[test]
fn of_several_gateways_each_forwards_what_belongs_to_its_upstream() {
    let mut net = two_gateways();
    let told = ask_both(&mut net, FIXED);
    assert_eq!(told, [Code::CREATED, Code::BAD_REQUEST]);
    net.check(&[FIXED], &[]);
    let mut net = two_gateways();
    assert_eq!(ask_both(&mut net, OWN), [Code::CREATED; 2]);
    net.check(&[OWN], &[OWN]);
}
