//! A NAT beside the gateway, and what of the inside is told outside.

use agent::gateway::{Rule, RuleError, Terms};
use agent::server_selection::Policy;
use coap::Code;
use dots::identifiers::Cdid;
use dots::mitigation::Status;

use super::net::*;

fn rule(inside: &str, outside: &str) -> Result<Rule, RuleError> {
    Rule::new(inside.parse().unwrap(), outside.parse().unwrap())
}

fn behind_nat() -> Net {
    let rules = [
        rule("10.1.0.0/24", "203.0.113.0/24").unwrap(),
        rule("10.2.0.0/16", "198.51.100.9/32").unwrap(),
    ];
    let terms = Terms {
        translation: rules.into_iter().collect(),
        ..terms("g1")
    };
    Net::with(terms, Policy::default())
}

/// Covers: G-015
#[test]
fn targets_are_asked_for_as_the_network_outside_sees_them() {
    let mut net = behind_nat();
    net.expect(HOME, put(HOME, 1, &["10.1.0.7/32"]), Code::CREATED);
    net.expect(HOME, put(HOME, 2, &["10.2.3.4/32"]), Code::CREATED);
    net.expect(HOME, put(HOME, 3, &["10.1.0.128/28"]), Code::CREATED);
    net.advance(5);
    net.check(&["203.0.113.128/28", FIXED], &["198.51.100.9/32"]);
    // Inside, everybody sees what he asked for.
    let status = net.status(HOME, 1);
    assert_eq!(status.target.prefixes, ["10.1.0.7".parse().unwrap()]);
    assert_eq!(status.status, Status::AttackSuccessfullyMitigated);
}

/// Covers: G-015. What reaches beyond the rules is what is seen of those inside it.
#[test]
fn a_wide_target_is_what_is_seen_of_it() {
    let mut net = behind_nat();
    net.expect(HOME, put(HOME, 1, &["10.0.0.0/8"]), Code::CREATED);
    net.check(&["203.0.113.0/24"], &["198.51.100.9/32"]);
}

/// Covers: G-015. A static host inside a hidden network is seen under an address of its own.
#[test]
fn a_target_with_a_rule_inside_it_is_all_that_is_seen_of_it() {
    let rules = [
        rule("10.0.0.0/8", "198.51.100.9/32").unwrap(),
        rule("10.1.0.7/32", "203.0.113.7/32").unwrap(),
    ];
    let terms = Terms {
        translation: rules.into_iter().collect(),
        ..terms("g1")
    };
    let mut net = Net::with(terms, Policy::default());
    net.expect(HOME, put(HOME, 1, &["10.1.0.0/24"]), Code::CREATED);
    net.check(&[FIXED], &["198.51.100.9/32"]);
    net.expect(HOME, put(HOME, 2, &["10.1.0.7/32"]), Code::CREATED);
    net.advance(30);
    net.check(&[FIXED], &[]);
}

/// Covers: G-015. Inside, nobody reads addresses that he did not ask for.
#[test]
fn a_conflict_upstream_names_what_the_client_asked_for() {
    let mut net = behind_nat();
    let now = net.now();
    let fixed = net.node("fixed");
    let rival = agent::server::Customer {
        name: "rival".to_owned(),
        ..fixed.plan.customers[0].clone()
    };
    fixed.plan.customers.push(rival);
    fixed.plan.policy.on_conflict = agent::server::ConflictPolicy::First;
    fixed.start(now);
    net.advance(120);
    let rival = Inside {
        customer: "rival",
        number: 8,
    };
    net.send("fixed", rival, put(rival, 1, &[FIXED]));
    net.settle();
    let asked = ["10.1.0.7/32", "10.1.0.9/32"];
    let refused = net.expect(HOME, put(HOME, 1, &asked), Code::CONFLICT);
    let conflict = dots::mitigation::Refusal::decode(&refused.payload).unwrap();
    let scope = conflict.conflict.scope.expect("a scope");
    assert_eq!(scope.target.prefixes, ["10.1.0.7/32".parse().unwrap()]);
}

/// Covers: G-015. The words of a server are about addresses that the client does not know.
#[test]
fn a_refusal_upstream_names_no_address_of_the_outside() {
    let mut net = behind_nat();
    let now = net.now();
    let fixed = net.node("fixed");
    fixed.plan.customers[0].prefixes.clear();
    fixed.start(now);
    net.advance(120);
    let refused = net.expect(HOME, put(HOME, 1, &["10.1.0.7/32"]), Code::BAD_REQUEST);
    assert!(
        !text_of(&refused).contains("203.0.113"),
        "{}",
        text_of(&refused)
    );
}

#[test]
fn a_rule_maps_prefixes_of_one_length_or_hides_all_behind_one_address() {
    assert_eq!(rule("10.0.0.0/8", "2001:db8::/32"), Err(RuleError::Family));
    assert_eq!(rule("10.0.0.0/8", "203.0.113.0/24"), Err(RuleError::Length));
    assert!(rule("2001:db8:1::/64", "2001:db8:2::/64").is_ok());
}

/// Covers: G-014. Neither names of customers nor cuids or keys of inside clients leave.
#[test]
fn nothing_of_the_inside_is_told_outside() {
    let mut net = behind_nat();
    net.expect(HOME, put(HOME, 1, &["10.1.0.7/32"]), Code::CREATED);
    let told = format!("{:?}", net.node("fixed").stored);
    for inside in ["home", "client-1", "10.1."] {
        assert!(!told.contains(inside), "{told}");
    }
    let mut wanted = net.node("g1").wanted.values();
    assert!(wanted.all(|request| request.relayed.cdid.is_none()));
}

/// Covers: G-002, G-016. At the edge of the servers' domain: one request for each domain behind it.
#[test]
fn a_gateway_of_the_servers_domain_says_whose_each_request_is() {
    let says_domain = Terms {
        says_domain: true,
        ..terms("g1")
    };
    let mut net = Net::with(says_domain, Policy::default());
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[MOBILE]), Code::CREATED);
    let digest = net.node("g1").stored.values().map(|it| it.credential);
    let mut wanted: Vec<Cdid> = digest.map(|it| Cdid::from_spki_sha256(&it)).collect();
    let relayed = net.node("g1").wanted.values();
    let mut said: Vec<Cdid> = relayed.filter_map(|it| it.relayed.cdid.clone()).collect();
    wanted.sort();
    said.sort();
    assert_eq!(said, wanted);
    assert_eq!(said[0].as_str().len(), 22);
}

/// Covers: G-015, G-018. Nor does this gateway name addresses of the outside to its clients.
#[test]
fn what_nobody_serves_is_named_as_its_client_knows_it() {
    let terms = Terms {
        translation: [rule("10.3.0.0/24", "8.8.8.0/24").unwrap()]
            .into_iter()
            .collect(),
        ..terms("g1")
    };
    let mut net = Net::with(terms, Policy::default());
    let ask = put(HOME, 1, &["10.3.0.7/32"]);
    let refused = net.expect(HOME, ask, Code::BAD_REQUEST);
    let text = text_of(&refused);
    assert!(text.contains("10.3.0.7"), "{text}");
    assert!(!text.contains("8.8.8"), "{text}");
}
