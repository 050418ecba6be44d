//! Withdrawal, whatever the server knows (RFC 9132 §4.4.4).

use agent::client::{End, State};
use coap::{Code, OptionNumber};
use dots::mitigation::Status;

use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig};
use crate::world::seconds;

/// Covers: S-049
#[test]
fn a_withdrawal_is_asked_for_until_it_is_acknowledged() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    assert_eq!(delete.mid(), 1);
    assert!(delete.message.payload.is_empty());
    assert_eq!(rig.state(id), State::Withdrawing);
    assert!(rig.requests.values().next().unwrap().withdrawing);
    // A status that is on its way does not bring it back.
    rig.status(&get, Some(2), Status::AttackSuccessfullyMitigated, 500);
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.advance(seconds(6));
    let copies = rig.take();
    assert!(copies.len() >= 2 && copies.iter().all(|copy| copy.message.code == Code::DELETE));
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
    assert!(rig.requests.is_empty());
    rig.advance(seconds(60));
    assert!(rig.take().is_empty());
}

/// Covers: S-049. The request may have arrived though its answer did not.
#[test]
fn a_request_that_was_never_answered_is_withdrawn_all_the_same() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    // The late answer to the request does not count any more.
    rig.grant(&put, 600);
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.advance(seconds(9));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code == Code::DELETE)
    );
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
}

/// Covers: S-049, M-029
#[test]
fn a_withdrawal_waits_for_a_server_that_is_down() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(6000, 6000);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.withdraw(id);
    rig.advance(seconds(1000));
    assert_eq!(rig.state(id), State::Withdrawing);
    assert!(rig.take().is_empty());
    // Also over a restart of the client.
    rig.restart();
    rig.advance(seconds(100));
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.set(FIXED4, Behaviour::Up);
    let delete = rig.until_asked(120).remove(0);
    assert_eq!((delete.message.code, delete.mid()), (Code::DELETE, 1));
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
}

/// Covers: S-023. What has expired at the server by itself needs no withdrawal.
#[test]
fn a_withdrawal_that_nobody_hears_ends_with_the_lifetime() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(600, 600);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.withdraw(id);
    rig.advance(seconds(599));
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.advance(seconds(1));
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
    assert!(rig.requests.is_empty());
}

/// Covers: S-047, S-049
#[test]
fn a_server_in_trouble_is_asked_to_withdraw_again() {
    for code in [Code::SERVICE_UNAVAILABLE, Code::INTERNAL_SERVER_ERROR] {
        let mut rig = Rig::new();
        let (id, _) = rig.granted(600, 600);
        rig.withdraw(id);
        let delete = rig.one(Code::DELETE);
        let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 20);
        rig.answer(&delete, code, later, b"later");
        assert_eq!(rig.state(id), State::Withdrawing);
        rig.advance(seconds(19));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        let delete = rig.one(Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
    }
}

/// Covers: S-015. After a withdrawal the same targets are a new request.
#[test]
fn asking_again_during_a_withdrawal_is_a_new_request() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(600, 600);
    rig.withdraw(id);
    rig.take();
    let again = rig.mitigate(&[FIXED_HOST], 600);
    assert_ne!(again, id);
    let put = rig.one(Code::PUT);
    assert_eq!(put.mid(), 2);
}

/// Covers: S-049. What the server did not withdraw is withdrawn only when its lifetime has run out.
#[test]
fn a_withdrawal_that_is_refused_is_asked_for_again() {
    for code in [Code::FORBIDDEN, Code::TOO_MANY_REQUESTS, Code::CONFLICT] {
        let mut rig = Rig::new();
        let (id, _) = rig.granted(600, 600);
        rig.withdraw(id);
        let delete = rig.one(Code::DELETE);
        rig.answer(&delete, code, |_| {}, b"no");
        assert_eq!(rig.state(id), State::Withdrawing);
        rig.advance(seconds(59));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        let delete = rig.one(Code::DELETE);
        rig.answer(&delete, Code::NOT_FOUND, |_| {}, b"gone");
        assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
    }
}
