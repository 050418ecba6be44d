//! TLS over a connection in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::pair::Pair;
use common::pki::{self, SERVER_NAME};
use common::stream::{StreamPair, outputs};
use dtls::{
    ClientConfig, CloseReason, Credential, Output, Role, SendError, ServerConfig, Session,
    SessionSettings, Transport, spki_sha256,
};
use proptest::prelude::*;

fn good() -> StreamPair {
    let (server, client) = configs();
    StreamPair::with(&server, &client, None)
}

fn configs() -> (ServerConfig, ClientConfig) {
    let (server, client) = pki::server_and_client();
    (server.server_config(), client.client_config())
}

///
#[test]
fn both_ends_learn_the_certificate_of_the_other() {
    let (server, client) = pki::server_and_client();
    let mut pair = StreamPair::with(&server.server_config(), &client.client_config(), None);
    pair.settle();
    assert_eq!(pair.client.transport(), Transport::Stream);
    for (seen, shown) in [(pair.client_saw, server), (pair.server_saw, client)] {
        let peer = seen.peer.unwrap();
        assert!(!peer.resumed);
        assert!(matches!(peer.credential, Credential::Certificate { .. }));
        assert_eq!(
            peer.credential.fingerprint(),
            spki_sha256(&shown.certificate).unwrap()
        );
    }
}

#[test]
fn nothing_is_sent_before_the_handshake_has_finished() {
    let mut pair = good();
    let early = pair.client.send(pair.now, b"early");
    assert_eq!(early, Err(SendError::NotEstablished));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_arrives_however_the_stream_is_cut(
        sizes in prop::collection::vec(1..3000usize, 1..40),
        messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..20_000)), 0..12),
    ) {
        let mut pair = good();
        let mut sizes = sizes.into_iter().cycle();
        let mut size = || sizes.next().unwrap_or(1);
        pair.settle_in_chunks(&mut size);
        prop_assert!(pair.established());
        for (by_client, message) in &messages {
            let end = if *by_client { &mut pair.client } else { &mut pair.server };
            end.send(pair.now, message).unwrap();
            pair.settle_in_chunks(&mut size);
        }
        let sent = |wanted: bool| messages.iter().filter(|(by_client, _)| *by_client == wanted)
            .flat_map(|(_, message)| message.clone()).collect::<Vec<_>>();
        prop_assert_eq!(pair.server_saw.octets(), sent(true));
        prop_assert_eq!(pair.client_saw.octets(), sent(false));
        prop_assert_eq!((pair.client_saw.closed, pair.server_saw.closed), (None, None));
    }

    #[test]
    fn noise_ends_the_session_in_order(noise in prop::collection::vec(any::<u8>(), 5..200), established: bool) {
        let mut pair = good();
        if established {
            pair.settle();
        }
        pair.drain();
        pair.server.handle_datagram(pair.now, &noise);
        pair.server.handle_datagram(pair.now, &[]);
        let last = outputs(&mut pair.server).pop();
        prop_assert!(matches!(last, Some(Output::Closed(_))), "{last:?}");
    }
}

#[test]
fn one_octet_at_a_time_is_enough() {
    let mut pair = good();
    pair.settle_in_chunks(|| 1);
    assert!(pair.established());
    pair.client.send(pair.now, b"request").unwrap();
    pair.settle_in_chunks(|| 1);
    assert_eq!(pair.server_saw.octets(), b"request");
}

#[test]
fn data_of_one_chunk_comes_as_one_output() {
    let mut pair = good();
    pair.settle();
    for _ in 0..1000 {
        pair.client.send(pair.now, b"x").unwrap();
    }
    pair.settle();
    assert_eq!(pair.server_saw.data, [vec![b'x'; 1000]]);
}

///
#[test]
fn a_session_is_resumed_and_the_server_still_knows_the_client() {
    let (server, client) = configs();
    let mut first = StreamPair::with(&server, &client, None);
    first.settle();
    let mut state = first.client.resumption();
    // Tickets of TLS 1.3 are for one use; each session brings the next.
    for _ in 0..3 {
        let mut again = StreamPair::with(&server, &client, state.as_ref());
        again.settle();
        let (at_client, at_server) = (
            again.client_saw.peer.clone().unwrap(),
            again.server_saw.peer.clone().unwrap(),
        );
        assert!(at_client.resumed && at_server.resumed);
        assert_eq!(
            Some(at_server.credential),
            first.server_saw.peer.clone().map(|peer| peer.credential)
        );
        again.client.send(again.now, b"again").unwrap();
        again.settle();
        assert_eq!(again.server_saw.octets(), b"again");
        state = again.client.resumption();
    }
}

/// Covers: X-004, S-067
#[test]
fn a_session_that_is_over_can_still_be_resumed() {
    type End = fn(&mut StreamPair);
    let ends: [End; 3] = [
        |pair| pair.client.close(pair.now),
        |pair| pair.server.close(pair.now),
        |pair| pair.client.handle_datagram(pair.now, &[]),
    ];
    for end in ends {
        let (server, client) = configs();
        let mut first = StreamPair::with(&server, &client, None);
        first.settle();
        end(&mut first);
        first.settle();
        assert!(first.client_saw.closed.is_some());
        let state = first.client.resumption();
        let mut second = StreamPair::with(&server, &client, state.as_ref());
        second.settle();
        assert!(second.server_saw.peer.unwrap().resumed);
    }
}

