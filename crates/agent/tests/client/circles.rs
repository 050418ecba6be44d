//! Redirects that lead nowhere new (RFC 9132 §4.6).

use agent::client::{End, Redirection, State};
use coap::Code;
use dots::mitigation::Status;

use super::home::{self, BACKUP};
use super::redirect::{ALTERNATE, ALTERNATE4, redirect, redirected, redirections};
use super::replies::Asked;
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE4, Rig};
use super::splitting;
use crate::world::{BYE, seconds};

/// Covers: S-065. The alternate sends it back where it came from.
#[test]
fn a_redirect_in_circles_is_ignored_and_told() {
    let (mut rig, id, put) = redirected(Some(3600));
    redirect(
        &mut rig,
        &put,
        "dots.fixed.example",
        &["192.0.2.1"],
        Some(3600),
    );
    let ignored = Redirection::Ignored {
        to: "dots.fixed.example".to_owned(),
    };
    assert_eq!(redirections(&rig).pop(), Some(&ignored));
    assert_eq!(rig.state(id), State::Asking);
    rig.advance(seconds(299));
    assert!(rig.take().is_empty());
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], ALTERNATE4);
}

/// Covers: S-065. Another server of the same PvD is asked instead, and none of another PvD.
#[test]
fn in_circles_the_other_provisioned_servers_are_tried() {
    let mut rig = Rig::home(home::with_backup());
    rig.set(BACKUP, Behaviour::Up);
    rig.set(ALTERNATE4, Behaviour::Up);
    rig.advance(seconds(0));
    // The backup, which comes first by name, is chosen only if it is first in the PvD.
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], FIXED6);
    redirect(
        &mut rig,
        &put,
        "dots.fixed.example",
        &["192.0.2.1"],
        Some(3600),
    );
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], BACKUP);
    let moved = rig.parts(id).into_iter().find(|part| {
        matches!(&part.state, State::Ended(End::Moved { to }) if to.server == "backup.fixed.example")
    });
    assert!(moved.is_some(), "{:?}", rig.parts(id));
    // That one redirects in circles as well: there is no other, and it is asked again later.
    redirect(&mut rig, &put, "dots.fixed.example", &[], Some(10));
    redirect(&mut rig, &put, "backup.fixed.example", &[], Some(10));
    assert!(rig.take().is_empty());
    rig.advance(seconds(20));
    let asked = rig.take();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|asked| rig.paths[&asked.path] != MOBILE4));
}

/// Covers: S-065, X-013. A server that makes up names brings no storm of sessions, resolutions or notes.
#[test]
fn endless_redirects_are_bounded() {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 100_000);
    for round in 0..600 {
        for asked in rig.take() {
            let name = format!("made-up-{round}.example");
            redirect(&mut rig, &asked, &name, &[], Some(1));
            while let Some((association, name)) = rig.resolving.pop() {
                let now = rig.now();
                let unknown = Err("no such name".to_owned());
                rig.client
                    .handle_resolved(now, &association, &name, unknown);
                rig.settle();
            }
        }
        rig.advance(seconds(1));
    }
    let followed = redirections(&rig).into_iter();
    let followed = followed
        .filter(|what| matches!(what, Redirection::Followed { .. }))
        .count();
    assert!(followed <= 24, "{followed} in ten minutes");
    assert!(rig.notes.len() < 500, "{}", rig.notes.len());
}

/// Covers: S-065, S-038. The alternate redirects to itself, whatever it is asked.
#[test]
fn an_alternate_that_redirects_to_itself_is_not_asked_at_line_rate() {
    for ttl in [0, 3600] {
        let (mut rig, id, put) = redirected(Some(ttl));
        redirect(&mut rig, &put, ALTERNATE, &["192.0.2.99"], Some(ttl));
        assert!(rig.take().is_empty());
        rig.advance(seconds(2));
        assert!(rig.take().is_empty());
        let put = rig.until_asked(600).remove(0);
        rig.grant(&put, 10_000);
        let get = rig.one(Code::GET);
        rig.status(&get, Some(0), Status::AttackMitigationInProgress, 10_000);
        let now = rig.now();
        let told = dots::mitigation::AttackStatus::UnderAttack;
        rig.client.report_efficacy(now, id, told).unwrap();
        rig.settle();
        let update = rig.one(Code::PUT);
        redirect(&mut rig, &update, ALTERNATE, &["192.0.2.99"], Some(ttl));
        rig.advance(seconds(2));
        assert!(rig.take().is_empty(), "the update is not repeated");
    }
}

