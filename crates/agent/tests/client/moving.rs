//! What a server without a session leaves to another of the same PvD (RFC 9284 §5.1, §5.4).

use agent::client::{End, PartReport, RequestId, State};
use agent::server_selection::AssociationId;
use coap::Code;
use dots::mitigation::Status;

use super::home::{self, BACKUP};
use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE4, Rig, target};
use crate::world::seconds;

/// `fixed` has a second server. These addresses are as if they were not there.
pub(super) fn without(down: &[&str]) -> Rig {
    let mut rig = Rig::home(home::with_backup());
    rig.set(BACKUP, Behaviour::Up);
    for address in down {
        rig.set(address, Behaviour::Down);
    }
    rig
}

pub(super) fn at(rig: &Rig, id: RequestId, server: &str) -> PartReport {
    let mut parts = rig.parts(id);
    parts.retain(|part| part.association.server == server);
    assert_eq!(parts.len(), 1, "{parts:?}");
    parts.remove(0)
}

pub(super) fn backup() -> AssociationId {
    AssociationId {
        pvd: "fixed.example".parse().unwrap(),
        server: "backup.fixed.example".to_owned(),
    }
}

/// Covers: M-027, M-029. Asked before there was any session: the first one that comes up serves.
#[test]
fn what_waits_for_a_session_goes_to_the_first_server_that_has_one() {
    let mut rig = without(&[FIXED6, FIXED4, BACKUP]);
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(30));
    assert!(rig.take().is_empty());
    rig.set(BACKUP, Behaviour::Up);
    let put = rig.until_asked(60).remove(0);
    assert_eq!(
        (put.message.code, &*rig.paths[&put.path]),
        (Code::PUT, BACKUP)
    );
    rig.grant_observed(&put, 6000);
    assert!(rig.client.is_settled(id));
    let moved = State::Ended(End::Moved { to: backup() });
    assert_eq!(at(&rig, id, "dots.fixed.example").state, moved);
    // Why it is asked is still known, and the same again is no new request.
    let report = rig.client.request(id).unwrap();
    let asked: Vec<_> = report
        .selection
        .asked
        .iter()
        .map(|it| &it.association)
        .collect();
    assert!(asked.contains(&&backup()), "{asked:?}");
    rig.take();
    assert_eq!(rig.mitigate(&[FIXED_HOST], 6000), id);
    let put = rig.take().pop().unwrap();
    rig.grant(&put, 6000);
    // It was never sent there: there is nothing to withdraw when the first server comes back.
    rig.set(FIXED6, Behaviour::Up);
    rig.advance(seconds(120));
    assert!(rig.take().is_empty());
}

/// Covers: M-029, S-067. The answer may be lost with the session: the server may mitigate.
#[test]
fn what_was_sent_is_moved_after_10_s_and_withdrawn() {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], FIXED6);
    rig.set(FIXED6, Behaviour::Down);
    rig.set(FIXED4, Behaviour::Down);
    rig.inject(put.path, &[crate::world::BYE]);
    rig.settle();
    rig.advance(seconds(9));
    assert!(rig.take().is_empty(), "the session may come back at once");
    rig.advance(seconds(1));
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], BACKUP);
    rig.grant(&put, 6000);
    assert!(rig.client.is_settled(id));
    assert_eq!(at(&rig, id, "dots.fixed.example").state, State::Withdrawing);
    let get = rig.one(Code::GET);
    rig.status(&get, Some(0), Status::AttackMitigationInProgress, 6000);
    rig.set(FIXED6, Behaviour::Up);
    let asked = rig.until_asked(120);
    assert_eq!(rig.paths[&asked[0].path], FIXED6);
    assert_eq!(asked[0].message.code, Code::DELETE);
    rig.answer(&asked[0], Code::DELETED, |_| {}, &[]);
    let moved = State::Ended(End::Moved { to: backup() });
    assert_eq!(at(&rig, id, "dots.fixed.example").state, moved);
    assert!(matches!(
        at(&rig, id, "backup.fixed.example").state,
        State::Accepted(_)
    ));
}

/// Covers: M-005, M-028. Neither what is granted nor what another PvD assigned moves.
#[test]
fn what_is_granted_stays_and_nothing_leaves_its_pvd() {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    let (id, get) = rig.granted(6000, 6000);
    rig.set(FIXED6, Behaviour::Down);
    rig.set(FIXED4, Behaviour::Down);
    rig.inject(get.path, &[crate::world::BYE]);
    rig.settle();
    rig.advance(seconds(300));
    assert!(rig.take().is_empty());
    assert!(matches!(rig.state(id), State::Accepted(_)));

    let mut rig = without(&[FIXED6, FIXED4, BACKUP]);
    rig.advance(seconds(0));
    rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(300));
    assert!(rig.paths.values().any(|remote| remote == MOBILE4));
    assert!(rig.take().is_empty());
}

