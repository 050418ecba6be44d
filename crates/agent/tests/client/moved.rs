//! What becomes of a request at the server that another is asked instead of: it is withdrawn there
//! once the other one has granted it, and not before.

use agent::client::{RequestId, State};
use coap::{Code, OptionNumber};

use super::home::BACKUP;
use super::moving::{at, backup, without};
use super::redirect::redirect;
use super::replies::Asked;
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig};
use crate::world::{BYE, seconds};

const FIRST: &str = "dots.fixed.example";
const SECOND: &str = "backup.fixed.example";

/// The first server was asked, lost its session, and the second one is asked after 10 s.
fn moved() -> (Rig, RequestId, Asked) {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    rig.set(FIXED6, Behaviour::Down);
    rig.set(FIXED4, Behaviour::Down);
    rig.inject(put.path, &[BYE]);
    rig.settle();
    rig.advance(seconds(10));
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], BACKUP);
    (rig, id, put)
}

/// What came to which server.
fn methods_at(rig: &mut Rig, address: &str) -> Vec<Code> {
    let asked = rig.take().into_iter();
    let there = asked.filter(|asked| rig.paths.get(&asked.path).is_some_and(|to| to == address));
    there.map(|asked| asked.message.code).collect()
}

/// Covers: M-029, S-049. The first one may have begun, and is the only one that may.
#[test]
fn what_the_second_server_refuses_the_first_is_asked_for_again() {
    let (mut rig, id, put) = moved();
    rig.answer(&put, Code::FORBIDDEN, |_| {}, b"who are you");
    assert!(matches!(at(&rig, id, SECOND).state, State::Refused { .. }));
    rig.set(FIXED6, Behaviour::Up);
    let asked = rig.until_asked(120);
    let put = &asked[0];
    assert_eq!(rig.paths[&put.path], FIXED6);
    assert_eq!((put.message.code, put.mid()), (Code::PUT, 1));
    rig.grant_observed(put, 6000);
    assert!(matches!(at(&rig, id, FIRST).state, State::Accepted(_)));
    // What was refused is not asked for again, and the same again is no new request.
    assert_eq!(rig.mitigate(&[FIXED_HOST], 6000), id);
    assert_eq!(rig.one(Code::PUT).mid(), 1);
    rig.set(FIXED6, Behaviour::Down);
    rig.inject(put.path, &[BYE]);
    rig.settle();
    rig.advance(seconds(300));
    assert!(rig.take().is_empty());
}

/// Covers: M-029, S-049. Who is busy protects as little as who refuses.
#[test]
fn while_the_second_server_is_busy_the_first_is_asked_again() {
    let (mut rig, id, put) = moved();
    let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 300);
    rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"busy");
    rig.set(FIXED6, Behaviour::Up);
    let asked = rig.until_asked(120);
    assert_eq!(rig.paths[&asked[0].path], FIXED6);
    assert_eq!(asked[0].message.code, Code::PUT);
    rig.grant(&asked[0], 6000);
    assert!(matches!(at(&rig, id, FIRST).state, State::Accepted(_)));
    assert_eq!(at(&rig, id, SECOND).state, State::Withdrawing);
    assert_eq!(methods_at(&mut rig, FIXED6), [Code::GET]);
    assert!(rig.client.is_settled(id));
}

/// Covers: M-029, S-065. Two busy servers are asked in turn, each when it said.
#[test]
fn two_busy_servers_are_asked_no_sooner_than_they_said() {
    let (mut rig, _, put) = moved();
    are_asked_in_turn(&mut rig, &put, BACKUP);
}

/// The server at `other` is busy for a minute each time that it is asked, and so is the first one, whose session is back.
pub(super) fn are_asked_in_turn(rig: &mut Rig, put: &Asked, other: &str) {
    let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 60);
    rig.answer(put, Code::SERVICE_UNAVAILABLE, later, b"busy");
    rig.set(FIXED6, Behaviour::Up);
    let mut asked_at: Vec<(String, u64)> = Vec::new();
    for _ in 0..1200 {
        rig.advance(seconds(1));
        for put in rig.take() {
            assert_eq!(put.message.code, Code::PUT);
            asked_at.push((rig.paths[&put.path].clone(), put.at.as_secs()));
            rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"busy");
        }
    }
    for address in [FIXED6, other] {
        let there = asked_at.iter().filter(|(at, _)| at == address);
        let at: Vec<u64> = there.map(|(_, at)| *at).collect();
        assert!(at.len() > 5, "{address}: {at:?}");
        assert!(at.windows(2).all(|two| two[1] - two[0] >= 60), "{at:?}");
    }
}

