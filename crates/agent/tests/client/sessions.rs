//! Sessions that fail, fall silent or come back (RFC 9132 §4.7).

use agent::client::{Pause, SessionState, State, Waiting};
use coap::Code;
use dots::mitigation::Status;

use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE4, Rig};
use crate::world::{BYE, seconds};

/// How the session with the fixed provider's server stands.
fn session(rig: &Rig) -> SessionState {
    rig.client.sessions().remove(0).state
}

fn to_fixed(rig: &Rig) -> usize {
    rig.opened
        .iter()
        .filter(|each| each.remote != MOBILE4)
        .count()
}

fn set_fixed(rig: &mut Rig, behaviour: Behaviour) {
    rig.set(FIXED6, behaviour);
    rig.set(FIXED4, behaviour);
}

/// Covers: S-067. No address is tried more often than every 60 s, whatever the failure and
/// however much is wanted; and every address is tried for ever.
#[test]
fn a_set_up_that_fails_is_tried_again_every_60_s_at_most() {
    for behaviour in [Behaviour::Down, Behaviour::Refusing, Behaviour::Slamming] {
        for under_attack in [false, true] {
            let mut rig = Rig::idle();
            set_fixed(&mut rig, behaviour);
            if under_attack {
                rig.mitigate(&[FIXED_HOST], 100_000);
            }
            rig.advance(seconds(6 * 3600));
            for address in [FIXED6, FIXED4] {
                let tries: Vec<_> = rig
                    .opened
                    .iter()
                    .filter(|each| each.remote == address)
                    .map(|each| each.at)
                    .collect();
                let apart = tries.windows(2).map(|pair| pair[1] - pair[0]).min();
                let what = format!("{address} {behaviour:?} {under_attack} {}", tries.len());
                assert!(apart.is_none_or(|apart| apart >= seconds(60)), "{what}");
                // A server that answers at its first address is not looked for at its second.
                let goes_on = behaviour != Behaviour::Slamming || address == FIXED6;
                assert_eq!(tries.len() >= 200, goes_on, "{what}");
            }
            assert!(rig.paths.len() <= 2, "sockets are closed");
        }
    }
}

/// Covers: S-067
#[test]
fn the_next_address_is_tried_at_once() {
    let mut rig = Rig::idle();
    rig.set(FIXED6, Behaviour::Refusing);
    rig.advance(seconds(0));
    let state = session(&rig);
    assert!(
        matches!(state, SessionState::Established { remote, .. } if remote.to_string() == FIXED4),
        "{state:?}"
    );
}

/// Covers: S-067
#[test]
fn without_attack_a_silent_session_is_replaced() {
    let mut rig = Rig::new();
    set_fixed(&mut rig, Behaviour::Saturated);
    rig.advance(seconds(119));
    assert!(matches!(session(&rig), SessionState::Established { .. }));
    assert_eq!(to_fixed(&rig), 1);
    rig.advance(seconds(1));
    assert_eq!(
        to_fixed(&rig),
        2,
        "a session that lasted is replaced at once"
    );
    assert!(matches!(session(&rig), SessionState::Connecting { .. }));
    let fixed = rig.paths.values().filter(|remote| *remote != MOBILE4);
    assert_eq!(fixed.count(), 1, "the old one is closed");
    assert_eq!(rig.farewells, 0, "the server is to take it for a loss");
    set_fixed(&mut rig, Behaviour::Up);
    rig.advance(seconds(120));
    assert!(matches!(session(&rig), SessionState::Established { .. }));
}

/// Covers: S-067
#[test]
fn a_session_that_the_server_ends_is_set_up_again() {
    let mut rig = Rig::new();
    rig.advance(seconds(600));
    let path = rig.path_to(FIXED6);
    rig.inject(path, &[BYE]);
    rig.advance(seconds(0));
    assert_eq!(to_fixed(&rig), 2);
    assert!(matches!(session(&rig), SessionState::Established { .. }));
}