#[test]
fn what_resumes_a_session_is_known_no_sooner_than_the_server_says() {
    let mut pair = good();
    assert!(pair.client.resumption().is_none());
    while pair.client_saw.peer.is_none() {
        pair.drain();
        let octets: Vec<u8> = pair.to_server.drain(..).collect();
        if !octets.is_empty() {
            pair.server.handle_datagram(pair.now, &octets);
        }
        pair.drain();
        let octets: Vec<u8> = pair.to_client.drain(..).collect();
        pair.client.handle_datagram(pair.now, &octets);
        pair.drain();
    }
    assert!(pair.client.resumption().is_none());
    pair.settle();
    assert!(pair.client.resumption().is_some());
    assert!(pair.server.resumption().is_none());
}

#[test]
fn a_ticket_of_one_transport_is_not_shown_on_the_other() {
    let (server, client) = configs();
    let mut stream = StreamPair::with(&server, &client, None);
    stream.settle();
    let mut datagrams = Pair::with(server.clone(), &client, SERVER_NAME, None);
    datagrams.settle();
    let (of_stream, of_datagrams) = (stream.client.resumption(), datagrams.client.resumption());

    let mut stream = StreamPair::with(&server, &client, of_datagrams.as_ref());
    stream.settle();
    assert!(!stream.server_saw.peer.unwrap().resumed);
    let mut datagrams = Pair::with(server, &client, SERVER_NAME, of_stream.as_ref());
    datagrams.settle();
    assert!(!datagrams.server_saw.peer.unwrap().resumed);
}

#[test]
fn close_notify_closes_both_ends() {
    let mut pair = good();
    pair.settle();
    assert_eq!(pair.client.poll_timeout(), None);
    pair.client.close(pair.now);
    pair.settle();
    assert_eq!(pair.client_saw.closed, Some(CloseReason::Local));
    assert_eq!(pair.server_saw.closed, Some(CloseReason::PeerClosed));
    pair.server.handle_datagram(pair.now, &[]);
    assert_eq!(pair.server.poll_output(), None);
}

/// A connection that just ends may have been cut by anybody.
#[test]
fn a_stream_that_ends_without_close_notify_is_told_apart() {
    for established in [false, true] {
        let mut pair = good();
        if established {
            pair.settle();
        }
        pair.server.handle_datagram(pair.now, &[]);
        let ended = CloseReason::StreamEnded { peer: Role::Client };
        assert_eq!(outputs(&mut pair.server).pop(), Some(Output::Closed(ended)));
    }
}

#[test]
fn a_peer_that_says_nothing_times_out() {
    let mut pair = good();
    let deadline = pair.now + SessionSettings::default().handshake_deadline;
    assert_eq!(pair.client.poll_timeout(), Some(deadline));
    assert_eq!(pair.server.poll_timeout(), Some(deadline));
    pair.server
        .handle_timeout(deadline - Duration::from_millis(1));
    assert_eq!(outputs(&mut pair.server), []);
    for end in [&mut pair.client, &mut pair.server] {
        end.handle_timeout(deadline);
        assert_eq!(
            outputs(end),
            [Output::Closed(CloseReason::HandshakeTimedOut)]
        );
        assert_eq!(end.poll_timeout(), None);
    }
}

#[test]
fn a_connection_that_takes_nothing_makes_send_refuse() {
    let mut pair = good();
    pair.settle();
    let limit = pair.client.data_limit();
    let too_long = pair.client.send(pair.now, &vec![0; limit + 1]);
    assert_eq!(too_long, Err(SendError::TooLarge { limit }));

    let message = vec![7; limit / 4];
    let sent = (0..10)
        .take_while(|_| pair.client.send(pair.now, &message).is_ok())
        .count();
    assert_eq!(sent, 3, "records are a little longer than what they carry");
    let refused = pair.client.send(pair.now, &message);
    assert_eq!(refused, Err(SendError::Backlog));
    pair.settle();
    assert_eq!(
        pair.server_saw.octets().len(),
        3 * message.len(),
        "a refusal leaves nothing behind"
    );
    pair.client.send(pair.now, &message).unwrap();
}

#[test]
fn a_session_that_nobody_listens_to_ends() {
    let mut pair = good();
    pair.settle();
    let mut closed = false;
    for _ in 0..40 {
        pair.client.send(pair.now, &vec![7; 100_000]).unwrap();
        let Some(Output::Transmit(octets)) = pair.client.poll_output() else {
            panic!("nothing to transmit");
        };
        pair.server.handle_datagram(pair.now, &octets);
        closed |= pair.server.send(pair.now, b"x") == Err(SendError::Closed);
    }
    assert!(closed);
    let last = outputs(&mut pair.server).pop();
    assert_eq!(last, Some(Output::Closed(CloseReason::Overrun)));
}
