//! Our server, whole but for encryption, and what its clients see.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent::Now;
use agent::server::{
    Action, Customer, Customers, Input, MitigationKey, Policy, Server, SessionId, Snapshot,
};
use agent::session::Negotiation;
use coap::Message;
use dots::configuration::AcceptableConfiguration;
use dots::target::Target;

use super::line::Line;
use super::wire::Datagram;
use crate::world::EPOCH;

const SESSION: SessionId = SessionId(1);

/// A provider with one customer, whose session is up. The test is the customer.
pub(super) struct Provider {
    server: Server,
    line: Line,
    start: Instant,
    pub(super) enforced: BTreeMap<MitigationKey, Target>,
    pub(super) is_closed: bool,
}

impl Provider {
    pub(super) fn new() -> Self {
        let line = Line::new(Negotiation::Server(AcceptableConfiguration::default()));
        let customer = Customer {
            name: "home".to_owned(),
            psk_identity: None,
            prefixes: vec!["198.51.100.0/24".parse().unwrap()],
            max_mitigations: 8,
            redirect: None,
            cdids: Vec::new(),
            is_gateway: false,
        };
        let customers: Customers = [customer].into_iter().collect();
        let now = Now {
            monotonic: line.now,
            unix: EPOCH,
        };
        let mut provider = Self {
            server: Server::new(now, customers, Policy::default(), Snapshot::default()),
            start: line.now,
            line,
            enforced: BTreeMap::new(),
            is_closed: false,
        };
        provider.settle();
        provider
    }

    /// What is sent in answer to a datagram.
    pub(super) fn ask(&mut self, datagram: &Datagram) -> Vec<Message> {
        self.line.sent.clear();
        self.line.receive(datagram);
        self.settle();
        self.line.take()
    }

    /// The one message that is sent in answer to a datagram.
    pub(super) fn answer(&mut self, datagram: &Datagram) -> Message {
        let mut sent = self.ask(datagram);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// Lets time pass, with every timeout at its instant, and hands back what was sent.
    pub(super) fn advance(&mut self, time: Duration) -> Vec<Message> {
        let end = self.line.now + time;
        self.line.sent.clear();
        while let Some(at) = self.next_timeout().filter(|at| *at <= end) {
            self.line.now = self.line.now.max(at);
            self.line.session.handle_timeout(self.line.now);
            self.server.handle(self.clocks(), Input::Timeout);
            self.settle();
        }
        self.line.now = end;
        self.line.take()
    }

    fn next_timeout(&self) -> Option<Instant> {
        let session = self.line.session.poll_timeout();
        let session = session.filter(|_| !self.is_closed);
        session.into_iter().chain(self.server.poll_timeout()).min()
    }

    fn clocks(&self) -> Now {
        let elapsed = self.line.now.saturating_duration_since(self.start);
        Now {
            monotonic: self.line.now,
            unix: EPOCH + elapsed.as_secs(),
        }
    }

    /// Carries between session and server what they have for each other.
    fn settle(&mut self) {
        loop {
            self.line.collect();
            for event in std::mem::take(&mut self.line.events) {
                if let Some(input) = Input::from_event(SESSION, event) {
                    self.server.handle(self.clocks(), input);
                }
            }
            let Some(action) = self.server.poll_action() else {
                return;
            };
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        let (session, now) = (&mut self.line.session, self.line.now);
        match action {
            Action::Respond(_, exchange, response) => session.respond(now, exchange, response),
            Action::Ignore(_, exchange) => session.ignore(now, exchange),
            Action::Notify(_, token, response) => session.notify(now, &token, response),
            Action::SetMitigating(_, is_mitigating) => session.set_mitigating(now, is_mitigating),
            Action::Close(_) => {
                session.close(now);
                self.is_closed = true;
            }
            Action::Enforce(enforcement, target) => {
                self.enforced.insert(enforcement.key, target);
            }
            Action::Withdraw(enforcement) => {
                self.enforced.remove(&enforcement.key);
            }
            // Stores and logs are of no interest to a client.
            _ => {}
        }
    }
}
