//! Which address and transport a session goes over (RFC 9132 §4.3).

use std::time::Duration;

use agent::client::{Note, SessionState, State};
use coap::Code;
use pvd::Transport;

use super::rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, MOBILE4, Rig};
use crate::world::{millis, seconds};

const TCP6: &str = "tcp [2001:db8:1::53]:4646";
const TCP4: &str = "tcp 192.0.2.1:4646";
const KINDS: [&str; 4] = [FIXED6, FIXED4, TCP6, TCP4];

/// A client whose provider's server is up in these ways only.
fn rig(up: &[&str]) -> Rig {
    let mut rig = Rig::over(&[Transport::Tcp, Transport::Udp]);
    only(&mut rig, up);
    rig
}

fn only(rig: &mut Rig, up: &[&str]) {
    for kind in KINDS {
        let behaviour = if up.contains(&kind) {
            Behaviour::Up
        } else {
            Behaviour::Down
        };
        rig.set(kind, behaviour);
    }
}

/// What was tried to reach the fixed provider's server since `from`.
fn tried(rig: &Rig, from: Duration) -> Vec<(&str, Duration)> {
    rig.opened
        .iter()
        .filter(|each| each.at >= from && !each.remote.contains("192.0.2.2"))
        .map(|each| (each.remote.as_str(), each.at - from))
        .collect()
}

/// What is open towards the fixed provider's server.
fn open(rig: &Rig) -> Vec<&str> {
    let open = rig.paths.values().map(String::as_str);
    open.filter(|remote| *remote != MOBILE4).collect()
}

/// Covers: S-072
#[test]
fn kinds_are_tried_in_order_100_ms_apart_under_attack_and_2_s_apart_in_peace() {
    for (attack, apart) in [(true, millis(100)), (false, seconds(2))] {
        let mut rig = rig(&[TCP4]);
        if attack {
            rig.mitigate(&[FIXED_HOST], 6000);
        }
        rig.advance(seconds(9));
        let expected: Vec<_> = (0..).map(|n| apart * n).zip(KINDS).collect();
        let tried: Vec<_> = tried(&rig, Duration::ZERO)
            .into_iter()
            .map(|(kind, at)| (at, kind))
            .collect();
        assert_eq!(tried, expected);
        assert_eq!(open(&rig), [TCP4], "the others are given up");
        let asked = rig.take();
        assert_eq!(
            asked.iter().any(|put| put.message.code == Code::PUT),
            attack
        );
    }
}

/// Covers: S-072. What is in flight goes faster when an attack is reported meanwhile.
#[test]
fn a_request_makes_haste() {
    let mut rig = rig(&[TCP4]);
    rig.advance(seconds(1));
    rig.mitigate(&[FIXED_HOST], 6000);
    rig.advance(millis(300));
    assert_eq!(open(&rig), [TCP4]);
}

/// Covers: S-072
#[test]
fn the_first_that_answers_is_used_and_nothing_else_is_tried() {
    let mut rig = rig(&KINDS);
    rig.advance(seconds(600));
    assert_eq!(tried(&rig, Duration::ZERO), [(FIXED6, Duration::ZERO)]);
}

/// Covers: S-072. The outcome is remembered for ten minutes.
#[test]
fn what_answered_last_is_tried_first_for_a_while() {
    for (lasted, first) in [(120, TCP6), (660, FIXED6)] {
        let mut rig = rig(&[TCP6]);
        rig.advance(seconds(lasted));
        let [path] = rig
            .paths
            .iter()
            .filter(|(_, remote)| *remote == TCP6)
            .map(|(path, _)| *path)
            .collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", rig.paths);
        };
        let from = rig.elapsed;
        // The connection has ended.
        let now = rig.now();
        rig.client
            .handle_path_failure(now, path, "connection reset");
        rig.advance(seconds(0));
        assert_eq!(tried(&rig, from)[0], (first, Duration::ZERO));
    }
}

/// Covers: S-073. Once a day in peace; a session over UDP takes the place of the one over TCP.
#[test]
fn a_session_over_tcp_moves_to_udp_when_that_works() {
    let mut rig = rig(&[TCP6]);
    rig.advance(seconds(10));
    let from = rig.elapsed;
    rig.advance(seconds(86_000));
    assert_eq!(tried(&rig, from), [], "not more often than once a day");
    rig.advance(seconds(500));
    let probes: Vec<&str> = tried(&rig, from)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(probes, [FIXED6, FIXED4], "UDP only");
    assert_eq!(open(&rig), [TCP6], "which does not work yet");
    only(&mut rig, &KINDS);
    rig.advance(seconds(86_400));
    assert_eq!(open(&rig), [FIXED6]);
}