/// Covers: S-065, X-016. A server of this or another PvD that the client knows already.
#[test]
fn a_redirect_to_a_configured_server_is_ignored_and_another_is_tried() {
    for known in ["backup.fixed.example", "DOTS.mobile.example"] {
        let mut rig = Rig::home(home::with_backup());
        rig.set(BACKUP, Behaviour::Up);
        rig.advance(seconds(0));
        rig.mitigate(&[FIXED_HOST], 6000);
        let put = rig.one(Code::PUT);
        let opened = rig.opened.len();
        redirect(&mut rig, &put, known, &["192.0.2.7"], Some(3600));
        assert!(
            matches!(redirections(&rig).pop(), Some(Redirection::Ignored { .. })),
            "{known}"
        );
        assert_eq!(rig.opened.len(), opened);
        let put = rig.one(Code::PUT);
        assert_eq!(rig.paths[&put.path], BACKUP);
    }
}

/// Covers: S-065, S-076. Each piece of a request that was too large for one message.
#[test]
fn in_circles_all_pieces_of_a_request_go_to_the_other_server() {
    let mut rig = Rig::home(home::with_backup());
    rig.set(BACKUP, Behaviour::Up);
    rig.advance(seconds(0));
    let (id, puts) = splitting::ask(&mut rig, &splitting::hosts(100));
    assert_eq!(puts.len(), 4);
    for put in &puts {
        assert_eq!(rig.paths[&put.path], FIXED6);
        redirect(&mut rig, put, "dots.fixed.example", &[], Some(3600));
    }
    let again = rig.take();
    let targets = |asked: &[Asked]| {
        let targets = asked.iter().map(|asked| asked.body().target.prefixes);
        targets.collect::<Vec<_>>()
    };
    assert_eq!(targets(&again), targets(&puts));
    for put in &again {
        assert_eq!(rig.paths[&put.path], BACKUP);
        rig.grant(put, 6000);
    }
    assert!(rig.client.is_settled(id));
}

/// Covers: S-065, M-029. Who redirects in circles and loses its session keeps nobody waiting.
#[test]
fn what_was_redirected_in_circles_goes_to_a_server_that_answers() {
    let mut rig = Rig::home(home::with_backup());
    rig.advance(seconds(0));
    rig.mitigate(&[FIXED_HOST], 6000);
    // The second server has been tried in vain.
    for _ in 0..2 {
        let put = rig.until_asked(2).remove(0);
        assert_eq!(rig.paths[&put.path], FIXED6);
        redirect(&mut rig, &put, "dots.fixed.example", &[], Some(300));
    }
    rig.set(BACKUP, Behaviour::Up);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    let path = rig.path_to(FIXED6);
    rig.inject(path, &[BYE]);
    rig.settle();
    let put = rig.until_asked(100).remove(0);
    assert_eq!(rig.paths[&put.path], BACKUP);
}

/// Covers: S-065, M-029. It had no session when a request was first sent to it, and has one when the redirect is repeated or before.
#[test]
fn a_server_without_a_session_that_another_redirects_to_is_asked_when_it_is_up() {
    let mut rig = Rig::home(home::with_backup());
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    for _ in 0..2 {
        let put = rig.until_asked(2).remove(0);
        assert_eq!(rig.paths[&put.path], FIXED6);
        redirect(&mut rig, &put, "backup.fixed.example", &[], Some(300));
    }
    rig.set(BACKUP, Behaviour::Up);
    let put = rig.until_asked(200).remove(0);
    assert_eq!(rig.paths[&put.path], BACKUP);
    // It sends it back: once at each is enough.
    redirect(&mut rig, &put, "dots.fixed.example", &[], Some(300));
    rig.advance(seconds(290));
    assert!(rig.take().is_empty());
    let put = rig.until_asked(20).remove(0);
    assert_eq!(rig.paths[&put.path], BACKUP);
    rig.grant_observed(&put, 5000);
    assert!(rig.client.is_settled(id));
}
