//! The stateless cookie door (RFC 6347 §4.2.1).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::pair::{SEED, client_address};
use common::pki::{self, SERVER_NAME};
use dtls::{
    Accept, Acceptor, CookieDoor, DropReason, HelloError, OpensslSession, Output, Session, Verdict,
};
use proptest::prelude::*;

struct Door {
    start: Instant,
    door: CookieDoor,
    client: OpensslSession,
}

impl Door {
    fn new() -> Self {
        let (_, client) = pki::server_and_client();
        let start = common::real_now();
        Self {
            start,
            door: CookieDoor::new(&SEED, start),
            client: client
                .client_config()
                .connect(start, SERVER_NAME, None)
                .unwrap(),
        }
    }

    fn hello(&mut self) -> Vec<u8> {
        match self.client.poll_output() {
            Some(Output::Transmit(datagram)) => datagram,
            other => panic!("{other:?} is no ClientHello"),
        }
    }

    /// The second ClientHello, with the cookie that the door gave at `at`.
    fn hello_with_cookie(&mut self, at: Duration) -> Vec<u8> {
        let hello = self.hello();
        let reply = self.reply(at, client_address(), &hello);
        self.client.handle_datagram(self.start, &reply);
        self.hello()
    }

    fn reply(&mut self, at: Duration, source: SocketAddr, hello: &[u8]) -> Vec<u8> {
        match self.door.handle_datagram(self.start + at, source, hello) {
            Verdict::Reply(reply) => reply.to_vec(),
            other => panic!("{other:?} is no reply"),
        }
    }

    fn verifies(&mut self, at: Duration, source: SocketAddr, hello: &[u8]) -> bool {
        matches!(
            self.door.handle_datagram(self.start + at, source, hello),
            Verdict::Verified
        )
    }
}

const NOW: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_hello_is_challenged_once_and_the_challenge_is_no_longer_than_the_hello() {
    let mut door = Door::new();
    let hello = door.hello();
    let reply = door.reply(NOW, client_address(), &hello);
    assert!(reply.len() <= hello.len());
    door.client.handle_datagram(door.start, &reply);
    let second = door.hello();
    assert!(door.verifies(NOW, client_address(), &second));
    let counters = door.door.counters();
    assert_eq!(
        (
            counters.challenged,
            counters.verified,
            counters.wrong_cookie,
            counters.dropped
        ),
        (1, 1, 0, 0)
    );
}

#[test]
fn a_cookie_is_good_for_one_source_only() {
    let mut door = Door::new();
    let hello = door.hello_with_cookie(NOW);
    for other in ["192.0.2.2:40000", "192.0.2.1:40001", "[2001:db8::1]:40000"] {
        assert!(
            !door.verifies(NOW, other.parse().unwrap(), &hello),
            "{other}"
        );
    }
    assert_eq!(door.door.counters().wrong_cookie, 3);
    assert!(door.verifies(NOW, client_address(), &hello));
}

#[test]
fn a_cookie_outlives_one_rotation_and_not_two() {
    for (given, shown, good) in [
        (0, 59, true),
        (59, 60, true),
        (0, 119, true),
        (0, 120, false),
        (59, 120, false),
    ] {
        let mut door = Door::new();
        let hello = door.hello_with_cookie(seconds(given));
        assert_eq!(
            door.verifies(seconds(shown), client_address(), &hello),
            good,
            "{given} to {shown}"
        );
    }
}

#[test]
fn a_refused_cookie_is_answered_with_a_new_one() {
    let mut door = Door::new();
    let hello = door.hello_with_cookie(NOW);
    let first = door.reply(seconds(1000), client_address(), &hello);
    assert_eq!(door.reply(seconds(1001), client_address(), &hello), first);
}

#[test]
fn the_clock_going_backwards_keeps_the_key() {
    let mut door = Door::new();
    let hello = door.hello_with_cookie(seconds(600));
    assert!(door.verifies(NOW, client_address(), &hello));
}

#[test]
fn doors_of_one_seed_and_start_accept_each_others_cookies_and_others_do_not() {
    let mut door = Door::new();
    let hello = door.hello_with_cookie(seconds(61));
    let start = door.start;
    let verdict = |seed: &[u8; 32]| {
        let mut other = CookieDoor::new(seed, start);
        other.handle_datagram(start + seconds(62), client_address(), &hello) == Verdict::Verified
    };
    assert!(verdict(&SEED));
    assert!(!verdict(&[8; 32]));
}

