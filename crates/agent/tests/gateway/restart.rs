//! Gateways that are killed.

use coap::Code;
use dots::mitigation::Status;

use super::net::*;

/// What was acknowledged is relayed again, and nothing is asked for twice.
#[test]
fn a_killed_gateway_goes_on_with_what_it_relayed_and_doubles_nothing() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED, MOBILE]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &["203.0.113.0/28"]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 2, &[OWN]), Code::CREATED);
    net.advance(30);
    let before = net.node("g1").requests.clone();
    let mids = |net: &Net| -> Vec<_> { net.nodes["fixed"].stored.keys().cloned().collect() };
    let known = mids(&net);
    net.restart("g1");
    net.advance(30);
    assert_eq!(
        net.node("g1").requests.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    assert_eq!(mids(&net), known);
    for (client, mid) in [(HOME, 1), (BRANCH, 1), (BRANCH, 2)] {
        let status = net.status_code(client, mid);
        assert_eq!(
            status,
            Status::AttackSuccessfullyMitigated,
            "{client:?} {mid}"
        );
    }
    net.expect(BRANCH, delete(BRANCH, 2), Code::DELETED);
    net.advance(30);
    net.check(&["203.0.113.0/28"], &[MOBILE]);
}

/// Killed between the record of a mitigation and its first message upstream.
#[test]
fn what_was_recorded_and_not_relayed_is_relayed_after_the_restart() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(5);
    net.node("g1").requests.clear();
    net.node("g1").wanted.clear();
    let now = net.now();
    let fixed = net.node("fixed");
    fixed.stored.clear();
    fixed.enforced.clear();
    fixed.start(now);
    net.check(&[], &[]);
    net.restart("g1");
    net.advance(60);
    net.check(&[FIXED], &[]);
}

/// Killed between the withdrawal inside and the one upstream.
#[test]
fn what_nobody_wants_after_a_restart_is_withdrawn() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[MOBILE]), Code::CREATED);
    net.advance(5);
    let stored = &mut net.node("g1").stored;
    stored.retain(|key, _| key.customer != "home");
    net.restart("g1");
    net.advance(60);
    net.check(&[], &[MOBILE]);
    assert_eq!(net.node("g1").requests.len(), 1);
}

/// Killed while a wider request was taking the place of a narrower one.
#[test]
fn a_request_that_was_being_replaced_goes_on_until_the_new_one_is_accepted() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(5);
    net.node("fixed").is_cut_off = true;
    let wide = "203.0.113.0/28";
    net.send("g1", BRANCH, put(BRANCH, 1, &[wide]));
    net.advance(2);
    assert_eq!(net.node("g1").requests.len(), 2);
    net.restart("g1");
    net.check(&[FIXED], &[]);
    net.node("fixed").is_cut_off = false;
    net.advance(120);
    net.check(&[wide], &[]);
    assert_eq!(net.node("g1").requests.len(), 1);
}

/// The same if the new one is then refused, and whether the gateway was killed or its networks were
/// looked at anew meanwhile.
#[test]
fn a_request_whose_successor_is_refused_never_ceases() {
    for is_killed in [true, false] {
        let mut net = Net::new();
        let now = net.now();
        let fixed = net.node("fixed");
        fixed.plan.customers[0].prefixes = vec!["203.0.113.0/28".parse().unwrap()];
        fixed.start(now);
        net.advance(120);
        net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
        net.advance(5);
        let stored = |net: &Net| -> Vec<_> { net.nodes["fixed"].stored.keys().cloned().collect() };
        let known = stored(&net);
        net.node("fixed").is_cut_off = true;
        net.send("g1", BRANCH, put(BRANCH, 1, &["203.0.113.0/24"]));
        net.advance(2);
        match is_killed {
            true => net.restart("g1"),
            false => net.set_pvds("g1", site()),
        }
        net.node("fixed").is_cut_off = false;
        net.advance(120);
        net.check(&[FIXED], &[]);
        assert_eq!(stored(&net), known, "it was asked for once");
        let status = net.status_code(HOME, 1);
        assert_eq!(status, Status::AttackSuccessfullyMitigated);
        net.expect(BRANCH, get(BRANCH, 1), Code::NOT_FOUND);
    }
}

/// Covers: M-010. What was promised is ended by people and time: a server in trouble, or that was, ends nothing.
#[test]
fn a_passing_error_of_a_server_ends_nothing_that_was_promised() {
    for trouble in [Code::INTERNAL_SERVER_ERROR, Code::UNAUTHORIZED] {
        let mut net = Net::new();
        net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
        net.advance(5);
        let known = |net: &Net| -> Vec<_> { net.nodes["fixed"].stored.keys().cloned().collect() };
        let before = known(&net);
        net.node("fixed").trouble = Some(trouble);
        net.restart("g1");
        let question = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
        net.advance(30);
        let told = net.answer("g1", question).expect("an answer");
        assert!(!told.code.is_success(), "{}", text_of(&told));
        assert_eq!(net.node("g1").stored.len(), 1);
        let status = net.status_code(HOME, 1);
        assert_eq!(status, Status::AttackMitigationInProgress);
        net.check(&[FIXED], &[]);
        net.node("fixed").trouble = None;
        net.advance(300);
        assert_eq!(known(&net), before, "under the same number");
        let status = net.status_code(HOME, 1);
        assert_eq!(status, Status::AttackSuccessfullyMitigated);
    }
}

/// What nobody was promised is refused by the same error.
#[test]
fn a_new_request_is_told_of_the_error_and_forgotten() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.node("fixed").trouble = Some(Code::INTERNAL_SERVER_ERROR);
    let wide = "203.0.113.0/28";
    let refused = Code::INTERNAL_SERVER_ERROR;
    net.expect(BRANCH, put(BRANCH, 1, &[wide]), refused);
    net.expect(BRANCH, get(BRANCH, 1), Code::NOT_FOUND);
    net.advance(30);
    net.check(&[FIXED], &[]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
}
