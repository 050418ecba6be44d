//! Networks that the gateway finds only after its start, or loses (RFC 8973, RFC 9284 §5.1).

use agent::server_selection::Policy;
use coap::Code;
use dots::mitigation::Status;
use pvd::{ProvisioningDomain, PvdSet};

use super::net::*;
use crate::client::target;

/// The PvDs of the site before anything of them is discovered.
fn undiscovered() -> PvdSet {
    let mut pvds = PvdSet::default();
    for id in ["fixed.example", "mobile.example"] {
        pvds.insert(ProvisioningDomain {
            is_awaited: true,
            ..ProvisioningDomain::new(id.parse().unwrap())
        });
    }
    pvds.insert_independent("192.0.2.0/24".parse().unwrap());
    pvds
}

fn restart_undiscovered(net: &mut Net) {
    let plan = &mut net.node("g1").plan;
    plan.outside = Some((undiscovered(), Policy::default(), terms("g1")));
    net.restart("g1");
}

/// What was promised outlives a start without networks, and nobody upstream is told to stop.
#[test]
fn a_gateway_that_finds_its_networks_after_the_start_goes_on_with_what_it_promised() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[OWN]), Code::CREATED);
    net.advance(30);
    let mids = |net: &Net| -> Vec<_> { net.nodes["fixed"].stored.keys().cloned().collect() };
    let known = mids(&net);
    restart_undiscovered(&mut net);
    net.advance(20);
    assert_eq!(net.node("g1").stored.len(), 2);
    net.set_pvds("g1", site());
    net.advance(30);
    net.check(&[OWN, FIXED], &[OWN]);
    assert_eq!(mids(&net), known, "under the same numbers");
    for client in [HOME, BRANCH] {
        let status = net.status_code(client, 1);
        assert_eq!(status, Status::AttackSuccessfullyMitigated);
    }
}

/// Nor is lost what was recorded and not relayed when the gateway died.
#[test]
fn what_was_not_relayed_yet_is_relayed_once_its_network_is_found() {
    let mut net = Net::new();
    net.node("fixed").is_cut_off = true;
    net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.advance(1);
    let node = net.node("g1");
    node.requests.clear();
    node.wanted.clear();
    restart_undiscovered(&mut net);
    net.advance(60);
    net.node("fixed").is_cut_off = false;
    net.set_pvds("g1", site());
    net.advance(120);
    net.check(&[FIXED], &[]);
}

/// Whether a network serves a prefix that has not been found yet, nobody knows: 4.00 would be final.
#[test]
fn a_request_waits_for_a_network_that_is_not_found_yet() {
    let mut net = Net::new();
    restart_undiscovered(&mut net);
    let question = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.advance(3);
    assert_eq!(net.answer("g1", question), None);
    net.set_pvds("g1", site());
    net.advance(4);
    let response = net.answer("g1", question).expect("an answer");
    assert_eq!(response.code, Code::CREATED, "{}", text_of(&response));
    let stranger = net.send("g1", HOME, put(HOME, 2, &["8.8.8.8/32"]));
    let response = net.answer("g1", stranger).expect("at once");
    assert_eq!(response.code, Code::BAD_REQUEST);
}

/// Covers: G-018. Once all networks are found, what belongs to none is not kept.
#[test]
fn what_belongs_to_no_network_that_is_found_is_rejected_then() {
    let mut net = Net::new();
    restart_undiscovered(&mut net);
    let question = net.send("g1", HOME, put(HOME, 1, &["8.8.8.8/32"]));
    net.advance(1);
    assert_eq!(net.answer("g1", question), None);
    net.set_pvds("g1", site());
    let response = net.answer("g1", question).expect("an answer");
    assert_eq!(response.code, Code::BAD_REQUEST, "{}", text_of(&response));
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    assert!(net.node("g1").stored.is_empty());
}

/// Covers: M-010. What nobody protects any more is not said to be mitigated, and a refresh waits.
#[test]
fn a_mitigation_whose_network_is_gone_waits_for_it_and_says_so() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(5);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
    let mut left = PvdSet::default();
    left.insert(domain(
        "mobile.example",
        &["198.51.100.0/24"],
        MOBILE_SERVER,
    ));
    net.set_pvds("g1", left);
    net.advance(30);
    net.check(&[], &[]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackMitigationInProgress);
    let question = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.advance(3);
    assert_eq!(net.answer("g1", question), None);
    net.set_pvds("g1", site());
    net.advance(5);
    let response = net.answer("g1", question).expect("an answer");
    assert_eq!(response.code, Code::CHANGED, "{}", text_of(&response));
    net.check(&[FIXED], &[]);
}

