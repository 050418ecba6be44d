//! The client's side of session configuration (RFC 9132 §4.5).
//!
//! ```text
//! Reading --2.05--> Settled --before Max-Age is over, no attack--> Reading
//!    ^  \--2.05, and it is not what is wished--> Asking --2.01, 2.04--> Settled
//!    '-------------------- 4.22 ------------------'  (with what the server accepts)
//! ```

use std::time::{Duration, Instant};

use coap::{Code, Delivery, OptionNumber, Options, Request, Response, Token};
use dots::configuration::{ConfigurationReport, ConfigurationRequest, SessionConfiguration};
use dots::identifiers::Sid;
use dots::path::Resource;
use dtls::Transport;

use crate::content;

/// How long a configuration is valid when the server does not say (RFC 9132 §4.5.3).
const DEFAULT_MAX_AGE: u32 = 60;
/// However short-lived a configuration is said to be, it is not read more often.
const SHORTEST_REFRESH: Duration = Duration::from_secs(15);
/// A Max-Age that never ends (RFC 9132 §4.5.3).
const FOREVER: u32 = u32::MAX;
/// How often a wish is put to a server that refuses it.
const MAX_TRIES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Asking,
    Settled,
}

/// Learns what the session goes by, and asks for something else where that is wished.
#[derive(Debug)]
pub(super) struct ConfigurationClient {
    state: State,
    wish: Option<ConfigurationRequest>,
    /// The last configuration that was asked for; the first sid is 1.
    sid: u32,
    tries: u32,
    accepted: bool,
    refresh: Option<Instant>,
    pending: Option<Token>,
    current: SessionConfiguration,
}

impl ConfigurationClient {
    pub(super) fn new(
        transport: Transport,
        current: SessionConfiguration,
        wish: Option<ConfigurationRequest>,
    ) -> Self {
        let wish = wish.and_then(|wish| match transport {
            Transport::Datagram => Some(wish),
            Transport::Stream => wish.over_reliable_transport(),
        });
        Self {
            state: State::Reading,
            wish,
            sid: 0,
            tries: 0,
            accepted: false,
            refresh: None,
            pending: None,
            current,
        }
    }

    /// What the session goes by, as far as is known.
    pub(super) fn current(&self) -> SessionConfiguration {
        self.current
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.refresh
    }

    /// What to ask now, if anything. While an attack is going on nothing is asked (RFC 9132 §4.5.3).
    pub(super) fn request(&mut self, now: Instant, mitigating: bool) -> Option<Request> {
        if self.refresh.is_some_and(|at| at <= now) {
            self.refresh = None;
            self.state = State::Reading;
        }
        if mitigating || self.pending.is_some() {
            return None;
        }
        match self.state {
            State::Reading => Some(self.get()),
            State::Asking => Some(self.put()),
            State::Settled => None,
        }
    }

    pub(super) fn sent(&mut self, token: Token) {
        self.pending = Some(token);
    }

    pub(super) fn is_pending(&self, token: Token) -> bool {
        self.pending == Some(token)
    }

    /// No answer came: what is known is kept, and read again later.
    pub(super) fn failed(&mut self, now: Instant) {
        self.pending = None;
        self.settle(now, DEFAULT_MAX_AGE);
    }

    pub(super) fn on_response(&mut self, now: Instant, response: &Response) {
        self.pending = None;
        match self.state {
            State::Reading => self.on_report(now, response),
            State::Asking => self.on_answer(now, response),
            State::Settled => {}
        }
    }

    fn on_report(&mut self, now: Instant, response: &Response) {
        let report = (response.code == Code::CONTENT)
            .then(|| ConfigurationReport::decode(&response.payload).ok())
            .flatten();
        let Some(report) = report else {
            // A server without this resource goes by the defaults.
            self.state = State::Settled;
            return;
        };
        self.current = report.current();
        let max_age = response.options.max_age().unwrap_or(DEFAULT_MAX_AGE);
        self.settle(now, max_age);
        if let Some(wish) = &self.wish {
            let possible = report.nearest(wish);
            let differs = possible.over(&self.current) != self.current;
            if differs && self.tries < MAX_TRIES {
                self.wish = Some(possible);
                self.tries += 1;
                self.state = State::Asking;
            }
        }
    }

    fn on_answer(&mut self, now: Instant, response: &Response) {
        match response.code {
            Code::CREATED | Code::CHANGED => {
                self.accepted = true;
                if let Some(wish) = &self.wish {
                    self.current = wish.over(&self.current);
                }
                self.state = State::Settled;
            }
            Code::UNPROCESSABLE => self.state = State::Reading,
            _ => self.settle(now, DEFAULT_MAX_AGE),
        }
    }

    fn settle(&mut self, now: Instant, max_age: u32) {
        self.state = State::Settled;
        // Before it is over (RFC 9132 §4.5.3).
        let wait = Duration::from_secs(max_age.into()).mul_f64(0.9);
        self.refresh = (max_age != FOREVER).then(|| now + wait.max(SHORTEST_REFRESH));
    }

    fn get(&self) -> Request {
        let sid = self.accepted.then_some(Sid(self.sid));
        message(Code::GET, sid, Vec::new())
    }

    fn put(&mut self) -> Request {
        self.sid = self.sid.saturating_add(1);
        let body = self.wish.as_ref().map(ConfigurationRequest::encode);
        message(Code::PUT, Some(Sid(self.sid)), body.unwrap_or_default())
    }
}

/// Configuration is exchanged in Confirmable messages (RFC 9132 §4.5).
fn message(method: Code, sid: Option<Sid>, payload: Vec<u8>) -> Request {
    let mut options = Options::default();
    content::push_path(&mut options, &Resource::Config { sid });
    if !payload.is_empty() {
        options.push_uint(OptionNumber::CONTENT_FORMAT, dots::CONTENT_FORMAT.into());
    }
    Request {
        method,
        options,
        payload,
        delivery: Delivery::Confirmable,
    }
}
