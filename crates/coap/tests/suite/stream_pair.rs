//! Two endpoints and a stream between them that is cut anywhere.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use coap::{
    Code, Delivery, Endpoint, Event, Limits, OptionNumber, Request, Response, Token,
    TransmissionParameters,
};
use fastrand::Rng;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rig::{body, get, observed, origin, put, response, token};

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// A server that echoes what it gets, and notifies its observers of it.
struct Pair {
    ends: [Endpoint; 2],
    now: Instant,
    rng: Rng,
    /// Bytes on the way to each end.
    under_way: [VecDeque<u8>; 2],
    observers: Vec<Token>,
    answers: BTreeMap<Token, Vec<Response>>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let limits = Limits {
            block_transfers: 16,
            ..Limits::default()
        };
        let parameters = TransmissionParameters::default();
        let end = |seed| Endpoint::over_stream(parameters, limits, seed);
        Self {
            ends: [end(seed), end(!seed)],
            now: origin(),
            rng: Rng::with_seed(seed),
            under_way: [VecDeque::new(), VecDeque::new()],
            observers: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    fn request(&mut self, request: Request) -> Token {
        let sent = self.ends[CLIENT].send_request(self.now, request);
        sent.expect("room")
    }

    fn serve(&mut self, token: Token, request: &Request) -> Response {
        let mut answer = response(Code::CONTENT);
        answer.payload.clone_from(&request.payload);
        match request.options.observe() {
            Some(0) => {
                self.observers.push(token);
                answer.options.push_uint(OptionNumber::OBSERVE, 0);
            }
            Some(_) => self.observers.retain(|observer| *observer != token),
            None => {
                for observer in self.observers.clone() {
                    let mut notification = observed(0);
                    notification.payload.clone_from(&request.payload);
                    let sent = self.ends[SERVER].notify(self.now, &observer, notification);
                    assert_eq!(sent, Ok(()));
                }
            }
        }
        answer
    }

    /// Carries pieces of the streams until they are empty.
    fn run(&mut self) {
        loop {
            while let Some(event) = self.ends[SERVER].poll_event() {
                let Event::Request {
                    exchange,
                    token,
                    request,
                } = event
                else {
                    panic!("the server asked for nothing: {event:?}");
                };
                let answer = self.serve(token, &request);
                self.ends[SERVER].respond(self.now, exchange, answer);
            }
            while let Some(event) = self.ends[CLIENT].poll_event() {
                match event {
                    Event::Response {
                        token, response, ..
                    } => self.answers.entry(token).or_default().push(response),
                    other => panic!("no failure: {other:?}"),
                }
            }
            for (from, end) in self.ends.iter_mut().enumerate() {
                while let Some(bytes) = end.poll_transmit() {
                    self.under_way[1 - from].extend(bytes);
                }
            }
            let waiting: Vec<usize> = (0..2)
                .filter(|to| !self.under_way[*to].is_empty())
                .collect();
            let Some(to) = self.rng.choice(waiting) else {
                return;
            };
            let most = if self.rng.bool() { 5 } else { 3000 };
            let length = self.rng.usize(1..=most).min(self.under_way[to].len());
            let piece: Vec<u8> = self.under_way[to].drain(..length).collect();
            self.ends[to].handle_datagram(self.now, &piece);
        }
    }
}

/// Covers: S-004. Bodies from none to several blocks each way, and notifications of them.
#[test]
fn bodies_arrive_whole_however_the_stream_is_cut() {
    for seed in 0..200 {
        let mut pair = Pair::new(seed);
        let observation = pair.request(get(Some(0), Delivery::NonRepeated));
        let mut sent = BTreeMap::new();
        for _ in 0..8 {
            let payload = body(pair.rng.usize(0..4000));
            let request = Request {
                payload: payload.clone(),
                ..put(Delivery::Confirmable)
            };
            sent.insert(pair.request(request), payload);
            if pair.rng.bool() {
                pair.run();
            }
        }
        pair.run();
        let observed = pair.answers.remove(&observation).expect("notifications");
        assert!(observed.len() > 1, "seed {seed}");
        let known = |response: &Response| sent.values().any(|body| *body == response.payload);
        assert!(observed[1..].iter().all(known), "seed {seed}");
        for (token, payload) in &sent {
            let answers = &pair.answers[token];
            assert_eq!(answers.len(), 1, "seed {seed}");
            assert_eq!(answers[0].payload, *payload, "seed {seed}");
        }
        pair.ends[CLIENT].forget_observation(&observation);
        pair.run();
        assert_eq!(pair.observers, [], "seed {seed}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Message {
        code: u8,
        echo: bool,
        options: Vec<(u16, u32)>,
        length: usize,
    },
    Send {
        observe: Option<u32>,
        length: usize,
    },
    Answer {
        code: u8,
        length: usize,
    },
    Notify {
        length: usize,
    },
    Cancel,
}

fn any_step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![Just(16_usize), 0..300_usize];
    let code = prop_oneof![
        prop_oneof![
            Just(0x01_u8),
            Just(0x03),
            Just(0x45),
            Just(0x5f),
            Just(0x88)
        ],
        0xe1..0xe7_u8,
        any::<u8>()
    ];
    let number = prop_oneof![
        Just(6_u16),
        Just(23),
        Just(27),
        Just(2),
        Just(4),
        any::<u16>()
    ];
    let options = vec((number, 0..0x40_u32), 0..3);
    prop_oneof![
        1 => vec(any::<u8>(), 0..20).prop_map(Step::Bytes),
        8 => (code.clone(), any::<bool>(), options, length.clone()).prop_map(
            |(code, echo, options, length)| Step::Message { code, echo, options, length }
        ),
        3 => (proptest::option::of(0..2_u32), length.clone())
            .prop_map(|(observe, length)| Step::Send { observe, length }),
        3 => (code, length.clone()).prop_map(|(code, length)| Step::Answer { code, length }),
        1 => length.prop_map(|length| Step::Notify { length }),
        1 => Just(Step::Cancel),
    ]
}

proptest! {
    /// Small limits, arbitrary messages, and an application that answers anything.
    #[test]
    fn nothing_panics_and_an_ended_connection_is_silent(steps in vec(any_step(), 0..80)) {
        let limits = Limits {
            max_received_size: 400,
            max_body: 300,
            block_transfers: 2,
            remembered_observers: 1,
            outstanding_requests: 4,
            observations: 2,
            closed_tokens: 2,
            deduplication_entries: 3,
            queued_events: 8,
            queued_datagrams: 8,
            ..Limits::default()
        };
        let parameters = TransmissionParameters::default();
        let mut endpoint = Endpoint::over_stream(parameters, limits, 1);
        let now = origin();
        endpoint.handle_datagram(now, b"\x30\xe1\x21\x78\x20");
        let (mut last_sent, mut last_exchange, mut ended) = (token(9), None, false);
        for step in steps {
            match step {
                Step::Bytes(bytes) => endpoint.handle_datagram(now, &bytes),
                Step::Message { code, echo, options, length } => {
                    let mut frame = coap::Frame {
                        code: Code::from_byte(code),
                        token: if echo { last_sent } else { token(7) },
                        options: coap::Options::new(),
                        payload: body(length),
                    };
                    for (number, value) in options {
                        frame.options.push_uint(OptionNumber(number), value);
                    }
                    endpoint.handle_datagram(now, &frame.encode());
                }
                Step::Send { observe, length } => {
                    let mut request = get(observe, Delivery::NonRepeated);
                    request.payload = body(length);
                    let _ = endpoint.send_request(now, request);
                }
                Step::Answer { code, length } => if let Some(exchange) = last_exchange {
                    let mut answer = observed(1);
                    answer.code = Code::from_byte(code);
                    answer.payload = body(length);
                    endpoint.respond(now, exchange, answer);
                },
                Step::Notify { length } => {
                    let mut notification = observed(9);
                    notification.payload = body(length);
                    let _ = endpoint.notify(now, &token(7), notification);
                }
                Step::Cancel => endpoint.cancel(&last_sent),
            }
            while let Some(bytes) = endpoint.poll_transmit() {
                prop_assert!(!ended, "sent after the end");
                let decoded = coap::Frame::decode(&bytes, usize::MAX);
                let Ok(Some((frame, length))) = decoded else {
                    return Err(TestCaseError::fail("malformed"));
                };
                prop_assert_eq!(length, bytes.len());
                last_sent = frame.token;
            }
            while let Some(event) = endpoint.poll_event() {
                prop_assert!(!ended, "an event after the end");
                match event {
                    Event::Request { exchange, request, .. } => {
                        prop_assert!(request.payload.len() <= limits.max_received_size);
                        last_exchange = Some(exchange);
                    }
                    Event::Response { response, .. } => {
                        prop_assert!(response.payload.len() <= limits.max_received_size);
                    }
                    Event::Failed { .. } => {}
                    Event::NotificationRejected { .. } => prop_assert!(false),
                    Event::Ended { .. } => ended = true,
                }
            }
        }
    }
}
