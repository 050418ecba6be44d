//! What a server may mitigate longer than it is wanted, because a request was late or its answer lost.

use agent::client::{End, State};
use coap::Code;
use dots::mitigation::Status;

use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig};
use crate::world::seconds;

/// Covers: S-023, S-049. Its answer may be lost, and the server may have begun late.
#[test]
fn what_was_never_answered_is_withdrawn_with_the_wish() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 60);
    rig.advance(seconds(59));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code == Code::PUT)
    );
    rig.take();
    rig.advance(seconds(1));
    let delete = rig.take().pop().unwrap();
    assert_eq!((delete.message.code, delete.mid()), (Code::DELETE, 1));
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    assert_eq!(rig.state(id), State::Ended(End::Expired));
    assert!(rig.requests.is_empty());
}

/// Covers: S-023. Neither is there anything to withdraw, nor does it last for ever.
#[test]
fn a_wish_that_no_server_heard_of_ends_and_one_that_nobody_answers_ends_in_an_hour() {
    let mut rig = Rig::idle();
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 60);
    rig.advance(seconds(60));
    assert_eq!(rig.state(id), State::Ended(End::Expired));

    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 60);
    rig.advance(seconds(60 + 3599));
    assert_eq!(rig.state(id), State::Withdrawing);
    rig.advance(seconds(1));
    assert_eq!(rig.state(id), State::Ended(End::Expired));
    rig.take();
    rig.advance(seconds(60));
    assert!(rig.take().is_empty());
}

/// Covers: S-022, S-049. A server that grants more than was asked, or starts to count late.
#[test]
fn what_the_server_keeps_beyond_the_wish_is_withdrawn() {
    for granted in [u32::MAX, 900] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 600);
        let put = rig.one(Code::PUT);
        if granted == u32::MAX {
            rig.grant_for_ever(&put);
        } else {
            rig.grant(&put, granted);
        }
        let get = rig.one(Code::GET);
        rig.status(&get, Some(0), Status::AttackSuccessfullyMitigated, granted);
        rig.advance(seconds(601));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        let delete = rig.one(Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        assert_eq!(rig.state(id), State::Ended(End::Expired));
    }
}

/// Covers: S-037, S-049. A copy of the request arrives after the withdrawal, and revives it.
#[test]
fn what_a_late_copy_revives_is_withdrawn_again() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(4));
    assert_eq!(rig.take().len(), 2, "two copies");
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    let over = State::Ended(End::Withdrawn);
    assert_eq!(rig.state(id), over);
    for _ in 0..2 {
        rig.advance(seconds(14));
        assert!(rig.take().is_empty());
        rig.advance(seconds(1));
        let get = rig.one(Code::GET);
        rig.status(&get, Some(1), Status::AttackMitigationInProgress, 5000);
        assert_eq!(rig.state(id), State::Withdrawing);
        let delete = rig.one(Code::DELETE);
        rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        assert_eq!(rig.state(id), over);
    }
    // What is ending as it should is left alone, and after 100 s there are no more copies.
    rig.advance(seconds(15));
    let get = rig.one(Code::GET);
    rig.status(&get, Some(1), Status::DotsClientWithdrawnMitigation, 60);
    assert_eq!(rig.state(id), over);
    rig.answer(&get, Code::NOT_FOUND, |_| {}, b"gone");
    assert_eq!(rig.state(id), over);
    rig.advance(seconds(60));
    rig.take();
    rig.advance(seconds(600));
    assert!(rig.take().is_empty());
    assert!(rig.requests.is_empty());
}

/// Covers: S-049. A server that has answered the only copy is not asked any more.
#[test]
fn without_a_late_copy_nobody_looks_after_a_withdrawal() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(600, 600);
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(600));
    assert!(rig.take().is_empty());
}
