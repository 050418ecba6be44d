use std::time::{Duration, Instant};

use crate::client::{Client, Verdict};
use crate::code::Code;
use crate::context::Context;
use crate::counters::Counters;
use crate::identifier::{Exchange, Token};
use crate::message::{DecodeError, Header, Message, MessageType};
use crate::parameters::{Limits, TransmissionParameters};
use crate::request::{Event, Request, Response, SendError};
use crate::server::Server;

/// One end of a session over an unreliable datagram transport, client and server at once (RFC 7252
/// §4, §5).
///
/// It does no input or output. After each call that takes `now` or sends something, take the
/// datagrams from [`poll_transmit`](Self::poll_transmit), the events from
/// [`poll_event`](Self::poll_event), and call [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) says.
#[derive(Debug)]
pub struct Endpoint {
    context: Context,
    client: Client,
    server: Server,
}

impl Endpoint {
    /// An endpoint for a new session. Message IDs, tokens and jitter follow from `seed`, which must
    /// differ between sessions.
    #[must_use]
    pub fn new(parameters: TransmissionParameters, limits: Limits, seed: u64) -> Self {
        let context = Context::new(parameters, limits, seed);
        Self {
            context,
            client: Client::default(),
            server: Server::default(),
        }
    }

    /// The smoothed round-trip time, once a request was answered without doubt about which copy
    /// was.
    #[must_use]
    pub fn round_trip_estimate(&self) -> Option<Duration> {
        self.client.round_trip_estimate()
    }

    /// What happened to messages that were of no use.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.context.counters
    }

    /// Uses other transmission parameters for the messages and waits that begin from now on (RFC
    /// 9132 §4.5.2).
    pub fn set_parameters(&mut self, parameters: TransmissionParameters) {
        self.context.parameters = parameters;
    }

    /// Sends a request. Responses come with the token returned.
    ///
    /// A request with Observe 0 keeps its token open for notifications once the server accepts the
    /// registration.
    ///
    /// The first copy goes out at once. Copies of all Non-confirmable requests together keep to one
    /// datagram a round trip, or one every 3 s while there is no estimate, counted from the last
    /// Non-confirmable request (RFC 9132 §4.4).
    ///
    /// # Errors
    /// If a limit is reached, the request is too large, or its code is no method. Nothing is sent
    /// then.
    pub fn send_request(&mut self, now: Instant, request: Request) -> Result<Token, SendError> {
        self.client.send(&mut self.context, now, request)
    }

    /// Sends a request under the token of an earlier one, which it replaces: with Observe 1 to end
    /// an observation, or with Observe 0 to renew it (RFC 7641 §3.6, §3.3.1).
    ///
    /// # Errors
    /// As for [`send_request`](Self::send_request). The earlier request then goes on as it was.
    pub fn send_request_on(
        &mut self,
        now: Instant,
        token: &Token,
        request: Request,
    ) -> Result<(), SendError> {
        self.client.send_on(&mut self.context, now, *token, request)
    }

    /// Stops sending a request, and expects no response to it. Notifications that it may have
    /// registered are rejected.
    pub fn cancel(&mut self, token: &Token) {
        self.client.cancel(&self.context, token);
    }

    /// Forgets an observation, so that the next notification is rejected and the server ends it
    /// (RFC 7641 §3.6).
    pub fn forget_observation(&mut self, token: &Token) {
        self.client.forget(token);
    }

    /// Answers a request. Ignored and counted if it was answered before, or is forgotten as one of
    /// the oldest.
    ///
    /// A response that cannot be sent (too large, or not a response code) is replaced by 5.00 and
    /// counted.
    pub fn respond(&mut self, now: Instant, exchange: Exchange, response: Response) {
        self.server
            .respond(&mut self.context, now, exchange, response);
    }

    /// Leaves a request without a response. A Confirmable one is acknowledged all the same.
    pub fn ignore(&mut self, exchange: Exchange) {
        self.server.ignore(&mut self.context, exchange);
    }

    /// Sends a notification on an observation of the peer's, always Non-confirmable (RFC 9132
    /// §4.4.2.1). The caller sets the Observe option and keeps the rate: one a round trip, or one
    /// every 3 s.
    ///
    /// # Errors
    /// If the notification is too large, or has no response code. Nothing is sent then.
    pub fn notify(
        &mut self,
        now: Instant,
        token: &Token,
        response: Response,
    ) -> Result<(), SendError> {
        self.server.notify(&mut self.context, now, *token, response)
    }

    /// Takes a datagram of the peer. One that is malformed is counted, rejected if it is
    /// Confirmable, and dropped.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if datagram.len() > self.context.limits.max_received_size {
            return self.reject_malformed(datagram);
        }
        match Message::decode(datagram) {
            Ok(message) => self.handle_message(now, message),
            // RFC 7252 §3: ignored in silence.
            Err(DecodeError::Version(_)) => self.context.counters.malformed += 1,
            Err(_) => self.reject_malformed(datagram),
        }
    }

    /// Does what is due at `now`. The next [`poll_timeout`](Self::poll_timeout) is later than
    /// `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(&mut self.context, now);
        self.server.handle_timeout(&mut self.context, now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let client = self.client.next_timeout(&self.context);
        client.into_iter().chain(self.server.next_timeout()).min()
    }

    /// The next datagram for the peer.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.context.poll_transmit()
    }

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.context.poll_event()
    }

    /// RFC 7252 §4.2, §4.3, table 1: which types may carry what.
    fn handle_message(&mut self, now: Instant, message: Message) {
        let id = message.message_id;
        let empty = message.code == Code::EMPTY;
        match message.message_type {
            MessageType::Confirmable if empty => {
                self.context.counters.pings += 1;
                self.context.reset(id);
            }
            MessageType::Acknowledgement if empty => {
                let matched = self.client.on_acknowledgement(&self.context, now, id)
                    || self.server.on_acknowledgement(id);
                if !matched {
                    self.context.counters.unmatched_acknowledgements += 1;
                }
            }
            MessageType::Reset if empty => {
                self.context.counters.resets_received += 1;
                if !self.client.on_reset(&mut self.context, id) {
                    self.server.on_reset(&mut self.context, now, id);
                }
            }
            // A full queue loses the message before anything is acknowledged, as the network might
            // have.
            _ if !empty && !self.context.has_room() => self.context.counters.overflows += 1,
            MessageType::Confirmable | MessageType::NonConfirmable if message.code.is_request() => {
                self.server.on_request(&mut self.context, now, message);
            }
            MessageType::Confirmable
            | MessageType::NonConfirmable
            | MessageType::Acknowledgement
                if message.code.is_response() =>
            {
                self.handle_response(now, message);
            }
            _ => self.context.counters.malformed += 1,
        }
    }

    fn handle_response(&mut self, now: Instant, message: Message) {
        let (message_type, id) = (message.message_type, message.message_id);
        match (
            message_type,
            self.client.on_response(&mut self.context, now, message),
        ) {
            (MessageType::Confirmable, Verdict::Accept) => self.context.acknowledge(id),
            (MessageType::Confirmable | MessageType::NonConfirmable, Verdict::Reject) => {
                self.context.reset(id);
            }
            // RFC 7252 §4.2: an Acknowledgement is never answered.
            _ => {}
        }
    }

    fn reject_malformed(&mut self, datagram: &[u8]) {
        self.context.counters.malformed += 1;
        if let Ok((header, _)) = Header::decode(datagram)
            && header.message_type == MessageType::Confirmable
        {
            self.context.reset(header.message_id);
        }
    }
}
