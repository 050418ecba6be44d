//! PvDs that come, go and change while requests are wanted (RFC 9284 §5.1).

use agent::client::{End, RequestId, State};
use agent::server_selection::{Independent, Policy};
use coap::Code;
use dots::mitigation::Status;
use pvd::PvdSet;

use super::home::{self, alter, changed};
use super::rig::{Behaviour, FIXED_HOST, FIXED6, MOBILE_HOST, MOBILE4, Rig};
use crate::world::seconds;

/// An address that both providers carry.
const OWN_HOST: &str = "192.0.2.200/32";

fn without_mobile() -> PvdSet {
    changed(|set| drop(set.remove(&"mobile.example".parse().unwrap())))
}

fn change(rig: &mut Rig, pvds: PvdSet) {
    let now = rig.now();
    rig.client.set_pvds(now, pvds);
    rig.settle();
}

/// A home that asked both providers to protect something, and was granted it.
fn granted(targets: &[&str], pvds: PvdSet) -> (Rig, RequestId) {
    let mut rig = Rig::home(pvds);
    rig.advance(seconds(0));
    let id = rig.mitigate(targets, 6000);
    let puts = rig.take();
    assert_eq!(puts.len(), 2);
    for put in puts {
        let get = rig.grant_observed(&put, 6000);
        assert_eq!(get.message.code, Code::GET);
    }
    rig.take();
    (rig, id)
}

fn to(rig: &Rig, asked: &super::replies::Asked) -> String {
    rig.paths[&asked.path].clone()
}

/// Covers: M-028, M-029. The other PvD's session and request notice nothing.
#[test]
fn what_a_pvd_that_goes_was_asked_for_is_withdrawn_there_and_asked_of_no_other() {
    let (mut rig, id) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    let paths = rig.paths.clone();
    change(&mut rig, without_mobile());
    let delete = rig.one(Code::DELETE);
    assert_eq!(to(&rig, &delete), MOBILE4);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(5));
    let left: Vec<String> = rig
        .client
        .sessions()
        .iter()
        .map(|it| it.association.server.clone())
        .collect();
    assert_eq!(left, ["dots.fixed.example"]);
    let fixed = paths
        .iter()
        .find(|(_, address)| *address == FIXED6)
        .unwrap();
    assert_eq!(rig.paths.get(fixed.0), Some(fixed.1), "the session goes on");
    let report = rig.client.request(id).unwrap();
    assert_eq!(report.parts.len(), 1, "{:?}", report.parts);
    assert!(matches!(report.parts[0].state, State::Accepted(_)));
    assert_eq!(
        report.selection.unprotected[0].prefix.to_string(),
        MOBILE_HOST
    );
    assert!(rig.take().is_empty());
}

/// Covers: M-028. Its interface may be gone too: nobody waits for an answer for long.
#[test]
fn a_pvd_that_goes_without_a_word_is_forgotten_soon() {
    let (mut rig, _) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    rig.set(MOBILE4, Behaviour::Down);
    change(&mut rig, without_mobile());
    rig.advance(seconds(31));
    assert!(rig.paths.values().all(|address| address != MOBILE4));
    assert_eq!(rig.client.sessions().len(), 1);
}

/// Covers: M-003, M-028, M-029. Fixed to mobile and back.
#[test]
fn a_pvd_that_comes_back_is_asked_again_under_a_higher_mid() {
    let (mut rig, id) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    let mobile = |rig: &Rig| {
        let mut parts = rig.parts(id);
        parts.retain(|part| part.association.pvd.as_str() == "mobile.example");
        parts
    };
    let first = mobile(&rig)[0].mid;
    change(&mut rig, without_mobile());
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(60));
    change(&mut rig, home::pvds(&[pvd::Transport::Udp]));
    let put = rig.until_asked(10).remove(0);
    assert_eq!(
        (to(&rig, &put), put.message.code),
        (MOBILE4.to_owned(), Code::PUT)
    );
    assert!(put.mid() > first.0);
    rig.grant(&put, 6000);
    let parts = mobile(&rig);
    assert!(
        matches!(&parts[..], [one] if matches!(one.state, State::Accepted(_))),
        "{parts:?}"
    );
}

/// Covers: M-028. A restart in between changes nothing of that.
#[test]
fn what_is_wanted_of_a_pvd_that_is_away_survives_a_restart() {
    let (mut rig, id) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    change(&mut rig, without_mobile());
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(5));
    rig.pvds = without_mobile();
    rig.restart();
    let now = rig.take();
    assert!(now.iter().all(|asked| to(&rig, asked) == FIXED6), "{now:?}");
    change(&mut rig, home::pvds(&[pvd::Transport::Udp]));
    let asked = rig.until_asked(10);
    let put = asked
        .iter()
        .find(|asked| to(&rig, asked) == MOBILE4)
        .unwrap();
    assert_eq!(put.body().target.prefixes[0].to_string(), MOBILE_HOST);
    assert_eq!(rig.client.request(id).unwrap().selection.unprotected, []);
}

