//! A CoAP endpoint between a peer that sends anything and an application that answers anything.
//!
//! The property tests of `coap` hold an endpoint to the same limits with typed steps, which proptest can shrink; a fuzzer wants
//! octets, of which each is a step wherever it is cut, and a corpus that stays readable. So the two share no steps.
//!
//! The input is a script. Each step is an octet that says what happens, one that says how, and for some a length and so
//! many octets. Limits are small, so that they are met.

use std::time::{Duration, Instant};

use coap::{
    Code, Delivery, Endpoint, Event, Exchange, Frame, Limits, Message, OptionNumber, Options,
    Request, Response, Token, TransmissionParameters,
};

const LIMITS: Limits = Limits {
    max_message_size: 120,
    max_received_size: 1000,
    max_body: 300,
    block_transfers: 2,
    remembered_observers: 1,
    outstanding_requests: 4,
    observations: 2,
    closed_tokens: 2,
    deduplication_entries: 3,
    response_cache_bytes: 40,
    separate_responses: 2,
    remembered_notifications: 2,
    queued_events: 8,
    queued_datagrams: 8,
    recognised_critical: &[
        OptionNumber::IF_MATCH,
        OptionNumber::URI_PATH,
        OptionNumber::URI_QUERY,
    ],
};

/// What an endpoint may raise at once beyond `queued_events`: the ends of what it had open.
const ENDS: usize =
    LIMITS.outstanding_requests + LIMITS.observations + LIMITS.separate_responses + 1;

/// An endpoint over datagrams.
pub fn datagram_endpoint(script: &[u8]) {
    let endpoint = Endpoint::new(TransmissionParameters::default(), LIMITS, 7);
    Rig::new(endpoint, Link::Datagram).run(script);
}

/// An endpoint over a stream.
pub fn stream_endpoint(script: &[u8]) {
    let endpoint = Endpoint::over_stream(TransmissionParameters::default(), LIMITS, 7);
    Rig::new(endpoint, Link::Stream).run(script);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Datagram,
    Stream,
}

struct Rig {
    endpoint: Endpoint,
    link: Link,
    now: Instant,
    /// What the endpoint sent last, to answer or to reflect.
    sent: Vec<u8>,
    sent_token: Token,
    exchange: Option<Exchange>,
    token: Option<Token>,
    observer: Option<Token>,
    ended: bool,
}

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn octet(&mut self) -> Option<u8> {
        let (octet, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*octet)
    }

    /// As many octets as the next one says, or as there are.
    fn octets(&mut self) -> &'a [u8] {
        let length = usize::from(self.octet().unwrap_or_default());
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

impl Rig {
    fn new(endpoint: Endpoint, link: Link) -> Self {
        thread_local! {
            static START: Instant = Instant::now();
        }
        Self {
            endpoint,
            link,
            now: START.with(|start| *start),
            sent: Vec::new(),
            sent_token: Token::EMPTY,
            exchange: None,
            token: None,
            observer: None,
            ended: false,
        }
    }

