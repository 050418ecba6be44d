//! Asking DHCP servers, over time.

use std::time::{Duration, Instant};

use discovery::dhcp::exchange::Version;
use discovery::dhcp::{Exchange, Ignored};

use crate::support::{acknowledgement, client, reply};

/// The times at which messages are sent until `end`, and the last message.
fn run(exchange: &mut Exchange, start: Instant, end: Duration) -> (Vec<Duration>, Vec<u8>) {
    let mut sent = Vec::new();
    let mut last = Vec::new();
    while let Some(at) = exchange.poll_timeout().filter(|at| *at <= start + end) {
        assert_eq!(exchange.poll_transmit(at - Duration::from_nanos(1)), None);
        if let Some(message) = exchange.poll_transmit(at) {
            sent.push(at - start);
            last = message;
        }
    }
    (sent, last)
}

fn transaction(message: &[u8]) -> [u8; 3] {
    message[1..4].try_into().unwrap()
}

#[test]
fn a_question_is_repeated_until_it_is_answered() {
    let start = Instant::now();
    for seed in 0..50 {
        let mut exchange = Exchange::new(start, Version::V6, client(), seed);
        let (sent, message) = run(&mut exchange, start, Duration::from_secs(16));
        assert!(sent[0] <= Duration::from_secs(1));
        assert!((4..=5).contains(&sent.len()), "{sent:?}");
        // Elapsed time grows, in hundredths of a second (RFC 8415 §21.9).
        let elapsed = u16::from_be_bytes(*message.last_chunk().unwrap());
        let expected = (*sent.last().unwrap() - sent[0]).as_millis() / 10;
        assert_eq!(u128::from(elapsed), expected);

        let now = start + Duration::from_secs(16);
        let other = exchange.handle_datagram(now, &reply([0, 0, 0], &[]));
        assert_eq!(other.map(|_| ()), Err(Ignored::Transaction));
        let answer = reply(transaction(&message), &[]);
        assert!(exchange.handle_datagram(now, &answer).is_ok());
        let again = exchange.handle_datagram(now, &answer);
        assert_eq!(again.map(|_| ()), Err(Ignored::Unasked));
        assert_eq!(
            exchange.poll_timeout(),
            Some(now + Duration::from_secs(86_400))
        );
    }
}

/// Covers: Y-003
#[test]
fn it_is_asked_again_when_the_refresh_time_is_over() {
    let start = Instant::now();
    let mut exchange = Exchange::new(start, Version::V6, client(), 1);
    let (_, first) = run(&mut exchange, start, Duration::from_secs(1));
    let refresh = (32, 1000_u32.to_be_bytes().to_vec());
    let answer = reply(transaction(&first), &[refresh]);
    exchange.handle_datagram(start, &answer).unwrap();
    let (sent, second) = run(&mut exchange, start, Duration::from_secs(1001));
    assert_eq!(sent.len(), 1);
    assert!(sent[0] >= Duration::from_secs(1000));
    assert_ne!(transaction(&first), transaction(&second));
    let late = exchange.handle_datagram(start, &answer);
    assert_eq!(late.map(|_| ()), Err(Ignored::Transaction));
}

#[test]
fn what_holds_for_ever_is_not_asked_again() {
    let start = Instant::now();
    let mut exchange = Exchange::new(start, Version::V6, client(), 1);
    let (_, first) = run(&mut exchange, start, Duration::from_secs(1));
    let answer = reply(transaction(&first), &[(32, vec![255; 4])]);
    exchange.handle_datagram(start, &answer).unwrap();
    assert_eq!(exchange.poll_timeout(), None);
    exchange.restart(start);
    assert!(exchange.poll_timeout().is_some());
}

#[test]
fn a_server_sets_the_longest_wait_and_nobody_makes_it_short() {
    let start = Instant::now();
    for (seconds, most) in [(60_u32, 70..=90), (1, 12..=14)] {
        let mut exchange = Exchange::new(start, Version::V6, client(), 1);
        let (_, first) = run(&mut exchange, start, Duration::from_secs(1));
        let options = [(83, seconds.to_be_bytes().to_vec())];
        let answer = reply(transaction(&first), &options);
        exchange.handle_datagram(start, &answer).unwrap();
        exchange.restart(start);
        let (sent, _) = run(&mut exchange, start, Duration::from_secs(4800));
        assert!(most.contains(&sent.len()), "{} messages", sent.len());
    }
}

#[test]
fn dhcpv4_goes_the_same_way_at_its_own_pace() {
    let start = Instant::now();
    let address = "192.0.2.7".parse().unwrap();
    let mut exchange = Exchange::new(start, Version::V4(address), client(), 3);
    let (sent, message) = run(&mut exchange, start, Duration::from_secs(66));
    assert!((4..=5).contains(&sent.len()), "{sent:?}");
    let answer = acknowledgement(message[4..8].try_into().unwrap(), &[]);
    assert!(exchange.handle_datagram(start, &answer).is_ok());
    assert_eq!(
        exchange.poll_timeout(),
        Some(start + Duration::from_secs(86_400))
    );
}

#[test]
fn over_ipv4_a_repetition_is_a_new_transaction() {
    let start = Instant::now();
    let address = "192.0.2.7".parse().unwrap();
    let mut exchange = Exchange::new(start, Version::V4(address), client(), 3);
    let (_, first) = run(&mut exchange, start, Duration::from_secs(2));
    let (_, second) = run(&mut exchange, start, Duration::from_secs(8));
    let answer = |to: &[u8]| acknowledgement(to[4..8].try_into().unwrap(), &[]);
    let late = exchange.handle_datagram(start, &answer(&first));
    assert_eq!(late.map(|_| ()), Err(Ignored::Transaction));
    assert!(exchange.handle_datagram(start, &answer(&second)).is_ok());
}
