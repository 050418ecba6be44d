//! One end of a session that is ours. The test is the other end.

use std::time::{Duration, Instant};

use agent::session::{Event, Negotiation, Output, SessionParameters, SignalSession};
use coap::Message;

use super::wire::Datagram;
use crate::world::{self, ClearSession, DATA, WELCOME};

pub(super) struct Line {
    pub(super) session: SignalSession<ClearSession>,
    pub(super) now: Instant,
    /// What came out and was not looked at.
    pub(super) sent: Vec<Message>,
    pub(super) events: Vec<Event>,
}

impl Line {
    /// An established session with the holder of a certificate for `home`.
    pub(super) fn new(negotiation: Negotiation) -> Self {
        let parameters = SessionParameters {
            configuration: world::configuration(30, 3),
            negotiation,
            ..SessionParameters::default()
        };
        let now = world::origin();
        let secured = ClearSession::new(now, world::peer("home", 1));
        let mut line = Self {
            session: SignalSession::new(now, secured, &parameters, 1),
            now,
            sent: Vec::new(),
            events: Vec::new(),
        };
        line.session.handle_datagram(now, &[WELCOME]);
        line.collect();
        line
    }

    pub(super) fn receive(&mut self, datagram: &Datagram) {
        let octets = [&[DATA][..], &datagram.octets()].concat();
        self.session.handle_datagram(self.now, &octets);
        self.collect();
    }

    /// Lets time pass, with every timeout at its instant.
    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    pub(super) fn collect(&mut self) {
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

    /// Takes the messages sent since the last call.
    pub(super) fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.sent)
    }
}
