//! One DOTS signal channel session: a secured session, the CoAP endpoint on it, its heartbeats.
//!
//! ```text
//! datagram -> dtls::Session -> coap::Endpoint -> Event        (to the agent)
//! datagram <- dtls::Session <- coap::Endpoint <- send_request, respond, notify
//! ```
//!
//! Heartbeats end here: they are between immediate peers and no agent relays them (RFC 9132 §4.7).

mod configuration_client;
mod configuration_server;
mod heartbeat;
mod incoming;
mod negotiation;
mod notification_queue;

use std::collections::VecDeque;
use std::time::Instant;

use coap::{
    Code, Delivery, Endpoint, Exchange, FailureCause, Options, Request, Response, SendError, Token,
    TransmissionParameters,
};
use dots::configuration::ConfigurationSet;
use dots::heartbeat::Heartbeat as HeartbeatMessage;
use dots::path::Resource;
use dtls::{CloseReason, Peer, Transport};

use self::heartbeat::{Due, Heartbeat, HeartbeatParameters};
pub(crate) use self::incoming::resource_of;
use self::negotiation::Negotiator;
pub use self::negotiation::{Negotiation, SessionParameters};
use self::notification_queue::NotificationQueue;
use crate::content;

/// What a session tells the agent that owns it.
#[derive(Debug)]
pub enum Event {
    /// The peer is authenticated, and messages may be sent.
    Established(Peer),
    /// A request other than a heartbeat.
    Request {
        /// To be handed back with the response.
        exchange: Exchange,
        /// The token of the request, which an observation keeps.
        token: Token,
        /// The request itself.
        request: Request,
    },
    /// A response, or a notification, to a request of ours.
    Response {
        /// The token that [`SignalSession::send_request`] returned.
        token: Token,
        /// What the peer said.
        response: Response,
    },
    /// No response will come.
    RequestFailed {
        /// The token that [`SignalSession::send_request`] returned.
        token: Token,
        /// Why not.
        cause: FailureCause,
    },
    /// The peer does not want the notifications of this token any more (RFC 7641 §3.6).
    NotificationRejected {
        /// The token of the observation.
        token: Token,
    },
    /// `missing-hb-allowed` heartbeats in a row went by without a byte from the peer.
    PeerSilent,
    /// The session is over.
    Closed(CloseReason),
}

/// What leaves a session.
#[derive(Debug)]
pub enum Output {
    /// A datagram for the peer.
    Transmit(Vec<u8>),
    /// Something for the agent.
    Event(Event),
}

/// A signal channel session over any [`dtls::Session`].
#[derive(Debug)]
pub struct SignalSession<S> {
    secured: S,
    endpoint: Endpoint,
    negotiator: Negotiator,
    is_mitigating: bool,
    heartbeat: Option<Heartbeat>,
    heartbeat_token: Option<Token>,
    refused: Refused,
    notifications: NotificationQueue,
    transmission: TransmissionParameters,
    outputs: VecDeque<Output>,
}

/// What the peer last answered with 4.01.
#[derive(Debug, Default)]
struct Refused {
    heartbeats: bool,
    requests: bool,
}

impl<S: dtls::Session> SignalSession<S> {
    /// A session on `secured`, whose handshake has begun or is about to.
    pub fn new(now: Instant, secured: S, parameters: &SessionParameters, seed: u64) -> Self {
        let transport = secured.transport();
        let (transmission, limits) = (parameters.transmission, parameters.limits);
        let endpoint = match transport {
            Transport::Datagram => Endpoint::new(transmission, limits, seed),
            Transport::Stream => Endpoint::over_stream(transmission, limits, seed),
        };
        let mut session = Self {
            secured,
            endpoint,
            negotiator: Negotiator::new(transport, parameters),
            is_mitigating: false,
            heartbeat: None,
            heartbeat_token: None,
            refused: Refused::default(),
            notifications: NotificationQueue::default(),
            transmission,
            outputs: VecDeque::new(),
        };
        session.apply(now);
        session.drive(now);
        session
    }

    /// The peer's last smoothed round-trip time, once known.
    pub fn round_trip_estimate(&self) -> Option<std::time::Duration> {
        self.endpoint.round_trip_estimate()
    }

    /// What was seen of messages and could not be used.
    pub fn counters(&self) -> &coap::Counters {
        self.endpoint.counters()
    }

