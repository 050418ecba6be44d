//! What one inside client can take while nobody upstream answers.

use coap::Code;
use dots::mitigation::{Refusal, Status};

use super::net::*;

/// A gateway whose customer `home` may have so many mitigations.
fn with_limit(max_mitigations: usize) -> Net {
    let mut net = Net::new();
    let now = net.now();
    let node = net.node("g1");
    node.plan.customers[0].max_mitigations = max_mitigations;
    node.start(now);
    net.advance(5);
    net
}

/// Where there is room for no more, a request takes the place of the one before, also before anybody has answered either.
#[test]
fn requests_that_nobody_answers_take_each_others_place() {
    let mut net = with_limit(4);
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.node("fixed").is_cut_off = true;
    let wide = "203.0.113.0/28";
    let first = net.send("g1", HOME, put(HOME, 2, &[wide]));
    for mid in 3..50 {
        net.send("g1", HOME, put(HOME, mid, &[wide]));
        net.settle();
    }
    // What is in force goes on until one of them is accepted.
    let mids: Vec<u32> = net.node("g1").stored.keys().map(|key| key.mid.0).collect();
    assert_eq!(
        mids,
        [1, 46, 47, 48, 49],
        "and the one whose place they take"
    );
    let response = net.answer("g1", first).expect("an answer");
    assert_eq!(response.code, Code::CONFLICT);
    assert!(Refusal::decode(&response.payload).is_ok());
    assert!(net.node("g1").requests.len() <= 2);
    net.node("fixed").is_cut_off = false;
    net.advance(60);
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    net.expect(HOME, get(HOME, 49), Code::CONTENT);
    net.check(&[wide], &[]);
}

/// The limit of a customer holds, whoever answers.
#[test]
fn the_limit_of_a_customer_holds_while_nobody_answers() {
    let mut net = with_limit(4);
    for name in ["fixed", "mobile"] {
        net.node(name).is_cut_off = true;
    }
    for mid in 1..=20 {
        let target = format!("203.0.113.{}/32", mid % 10);
        net.send("g1", HOME, put(HOME, mid, &[&target]));
        net.settle();
    }
    assert_eq!(net.node("g1").stored.len(), 4);
}

/// Who finds no room for his request takes nothing from those who were promised theirs, and is told to come back.
#[test]
fn who_cannot_be_asked_for_ends_nothing_of_others() {
    let mut net = Net::new();
    let now = net.now();
    net.node("fixed").plan.policy.max_lifetime = 300.try_into().unwrap();
    net.node("fixed").start(now);
    net.node("g1").plan.max_requests = 1;
    net.node("g1").start(now);
    net.advance(120);
    let ask = put_for(BRANCH, 1, &[FIXED], 36_000);
    net.expect(BRANCH, ask.clone(), Code::CREATED);
    net.node("fixed").is_cut_off = true;
    net.advance(280);
    net.expect(BRANCH, ask.clone(), Code::CHANGED);
    net.advance(200);
    let status = net.status_code(BRANCH, 1);
    assert_eq!(status, Status::AttackMitigationInProgress);
    let wide = put(HOME, 1, &["203.0.113.0/28"]);
    net.expect(HOME, wide, Code::SERVICE_UNAVAILABLE);
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    net.expect(BRANCH, get(BRANCH, 1), Code::CONTENT);
    net.send("g1", BRANCH, ask);
    net.node("fixed").is_cut_off = false;
    net.advance(120);
    net.check(&[FIXED], &[]);
    let status = net.status_code(BRANCH, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
}