/// Covers: S-068. The link is saturated: requests reach the server and nothing comes back. The
/// session is kept, heartbeats go on, a second session is tried beside it, and when that is up
/// all is said again there.
#[test]
fn under_attack_a_silent_session_is_kept_until_a_second_one_is_up() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(6000, 6000);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 6000);
    let first = get.path;
    set_fixed(&mut rig, Behaviour::Saturated);
    rig.advance(seconds(130));
    assert!(rig.paths.contains_key(&first), "the silent session is kept");
    assert_eq!(to_fixed(&rig), 3, "and both addresses are tried beside it");
    assert!(matches!(session(&rig), SessionState::Established { .. }));
    let heartbeats = rig.heartbeats;
    // A new request goes out over the silent one meanwhile.
    rig.take();
    let second = rig.mitigate(&["203.0.113.9/32"], 6000);
    let put = rig.one(Code::PUT);
    assert_eq!(put.path, first);
    rig.advance(seconds(600));
    assert!(rig.heartbeats >= heartbeats + 20, "heartbeats go on");
    assert!(rig.paths.contains_key(&first));
    let repeated = rig.take();
    assert!(repeated.iter().filter(|asked| asked.mid() == 2).count() > 100);
    assert!(repeated.iter().all(|asked| asked.path == first));

    set_fixed(&mut rig, Behaviour::Up);
    let mut over_new = Vec::new();
    while over_new.is_empty() && rig.elapsed < seconds(900) {
        rig.advance(seconds(1));
        over_new = rig.take();
        over_new.retain(|asked| asked.path != first);
    }
    rig.advance(seconds(30));
    let over_old = rig.take().into_iter().any(|asked| asked.path == first);
    assert!(over_old, "requests go over both until one answers");
    assert!(
        over_new
            .iter()
            .any(|asked| asked.message.code == Code::PUT && asked.mid() == 2)
    );
    assert!(
        over_new
            .iter()
            .any(|asked| asked.message.code == Code::GET && asked.mid() == 1)
    );
    let put = over_new.iter().find(|asked| asked.mid() == 2).unwrap();
    rig.grant(put, 6000);
    assert!(
        !rig.paths.contains_key(&first),
        "the old one is closed when the new one has answered"
    );
    assert!(matches!(rig.state(second), State::Accepted(_)));
    assert!(matches!(rig.state(id), State::Accepted(_)));
    assert_eq!(rig.paths.len(), 2);
}

/// Covers: S-068. If the old session speaks again, no further attempt is made.
#[test]
fn a_silent_session_that_speaks_again_stays() {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(60_000, 60_000);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 60_000);
    set_fixed(&mut rig, Behaviour::Saturated);
    rig.advance(seconds(130));
    rig.status(&get, Some(2), Status::AttackStopped, 60_000);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Refusing);
    }
    let before = to_fixed(&rig);
    rig.advance(seconds(60));
    // The attempt under way comes to its end; the session is silent again only after 90 s more.
    assert!(to_fixed(&rig) <= before + 2);
    assert!(rig.paths.contains_key(&get.path));
}

/// Covers: S-067, S-068. A forged datagram is no sign of life.
#[test]
fn garbage_on_the_socket_does_not_hide_that_the_peer_is_silent() {
    let mut rig = Rig::new();
    rig.leaves_renewals = true;
    let (id, get) = rig.granted(600, 600);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 600);
    set_fixed(&mut rig, Behaviour::Down);
    for _ in 0..400 {
        rig.advance(seconds(1));
        rig.inject(get.path, &[0xff, 0, 1, 2]);
    }
    set_fixed(&mut rig, Behaviour::Up);
    rig.advance(seconds(130));
    assert!(matches!(rig.state(id), State::Accepted(_)));
    assert!(
        !rig.paths.contains_key(&get.path),
        "another session took its place"
    );
    assert!(matches!(session(&rig), SessionState::Established { .. }));
}

/// Covers: S-068. Nobody waits for missed heartbeats with a request in hand.
#[test]
fn a_request_unanswered_for_10_s_opens_a_second_session() {
    let mut rig = Rig::new();
    rig.advance(seconds(3600));
    let first = rig.opened[0].path;
    // The server has lost its sessions: handshakes work, the old session is dead.
    rig.set(FIXED6, Behaviour::Saturated);
    rig.mitigate(&[FIXED_HOST], 600);
    rig.advance(seconds(9));
    assert_eq!(to_fixed(&rig), 1);
    rig.set(FIXED6, Behaviour::Up);
    rig.advance(seconds(1));
    assert_eq!(to_fixed(&rig), 2);
    let put = rig.take().pop().unwrap();
    assert_ne!(put.path, first);
    rig.grant(&put, 600);
    assert!(!rig.paths.contains_key(&first));
}

/// Covers: S-067, S-068. A first replacement waits for nothing: no set-up has failed.
#[test]
fn a_young_session_that_does_not_answer_is_replaced_after_10_s() {
    let mut rig = Rig::new();
    let first = rig.opened[0].path;
    rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(9));
    assert_eq!(to_fixed(&rig), 1);
    rig.advance(seconds(1));
    assert_eq!(to_fixed(&rig), 2);
    assert!(rig.paths.contains_key(&first), "until the new one answers");
    // A server that takes sessions and leaves requests unanswered is not asked for one every 10 s.
    rig.advance(seconds(590));
    assert!((8..=11).contains(&to_fixed(&rig)), "{}", to_fixed(&rig));
    let fixed = rig.paths.values().filter(|remote| *remote != MOBILE4);
    assert_eq!(fixed.count(), 2, "no more than two at a time");
}

