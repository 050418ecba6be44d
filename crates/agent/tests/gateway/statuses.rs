//! What flows back: statuses, counters, ends; and efficacy forth.

use coap::{Code, OptionNumber};
use dots::mitigation::{AttackStatus, MitigationRequest, Status};

use super::net::*;
use crate::client::target;

fn mitigated(net: &mut Net) {
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    net.advance(5);
}

/// Covers: G-017
#[test]
fn what_one_provider_stops_is_stopped_and_what_none_can_exceeds_them() {
    let mut net = Net::new();
    net.node("fixed").is_able = false;
    mitigated(&mut net);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);

    let mut net = Net::new();
    for name in ["fixed", "mobile"] {
        net.node(name).is_able = false;
    }
    mitigated(&mut net);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackExceededCapability);
}

/// Covers: G-016. Counters are those of all providers together, and an observer is told.
#[test]
fn counters_are_summed_and_observers_told() {
    let mut net = Net::new();
    mitigated(&mut net);
    let mut observe = get(HOME, 1);
    observe.options = Default::default();
    observe.options.push_uint(OptionNumber::OBSERVE, 0);
    for segment in [".well-known", "dots", "mitigate", "cuid=client-1", "mid=1"] {
        let octets = segment.as_bytes();
        observe.options.push(OptionNumber::URI_PATH, octets);
    }
    net.expect(HOME, observe, Code::CONTENT);
    let now = net.now();
    net.node("fixed").drop_packets(now, 100, 6400);
    net.node("mobile").drop_packets(now, 20, 1280);
    net.advance(40);
    let dropped = net.status(HOME, 1).counters;
    assert_eq!((dropped.pkts, dropped.bytes), (Some(120), Some(7680)));
    let notified = std::mem::take(&mut net.node("g1").notified);
    assert!(!notified.is_empty());
}

/// The provider has dropped something, and then nothing for longer than it waits.
fn see_the_attack_stop(net: &mut Net) {
    net.advance(200);
    let now = net.now();
    net.node("fixed").drop_packets(now, 100, 6400);
    net.advance(301);
    let now = net.now();
    net.node("fixed").drop_packets(now, 100, 6400);
    net.advance(20);
    assert_eq!(net.status_code(HOME, 1), Status::AttackStopped);
}

/// An attack that has stopped upstream has stopped inside.
#[test]
fn an_attack_that_stops_is_said_to_have_stopped() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    see_the_attack_stop(&mut net);
}

/// What all providers end is over inside.
#[test]
fn what_every_provider_has_ended_is_over_inside() {
    let mut net = Net::new();
    mitigated(&mut net);
    let now = net.now();
    for name in ["fixed", "mobile"] {
        let node = net.node(name);
        node.stored.clear();
        node.plan.customers[0].prefixes.clear();
        node.enforced.clear();
        node.start(now);
    }
    net.advance(3600);
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    assert!(net.node("g1").stored.is_empty());
}

/// Covers: S-048
#[test]
fn efficacy_is_told_to_those_who_mitigate() {
    let mut net = Net::new();
    mitigated(&mut net);
    let lifetime = dots::lifetime::Lifetime::RECOMMENDED;
    let status = Some(AttackStatus::UnderAttack);
    let update = MitigationRequest::new(target(&[OWN]), lifetime, true, status).unwrap();
    let mut ask = Ask::new(Code::PUT, HOME, 1).body(&update);
    ask.options.push(OptionNumber::IF_MATCH, &[]);
    net.expect(HOME, ask, Code::CHANGED);
    let key = net.node("g1").stored.keys().next().cloned().unwrap();
    let now = net.now();
    let outside = net.node("g1").outside.as_mut().unwrap();
    let told = AttackStatus::UnderAttack;
    outside
        .gateway
        .handle_efficacy(now, &mut outside.client, &key, told);
    net.advance(5);
    for name in ["fixed", "mobile"] {
        let outcomes = format!("{:?}", net.node(name).outcomes);
        assert!(outcomes.contains("Efficacy"), "{outcomes}");
    }
}

/// Covers: S-043. A gateway's client is lost and comes back; the attack stops.
#[test]
fn a_preconfigured_mitigation_waits_again_when_the_attack_has_stopped() {
    let mut net = Net::new();
    let parked = request(target(&[FIXED]), 36_000, false);
    let ask = Ask::new(Code::PUT, HOME, 1).body(&parked);
    let (session, _) = net.send("g1", HOME, ask);
    net.settle();
    let now = net.now();
    let server = &mut net.node("g1").server;
    server.handle(now, agent::server::Input::SessionLost(session));
    net.advance(30);
    net.check(&[FIXED], &[]);
    let now = net.now();
    let server = &mut net.node("g1").server;
    server.handle(now, agent::server::Input::Established(session, HOME.peer()));
    see_the_attack_stop(&mut net);
    net.advance(600);
    assert_eq!(net.status_code(HOME, 1), Status::AttackMitigationSignalLoss);
    net.check(&[], &[]);
}