/// Covers: M-028. An administrator who withdraws while a network is away means that, too.
#[test]
fn what_is_withdrawn_while_a_pvd_is_away_is_not_asked_when_it_is_back() {
    let (mut rig, id) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    change(&mut rig, without_mobile());
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(5));
    rig.withdraw(id);
    let delete = rig.one(Code::DELETE);
    assert_eq!(to(&rig, &delete), FIXED6);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    change(&mut rig, home::pvds(&[pvd::Transport::Udp]));
    rig.advance(seconds(60));
    assert!(
        rig.take()
            .iter()
            .all(|asked| asked.message.code == Code::GET)
    );
    assert!(rig.wanted.is_empty());
}

/// Covers: M-028. The server is still there, and is told.
#[test]
fn a_renumbered_target_is_withdrawn_and_not_moved_to_another_pvd() {
    let (mut rig, id) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    let renumbered = changed(|set| {
        alter(set, "mobile.example", |mobile| {
            mobile.prefixes = vec!["198.51.100.128/28".parse().unwrap()];
        });
    });
    change(&mut rig, renumbered);
    let delete = rig.one(Code::DELETE);
    assert_eq!(to(&rig, &delete), MOBILE4);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(0));
    let mobile = rig
        .parts(id)
        .into_iter()
        .find(|part| part.association.pvd.as_str() == "mobile.example");
    assert_eq!(mobile.unwrap().state, State::Ended(End::NotAsked));
    let renumbered = rig.mitigate(&["198.51.100.129/32"], 600);
    let put = rig.one(Code::PUT);
    assert_eq!(to(&rig, &put), MOBILE4);
    assert_ne!(renumbered, id);
}

/// Covers: M-010, M-011, M-028. The provider gave another address: the old one leads nowhere.
#[test]
fn a_session_whose_source_address_is_gone_is_replaced_and_its_request_stays() {
    let (mut rig, id) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    let before = rig.paths.clone();
    let moved = changed(|set| {
        alter(set, "mobile.example", |mobile| {
            mobile.addresses = vec![home::own("198.51.100.9")];
        });
    });
    change(&mut rig, moved);
    rig.advance(seconds(5));
    let mobile: Vec<_> = rig
        .paths
        .iter()
        .filter(|(_, address)| *address == MOBILE4)
        .collect();
    assert_eq!(mobile.len(), 1);
    assert!(!before.contains_key(mobile[0].0), "a new socket");
    let fixed: Vec<_> = rig
        .paths
        .iter()
        .filter(|(_, address)| *address == FIXED6)
        .collect();
    assert!(
        before.contains_key(fixed[0].0),
        "the other PvD's session goes on"
    );
    let asked = rig.take();
    assert!(
        asked.iter().all(|asked| asked.message.code == Code::GET),
        "{asked:?}"
    );
    assert!(
        rig.parts(id)
            .iter()
            .all(|part| matches!(part.state, State::Accepted(_)))
    );
}

/// Covers: M-013, M-014, M-028. Provider-independent: whoever is there is asked.
#[test]
fn an_independent_target_is_asked_of_each_pvd_that_comes_and_kept_by_those_that_stay() {
    let own = |set: &mut PvdSet| set.insert_independent("192.0.2.192/26".parse().unwrap());
    let with = |mut set: PvdSet| {
        own(&mut set);
        set
    };
    let (mut rig, id) = granted(&[OWN_HOST], changed(own));
    change(&mut rig, with(without_mobile()));
    let delete = rig.one(Code::DELETE);
    assert_eq!(to(&rig, &delete), MOBILE4);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(5));
    assert!(matches!(rig.state(id), State::Accepted(_)));
    change(&mut rig, changed(own));
    let put = rig.until_asked(10).remove(0);
    assert_eq!(
        (to(&rig, &put), put.message.code),
        (MOBILE4.to_owned(), Code::PUT)
    );
}