/// Covers: S-067
#[test]
fn a_session_that_ends_brings_no_attempt_forward_that_just_failed() {
    let mut rig = Rig::new();
    let (_, get) = rig.granted(6000, 6000);
    rig.status(&get, Some(1), Status::AttackSuccessfullyMitigated, 6000);
    rig.advance(seconds(600));
    set_fixed(&mut rig, Behaviour::Down);
    while rig.opened.last().unwrap().remote != FIXED4 {
        rig.advance(seconds(1));
    }
    rig.advance(seconds(10));
    rig.inject(get.path, &[BYE]);
    rig.advance(seconds(300));
    let tries: Vec<_> = rig
        .opened
        .iter()
        .filter(|each| each.remote == FIXED4)
        .collect();
    for pair in tries.windows(2) {
        assert!(pair[1].at - pair[0].at >= seconds(60), "{tries:?}");
    }
    assert!(tries.len() >= 4);
}

/// Covers: S-074
#[test]
fn all_requests_to_a_server_share_one_session() {
    let mut rig = Rig::new();
    for host in 1..=4 {
        rig.mitigate(&[&format!("203.0.113.{host}/32")], 600);
        let put = rig.take().pop().unwrap();
        rig.grant(&put, 600);
    }
    assert_eq!(rig.opened.len(), 2);
}

#[test]
fn closing_says_goodbye_and_keeps_the_requests() {
    let mut rig = Rig::new();
    rig.granted(600, 600);
    let now = rig.now();
    rig.client.close(now);
    let mut goodbyes = 0;
    while let Some(action) = rig.client.poll_action() {
        if let agent::client::Action::Transmit(_, datagram) = action {
            assert_eq!(datagram, [BYE]);
            goodbyes += 1;
        }
    }
    assert_eq!(goodbyes, 2);
    assert_eq!(rig.requests.len(), 1);
}

/// Covers: S-067. An ICMP error on a session that is up can be forged: it ends nothing, but makes
/// the client look, also when it asks for nothing.
#[test]
fn a_path_failure_of_a_session_that_is_up_opens_another_beside_it() {
    for is_dead in [false, true] {
        let mut rig = Rig::new();
        let path = rig.opened[0].path;
        if is_dead {
            set_fixed(&mut rig, Behaviour::Down);
        }
        for _ in 0..100 {
            let now = rig.now();
            rig.client.handle_path_failure(now, path, "port closed");
            rig.settle();
        }
        rig.advance(seconds(50));
        assert_eq!(rig.paths.contains_key(&path), is_dead);
        let trouble = rig.client.sessions().remove(0).trouble;
        assert_eq!(trouble, is_dead.then(|| "port closed".to_owned()));
        assert!(matches!(session(&rig), SessionState::Established { .. }));
        // However often it is said, an address is tried once a minute.
        assert_eq!(to_fixed(&rig), if is_dead { 3 } else { 2 });
    }
}

/// Covers: S-067. A person is told why a request waits, and until when.
#[test]
fn a_request_that_waits_says_why() {
    let mut rig = Rig::idle();
    set_fixed(&mut rig, Behaviour::Refusing);
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(1));
    let waiting = |rig: &Rig| rig.parts(id)[0].waiting.clone();
    let retry = Some(rig.now().monotonic + seconds(59));
    let reason = Some("port closed".to_owned());
    assert_eq!(waiting(&rig), Some(Waiting::NoSession { reason, retry }));
    set_fixed(&mut rig, Behaviour::Up);
    rig.advance(seconds(59));
    let since = rig.now().monotonic;
    rig.advance(seconds(5));
    assert_eq!(waiting(&rig), Some(Waiting::Unanswered { since }));
    let put = rig.take().pop().unwrap();
    let later = |options: &mut coap::Options| {
        options.push_uint(coap::OptionNumber::MAX_AGE, 20);
    };
    rig.answer(&put, Code::SERVICE_UNAVAILABLE, later, b"busy");
    let until = rig.now().monotonic + seconds(20);
    let reason = Pause::Busy;
    assert_eq!(waiting(&rig), Some(Waiting::Paused { until, reason }));
    rig.advance(seconds(20));
    let put = rig.one(Code::PUT);
    rig.grant(&put, 600);
    assert_eq!(waiting(&rig), None);
}

/// Covers: S-067, S-068. What waited for the session has its 10 s from when that is up.
#[test]
fn a_request_that_waited_for_the_session_opens_no_second_one_at_once() {
    let mut rig = Rig::idle();
    set_fixed(&mut rig, Behaviour::Down);
    rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(seconds(100));
    set_fixed(&mut rig, Behaviour::Up);
    rig.until_asked(120);
    let before = to_fixed(&rig);
    rig.advance(seconds(8));
    assert_eq!(to_fixed(&rig), before);
}
