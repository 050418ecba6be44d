//! Datagrams that did not come from the peer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::pair::{Direction, Pair};
use common::pki;
use dtls::Session;
use proptest::prelude::*;

/// Noise, noise behind a record header that fits the session, and damaged copies of a real record.
fn forgery() -> impl Strategy<Value = Forgery> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Forgery::Noise),
        (
            20..26u8,
            0..3u8,
            0..9u8,
            prop::collection::vec(any::<u8>(), 0..200)
        )
            .prop_map(|(content, epoch, sequence, body)| Forgery::Noise(record(
                content, epoch, sequence, &body
            ))),
        (any::<prop::sample::Index>(), 1..=255u8).prop_map(|(at, flip)| Forgery::Damaged(at, flip)),
        any::<prop::sample::Index>().prop_map(Forgery::Cut),
    ]
}

#[derive(Debug, Clone)]
enum Forgery {
    Noise(Vec<u8>),
    Damaged(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

fn record(content: u8, epoch: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    let head = [
        content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, sequence, high, low,
    ];
    [&head[..], body].concat()
}

impl Forgery {
    fn of(&self, real: &[u8]) -> Vec<u8> {
        match self {
            Self::Noise(datagram) => datagram.clone(),
            Self::Damaged(at, flip) => {
                let mut datagram = real.to_vec();
                datagram[at.index(real.len())] ^= flip;
                datagram
            }
            Self::Cut(at) => real[..at.index(real.len())].to_vec(),
        }
    }
}

/// The ciphers differ, and with them what a record has to hold at least.
fn pair(psk: bool) -> Pair {
    if psk {
        let client = pki::psk_client(pki::PSK_IDENTITY, pki::PSK);
        Pair::with(pki::psk_server(None), &client, pki::SERVER_NAME, None)
    } else {
        Pair::good()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_established_session_survives_whatever_is_forged(psk: bool, forgeries in prop::collection::vec(forgery(), 1..20)) {
        let mut pair = pair(psk);
        pair.settle();
        pair.client.send(pair.now, b"real").unwrap();
        let Some(dtls::Output::Transmit(real)) = pair.client.poll_output() else { panic!() };
        for forgery in &forgeries {
            let datagram = forgery.of(&real);
            for direction in [Direction::ToServer, Direction::ToClient] {
                pair.deliver(direction, &datagram);
            }
        }
        pair.settle();
        prop_assert_eq!(&pair.client_saw.closed, &None);
        prop_assert_eq!(&pair.server_saw.closed, &None);
        prop_assert!(pair.server_saw.data.is_empty() && pair.client_saw.data.is_empty());
        prop_assert_eq!(pair.client.counters().ignored, forgeries.len() as u64);

        pair.deliver(Direction::ToServer, &real);
        let now = pair.now;
        pair.server().send(now, b"still here").unwrap();
        pair.settle();
        prop_assert_eq!(&pair.server_saw.data, &[b"real"]);
        prop_assert_eq!(&pair.client_saw.data, &[b"still here"]);
    }

    #[test]
    fn a_record_too_short_to_be_authentic_is_ignored(psk: bool, content in 20..26u8, length in 0..30usize) {
        let mut pair = pair(psk);
        pair.settle();
        let forged = record(content, 1, 9, &vec![0xee; length]);
        for direction in [Direction::ToServer, Direction::ToClient] {
            pair.deliver(direction, &forged);
        }
        pair.settle();
        prop_assert_eq!((pair.client_saw.closed, pair.server_saw.closed), (None, None));
    }

    #[test]
    fn noise_does_not_disturb_a_handshake(noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8)) {
        let mut pair = Pair::good();
        for datagram in noise.iter().filter(|datagram| !matches!(datagram.get(..2), Some([20..=24, 0xfe]))) {
            pair.client.handle_datagram(pair.now, datagram);
        }
        pair.settle();
        prop_assert!(pair.established());
    }

    #[test]
    fn a_forged_handshake_message_ends_in_order(forgeries in prop::collection::vec(forgery(), 1..20), after in 1..5usize) {
        let mut pair = Pair::good();
        // Lose the rest of the handshake, so that both ends still wait for it.
        pair.lose = (after..100).collect();
        pair.settle();
        let real = pair.trace.last().unwrap().1.clone();
        for forgery in forgeries {
            let datagram = forgery.of(&real);
            for direction in [Direction::ToServer, Direction::ToClient] {
                pair.deliver(direction, &datagram);
            }
            pair.settle();
        }
        prop_assert!(!pair.established());
    }
}
