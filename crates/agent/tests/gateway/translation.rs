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
