//! Customers that are sent to another server (RFC 9132 §4.6).

use agent::server::{Input, Outcome, Redirect, TooManyAddresses};
use coap::{Code, Response};
use dots::redirect::RedirectedSignal;

use super::rig::{Ask, BRANCH, HOME, Rig, body};
use crate::world::{cbor, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";

fn redirect(ttl: u32) -> Redirect {
    let addresses = ["2001:db8:6401::1", "192.0.2.1"].map(|text| text.parse().unwrap());
    Redirect::new("alt.example".parse().unwrap(), addresses.into(), ttl).unwrap()
}

fn set(rig: &mut Rig, customer: &str, redirect: Option<Redirect>) {
    rig.input(Input::SetRedirect(customer.to_owned(), redirect));
}

fn assert_redirected(response: &Response, ttl: u32) {
    assert_eq!(response.code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(response.options.max_age(), Some(ttl));
    let signal = RedirectedSignal::decode(&response.payload).expect("a redirect");
    assert_eq!(signal.alt_server.as_str(), "alt.example");
    assert_eq!(signal.alt_server_records.len(), 2);
}

fn mitigating() -> Rig {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 600),
        Code::CREATED,
    );
    rig
}

/// Covers: S-063, S-064
#[test]
fn mitigation_requests_are_sent_elsewhere() {
    for ttl in [0, 3600, u32::MAX] {
        let mut rig = mitigating();
        let before = rig.stored.clone();
        set(&mut rig, "home", Some(redirect(ttl)));
        // New ones, refreshes, and efficacy updates.
        let update = [
            (6, cbor::texts(&["203.0.113.7/32"])),
            (14, cbor::uint(900)),
            (29, cbor::uint(1)),
        ];
        for ask in [
            Ask::mitigate(2, &["203.0.113.8/32"], 60),
            Ask::mitigate(1, &["203.0.113.7/32"], 60),
            Ask::put(PATH, cbor::scope(&update)).if_match(),
        ] {
            assert_redirected(&rig.ask(HOME, ask), ttl);
        }
        assert_eq!(rig.stored, before);
        // Others are not concerned.
        let other = Ask::put("mitigate/cuid=two/mid=1", body(&["198.51.100.7/32"], 60));
        rig.expect(BRANCH, other, Code::CREATED);
    }
}

/// Covers: S-063. What is promised here stays in force, can be looked at and withdrawn.
#[test]
fn who_is_sent_elsewhere_can_still_withdraw_what_he_has_here() {
    let mut rig = mitigating();
    set(&mut rig, "home", Some(redirect(3600)));
    assert_eq!(rig.enforced.len(), 1);
    rig.expect(HOME, Ask::get(PATH), Code::CONTENT);
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert!(rig.stored.is_empty());
}

/// Covers: S-063
#[test]
fn observers_are_told_when_they_are_sent_elsewhere_and_nothing_after_it() {
    let mut rig = mitigating();
    rig.expect(HOME, Ask::get(PATH).observe(0).token(7), Code::CONTENT);
    let all = Ask::get("mitigate/cuid=one").observe(0).token(8);
    rig.expect(HOME, all, Code::CONTENT);
    let other = Ask::put("mitigate/cuid=two/mid=1", body(&["198.51.100.7/32"], 600));
    rig.expect(BRANCH, other, Code::CREATED);
    let theirs = Ask::get("mitigate/cuid=two/mid=1").observe(0).token(9);
    rig.expect(BRANCH, theirs, Code::CONTENT);
    rig.notified.clear();
    set(&mut rig, "HOME", Some(redirect(60)));
    assert_eq!(rig.notified.len(), 2);
    for (session, _, told) in &rig.notified {
        assert_eq!(*session, HOME);
        assert_redirected(told, 60);
        assert_eq!(told.options.observe(), None, "the observation is over");
    }
    rig.notified.clear();
    rig.advance(seconds(100));
    assert!(rig.notified.iter().all(|(session, ..)| *session == BRANCH));
    // The same again says nothing new.
    let outcomes = rig.outcomes.len();
    set(&mut rig, "home", Some(redirect(60)));
    assert_eq!(rig.outcomes.len(), outcomes);
}

/// Covers: S-063
#[test]
fn a_customer_that_is_taken_back_is_served_again() {
    let mut rig = mitigating();
    set(&mut rig, "home", Some(redirect(60)));
    set(&mut rig, "home", None);
    assert!(matches!(
        rig.outcomes.last(),
        Some(Outcome::Redirected { customer, alt_server: None }) if customer == "home"
    ));
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.8/32"], 60),
        Code::CREATED,
    );
    set(&mut rig, "nobody", Some(redirect(60)));
}

/// Covers: S-063
#[test]
fn a_redirect_fits_a_datagram() {
    let name = || "alt.example".parse().unwrap();
    let address = "2001:db8:6401::1".parse().unwrap();
    assert!(Redirect::new(name(), vec![address; 8], 60).is_ok());
    assert_eq!(
        Redirect::new(name(), vec![address; 9], 60),
        Err(TooManyAddresses)
    );
}