/// Covers: M-014. The administrator changes his mind while an attack is going on.
#[test]
fn a_new_policy_is_applied_to_what_is_asked_already() {
    let own = |set: &mut PvdSet| set.insert_independent("192.0.2.192/26".parse().unwrap());
    let (mut rig, id) = granted(&[OWN_HOST], changed(own));
    let mut policy = Policy::default();
    policy.independent = Independent::One;
    let now = rig.now();
    rig.client.set_policy(now, policy);
    rig.settle();
    let delete = rig.one(Code::DELETE);
    assert_eq!(to(&rig, &delete), MOBILE4, "one of them is enough");
    let now = rig.now();
    rig.client.set_policy(now, Policy::default());
    rig.settle();
    let asked = rig.take();
    let put = asked
        .iter()
        .find(|asked| asked.message.code == Code::PUT)
        .unwrap();
    assert_eq!(to(&rig, put), MOBILE4);
    let kept = rig
        .parts(id)
        .into_iter()
        .find(|part| part.association.pvd.as_str() == "fixed.example");
    assert!(matches!(
        kept.unwrap().state,
        State::Accepted(Status::AttackMitigationInProgress)
    ));
}

/// Covers: M-003. Telling the same again is no event.
#[test]
fn the_same_pvds_again_change_nothing() {
    let (mut rig, _) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    let before = rig.paths.clone();
    for _ in 0..3 {
        change(&mut rig, home::pvds(&[pvd::Transport::Udp]));
        rig.advance(seconds(1));
    }
    assert!(rig.take().is_empty());
    assert_eq!(rig.paths, before);
}

/// Covers: S-029, M-028. Neither a change of PvDs nor a restart revives what a newer request replaced.
#[test]
fn what_a_newer_request_has_replaced_stays_replaced() {
    let (mut rig, older) = granted(
        &[FIXED_HOST, MOBILE_HOST],
        home::pvds(&[pvd::Transport::Udp]),
    );
    let newer = rig.mitigate(&["203.0.113.0/29"], 6000);
    let put = rig.one(Code::PUT);
    rig.grant_observed(&put, 6000);
    rig.take();
    let replaced = |rig: &Rig| {
        let parts = rig.parts(older);
        let mut fixed = parts
            .into_iter()
            .filter(|part| part.association.pvd.as_str() == "fixed.example");
        fixed.all(|part| part.state == State::Ended(End::Replaced { by: newer }))
    };
    assert!(replaced(&rig));
    change(&mut rig, without_mobile());
    let delete = rig.one(Code::DELETE);
    rig.answer(&delete, Code::DELETED, |_| {}, &[]);
    rig.advance(seconds(1));
    assert!(rig.take().is_empty() && replaced(&rig));
    rig.pvds = without_mobile();
    rig.restart();
    let asked = rig.take();
    assert!(
        asked.iter().all(|asked| asked.mid() == put.mid()),
        "{asked:?}"
    );
}

/// A refusal is the server's last word, whatever happens elsewhere.
#[test]
fn what_a_server_refused_is_not_asked_again_when_another_pvd_changes() {
    let mut rig = Rig::home(home::pvds(&[pvd::Transport::Udp]));
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 6000);
    for put in rig.take() {
        if to(&rig, &put) == FIXED6 {
            rig.answer(&put, Code::BAD_REQUEST, |_| {}, b"no");
        } else {
            rig.grant_observed(&put, 6000);
        }
    }
    rig.take();
    change(&mut rig, without_mobile());
    let asked = rig.take();
    assert!(
        asked.iter().all(|asked| to(&rig, asked) == MOBILE4),
        "{asked:?}"
    );
    let refused = rig
        .parts(id)
        .into_iter()
        .find(|part| part.association.pvd.as_str() == "fixed.example");
    assert!(matches!(refused.unwrap().state, State::Refused { .. }));
}

/// Covers: M-005, M-028. The withdrawal of what was asked before has no answer, and stays a withdrawal.
#[test]
fn a_restart_leaves_what_protects_a_renumbered_target_alone() {
    let both = ["203.0.113.7/32", "203.0.113.9/32"];
    let mut rig = Rig::new();
    let id = rig.mitigate(&both, 6000);
    let put = rig.one(Code::PUT);
    rig.grant_observed(&put, 6000);
    let narrower = changed(|set| {
        alter(set, "fixed.example", |domain| {
            domain.prefixes = vec!["203.0.113.0/29".parse().unwrap()];
        });
    });
    rig.pvds = narrower.clone();
    change(&mut rig, narrower);
    let put = rig
        .take()
        .into_iter()
        .find(|it| it.message.code == Code::PUT);
    let put = put.unwrap();
    assert_eq!(put.body().target, super::rig::target(&both[..1]));
    rig.grant(&put, 6000);
    rig.take();
    rig.restart();
    let mut asked = rig.take();
    asked.retain(|asked| asked.message.code != Code::GET);
    let asked: Vec<_> = asked.iter().map(|it| (it.message.code, it.mid())).collect();
    assert_eq!(asked, [(Code::DELETE, 1), (Code::PUT, 2)]);
    assert_eq!(rig.parts(id).len(), 2);
}