/// Covers: S-065, S-049. A refresh is redirected to a server that the client knows: what the first
/// one granted runs until then.
#[test]
fn what_is_granted_and_sent_elsewhere_is_withdrawn_once_it_is_granted_there() {
    for is_taken in [true, false] {
        let mut rig = without(&[]);
        rig.advance(seconds(0));
        let (id, _) = rig.granted(6000, 600);
        rig.advance(seconds(300));
        let put = rig.one(Code::PUT);
        redirect(&mut rig, &put, SECOND, &[], Some(3600));
        let put = rig.one(Code::PUT);
        assert_eq!(rig.paths[&put.path], BACKUP);
        assert!(matches!(at(&rig, id, FIRST).state, State::Accepted(_)));
        if is_taken {
            rig.grant(&put, 5700);
        } else {
            rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
            assert!(rig.take().is_empty());
            rig.withdraw(id);
        }
        assert_eq!(methods_at(&mut rig, FIXED6), [Code::DELETE]);
    }
}

/// Covers: M-005, M-029. As long as it was granted, and no longer.
#[test]
fn what_was_granted_before_a_restart_stays_with_its_server() {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    rig.granted(6000, 600);
    rig.advance(seconds(100));
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Saturated);
    }
    rig.restart();
    rig.advance(seconds(499));
    assert!(rig.take().is_empty());
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], BACKUP);
}

/// Covers: M-029. Whether the second server has granted it by then or not.
#[test]
fn a_restart_knows_who_is_asked_instead() {
    for is_granted in [false, true] {
        let (mut rig, id, put) = moved();
        if is_granted {
            rig.grant(&put, 6000);
        }
        rig.take();
        rig.restart();
        let put = rig.one(Code::PUT);
        assert_eq!(rig.paths[&put.path], BACKUP);
        rig.grant_observed(&put, 5990);
        assert_eq!(at(&rig, id, FIRST).state, State::Withdrawing);
        assert_eq!(at(&rig, id, FIRST).moved_to, Some(backup()));
        assert!(rig.client.is_settled(id));
        assert_eq!(rig.mitigate(&[FIXED_HOST], 6000), id);
        assert_eq!(rig.one(Code::PUT).mid(), put.mid());
        rig.set(FIXED6, Behaviour::Up);
        rig.advance(seconds(120));
        assert!(methods_at(&mut rig, FIXED6).contains(&Code::DELETE));
    }
}

/// Covers: M-029, S-065. What a server granted is in force, however busy it is when it is asked to prolong that.
#[test]
fn what_is_in_force_stays_with_a_busy_server_over_a_restart() {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    rig.granted(6000, 600);
    rig.advance(seconds(300));
    let put = rig.one(Code::PUT);
    let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 120);
    rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"busy");
    for _ in 0..2 {
        rig.restart();
        rig.advance(seconds(59));
        assert!(rig.take().is_empty());
    }
    rig.advance(seconds(2));
    let put = rig.one(Code::PUT);
    assert_eq!((&*rig.paths[&put.path], put.mid()), (FIXED6, 1));
}

/// Covers: M-029, S-049. The first server may have what it was asked for before, whatever it says of what is asked now.
#[test]
fn a_withdrawal_goes_on_when_the_request_comes_back_under_another_number() {
    let (mut rig, id, put) = moved();
    rig.grant_observed(&put, 60);
    rig.set(BACKUP, Behaviour::Down);
    rig.inject(put.path, &[BYE]);
    rig.set(FIXED6, Behaviour::Up);
    let mut asked = rig.until_asked(60);
    assert_eq!(asked[0].message.code, Code::DELETE);
    for _ in 0..60 {
        asked.retain(|asked| asked.message.code == Code::PUT);
        if !asked.is_empty() {
            break;
        }
        asked = rig.until_asked(1);
    }
    let put = asked.remove(0);
    assert_eq!((&*rig.paths[&put.path], put.mid()), (FIXED6, 2));
    rig.answer(&put, Code::FORBIDDEN, |_| {}, b"no");
    rig.withdraw(id);
    rig.take();
    let delete = rig.until_asked(20).remove(0);
    assert_eq!((delete.message.code, delete.mid()), (Code::DELETE, 1));
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(20));
    assert!(methods_at(&mut rig, FIXED6).is_empty());
}
