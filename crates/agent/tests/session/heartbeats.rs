//! Heartbeats and their count (RFC 9132 §4.7).

use agent::session::Event;
use coap::{Code, MessageType};
use dots::heartbeat::Heartbeat;
use dtls::CloseReason;

use super::bench::{Bench, token};
use crate::world::{BYE, cbor, millis, seconds};

/// Covers: S-066, S-056
#[test]
fn a_heartbeat_leaves_each_interval_and_says_whether_the_peers_own_arrive() {
    let mut bench = Bench::new();
    assert!(bench.advance(millis(29_999), true).is_empty());
    let statuses = |beats: Vec<Heartbeat>| {
        beats
            .iter()
            .map(|beat| beat.peer_hb_status)
            .collect::<Vec<_>>()
    };
    let first = bench.advance(millis(1), true);
    assert_eq!(statuses(first), [false], "answers are no heartbeats");
    bench.advance(seconds(15), true);
    bench.heartbeat(false);
    let after = bench.advance(seconds(100), true);
    assert_eq!(
        statuses(after),
        [true, true, false],
        "for twice the interval"
    );
}

/// Covers: S-066, G-007
#[test]
fn the_peers_heartbeat_is_answered_here_and_shown_to_nobody() {
    let mut bench = Bench::new();
    bench.heartbeat(true);
    bench.heartbeat(false);
    assert!(bench.events.is_empty());
}

/// Covers: S-006, S-007, S-027, S-066
#[test]
fn a_bad_heartbeat_is_refused_and_counts_for_nothing() {
    let good = Heartbeat {
        peer_hb_status: true,
    }
    .encode();
    let cases = [
        (Code::GET, Some(271), good.clone(), Code::METHOD_NOT_ALLOWED),
        (Code::DELETE, None, vec![], Code::METHOD_NOT_ALLOWED),
        (
            Code::POST,
            Some(271),
            good.clone(),
            Code::METHOD_NOT_ALLOWED,
        ),
        (
            Code::PUT,
            Some(60),
            good.clone(),
            Code::UNSUPPORTED_CONTENT_FORMAT,
        ),
        (Code::PUT, Some(271), vec![], Code::BAD_REQUEST),
        (Code::PUT, Some(271), good[..3].to_vec(), Code::BAD_REQUEST),
        (
            Code::PUT,
            Some(271),
            cbor::map(&[(49, cbor::map(&[]))]),
            Code::BAD_REQUEST,
        ),
        (
            Code::PUT,
            Some(271),
            cbor::map(&[(49, cbor::map(&[(51, cbor::uint(1))]))]),
            Code::BAD_REQUEST,
        ),
        (
            Code::PUT,
            Some(271),
            cbor::map(&[(1, cbor::map(&[(51, cbor::boolean(true))]))]),
            Code::BAD_REQUEST,
        ),
    ];
    for (method, format, payload, code) in cases {
        let mut bench = Bench::new();
        let answer = bench
            .request(method, ".well-known/dots/hb", format, &payload)
            .unwrap();
        assert_eq!(answer.code, code, "{method} {payload:x?}");
        assert!(!answer.payload.is_empty());
        assert!(bench.events.is_empty());
        let next = bench.advance(seconds(30), true);
        assert!(!next[0].peer_hb_status, "{method} {payload:x?}");
    }
    // A heartbeat has no parameters; what has some goes to the agent, which refuses it.
    let mut bench = Bench::new();
    assert_eq!(
        bench.request(Code::PUT, ".well-known/dots/hb/cuid=one", Some(271), &good),
        None
    );
    assert!(matches!(bench.events[..], [Event::Request { .. }]));
}

fn silences(bench: &mut Bench) -> usize {
    let silent = bench
        .events
        .iter()
        .filter(|event| matches!(event, Event::PeerSilent));
    silent.count()
}

/// Covers: S-067, S-068, S-070. Three heartbeats and the wait for the answer to the third.
#[test]
fn a_peer_is_silent_once_missing_hb_allowed_heartbeats_went_unanswered() {
    let mut bench = Bench::new();
    assert_eq!(bench.advance(millis(119_999), false).len(), 3);
    assert_eq!(silences(&mut bench), 0);
    assert_eq!(bench.advance(millis(1), false).len(), 1, "heartbeats go on");
    assert_eq!(silences(&mut bench), 1);
    assert_eq!(bench.advance(seconds(300), false).len(), 10);
    assert_eq!(silences(&mut bench), 1, "said once");
}

/// Covers: S-067, S-069. Whatever comes over the session proves the peer alive.
#[test]
fn anything_from_the_peer_starts_the_count_anew() {
    type Sign = fn(&mut Bench);
    let signs: [Sign; 3] = [
        |bench| bench.heartbeat(true),
        |bench| {
            bench.receive(
                MessageType::NonConfirmable,
                Code::CONTENT,
                token(99),
                |_| {},
                &[],
            );
        },
        |bench| {
            bench.request(Code::GET, ".well-known/dots/config", None, &[]);
        },
    ];
    for sign in signs {
        let mut bench = Bench::new();
        for _ in 0..10 {
            bench.advance(seconds(85), false);
            sign(&mut bench);
        }
        assert_eq!(silences(&mut bench), 0);
        bench.advance(seconds(150), false);
        assert_eq!(silences(&mut bench), 1);
    }
}

/// Covers: S-067. What does not belong to the session proves nothing.
#[test]
fn a_datagram_that_is_not_of_the_session_does_not_keep_it_alive() {
    let mut bench = Bench::new();
    for _ in 0..12 {
        bench.advance(seconds(10), false);
        bench.session.handle_datagram(bench.now, &[0xff, 1, 2, 3]);
        bench.take();
    }
    assert_eq!(silences(&mut bench), 1);
}

/// Covers: S-067
#[test]
fn answered_heartbeats_keep_a_session_for_days() {
    let mut bench = Bench::new();
    assert_eq!(bench.advance(seconds(3 * 86_400), true).len(), 8640);
    assert!(bench.events.is_empty());
    assert!(bench.session.round_trip_estimate().is_some());
}

/// Covers: S-067
#[test]
fn a_session_that_is_over_sends_no_heartbeats() {
    let mut bench = Bench::new();
    bench.session.handle_datagram(bench.now, &[BYE]);
    bench.take();
    assert!(matches!(
        bench.events[..],
        [Event::Closed(CloseReason::PeerClosed)]
    ));
    assert!(!bench.session.is_established());
    assert_eq!(bench.session.poll_timeout(), None);
    assert!(bench.advance(seconds(600), false).is_empty());
}