    /// What resumes the secured session later, at a client.
    pub fn resumption(&self) -> Option<S::Resumption> {
        self.secured.resumption()
    }

    /// Whether messages can be sent.
    pub fn is_established(&self) -> bool {
        self.heartbeat.is_some()
    }

    /// Whether nothing came from the peer since [`Event::PeerSilent`].
    pub fn is_peer_silent(&self) -> bool {
        self.heartbeat
            .as_ref()
            .is_some_and(Heartbeat::is_peer_silent)
    }

    /// How many heartbeats in a row the peer has left unanswered.
    pub fn unanswered_heartbeats(&self) -> u32 {
        self.heartbeat.as_ref().map_or(0, Heartbeat::unanswered)
    }

    /// Whether the peer says that this side may not ask it (4.01, RFC 9132 §9).
    pub fn is_unauthorized(&self) -> bool {
        self.refused.heartbeats || self.refused.requests
    }

    /// What carries the session.
    pub fn transport(&self) -> Transport {
        self.secured.transport()
    }

    /// The most octets of a message: what fits a datagram of the path MTU (RFC 9132 §7.3).
    pub fn message_limit(&self) -> usize {
        self.secured.data_limit()
    }

    /// A datagram came from the peer. Of a stream, a chunk of any size, or nothing if the connection
    /// has ended.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.secured.handle_datagram(now, datagram);
        self.drive(now);
    }

    /// The instant of [`SignalSession::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.secured.poll_timeout().is_some_and(|at| at <= now) {
            self.secured.handle_timeout(now);
        }
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        self.drive(now);
        self.negotiate(now);
        while let Some(due) = self.heartbeat.as_mut().and_then(|beat| beat.due(now)) {
            match due {
                Due::Send { peer_hb_status } => self.send_heartbeat(now, peer_hb_status),
                Due::Unanswered => self.outputs.push_back(Output::Event(Event::PeerSilent)),
            }
        }
        self.send_notifications(now);
    }

    /// Sends a request; the token comes back with its response.
    pub fn send_request(&mut self, now: Instant, request: Request) -> Result<Token, SendError> {
        let token = self.endpoint.send_request(now, request)?;
        self.drive(now);
        Ok(token)
    }

    /// Sends a request under the token of an observation, which it renews (RFC 7641 §3.3.1).
    pub fn renew(
        &mut self,
        now: Instant,
        token: &Token,
        request: Request,
    ) -> Result<(), SendError> {
        self.endpoint.send_request_on(now, token, request)?;
        self.drive(now);
        Ok(())
    }

    /// Whether a mitigation is active: the session then goes by the other set of parameters
    /// (RFC 9132 §4.5).
    pub fn set_mitigating(&mut self, now: Instant, is_mitigating: bool) {
        if self.is_mitigating != is_mitigating {
            self.is_mitigating = is_mitigating;
            self.apply(now);
            self.negotiate(now);
            self.drive(now);
        }
    }

    /// What the session goes by now.
    pub fn configuration(&self) -> ConfigurationSet {
        let current = self.negotiator.current();
        if self.is_mitigating {
            current.mitigating
        } else {
            current.idle
        }
    }

    /// Lets the layers go by what is in force (RFC 9132 §4.5.2).
    fn apply(&mut self, now: Instant) {
        let set = self.configuration();
        if let Some(heartbeat) = &mut self.heartbeat {
            let parameters = HeartbeatParameters::new(&set, self.secured.transport());
            heartbeat.reconfigure(now, parameters);
        }
        self.endpoint.set_parameters(TransmissionParameters {
            ack_timeout: set.ack_timeout.duration(),
            ack_random_factor: set.ack_random_factor.factor(),
            max_retransmit: set.max_retransmit.get().into(),
            probing_rate: set.probing_rate.get().into(),
            ..self.transmission
        });
    }

    /// Asks what the client's side of the negotiation wants to know or have.
    fn negotiate(&mut self, now: Instant) {
        if self.heartbeat.is_none() {
            return;
        }
        if let Negotiator::Client(client) = &mut self.negotiator
            && let Some(request) = client.request(now, self.is_mitigating)
        {
            match self.endpoint.send_request(now, request) {
                Ok(token) => client.sent(token),
                Err(_) => client.failed(now),
            }
        }
    }

    /// Stops repeating a request; its response is no longer wanted.
    pub fn cancel(&mut self, token: &Token) {
        self.endpoint.cancel(token);
    }

    /// Answers a request.
    pub fn respond(&mut self, now: Instant, exchange: Exchange, response: Response) {
        self.endpoint.respond(now, exchange, response);
        self.drive(now);
    }

    /// Leaves a request without an answer (RFC 9132 §4.4.3).
    pub fn ignore(&mut self, now: Instant, exchange: Exchange) {
        self.endpoint.ignore(exchange);
        self.drive(now);
    }

    /// Notifies an observer, Non-confirmable and at the pace of RFC 9132 §4.4.2.1. What cannot be
    /// sent is lost like a datagram on the way; the next notification follows.
    pub fn notify(&mut self, now: Instant, token: &Token, response: Response) {
        self.notifications.push(*token, response);
        self.send_notifications(now);
    }

    fn send_notifications(&mut self, now: Instant) {
        let pause = match self.round_trip_estimate() {
            Some(round_trip) => round_trip.max(self.transmission.non_minimum_interval),
            None => self.transmission.non_repeat_interval,
        };
        while let Some((token, response)) = self.notifications.pop(now, pause) {
            let _lost = self.endpoint.notify(now, &token, response);
        }
        self.drive(now);
    }

    /// Ends the session and tells the peer.
    pub fn close(&mut self, now: Instant) {
        self.secured.close(now);
        self.drive(now);
    }

    /// What leaves the session; poll until `None` after each call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`SignalSession::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat.as_ref().and_then(Heartbeat::next_timeout);
        let refresh = match &self.negotiator {
            Negotiator::Client(client) if self.heartbeat.is_some() && !self.is_mitigating => {
                client.next_timeout()
            }
            _ => None,
        };
        [
            refresh,
            self.secured.poll_timeout(),
            self.endpoint.poll_timeout(),
            self.notifications.next_timeout(),
            heartbeat,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Moves what the layers have for each other until they have nothing more.
    fn drive(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.secured.poll_output() {
                self.handle_secured(now, output);
            }
            let mut moved = self.tell(now);
            // Over a stream the first message waits for the handshake.
            while self.is_established()
                && let Some(octets) = self.endpoint.poll_transmit()
            {
                moved = true;
                self.send(now, &octets);
            }
            if !moved {
                return;
            }
        }
    }

    /// Hands on what the peer said; false if it said nothing.
    fn tell(&mut self, now: Instant) -> bool {
        let mut told = false;
        while let Some(event) = self.endpoint.poll_event() {
            told = true;
            self.handle_event(now, event);
        }
        told
    }

    /// Of datagrams, what cannot be sent now is lost as on the way; the endpoint repeats it, and a
    /// session that is over says so by Closed. A stream with a gap cannot be understood any more.
    fn send(&mut self, now: Instant, octets: &[u8]) {
        let sent = self.secured.send(now, octets);
        if sent.is_err() && self.secured.transport() == Transport::Stream {
            self.secured.close(now);
        }
    }

    fn handle_secured(&mut self, now: Instant, output: dtls::Output) {
        match output {
            dtls::Output::Transmit(datagram) => {
                self.outputs.push_back(Output::Transmit(datagram));
            }
            dtls::Output::Established(peer) => {
                let parameters =
                    HeartbeatParameters::new(&self.configuration(), self.secured.transport());
                self.heartbeat = Some(Heartbeat::new(now, parameters));
                self.outputs
                    .push_back(Output::Event(Event::Established(peer)));
                self.negotiate(now);
            }
            dtls::Output::Data(data) => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.on_received();
                }
                self.endpoint.handle_datagram(now, &data);
            }
            dtls::Output::Closed(reason) => {
                // What the peer said before its farewell, which may come with it.
                self.tell(now);
                self.heartbeat = None;
                self.outputs.push_back(Output::Event(Event::Closed(reason)));
            }
        }
    }

    fn send_heartbeat(&mut self, now: Instant, peer_hb_status: bool) {
        if let Some(unanswered) = self.heartbeat_token.take() {
            self.endpoint.cancel(&unanswered);
        }
        let mut options = Options::default();
        content::push_path(&mut options, &Resource::Heartbeat);
        content::push_format(&mut options);
        let request = Request {
            method: Code::PUT,
            options,
            payload: HeartbeatMessage { peer_hb_status }.encode(),
            delivery: Delivery::NonOnce,
        };
        // A heartbeat that cannot be sent is a heartbeat that goes unanswered.
        self.heartbeat_token = self.endpoint.send_request(now, request).ok();
    }
}