/// Covers: S-073. Under attack every five minutes, and requests go on meanwhile.
#[test]
fn under_attack_udp_is_looked_for_every_five_minutes() {
    let mut rig = rig(&[TCP6]);
    rig.advance(seconds(10));
    let id = rig.mitigate(&[FIXED_HOST], 6000);
    let put = rig.one(Code::PUT);
    rig.grant(&put, 6000);
    rig.take();
    let from = rig.elapsed;
    rig.advance(seconds(1800));
    let begun: Vec<Duration> = tried(&rig, from)
        .into_iter()
        .filter(|(kind, _)| *kind == FIXED6)
        .map(|(_, at)| at)
        .collect();
    assert!((5..=6).contains(&begun.len()), "{begun:?}");
    for pair in begun.windows(2) {
        assert!(pair[1] - pair[0] >= seconds(300), "{begun:?}");
    }
    only(&mut rig, &KINDS);
    rig.advance(seconds(310));
    let over_udp = rig
        .take()
        .into_iter()
        .find(|asked| rig.paths[&asked.path] == FIXED6);
    assert!(over_udp.is_some(), "the status is observed over UDP");
    assert_eq!(open(&rig), [FIXED6]);
    assert!(matches!(rig.state(id), State::Accepted(_)));
}

/// Covers: S-071. A connection that ends is set up again, preferably by resumption.
#[test]
fn a_connection_that_ends_is_set_up_again() {
    let mut rig = rig(&[TCP4]);
    rig.advance(seconds(100));
    let path = *rig
        .paths
        .iter()
        .find(|(_, remote)| *remote == TCP4)
        .unwrap()
        .0;
    let now = rig.now();
    rig.client
        .handle_path_failure(now, path, "connection reset");
    rig.advance(seconds(10));
    let state = rig.client.sessions().remove(0).state;
    assert!(
        matches!(state, SessionState::Established { .. }),
        "{state:?}"
    );
    assert_eq!(open(&rig), [TCP4]);
}

/// Covers: S-067, S-071, S-072. Whatever is up, each way is tried once a minute at most.
#[test]
fn no_way_is_tried_more_often_than_every_60_s() {
    for behaviour in [Behaviour::Down, Behaviour::Refusing, Behaviour::Slamming] {
        let mut rig = rig(&[]);
        for kind in KINDS {
            rig.set(kind, behaviour);
        }
        rig.mitigate(&[FIXED_HOST], 100_000);
        rig.advance(seconds(3600));
        for kind in KINDS {
            let at: Vec<_> = tried(&rig, Duration::ZERO)
                .into_iter()
                .filter(|(tried, _)| *tried == kind)
                .map(|(_, at)| at)
                .collect();
            for pair in at.windows(2) {
                assert!(pair[1] - pair[0] >= seconds(60), "{kind} {behaviour:?}");
            }
        }
        assert!(rig.paths.len() <= 5, "sockets are closed");
    }
}

/// Each line of the log can say with whom, and over what.
#[test]
fn sessions_and_attempts_are_noted_with_address_and_transport() {
    let mut rig = Rig::over(&[Transport::Udp, Transport::Tcp]);
    rig.set(FIXED6, Behaviour::Refusing);
    rig.set(FIXED4, Behaviour::Refusing);
    rig.set(TCP6, Behaviour::Up);
    rig.advance(seconds(30));
    let noted = rig.notes.iter().filter_map(|note| match note {
        Note::SessionUp(id, peer) => Some((id, peer, None)),
        Note::SessionDown(id, peer, why) => Some((id, peer, Some(why.as_str()))),
        _ => None,
    });
    let noted = noted.filter(|(id, ..)| id.server == "dots.fixed.example");
    let noted: Vec<_> = noted
        .map(|(_, peer, why)| (peer.address.to_string(), peer.transport, why))
        .collect();
    let expected = [
        (
            FIXED6.to_owned(),
            dtls::Transport::Datagram,
            Some("port closed"),
        ),
        (
            FIXED4.to_owned(),
            dtls::Transport::Datagram,
            Some("port closed"),
        ),
        (FIXED6.to_owned(), dtls::Transport::Stream, None),
    ];
    assert_eq!(noted, expected);
}
