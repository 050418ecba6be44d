//! Inside clients that ask for common addresses.

use agent::server::{Input, Standing};
use coap::Code;
use dots::mitigation::Status;
use dots::target::{PortRange, Target};

use super::net::*;
use crate::client::target;
use crate::world::EPOCH;

const WIDE: &str = "203.0.113.0/28";

/// Of the requests upstream, the first of which has the number 1: they begin where the clock is.
fn mids(net: &mut Net) -> Vec<u64> {
    let requests = net.node("g1").requests.keys();
    requests
        .map(|(_, _, mid)| u64::from(mid.0) + 1 - EPOCH)
        .collect()
}

/// Covers: G-006, G-016. To its server the gateway is one client: relayed one by one, the second
/// request would end the first.
#[test]
fn requests_of_two_clients_for_common_addresses_protect_both() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[WIDE]), Code::CREATED);
    net.advance(30);
    net.check(&[WIDE], &[]);
    for client in [HOME, BRANCH] {
        let status = net.status_code(client, 1);
        assert_eq!(status, Status::AttackSuccessfullyMitigated);
    }
    assert_eq!(mids(&mut net), [2], "under a fresh number");

    // Who asked first goes on when the other one stops.
    net.expect(BRANCH, delete(BRANCH, 1), Code::DELETED);
    net.advance(30);
    net.check(&[FIXED], &[]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
    assert_eq!(mids(&mut net), [3]);
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.settle();
    net.check(&[], &[]);
    assert!(mids(&mut net).is_empty());
}

/// Covers: G-016
#[test]
fn the_same_asked_for_by_another_client_is_no_request_upstream() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[FIXED]), Code::CREATED);
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.advance(30);
    net.check(&[FIXED], &[]);
    assert_eq!(mids(&mut net), [1]);
    let status = net.status_code(BRANCH, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
}

/// It is wanted upstream for as long as the last of them wants it.
#[test]
fn the_longest_lifetime_is_asked_for() {
    let mut net = Net::new();
    net.expect(HOME, put_for(HOME, 1, &[FIXED], 300), Code::CREATED);
    net.expect(BRANCH, put_for(BRANCH, 1, &[FIXED], 900), Code::CREATED);
    net.advance(600);
    net.check(&[FIXED], &[]);
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    net.advance(301);
    net.check(&[], &[]);
}

/// Ports cannot be said for each prefix: they are widened, so that nobody has less than he wants.
#[test]
fn ports_of_two_clients_are_put_together() {
    let mut net = Net::new();
    let ask = |client, port| {
        let target = Target {
            port_ranges: vec![PortRange::single(port)],
            ..target(&[FIXED])
        };
        Ask::new(Code::PUT, client, 1).body(&request(target, 3600, true))
    };
    net.expect(HOME, ask(HOME, 53), Code::CREATED);
    net.expect(BRANCH, ask(BRANCH, 80), Code::CREATED);
    net.advance(30);
    let enforced: Vec<&Target> = net.nodes["fixed"].enforced.values().collect();
    assert_eq!(enforced.len(), 1);
    let ports = [53, 80].map(PortRange::single);
    assert_eq!(enforced[0].port_ranges, ports);
}

/// Covers: S-029. A request that is refused upstream takes no place.
#[test]
fn a_newer_request_takes_the_place_of_an_older_one_once_it_is_accepted() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(HOME, put(HOME, 2, &[WIDE]), Code::CREATED);
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    net.advance(30);
    net.check(&[WIDE], &[]);

    let now = net.now();
    let fixed = net.node("fixed");
    fixed.plan.customers[0].prefixes = vec![WIDE.parse().unwrap()];
    fixed.start(now);
    net.advance(300);
    net.check(&[WIDE], &[]);
    let wider = ["203.0.113.0/27"];
    net.expect(HOME, put(HOME, 3, &wider), Code::BAD_REQUEST);
    net.expect(HOME, get(HOME, 2), Code::CONTENT);
    net.advance(30);
    net.check(&[WIDE], &[]);
    let status = net.status_code(HOME, 2);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
}

/// What was asked for in case the gateway is lost stays apart from what is asked for at once.
#[test]
fn preconfigured_requests_are_relayed_as_such() {
    let mut net = Net::new();
    let parked = request(target(&[FIXED]), 3600, false);
    let ask = Ask::new(Code::PUT, HOME, 1).body(&parked);
    net.expect(HOME, ask, Code::CREATED);
    net.check(&[], &[]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackMitigationSignalLoss);
    let stored = net.node("fixed").stored.values().next().cloned().unwrap();
    assert!(!stored.request.trigger_mitigation);
    // The provider notices the loss of the gateway by itself.
    net.node("g1").is_cut_off = true;
    net.advance(600);
    net.check(&[FIXED], &[]);
}

/// HOME has lost its session, and what it preconfigured protects; then it is back.
fn started(net: &mut Net) {
    let parked = request(target(&[FIXED]), 36_000, false);
    let ask = Ask::new(Code::PUT, HOME, 1).body(&parked);
    let (session, _) = net.send("g1", HOME, ask);
    net.settle();
    let now = net.now();
    let server = &mut net.node("g1").server;
    server.handle(now, Input::SessionLost(session));
    net.advance(30);
    net.check(&[FIXED], &[]);
    let now = net.now();
    let server = &mut net.node("g1").server;
    server.handle(now, Input::Established(session, HOME.peer()));
    net.advance(30);
}

/// Covers: S-033. A refusal upstream takes no protection away.
#[test]
fn an_immediate_request_takes_the_place_of_a_preconfigured_one_once_it_is_accepted() {
    let mut net = Net::new();
    let now = net.now();
    let fixed = net.node("fixed");
    fixed.plan.customers[0].prefixes = vec![WIDE.parse().unwrap()];
    fixed.start(now);
    net.advance(120);
    started(&mut net);
    let refused = put(HOME, 2, &["203.0.113.0/24"]);
    net.expect(HOME, refused, Code::BAD_REQUEST);
    net.advance(60);
    net.check(&[FIXED], &[]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);

    net.expect(HOME, put(HOME, 3, &[WIDE]), Code::CREATED);
    net.advance(60);
    net.check(&[WIDE], &[]);
    let stored = net.nodes["g1"].stored.values();
    let standings: Vec<Standing> = stored.map(|record| record.standing).collect();
    assert_eq!(standings[0], Standing::Parked);
    net.expect(HOME, delete(HOME, 3), Code::DELETED);
    net.advance(60);
    net.check(&[], &[]);
}
