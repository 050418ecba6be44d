//! Mitigations that a server upstream keeps out of force for those of others (RFC 9132 §4.4.1.3).

use agent::server::{ConflictPolicy, Customer, Outcome, Standing};
use coap::{Code, Response};
use dots::mitigation::{ConflictInformation, Refusal, Status};

use super::net::*;

/// A client of the provider, and none of the gateway.
const RIVAL: Inside = Inside {
    customer: "rival",
    number: 8,
};

/// A provider for which the last or the first of two clients counts.
fn contested(on_conflict: ConflictPolicy) -> Net {
    let mut net = Net::new();
    let now = net.now();
    let fixed = net.node("fixed");
    let rival = Customer {
        name: RIVAL.customer.to_owned(),
        ..fixed.plan.customers[0].clone()
    };
    fixed.plan.customers.push(rival);
    fixed.plan.policy.on_conflict = on_conflict;
    fixed.start(now);
    net.advance(120);
    net
}

fn rival(net: &mut Net, ask: Ask) {
    let question = net.send("fixed", RIVAL, ask);
    let response = net.answer("fixed", question).expect("an answer");
    assert!(response.code.is_success(), "{}", text_of(&response));
}

fn conflict_in(response: &Response) -> ConflictInformation {
    Refusal::decode(&response.payload)
        .expect("a conflict")
        .conflict
}

/// Covers: S-035. It is asked for no more until its time has come, and comes back by itself.
#[test]
fn what_a_server_deactivates_is_kept_there_and_told_with_its_conflict() {
    let mut net = contested(ConflictPolicy::Last);
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(5);
    let known = net.node("g1").requests.keys().cloned().collect::<Vec<_>>();
    rival(&mut net, put(RIVAL, 1, &[FIXED]));
    net.advance(30);

    let status = net.status(HOME, 1);
    assert_eq!(status.status, Status::AttackMitigationWithdrawn);
    let conflict = status.conflict.expect("a conflict");
    let retry = conflict.retry_timer.expect("a timer");
    assert!((3000..=3600).contains(&retry), "{retry}");
    let again = net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CONFLICT);
    assert!(conflict_in(&again).retry_timer.is_some());
    net.expect(HOME, put(HOME, 2, &[FIXED]), Code::CONFLICT);
    net.expect(HOME, get(HOME, 2), Code::NOT_FOUND);
    net.advance(60);
    let now_known = net.node("g1").requests.keys().cloned().collect::<Vec<_>>();
    assert_eq!(now_known, known, "nothing else was asked for");
    let mut standings = net.nodes["fixed"].stored.values();
    let of_gateway = standings
        .find(|record| record.key.customer == "g1")
        .unwrap();
    assert_eq!(of_gateway.standing, Standing::Deactivated);

    rival(&mut net, delete(RIVAL, 1));
    net.advance(30);
    let status = net.status(HOME, 1);
    assert_eq!(status.status, Status::AttackSuccessfullyMitigated);
    assert_eq!(status.conflict.and_then(|it| it.retry_timer), None);
    let now_known = net.node("g1").requests.keys().cloned().collect::<Vec<_>>();
    assert_eq!(now_known, known);
}

/// Covers: S-035. What was never in force is refused, and forgotten.
#[test]
fn what_a_server_keeps_out_of_force_from_the_start_is_refused_with_its_conflict() {
    let mut net = contested(ConflictPolicy::First);
    rival(&mut net, put(RIVAL, 1, &[FIXED]));
    let refused = net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CONFLICT);
    let conflict = conflict_in(&refused);
    assert!(conflict.retry_timer.is_some());
    let scope = conflict.scope.expect("a scope");
    assert_eq!(scope.target.prefixes, [FIXED.parse().unwrap()]);
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    assert!(net.node("g1").requests.is_empty());
}

