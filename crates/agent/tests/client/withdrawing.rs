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

/// Covers: S-049. The wish is over by then, and the server may go on for longer.
#[test]
fn a_withdrawal_after_the_wish_survives_a_restart() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 60);
    assert_eq!(rig.one(Code::PUT).mid(), 1);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.advance(seconds(600));
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.restart();
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.set(FIXED4, Behaviour::Up);
    let delete = rig.until_asked(120).remove(0);
    assert_eq!((delete.message.code, delete.mid()), (Code::DELETE, 1));
    // An hour after it began nobody is told any more, whatever restarts.
    rig.restart();
    rig.advance(seconds(3600 + 60) - rig.elapsed);
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
}

/// Covers: S-022, S-049. What the server granted without an end outlives the wish.
#[test]
fn a_withdrawal_shortly_before_the_end_of_the_wish_goes_on_after_it() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    let put = rig.one(Code::PUT);
    rig.grant_for_ever(&put);
    rig.advance(seconds(590));
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.withdraw(id);
    rig.advance(seconds(600));
    assert_eq!(rig.state(id), State::Withdrawing);
}

/// Covers: S-049. Who says no to a longer lifetime has the mitigation for the one it granted, and may
/// take it up again after that.
#[test]
fn what_is_refused_at_a_refresh_can_be_withdrawn() {
    for is_late in [false, true] {
        let mut rig = Rig::new();
        let (id, _) = rig.granted(1000, 400);
        rig.advance(seconds(200));
        let put = rig.one(Code::PUT);
        rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no more");
        assert!(matches!(rig.state(id), State::Accepted(_)));
        if is_late {
            rig.advance(seconds(200));
            rig.take();
        }
        rig.withdraw(id);
        let delete = rig.take().pop().unwrap();
        assert_eq!(delete.message.code, Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
        assert!(rig.requests.is_empty());
    }
}

/// Covers: S-068. A withdrawal that is repeated has been unanswered all the time.
#[test]
fn who_withdraws_again_gets_a_second_session_no_later() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(6000, 6000);
    rig.inbound_loss = Some((fastrand::Rng::with_seed(1), 100));
    let opened = rig.opened.len();
    for _ in 0..4 {
        rig.withdraw(id);
        rig.advance(seconds(5));
    }
    assert!(rig.opened.len() > opened);
}
