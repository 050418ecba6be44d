//! Two attachments to one provider, of which one is asked: what cannot be had over one is asked over the other
//! (RFC 9284 §5.4).

use agent::client::{End, RequestId, State};
use coap::{Code, OptionNumber};

use super::home::{alter, changed};
use super::moved::are_asked_in_turn;
use super::replies::Asked;
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE_HOST, MOBILE4, Rig, target};
use crate::world::{BYE, seconds};

const MOBILE: &str = "mobile.example";

fn one_provider() -> Rig {
    let mut rig = Rig::home(changed(|set| {
        for id in ["fixed.example", "mobile.example"] {
            alter(set, id, |domain| domain.provider = Some("isp".to_owned()));
        }
    }));
    rig.advance(seconds(0));
    rig
}

/// Whose server it was, and what it was asked.
fn told(rig: &Rig, asked: &Asked) -> (String, Code, u32) {
    let mut opened = rig.opened.iter();
    let path = opened.find(|opened| opened.path == asked.path);
    let to = path.expect("an opened path").remote.clone();
    (to, asked.message.code, asked.mid())
}

fn cut(rig: &mut Rig, put: &Asked) {
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    rig.inject(put.path, &[BYE]);
    rig.settle();
}

fn state_at(rig: &Rig, id: RequestId, server: &str) -> State {
    let parts = rig.parts(id).into_iter();
    let mut there = parts.filter(|part| part.association.server == server);
    there.next_back().expect("a part").state
}

/// The owner of the target was asked, its line is cut, and the other attachment is asked after 10 s.
fn moved() -> (Rig, RequestId, Asked) {
    let mut rig = one_provider();
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    assert_eq!(told(&rig, &put).0, FIXED6);
    cut(&mut rig, &put);
    rig.advance(seconds(9));
    assert!(rig.take().is_empty());
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(told(&rig, &put).0, MOBILE4);
    assert_eq!(put.body().target, target(&[FIXED_HOST]));
    (rig, id, put)
}

/// Covers: M-029. The first one may have it, and is told.
#[test]
fn what_an_attachment_without_a_session_has_not_granted_goes_to_another_of_the_provider() {
    let (mut rig, id, put) = moved();
    rig.grant_observed(&put, 6000);
    let report = rig.client.request(id).unwrap();
    let mut asked = report.selection.asked.iter();
    assert!(asked.any(|it| it.association.server == "dots.mobile.example"));
    rig.set(FIXED6, Behaviour::Up);
    let asked = rig.until_asked(120);
    assert_eq!(told(&rig, &asked[0]), (FIXED6.to_owned(), Code::DELETE, 1));
    rig.answer(&asked[0], Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(60));
    let moved = state_at(&rig, id, "dots.fixed.example");
    assert!(matches!(moved, State::Ended(End::Moved { .. })));
    let there = state_at(&rig, id, "dots.mobile.example");
    assert!(matches!(there, State::Accepted(_)));
    // That something else has changed is no reason to change what is in force.
    rig.take();
    rig.network(rig.pvds.clone());
    assert!(rig.take().is_empty());
}

/// Covers: M-029. Nothing was sent anywhere.
#[test]
fn what_is_asked_before_there_is_any_session_goes_to_the_first_attachment_that_has_one() {
    let mut rig = Rig::home(one_provider().pvds);
    for address in [FIXED6, FIXED4, MOBILE4] {
        rig.set(address, Behaviour::Down);
    }
    rig.advance(seconds(0));
    rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(30));
    rig.set(MOBILE4, Behaviour::Up);
    let asked = rig.until_asked(120);
    assert_eq!(told(&rig, &asked[0]).0, MOBILE4);
}

/// Covers: M-029, S-049. Whether its session is back before or after that.
#[test]
fn what_the_other_attachment_does_not_take_the_first_is_asked_for_again() {
    for (is_back, code) in [
        (false, Code::FORBIDDEN),
        (true, Code::FORBIDDEN),
        (false, Code::SERVICE_UNAVAILABLE),
        (true, Code::SERVICE_UNAVAILABLE),
        (true, Code::INTERNAL_SERVER_ERROR),
    ] {
        let (mut rig, id, mut put) = moved();
        if is_back {
            rig.set(FIXED6, Behaviour::Up);
            rig.advance(seconds(120));
            let asked = rig.take();
            assert!(
                asked.iter().all(|asked| told(&rig, asked).0 == MOBILE4),
                "nothing is withdrawn before it is granted elsewhere: {asked:?}"
            );
            // It was asked again over a second session.
            put = asked.into_iter().next_back().unwrap();
        }
        let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 300);
        rig.answer(&put, code, later, b"no");
        rig.set(FIXED6, Behaviour::Up);
        let asked = rig.until_asked(120);
        assert_eq!(
            told(&rig, &asked[0]),
            (FIXED6.to_owned(), Code::PUT, 1),
            "{code}"
        );
        rig.grant(&asked[0], 6000);
        let first = state_at(&rig, id, "dots.fixed.example");
        assert!(matches!(first, State::Accepted(_)), "{code}");
        rig.advance(seconds(600));
        let mut asked = rig.take().into_iter();
        let put = asked.find(|asked| asked.message.code == Code::PUT);
        assert!(put.is_none(), "{code}: {put:?}");
    }
}