/// Every parameter that RFC 6347 §4.2.1 names is covered by the cookie.
#[test]
fn a_cookie_is_good_for_one_hello_only() {
    let mut door = Door::new();
    let hello = door.hello_with_cookie(NOW);
    const VERSION: usize = 25;
    const RANDOM: usize = 27;
    const SESSION_ID: usize = 59;
    // No session id, a cookie of 32 octets, then the length of the cipher suites.
    assert_eq!((hello[SESSION_ID], hello[SESSION_ID + 1]), (0, 32));
    let cookie = SESSION_ID + 2;
    let suites = cookie + 32 + 2;
    for at in [
        VERSION + 1,
        RANDOM,
        RANDOM + 31,
        cookie,
        cookie + 31,
        suites,
    ] {
        let mut changed = hello.clone();
        changed[at] ^= 1;
        assert!(
            !door.verifies(NOW, client_address(), &changed),
            "octet {at}"
        );
    }
    assert!(door.verifies(NOW, client_address(), &hello));
}

#[test]
fn what_is_no_initial_hello_is_dropped_with_the_reason() {
    let mut door = Door::new();
    let hello = door.hello();
    let with = |at: usize, octet: u8| {
        let mut changed = hello.clone();
        changed[at] = octet;
        changed
    };
    let cases = [
        (vec![], HelloError::NotAHandshakeRecord),
        (
            b"GET / HTTP/1.1\r\n".to_vec(),
            HelloError::NotAHandshakeRecord,
        ),
        (with(0, 23), HelloError::NotAHandshakeRecord),
        (with(1, 3), HelloError::NotAHandshakeRecord),
        (with(4, 1), HelloError::NotAHandshakeRecord),
        (hello[..hello.len() - 1].to_vec(), HelloError::RecordLength),
        ([&hello[..], &[0]].concat(), HelloError::RecordLength),
        (with(13, 2), HelloError::NotAClientHello),
        (with(21, 1), HelloError::Fragment),
        (with(24, hello[24] ^ 1), HelloError::Fragment),
        (with(18, 1), HelloError::MessageSequence),
        (with(25, 3), HelloError::Body),
        (with(59, 33), HelloError::Body),
        (with(62, 255), HelloError::Body),
    ];
    for (datagram, error) in &cases {
        let verdict = door
            .door
            .handle_datagram(door.start, client_address(), datagram);
        assert_eq!(verdict, Verdict::Dropped(DropReason::Hello(*error)));
    }
    assert_eq!(door.door.counters().dropped, cases.len() as u64);
}

fn acceptor(now: Instant) -> Acceptor {
    let (server, _) = pki::server_and_client();
    Acceptor::new(server.server_config(), &SEED, now)
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_open_a_session(datagrams: Vec<Vec<u8>>) {
        let now = common::real_now();
        let mut acceptor = acceptor(now);
        for datagram in &datagrams {
            match acceptor.handle_datagram(now, client_address(), datagram) {
                Accept::Dropped(_) => {}
                Accept::Reply(reply) => prop_assert!(reply.len() <= datagram.len()),
                Accept::Session(_) => prop_assert!(false, "a session out of noise"),
            }
        }
    }

    #[test]
    fn a_damaged_hello_is_never_answered_with_more_than_was_sent(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut door = Door::new();
        for mut hello in [door.hello(), Door::new().hello_with_cookie(NOW)] {
            for (at, octet) in &damage {
                let at = at.index(hello.len());
                hello[at] = *octet;
            }
            for datagram in [&hello[..], &hello[..cut.index(hello.len())]] {
                if let Verdict::Reply(reply) = door.door.handle_datagram(door.start, client_address(), datagram) {
                    prop_assert!(reply.len() <= datagram.len());
                }
            }
        }
    }

    /// The cookie covers no extension, so OpenSSL is what reads a damaged one.
    #[test]
    fn a_verified_hello_with_damaged_extensions_does_no_harm(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut door = Door::new();
        let mut hello = door.hello_with_cookie(NOW);
        const EXTENSIONS: usize = 61 + 32 + 2;
        for (at, octet) in damage {
            let at = EXTENSIONS + at.index(hello.len() - EXTENSIONS);
            hello[at] = octet;
        }
        if let Accept::Session(mut session) = acceptor(door.start).handle_datagram(door.start, client_address(), &hello) {
            while let Some(output) = session.poll_output() {
                prop_assert!(!matches!(output, Output::Established(_) | Output::Data(_)));
            }
        }
    }
}
