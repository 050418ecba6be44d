//! A session and its peer, which the test plays.

use std::time::{Duration, Instant};

use agent::session::{Event, Negotiation, Output, SessionParameters, SignalSession};
use coap::{Code, Message, MessageId, MessageType, OptionNumber, Options, Response, Token};
use dots::heartbeat::Heartbeat;
use dots::mitigation::MitigationReport;

use crate::world::{self, ClearSession, DATA, WELCOME};

/// A session under test; the test is its peer.
pub(super) struct Bench {
    pub(super) session: SignalSession<ClearSession>,
    pub(super) now: Instant,
    pub(super) events: Vec<Event>,
    /// What came out and was not looked at.
    pub(super) sent: Vec<Message>,
    next_id: u16,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Negotiation::Fixed)
    }

    pub(super) fn with(negotiation: Negotiation) -> Self {
        let parameters = SessionParameters {
            configuration: world::configuration(30, 3),
            negotiation,
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

    pub(super) fn take(&mut self) {
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
    pub(super) fn advance(&mut self, time: Duration, answered: bool) -> Vec<Heartbeat> {
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

    pub(super) fn receive(
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
    pub(super) fn request(
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

    pub(super) fn heartbeat(&mut self, peer_hb_status: bool) {
        let payload = Heartbeat { peer_hb_status }.encode();
        let answer = self
            .request(Code::PUT, ".well-known/dots/hb", Some(271), &payload)
            .unwrap();
        assert_eq!((answer.code, answer.payload.len()), (Code::CHANGED, 0));
        assert_eq!(answer.message_type, MessageType::NonConfirmable);
    }

    pub(super) fn notify(&mut self, observer: u32, sequence: u32) {
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
    pub(super) fn notified(&mut self) -> Vec<(Token, u32)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.map(|message| {
            assert_eq!(message.message_type, MessageType::NonConfirmable);
            (message.token, message.options.observe().unwrap())
        })
        .collect()
    }
}

pub(super) fn token(number: u32) -> Token {
    Token::new(&number.to_be_bytes()).unwrap()
}

pub(super) fn path(message: &Message) -> String {
    let segments: Result<Vec<&str>, _> = message.options.uri_path().collect();
    segments.unwrap().join("/")
}