/// The same where a server falls silent until what it granted is over.
#[test]
fn a_mitigation_that_lapses_upstream_is_not_said_to_be_mitigated() {
    let mut net = Net::new();
    let now = net.now();
    let fixed = net.node("fixed");
    fixed.plan.policy.max_lifetime = 300.try_into().unwrap();
    fixed.start(now);
    net.advance(120);
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(5);
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CHANGED);
    net.node("fixed").is_cut_off = true;
    net.advance(200);
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CHANGED);
    net.advance(200);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackMitigationInProgress);
}

/// Covers: S-043, M-010. The power fails, and the uplink is back after the client that it was preconfigured for is lost.
#[test]
fn what_was_preconfigured_starts_when_its_network_comes_after_the_loss() {
    let mut net = Net::new();
    let parked = request(target(&[FIXED]), 36_000, false);
    let ask = Ask::new(Code::PUT, HOME, 1).body(&parked);
    net.expect(HOME, ask, Code::CREATED);
    let mut without_prefixes = PvdSet::default();
    without_prefixes.insert(domain("fixed.example", &[], FIXED_SERVER));
    without_prefixes.insert(domain(
        "mobile.example",
        &["198.51.100.0/24"],
        MOBILE_SERVER,
    ));
    let plan = &mut net.node("g1").plan;
    plan.outside = Some((without_prefixes, Policy::default(), terms("g1")));
    net.restart("g1");
    net.advance(600);
    let stored = net.node("g1").stored.values().next().expect("it is kept");
    assert!(stored.standing.is_in_force());
    net.set_pvds("g1", site());
    net.advance(60);
    net.check(&[FIXED], &[]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
}

/// Covers: G-018. A network without a server, and one that was never plugged in, are waited for while they are looked at, and no
/// longer; one whose server is written has no prefix yet.
#[test]
fn what_a_network_without_a_server_assigned_is_rejected_once_that_is_clear() {
    let mobile = domain("mobile.example", &["198.51.100.0/24"], MOBILE_SERVER);
    let id = || "fixed.example".parse().unwrap();
    let prefixes = vec!["203.0.113.0/24".parse().unwrap()];
    let without_server = ProvisioningDomain {
        prefixes,
        ..ProvisioningDomain::new(id())
    };
    let unplugged = ProvisioningDomain::new(id());
    let without_prefixes = domain("fixed.example", &[], FIXED_SERVER);
    for network in [without_server, unplugged, without_prefixes] {
        let mut net = Net::new();
        let with = |is_awaited| {
            let mut pvds = PvdSet::default();
            pvds.insert(mobile.clone());
            pvds.insert(ProvisioningDomain {
                is_awaited,
                ..network.clone()
            });
            pvds
        };
        net.set_pvds("g1", with(true));
        let question = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
        net.advance(3);
        assert_eq!(net.answer("g1", question), None);
        net.set_pvds("g1", with(false));
        let response = net.answer("g1", question).expect("an answer");
        assert_eq!(response.code, Code::BAD_REQUEST, "{}", text_of(&response));
        net.expect(HOME, put(HOME, 2, &[FIXED]), Code::BAD_REQUEST);
        assert!(net.node("g1").stored.is_empty());
    }
}

/// What a provider has refused, and nobody wants any more, is asked of no network that comes later.
#[test]
fn what_was_refused_is_not_asked_for_when_networks_change() {
    let mut net = Net::new();
    let mut networks = PvdSet::default();
    networks.insert_independent("192.0.2.0/24".parse().unwrap());
    let none = networks.clone();
    let mobile = domain("mobile.example", &["198.51.100.0/24"], MOBILE_SERVER);
    networks.insert(mobile);
    net.set_pvds("g1", networks);
    net.node("mobile").trouble = Some(Code::BAD_REQUEST);
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::BAD_REQUEST);
    net.advance(5);
    net.set_pvds("g1", none);
    net.advance(5);
    net.node("mobile").trouble = None;
    net.set_pvds("g1", site());
    net.advance(120);
    net.check(&[], &[]);
}
