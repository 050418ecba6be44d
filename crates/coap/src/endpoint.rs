use std::time::{Duration, Instant};

use crate::block::{BlockClient, BlockServer};
use crate::context::Context;
use crate::counters::Counters;
use crate::datagram::Datagram;
use crate::identifier::{Exchange, Token};
use crate::link::Link;
use crate::parameters::{Limits, TransmissionParameters};
use crate::request::{Event, Request, Response, SendError};
use crate::stream::Stream;

/// One end of a session, client and server at once, over an unreliable datagram transport (RFC 7252
/// §4, §5) or over a connection (RFC 8323).
///
/// It does no input or output. After each call that takes `now` or sends something, take the
/// datagrams, or the next bytes of the stream, from [`poll_transmit`](Self::poll_transmit), the events from
/// [`poll_event`](Self::poll_event), and call [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) says.
#[derive(Debug)]
pub struct Endpoint {
    context: Context,
    link: Link,
    client: BlockClient,
    server: BlockServer,
}

impl Endpoint {
    /// An endpoint for a new session over datagrams. Message IDs, tokens and jitter follow from `seed`, which must
    /// differ between sessions.
    #[must_use]
    pub fn new(parameters: TransmissionParameters, limits: Limits, seed: u64) -> Self {
        let context = Context::new(parameters, limits, seed);
        Self::on(context, Link::Datagram(Datagram::default()))
    }

    /// An endpoint for a connection that is up, over TCP or TLS: its first message waits to be sent
    /// (RFC 8323 §3.3). Tokens follow from `seed`. Of the parameters, it uses the lifetimes alone.
    #[must_use]
    pub fn over_stream(parameters: TransmissionParameters, limits: Limits, seed: u64) -> Self {
        let mut context = Context::new(parameters, limits, seed);
        let stream = Stream::new(&mut context);
        Self::on(context, Link::Stream(stream))
    }

    fn on(context: Context, link: Link) -> Self {
        Self {
            context,
            link,
            client: BlockClient::default(),
            server: BlockServer::default(),
        }
    }

    /// The smoothed round-trip time, once a request was answered without doubt about which copy
    /// was.
    #[must_use]
    pub fn round_trip_estimate(&self) -> Option<Duration> {
        self.link.round_trip_estimate()
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
    /// A body too large for one message goes out in blocks, each delivered as the request says, and
    /// a response in blocks comes as one (RFC 7959).
    ///
    /// # Errors
    /// If a limit is reached, the request is too large, or its code is no method. Nothing is sent
    /// then.
    pub fn send_request(&mut self, now: Instant, request: Request) -> Result<Token, SendError> {
        let token = self
            .context
            .identifiers
            .token(|token| self.link.knows(token) || self.client.knows(token));
        self.send_request_on(now, &token, request)?;
        Ok(token)
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
        let (context, link) = (&mut self.context, &mut self.link);
        link.check_limits(context, token, &request)?;
        self.client.send(context, link, now, *token, request)
    }

    /// Stops sending a request, and expects no response to it. Notifications that it may have
    /// registered are rejected, or over a stream ended explicitly (RFC 8323 §7.4).
    pub fn cancel(&mut self, token: &Token) {
        self.client.cancel(&mut self.context, &mut self.link, token);
    }

    /// Forgets an observation, so that the next notification is rejected and the server ends it
    /// (RFC 7641 §3.6). Over a stream the server is told at once (RFC 8323 §7.4).
    pub fn forget_observation(&mut self, token: &Token) {
        self.client.forget(&mut self.context, &mut self.link, token);
    }

    /// Answers a request. Ignored and counted if it was answered before, or is forgotten as one of
    /// the oldest.
    ///
    /// Of a response too large for one message the first block is sent, and the rest when the peer
    /// asks for it (RFC 7959 §2.4). One that cannot be sent (beyond
    /// [`Limits::max_body`](crate::Limits::max_body), or not a response code) is replaced by 5.00
    /// and counted.
    pub fn respond(&mut self, now: Instant, exchange: Exchange, response: Response) {
        let (context, link) = (&mut self.context, &mut self.link);
        self.server.respond(context, link, now, exchange, response);
    }

    /// Leaves a request without a response. A Confirmable one is acknowledged all the same.
    pub fn ignore(&mut self, exchange: Exchange) {
        self.server.ignore(exchange);
        self.link.ignore(&mut self.context, exchange);
    }

    /// Sends a notification on an observation of the peer's, over datagrams always Non-confirmable
    /// (RFC 9132 §4.4.2.1). The caller sets the Observe option and keeps the rate: one a round trip, or one
    /// every 3 s. Of one too large for one message the first block is sent (RFC 7959 §2.6).
    ///
    /// # Errors
    /// If the notification is too large, or has no response code. Nothing is sent then.
    pub fn notify(
        &mut self,
        now: Instant,
        token: &Token,
        response: Response,
    ) -> Result<(), SendError> {
        let (context, link) = (&mut self.context, &mut self.link);
        self.server.notify(context, link, now, *token, response)
    }

    /// Takes a datagram of the peer, or over a stream what was read, cut anywhere.
    ///
    /// A datagram that is malformed is counted, rejected if it is Confirmable, and dropped. In a
    /// stream that is the end: [`Event::Ended`].
    pub fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        self.link.handle_bytes(&mut self.context, now, bytes);
        self.settle(now);
    }

    /// Does what is due at `now`. The next [`poll_timeout`](Self::poll_timeout) is later than
    /// `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(&mut self.context, now);
        self.server.handle_timeout(now);
        self.settle(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.next_timeout(&self.context);
        link.into_iter().chain(self.server.next_timeout()).min()
    }

    /// The next datagram for the peer, or the next bytes of the stream.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.context.poll_transmit()
    }

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.context.poll_event();
        event.or_else(|| self.link.poll_end().map(|cause| Event::Ended { cause }))
    }

    /// Takes what the messages brought through the block-wise transfers to the application.
    fn settle(&mut self, now: Instant) {
        let (context, link) = (&mut self.context, &mut self.link);
        while let Some(event) = context.take_raised() {
            match event {
                Event::Request {
                    exchange,
                    token,
                    request,
                } => {
                    let from = (exchange, token);
                    self.server.on_request(context, link, now, from, request);
                }
                Event::Response {
                    token,
                    response,
                    round_trip,
                } => {
                    let received = (response, round_trip);
                    self.client.on_response(context, link, now, token, received);
                }
                Event::Failed { token, cause } => {
                    self.client.on_failed(context, link, token, cause);
                }
                Event::NotificationRejected { token } => {
                    self.server.forget_observer(&token);
                    context.deliver(event);
                }
                Event::Ended { .. } => context.deliver(event),
            }
        }
    }
}