    fn run(&mut self, script: &[u8]) {
        let mut script = Script(script);
        self.drain();
        while let (Some(step), Some(how)) = (script.octet(), script.octet()) {
            match step % 10 {
                0 | 1 => self.receive(script.octets()),
                2 => {
                    self.answer_last_sent(how, script.octet().unwrap_or_default(), script.octets())
                }
                3 => self.send(how, script.octet().unwrap_or_default()),
                4 => self.respond(how, script.octet().unwrap_or_default()),
                5 => self.notify(how),
                6 => self.wait(u64::from(how)),
                7 => self.wait(u64::from(how) * 1000),
                8 => self.end_interest(how),
                _ => self.receive(&self.sent.clone()),
            }
            self.drain();
        }
        // Whatever is open comes to an end, or repeats itself calmly.
        for _ in 0..4 {
            self.wait(100_000);
            self.drain();
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        self.endpoint.handle_datagram(self.now, octets);
    }

    /// A response under the token of what the endpoint sent last, or another message under its Message ID.
    fn answer_last_sent(&mut self, how: u8, code: u8, body: &[u8]) {
        let mut octets = Vec::new();
        if self.link == Link::Datagram {
            let Ok(sent) = Message::decode(&self.sent) else {
                return;
            };
            octets.extend(Message::empty(sent.message_type, sent.message_id).encode());
            octets[0] = octets[0] & 0xc0 | how << 4 & 0x30;
            octets[1] = code;
            if how & 0x80 != 0 {
                octets[3] ^= how >> 4;
            }
            if code != 0 {
                octets[0] |= u8::try_from(sent.token.as_bytes().len()).unwrap_or_default();
                octets.extend(sent.token.as_bytes());
            }
        } else {
            let token = self.sent_token.as_bytes();
            let (nibble, extension): (u8, &[u8]) = match body.len() {
                short @ 0..13 => (short as u8, &[]),
                long => (13, &[(long - 13) as u8]),
            };
            octets.push(nibble << 4 | token.len() as u8);
            octets.extend(extension);
            octets.push(code);
            octets.extend(token);
        }
        octets.extend(body);
        self.receive(&octets);
    }

    fn send(&mut self, how: u8, length: u8) {
        let mut options = Options::new();
        options.push(OptionNumber::URI_PATH, b"mitigate");
        if how & 4 != 0 {
            options.push_uint(OptionNumber::OBSERVE, u32::from(how >> 3 & 1));
        }
        let request = Request {
            method: [Code::GET, Code::PUT][usize::from(how >> 4 & 1)],
            options,
            payload: vec![how; usize::from(length) * 2],
            delivery: match how & 3 {
                0 => Delivery::Confirmable,
                1 => Delivery::NonRepeated,
                _ => Delivery::NonOnce,
            },
        };
        let again = self.token.filter(|_| how & 0x20 != 0);
        match again {
            Some(token) => drop(self.endpoint.send_request_on(self.now, &token, request)),
            None => {
                self.token = self
                    .endpoint
                    .send_request(self.now, request)
                    .ok()
                    .or(self.token)
            }
        }
    }

    fn respond(&mut self, how: u8, length: u8) {
        let Some(exchange) = self.exchange else {
            return;
        };
        if how == 0 {
            return self.endpoint.ignore(exchange);
        }
        let mut options = Options::new();
        if how & 1 != 0 {
            options.push_uint(OptionNumber::OBSERVE, how.into());
        }
        let code = [
            Code::CONTENT,
            Code::CHANGED,
            Code::BAD_REQUEST,
            Code::from_byte(how),
        ];
        let response = Response {
            code: code[usize::from(how >> 1 & 3)],
            options,
            payload: vec![how; usize::from(length) * 2],
        };
        self.endpoint.respond(self.now, exchange, response);
    }

    fn notify(&mut self, how: u8) {
        let Some(observer) = self.observer else {
            return;
        };
        let mut options = Options::new();
        options.push_uint(OptionNumber::OBSERVE, how.into());
        let notification = Response {
            code: Code::CONTENT,
            options,
            payload: vec![how; usize::from(how)],
        };
        let _too_large = self.endpoint.notify(self.now, &observer, notification);
    }

    fn end_interest(&mut self, how: u8) {
        let Some(token) = self.token else { return };
        if how & 1 == 0 {
            self.endpoint.cancel(&token);
        } else {
            self.endpoint.forget_observation(&token);
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.endpoint.handle_timeout(self.now);
        assert!(
            self.endpoint
                .poll_timeout()
                .is_none_or(|next| next > self.now)
        );
    }

    /// Takes what there is, and holds it to the limits.
    fn drain(&mut self) {
        let mut sent = 0;
        while let Some(octets) = self.endpoint.poll_transmit() {
            sent += 1;
            match self.link {
                Link::Datagram => {
                    assert!(octets.len() <= LIMITS.max_message_size);
                    let message = Message::decode(&octets);
                    self.sent_token = message.expect("a message of ours").token;
                }
                Link::Stream => {
                    let frame = Frame::decode(&octets, usize::MAX);
                    let (frame, length) = frame.expect("a frame of ours").expect("a whole one");
                    assert_eq!(length, octets.len());
                    self.sent_token = frame.token;
                }
            }
            self.sent = octets;
        }
        assert!(sent <= LIMITS.queued_datagrams + 1);
        let mut events = 0;
        while let Some(event) = self.endpoint.poll_event() {
            events += 1;
            assert!(!self.ended, "{event:?} after the end");
            match event {
                Event::Request {
                    exchange,
                    token,
                    request,
                } => {
                    assert!(request.payload.len() <= LIMITS.max_body.max(LIMITS.max_received_size));
                    assert!(request.method.is_request());
                    self.exchange = Some(exchange);
                    if request.options.observe() == Some(0) {
                        self.observer = Some(token);
                    }
                }
                Event::Response { response, .. } => {
                    assert!(
                        response.payload.len() <= LIMITS.max_body.max(LIMITS.max_received_size)
                    );
                    assert!(response.code.is_response());
                }
                Event::Failed { .. } | Event::NotificationRejected { .. } => {}
                Event::Ended { .. } => {
                    assert!(self.link == Link::Stream, "datagrams have no end");
                    self.ended = true;
                }
            }
        }
        assert!(events <= LIMITS.queued_events + ENDS);
    }
}
