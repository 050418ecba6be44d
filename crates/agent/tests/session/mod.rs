//! A signal channel session by itself: heartbeats, their count, the pace of notifications (RFC 9132 §4.4.2.1, §4.7).

use std::time::{Duration, Instant};

use agent::session::{Event, HeartbeatParameters, Output, SessionParameters, SignalSession};
use coap::{Code, Message, MessageId, MessageType, OptionNumber, Options, Response, Token};
use dots::heartbeat::Heartbeat;
use dots::mitigation::MitigationReport;
use dtls::CloseReason;

use crate::world::{self, BYE, ClearSession, DATA, WELCOME, cbor, millis, seconds};

/// A session under test; the test is its peer.
struct Bench {
    session: SignalSession<ClearSession>,
    now: Instant,
    events: Vec<Event>,
    /// What came out and was not looked at.
    sent: Vec<Message>,
    next_id: u16,
}

impl Bench {
    fn new() -> Self {
        let parameters = SessionParameters {
            heartbeat: HeartbeatParameters {
                interval: seconds(30),
                missing_allowed: 3,
            },
            ..SessionParameters::default()
        };
        let now = world::origin();
        let secured = ClearSession::new(now, world::peer("peer", 9));
        let mut bench = Self {
            session: SignalSession::new(now, secured, &parameters, 1),
            now,
            events: Vec::new(),
            sent: Vec::new(),
            next_id: 0,
        };
        assert!(!bench.session.is_established());
        bench.session.handle_datagram(now, &[WELCOME]);
        bench.take();
        assert!(bench.session.is_established());
        assert!(matches!(bench.events[..], [Event::Established(_)]));
        bench.events.clear();
        bench
    }

    fn take(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Transmit(datagram) => {
                    if let Some((&DATA, message)) = datagram.split_first() {
                        self.sent.push(Message::decode(message).unwrap());
                    }
                }
            }
        }
    }

    /// Lets time pass, answering heartbeats or not. Returns the heartbeats that were sent.
    fn advance(&mut self, time: Duration, answered: bool) -> Vec<Heartbeat> {
        let end = self.now + time;
        let mut heartbeats = Vec::new();
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.take();
            let (beats, others) = std::mem::take(&mut self.sent)
                .into_iter()
                .partition(|message| message.code == Code::PUT);
            self.sent = others;
            let beats: Vec<Message> = beats;
            for beat in beats {
                assert_eq!(beat.message_type, MessageType::NonConfirmable);
                assert_eq!(path(&beat), ".well-known/dots/hb");
                assert_eq!(beat.options.content_format(), Some(271));
                heartbeats.push(Heartbeat::decode(&beat.payload).unwrap());
                if answered {
                    self.receive(
                        MessageType::NonConfirmable,
                        Code::CHANGED,
                        beat.token,
                        |_| {},
                        &[],
                    );
                }
            }
        }
        self.now = end;
        heartbeats
    }

    fn receive(
        &mut self,
        message_type: MessageType,
        code: Code,
        token: Token,
        options: impl FnOnce(&mut Options),
        payload: &[u8],
    ) {
        self.next_id += 1;
        let mut message = Message {
            message_type,
            code,
            message_id: MessageId(self.next_id),
            token,
            options: Options::new(),
            payload: payload.to_vec(),
        };
        options(&mut message.options);
        let datagram = [&[DATA][..], &message.encode()].concat();
        self.session.handle_datagram(self.now, &datagram);
        self.take();
    }

    /// A request of the peer and the answer to it.
    fn request(
        &mut self,
        code: Code,
        segments: &str,
        format: Option<u32>,
        payload: &[u8],
    ) -> Option<Message> {
        self.sent.clear();
        let token = token(u32::from(self.next_id));
        let options = |options: &mut Options| {
            for segment in segments.split('/') {
                options.push(OptionNumber::URI_PATH, segment.as_bytes());
            }
            if let Some(format) = format {
                options.push_uint(OptionNumber::CONTENT_FORMAT, format);
            }
        };
        self.receive(MessageType::NonConfirmable, code, token, options, payload);
        self.sent.pop()
    }

    fn heartbeat(&mut self, peer_hb_status: bool) {
        let payload = Heartbeat { peer_hb_status }.encode();
        let answer = self
            .request(Code::PUT, ".well-known/dots/hb", Some(271), &payload)
            .unwrap();
        assert_eq!((answer.code, answer.payload.len()), (Code::CHANGED, 0));
        assert_eq!(answer.message_type, MessageType::NonConfirmable);
    }

    fn notify(&mut self, observer: u32, sequence: u32) {
        let mut options = Options::new();
        options.push_uint(OptionNumber::OBSERVE, sequence);
        let response = Response {
            code: Code::CONTENT,
            options,
            payload: MitigationReport(vec![]).encode(),
        };
        self.session.notify(self.now, &token(observer), response);
        self.take();
    }

    /// The notifications sent since the last call: observer and Observe number.
    fn notified(&mut self) -> Vec<(Token, u32)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.map(|message| {
            assert_eq!(message.message_type, MessageType::NonConfirmable);
            (message.token, message.options.observe().unwrap())
        })
        .collect()
    }
}

fn token(number: u32) -> Token {
    Token::new(&number.to_be_bytes()).unwrap()
}

fn path(message: &Message) -> String {
    let segments: Result<Vec<&str>, _> = message.options.uri_path().collect();
    segments.unwrap().join("/")
}

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

/// Covers: S-045
#[test]
fn without_a_round_trip_estimate_one_notification_leaves_every_3_s_and_the_newest_for_each() {
    let mut bench = Bench::new();
    bench.notify(1, 1);
    assert_eq!(bench.notified(), [(token(1), 1)], "the first at once");
    for sequence in 2..=5 {
        bench.notify(1, sequence);
        bench.notify(2, sequence);
    }
    assert_eq!(bench.notified(), []);
    bench.advance(millis(2999), true);
    assert_eq!(bench.notified(), []);
    bench.advance(millis(1), true);
    assert_eq!(bench.notified(), [(token(1), 5)]);
    bench.advance(seconds(3), true);
    assert_eq!(bench.notified(), [(token(2), 5)]);
    bench.advance(seconds(10), true);
    assert_eq!(bench.notified(), []);
    bench.notify(1, 6);
    assert_eq!(
        bench.notified(),
        [(token(1), 6)],
        "after a pause at once again"
    );
}

/// Covers: S-038, S-045
#[test]
fn with_an_estimate_notifications_leave_once_a_round_trip() {
    let mut bench = Bench::new();
    bench.advance(seconds(60), true);
    for observer in 1..=5 {
        bench.notify(observer, 1);
    }
    bench.advance(seconds(2), true);
    assert_eq!(bench.notified().len(), 5);
}

///
#[test]
fn notifications_that_nobody_takes_do_not_pile_up() {
    let mut bench = Bench::new();
    for observer in 0..10_000 {
        bench.notify(observer, 1);
    }
    assert_eq!(bench.notified().len(), 1);
    bench.advance(seconds(29), true);
    bench.notified();
    bench.advance(seconds(600), true);
    let late = bench.notified();
    assert!(late.len() < 64, "{}", late.len());
    assert_eq!(late.last(), Some(&(token(9_999), 1)));
}