/// Covers: M-029, X-013. To and fro, with one part at each server at most.
#[test]
fn a_request_follows_the_sessions_to_and_fro() {
    let mut rig = without(&[BACKUP]);
    rig.advance(seconds(0));
    let id = rig.mitigate(&[FIXED_HOST], 60_000);
    for round in 0..6 {
        let (down, up) = if round % 2 == 0 {
            ([FIXED6, FIXED4], BACKUP)
        } else {
            ([BACKUP, BACKUP], FIXED6)
        };
        rig.set(up, Behaviour::Up);
        for address in down {
            rig.set(address, Behaviour::Down);
        }
        let paths: Vec<_> = rig
            .paths
            .iter()
            .map(|(path, to)| (*path, to.clone()))
            .collect();
        for (path, to) in paths {
            if down.contains(&&*to) {
                rig.inject(path, &[crate::world::BYE]);
            }
        }
        rig.settle();
        rig.take();
        rig.advance(seconds(400));
        let puts = rig
            .take()
            .into_iter()
            .filter(|asked| asked.message.code == Code::PUT);
        let remotes: Vec<_> = puts
            .map(|asked| rig.paths.get(&asked.path).cloned())
            .collect();
        assert!(
            remotes.contains(&Some(up.to_owned())),
            "round {round}: {remotes:?}"
        );
        assert!(rig.parts(id).len() <= 3, "{:?}", rig.parts(id));
    }
}

/// Covers: M-029. Its host is gone; the session is not given up before many heartbeats are missed.
#[test]
fn a_new_request_goes_to_a_server_whose_session_is_sound() {
    let mut rig = without(&[]);
    rig.advance(seconds(0));
    let path = rig.path_to(FIXED6);
    rig.set(FIXED6, Behaviour::Down);
    rig.set(FIXED4, Behaviour::Down);
    let now = rig.now();
    rig.client
        .handle_path_failure(now, path, "no route to host");
    rig.settle();
    let first = rig.client.sessions().remove(1);
    assert!(first.trouble.is_some(), "{first:?}");
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    assert_eq!(rig.paths[&put.path], BACKUP);
    assert_eq!(rig.parts(id).len(), 1);
}

/// Covers: M-029, S-067. Where none is better, a session that may be lost is one.
#[test]
fn a_session_that_may_be_lost_serves_where_no_server_has_a_better_one() {
    let mut rig = without(&[BACKUP]);
    rig.advance(seconds(0));
    let path = rig.path_to(FIXED6);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Saturated);
    }
    let now = rig.now();
    rig.client
        .handle_path_failure(now, path, "no route to host");
    rig.settle();
    rig.mitigate(&[FIXED_HOST], 6000);
    assert_eq!(rig.one(Code::PUT).path, path);
}

/// Covers: M-029, S-029. The newer one was asked of the second server while the first one had no session.
#[test]
fn what_a_newer_request_names_is_not_taken_from_it_by_an_older_one_that_moves() {
    for (others, left) in [
        (vec![], None),
        (vec!["203.0.113.1/32"], Some("203.0.113.1/32")),
    ] {
        let mut rig = without(&[]);
        rig.advance(seconds(0));
        let prefixes = [vec![FIXED_HOST], others].concat();
        let older = rig.mitigate(&prefixes, 6000);
        let put = rig.one(Code::PUT);
        for address in [FIXED6, FIXED4] {
            rig.set(address, Behaviour::Down);
        }
        rig.inject(put.path, &[crate::world::BYE]);
        rig.settle();
        rig.advance(seconds(5));
        let newer = rig.mitigate(&["203.0.113.4/30"], 6000);
        let put = rig.one(Code::PUT);
        assert_eq!(rig.paths[&put.path], BACKUP);
        rig.grant_observed(&put, 6000);
        rig.advance(seconds(5));
        for put in rig.take() {
            assert_eq!(rig.paths[&put.path], BACKUP);
            let asked = put.body().target;
            assert_eq!(Some(asked), left.map(|left| target(&[left])));
            rig.grant_observed(&put, 6000);
        }
        rig.advance(seconds(60));
        assert!(matches!(rig.state(newer), State::Accepted(_)));
        assert!(rig.wanted.contains_key(&newer));
        assert!(rig.client.request(older).unwrap().is_outdone);
        assert_eq!(rig.wanted.contains_key(&older), left.is_some());
        // The first server may have it, and is told.
        rig.set(FIXED6, Behaviour::Up);
        let delete = rig.until_asked(120).remove(0);
        let to = &*rig.paths[&delete.path];
        assert_eq!((to, delete.message.code), (FIXED6, Code::DELETE));
    }
}