/// Covers: M-029, S-065. Two busy attachments are asked in turn.
#[test]
fn two_busy_attachments_are_asked_no_sooner_than_they_said() {
    let (mut rig, _, put) = moved();
    are_asked_in_turn(&mut rig, &put, MOBILE4);
}

/// Covers: M-029
#[test]
fn a_restart_knows_which_attachment_is_asked_instead() {
    let (mut rig, id, _) = moved();
    rig.restart();
    let put = rig.one(Code::PUT);
    assert_eq!(told(&rig, &put).0, MOBILE4);
    let later = |options: &mut coap::Options| options.push_uint(OptionNumber::MAX_AGE, 300);
    rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"busy");
    rig.set(FIXED6, Behaviour::Up);
    let asked = rig.until_asked(120);
    assert_eq!(told(&rig, &asked[0]), (FIXED6.to_owned(), Code::PUT, 1));
    rig.grant(&asked[0], 6000);
    let first = state_at(&rig, id, "dots.fixed.example");
    assert!(matches!(first, State::Accepted(_)));
}

/// Covers: M-029. The other attachment's session comes up after the first attempt failed, and nothing else happens meanwhile.
#[test]
fn what_was_sent_goes_to_another_attachment_10_s_later_after_a_restart() {
    let mut rig = one_provider();
    rig.mitigate(&[FIXED_HOST], 6000);
    rig.take();
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Refusing);
    }
    rig.restart();
    let start = rig.elapsed;
    let put = rig.until_asked(120).remove(0);
    assert_eq!(told(&rig, &put).0, MOBILE4);
    let waited = (put.at - start).as_secs();
    assert_eq!(waited, 10);
}

/// Covers: M-029. It is named no more and named again, as after a modem has connected again.
#[test]
fn an_attachment_that_was_not_asked_for_a_while_takes_over_again() {
    for is_told in [false, true] {
        let (mut rig, id, put) = moved();
        rig.grant_observed(&put, 6000);
        let found = rig.pvds.clone();
        let mut lost = found.clone();
        alter(&mut lost, MOBILE, |domain| domain.dots_servers.clear());
        rig.network(lost);
        let delete = rig.one(Code::DELETE);
        assert_eq!(told(&rig, &delete), (MOBILE4.to_owned(), Code::DELETE, 1));
        rig.network(found);
        if is_told {
            rig.answer(&delete, Code::DELETED, |_| {}, &[]);
        }
        let put = rig.take().remove(0);
        assert_eq!(told(&rig, &put), (MOBILE4.to_owned(), Code::PUT, 2));
        rig.grant(&put, 6000);
        let there = state_at(&rig, id, "dots.mobile.example");
        assert!(matches!(there, State::Accepted(_)));
    }
}

/// Covers: M-029, M-005. The owner of the target is asked in vain before the one that granted it is found.
#[test]
fn what_an_attachment_granted_stays_there_though_it_is_found_late_after_a_restart() {
    let (mut rig, id, put) = moved();
    rig.grant_observed(&put, 6000);
    let found = rig.pvds.clone();
    alter(&mut rig.pvds, MOBILE, |domain| domain.dots_servers.clear());
    rig.restart();
    rig.advance(seconds(5));
    assert!(rig.take().is_empty());
    rig.network(found);
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(told(&rig, &put), (MOBILE4.to_owned(), Code::PUT, 1));
    let there = state_at(&rig, id, "dots.mobile.example");
    assert_eq!(there, State::Asking);
    let first = state_at(&rig, id, "dots.fixed.example");
    assert_eq!(first, State::Ended(End::NotAsked));
}

/// Covers: M-029. The first one is back, and would be asked now.
#[test]
fn the_same_again_is_no_new_request_at_whichever_attachment_it_is() {
    let (mut rig, id, put) = moved();
    rig.grant_observed(&put, 6000);
    rig.set(FIXED6, Behaviour::Up);
    let delete = rig.until_asked(120).remove(0);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.take();
    assert_eq!(rig.mitigate(&[FIXED_HOST], 6000), id);
    let put = rig.one(Code::PUT);
    assert_eq!(told(&rig, &put), (MOBILE4.to_owned(), Code::PUT, 1));
    let report = rig.client.request(id).unwrap();
    let mut asked = report.selection.asked.iter();
    assert!(asked.any(|it| it.association.server == "dots.mobile.example"));
    assert_ne!(rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 6000), id);
}

/// Covers: M-029. One of them has refused its share, and something else changes.
#[test]
fn what_one_attachment_refuses_is_not_asked_of_another_that_is_asked_for_more() {
    let mut rig = one_provider();
    rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 6000);
    for put in rig.take() {
        match told(&rig, &put).0 == MOBILE4 {
            true => drop(rig.grant_observed(&put, 6000)),
            false => rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"no"),
        }
    }
    rig.network(rig.pvds.clone());
    assert!(rig.take().is_empty());
}
