//! The link to the client is saturated: what it sends arrives, of what servers send little comes
//! through (RFC 9132 §4.7).

use std::collections::BTreeSet;

use agent::client::{ConnectionReport, State};
use coap::Code;
use dots::mitigation::Status;

use super::rig::{MOBILE4, Rig};
use super::splitting::{ask, hosts};
use crate::world::seconds;

/// Sessions with the fixed provider's server.
fn connections(rig: &Rig) -> Vec<ConnectionReport> {
    rig.client.sessions().remove(0).connections
}

/// Plays the server for a second: it answers every copy of every request.
fn serve(rig: &mut Rig) -> BTreeSet<agent::client::PathId> {
    rig.advance(seconds(1));
    let mut over = BTreeSet::new();
    for asked in rig.take() {
        if !rig.paths.contains_key(&asked.path) {
            continue;
        }
        over.insert(asked.path);
        match asked.message.code {
            Code::PUT => rig.grant(&asked, 6000),
            Code::GET => rig.status(&asked, Some(0), Status::AttackMitigationInProgress, 6000),
            _ => rig.answer(&asked, Code::DELETED, |_| {}, &[]),
        }
    }
    over
}

/// An attack that is being mitigated, and of whose answers so many of a hundred are lost from now.
fn saturated(seed: u64, percent: u32) -> Rig {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(60_000, 60_000);
    rig.status(&get, Some(0), Status::AttackMitigationInProgress, 60_000);
    rig.inbound_loss = Some((fastrand::Rng::with_seed(seed), percent));
    rig
}

/// Covers: S-068. Whatever the loss, there is always a session that requests go out over and
/// heartbeats go on; a request is answered in the end; no more than two sessions are up, and no
/// address is tried more than twice within 60 s.
#[test]
fn under_loss_a_session_is_always_there_and_requests_get_through() {
    for percent in [50, 80, 90, 97] {
        for seed in 0..8 {
            let what = format!("{percent} % lost, seed {seed}");
            let mut rig = saturated(seed, percent);
            rig.advance(seconds(100));
            let id = rig.mitigate(&["203.0.113.9/32"], 30_000);
            let mut beats = rig.heartbeats;
            for second in 0..1800 {
                serve(&mut rig);
                let up = connections(&rig)
                    .iter()
                    .filter(|each| each.since.is_some())
                    .count();
                assert!((1..=2).contains(&up), "{what}: {up} up after {second} s");
                if second % 60 == 59 {
                    assert!(rig.heartbeats > beats, "{what}: heartbeats go on");
                    beats = rig.heartbeats;
                }
            }
            assert!(matches!(rig.state(id), State::Accepted(_)), "{what}");
            for address in rig.opened.iter().map(|each| &each.remote) {
                let tries = rig.opened.iter().filter(|each| each.remote == *address);
                let at: Vec<_> = tries.map(|each| each.at).collect();
                for three in at.windows(3) {
                    assert!(three[2] - three[0] >= seconds(60), "{what}: {at:?}");
                }
            }
        }
    }
}

/// Covers: S-068. Until the second session has brought an answer, requests go out over both.
#[test]
fn requests_go_over_both_sessions_until_the_new_one_answers() {
    let mut rig = saturated(1, 100);
    rig.advance(seconds(200));
    let old = connections(&rig)[0].clone();
    assert!(old.trouble.is_some());
    // Only handshakes come through for a while.
    rig.inbound_loss = None;
    let id = rig.mitigate(&["203.0.113.9/32"], 30_000);
    while connections(&rig)
        .iter()
        .filter(|each| each.since.is_some())
        .count()
        < 2
    {
        rig.advance(seconds(1));
        assert!(rig.elapsed < seconds(400));
    }
    rig.inbound_loss = Some((fastrand::Rng::with_seed(1), 100));
    rig.take();
    let mut over = BTreeSet::new();
    for _ in 0..30 {
        over.extend(serve(&mut rig));
    }
    assert_eq!(over.len(), 2);
    rig.inbound_loss = None;
    for _ in 0..10 {
        serve(&mut rig);
    }
    assert!(matches!(rig.state(id), State::Accepted(_)));
    assert_eq!(connections(&rig).len(), 1);
}

/// Covers: S-068, S-067. Nothing at all comes through for an hour: the session is kept all the
/// time, and used again at once when the flood is over.
#[test]
fn a_saturated_session_outlives_an_hour_of_silence() {
    let mut rig = saturated(1, 100);
    let first = *rig
        .paths
        .iter()
        .find(|(_, remote)| *remote != MOBILE4)
        .unwrap()
        .0;
    rig.advance(seconds(3600));
    assert!(rig.paths.contains_key(&first));
    let id = rig.mitigate(&["203.0.113.10/32"], 6000);
    assert!(rig.take().iter().any(|asked| asked.path == first));
    rig.inbound_loss = None;
    for _ in 0..5 {
        serve(&mut rig);
    }
    assert!(matches!(rig.state(id), State::Accepted(_)));
    let going = rig.client.requests().into_iter();
    assert_eq!(
        going
            .filter(|request| request.parts[0].state != State::Asking)
            .count(),
        2
    );
}

/// Covers: S-068. A detector repeats itself: what it repeats has been unanswered all the time.
#[test]
fn who_asks_for_the_same_again_gets_a_second_session_no_later() {
    let mut rig = Rig::new();
    rig.inbound_loss = Some((fastrand::Rng::with_seed(1), 100));
    let first = rig.opened.len();
    for _ in 0..4 {
        rig.mitigate(&["203.0.113.9/32"], 6000);
        rig.advance(seconds(5));
    }
    let opened = rig.opened[first..].iter();
    let at: Vec<_> = opened
        .filter(|each| each.remote != MOBILE4)
        .map(|each| each.at)
        .collect();
    assert_eq!(at.first(), Some(&seconds(10)), "{at:?}");
}

/// Covers: S-038, S-068. However many there are, and however few answers come back, each is asked for
/// at once (RFC 9132 §4.4).
#[test]
fn no_request_for_help_waits_for_the_answer_to_another() {
    let mut rig = Rig::new();
    rig.inbound_loss = Some((fastrand::Rng::with_seed(1), 100));
    let hosts = hosts(1200);
    let mut mids = BTreeSet::new();
    for some in hosts.chunks(240) {
        let (_, puts) = ask(&mut rig, some);
        mids.extend(puts.iter().map(super::replies::Asked::mid));
    }
    assert_eq!(rig.elapsed, seconds(0));
    let going = rig.client.requests().into_iter();
    let parts = going.map(|request| request.parts.len()).sum::<usize>();
    assert!(parts > 32, "{parts}");
    assert_eq!(mids.len(), parts);
}
