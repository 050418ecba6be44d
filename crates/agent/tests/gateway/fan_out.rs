//! One request inside, several servers upstream, one answer.

use coap::{Code, OptionNumber};
use dots::lifetime::Lifetime;
use dots::mitigation::Status;

use super::net::*;

fn lifetime(seconds: u32) -> Lifetime {
    Lifetime::from_number(seconds.into()).unwrap()
}

/// Covers: G-001, M-013, M-017
#[test]
fn what_is_the_sites_own_is_asked_of_every_provider() {
    let mut net = Net::new();
    let response = net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    assert_eq!(granted(&response).lifetime, lifetime(3600));
    net.check(&[OWN], &[OWN]);
    net.advance(4);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.settle();
    net.check(&[], &[]);
}

/// Covers: G-017. The shortest lifetime that one grants.
#[test]
fn the_shortest_lifetime_is_granted() {
    let mut net = Net::new();
    let now = net.now();
    let fixed = net.node("fixed");
    fixed.plan.policy.max_lifetime = 600.try_into().unwrap();
    fixed.start(now);
    net.advance(120);
    let response = net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    assert_eq!(granted(&response).lifetime, lifetime(600));
    // A refresh is answered at once, with no more than that.
    net.advance(300);
    let response = net.expect(HOME, put(HOME, 1, &[OWN]), Code::CHANGED);
    assert_eq!(granted(&response).lifetime, lifetime(600));
    net.advance(599);
    assert_eq!(net.status(HOME, 1).lifetime.to_string(), "1 s");
    net.check(&[OWN], &[OWN]);
    net.advance(2);
    net.check(&[], &[]);
}

/// Covers: G-017
#[test]
fn one_provider_that_accepts_is_enough() {
    let mut net = Net::new();
    let now = net.now();
    let mobile = net.node("mobile");
    mobile.plan.customers[0].prefixes.clear();
    mobile.start(now);
    net.advance(120);
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    net.check(&[OWN], &[]);
}

/// Covers: G-017
#[test]
fn what_all_providers_refuse_is_refused_in_their_words_and_forgotten() {
    let mut net = Net::new();
    let now = net.now();
    for name in ["fixed", "mobile"] {
        let node = net.node(name);
        node.plan.customers[0].prefixes.clear();
        node.start(now);
    }
    net.advance(120);
    let response = net.expect(HOME, put(HOME, 1, &[OWN]), Code::BAD_REQUEST);
    assert!(
        text_of(&response).contains("customer g1"),
        "{}",
        text_of(&response)
    );
    net.expect(HOME, get(HOME, 1), Code::NOT_FOUND);
    assert!(net.node("g1").stored.is_empty());
}

/// Who is under attack and cannot be answered in time is protected all the same.
#[test]
fn without_an_answer_in_time_the_request_is_kept_and_the_repetition_finds_it() {
    let mut net = Net::new();
    for name in ["fixed", "mobile"] {
        net.node(name).is_cut_off = true;
    }
    let question = net.send("g1", HOME, put(HOME, 1, &[OWN]));
    net.advance(9);
    assert_eq!(net.answer("g1", question), None);
    net.advance(2);
    let response = net.answer("g1", question).expect("in the end");
    assert_eq!(response.code, Code::SERVICE_UNAVAILABLE);
    assert!(response.options.get_first(OptionNumber::MAX_AGE).is_some());
    assert_eq!(net.status_code(HOME, 1), Status::AttackMitigationInProgress);

    let again = net.send("g1", HOME, put(HOME, 1, &[OWN]));
    assert_eq!(net.answer("g1", again), None);
    net.node("mobile").is_cut_off = false;
    net.advance(120);
    let response = net.answer("g1", again).expect("an answer");
    assert_eq!(response.code, Code::CREATED, "{}", text_of(&response));
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CHANGED);
    net.check(&[], &[OWN]);
}

/// Covers: S-018. Non-confirmable requests are repeated under fresh Message IDs, each an exchange of its own: the first
/// copy counts for how long the client waits.
#[test]
fn a_client_that_repeats_itself_is_told_in_time_that_nobody_answers() {
    let mut net = Net::new();
    net.node("fixed").is_cut_off = true;
    let copies: Vec<Question> = (0..4)
        .map(|_| {
            let copy = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
            net.advance(3);
            copy
        })
        .collect();
    let mut answers = copies.iter().filter_map(|copy| net.answer("g1", *copy));
    let told = answers.next().expect("an answer");
    assert_eq!(told.code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(answers.next(), None);
}

/// A provider that cannot be reached delays nobody whom another one protects for longer than that.
#[test]
fn one_that_does_not_answer_delays_the_others_by_the_patience_at_most() {
    let mut net = Net::new();
    net.node("mobile").is_cut_off = true;
    let question = net.send("g1", HOME, put(HOME, 1, &[OWN]));
    net.settle();
    net.check(&[OWN], &[]);
    net.advance(11);
    let response = net.answer("g1", question).expect("in time");
    assert_eq!(response.code, Code::CREATED);
}

#[test]
fn a_client_that_repeats_itself_has_one_answer() {
    let mut net = Net::new();
    net.node("fixed").is_cut_off = true;
    let first = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.advance(3);
    let second = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.advance(3);
    net.node("fixed").is_cut_off = false;
    net.advance(6);
    assert_eq!(net.answer("g1", first), None);
    assert_eq!(
        net.answer("g1", second).map(|it| it.code),
        Some(Code::CREATED)
    );
}

/// A withdrawal that overtakes the answer.
#[test]
fn what_is_withdrawn_before_it_is_answered_is_asked_of_nobody_any_more() {
    let mut net = Net::new();
    net.node("fixed").is_cut_off = true;
    let question = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.advance(3);
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.node("fixed").is_cut_off = false;
    net.advance(60);
    assert_eq!(net.answer("g1", question), None);
    net.check(&[], &[]);
    assert!(net.node("g1").requests.is_empty());
}