/// With a provider that mitigates, nothing is out of force.
#[test]
fn what_one_provider_mitigates_is_mitigated() {
    let mut net = contested(ConflictPolicy::Last);
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    net.advance(5);
    rival(&mut net, put(RIVAL, 1, &[OWN]));
    net.advance(30);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CHANGED);
}

/// RFC 9132 §4.4.1.3: it is kept for longer so that its client can ask again, and for no other reason.
#[test]
fn what_a_server_deactivates_ends_unless_its_client_asks_again() {
    for is_asked in [false, true] {
        let mut net = contested(ConflictPolicy::Last);
        net.expect(HOME, put_for(HOME, 1, &[FIXED], 300), Code::CREATED);
        net.advance(5);
        rival(&mut net, put(RIVAL, 1, &[FIXED]));
        net.advance(1800);
        rival(&mut net, put(RIVAL, 1, &[FIXED]));
        net.advance(1790);
        assert_eq!(net.node("g1").stored.len(), 1);
        net.advance(15);
        if is_asked {
            let again = put_for(HOME, 1, &[FIXED], 300);
            let again = net.expect(HOME, again, Code::CONFLICT);
            assert!(conflict_in(&again).retry_timer > Some(1000));
        }
        rival(&mut net, put(RIVAL, 1, &[FIXED]));
        net.advance(100);
        let stored = net.node("g1").stored.len();
        assert_eq!(stored, usize::from(is_asked));
    }
}

/// What is deactivated inside, and comes back, is not said to be mitigated before somebody upstream has taken it.
#[test]
fn what_comes_back_inside_is_promised_again_when_it_is_accepted_again() {
    let wide = "203.0.113.0/28";
    let mut net = Net::new();
    let now = net.now();
    let gateway = net.node("g1");
    gateway.plan.policy.on_conflict = ConflictPolicy::Last;
    gateway.start(now);
    net.advance(5);
    net.expect(HOME, put(HOME, 1, &[wide]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[FIXED]), Code::CREATED);
    net.advance(30);
    net.check(&[FIXED], &[]);
    net.expect(HOME, put(HOME, 1, &[wide]), Code::CONFLICT);
    net.node("fixed").is_cut_off = true;
    net.expect(BRANCH, delete(BRANCH, 1), Code::DELETED);
    let question = net.send("g1", HOME, put(HOME, 1, &[wide]));
    net.advance(5);
    assert_eq!(net.answer("g1", question), None);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackMitigationInProgress);
    net.node("fixed").is_cut_off = false;
    net.advance(5);
    let told = net.answer("g1", question).expect("an answer");
    assert_eq!(told.code, Code::CHANGED, "{}", text_of(&told));
    net.check(&[wide], &[]);
}

/// Who asked together with others is asked for alone where the conflict is about what they want.
#[test]
fn a_conflict_of_one_is_not_told_to_those_who_asked_together_with_him() {
    let mut net = contested(ConflictPolicy::First);
    rival(&mut net, put(RIVAL, 1, &["203.0.113.9/32"]));
    let good = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    let bad = net.send("g1", BRANCH, put(BRANCH, 1, &["203.0.113.0/28"]));
    net.advance(5);
    let told = net.answer("g1", bad).expect("an answer");
    assert!(conflict_in(&told).scope.is_some());
    let told = net.answer("g1", good).expect("an answer");
    assert_eq!(told.code, Code::CREATED, "{}", text_of(&told));
    net.advance(30);
    net.check(&[FIXED, "203.0.113.9/32"], &[]);
}

/// That its retry-timer runs down is no news.
#[test]
fn a_deactivation_is_noted_once() {
    let mut net = contested(ConflictPolicy::Last);
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(5);
    rival(&mut net, put(RIVAL, 1, &[FIXED]));
    net.advance(600);
    let outcomes = net.nodes["g1"].outcomes.iter();
    let noted = outcomes.filter(|it| matches!(it, Outcome::Deactivated { .. }));
    assert_eq!(noted.count(), 1);
}
