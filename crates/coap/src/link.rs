use std::time::{Duration, Instant};

use crate::context::Context;
use crate::datagram::Datagram;
use crate::identifier::{Exchange, Token};
use crate::options::Options;
use crate::request::{EndCause, Request, Response, SendError};
use crate::stream::Stream;

/// What carries requests and responses. Above it, the two differ in nothing but how much a message
/// holds.
#[derive(Debug)]
pub(crate) enum Link {
    Datagram(Datagram),
    Stream(Stream),
}

impl Link {
    pub(crate) fn round_trip_estimate(&self) -> Option<Duration> {
        match self {
            Self::Datagram(datagram) => datagram.round_trip_estimate(),
            Self::Stream(stream) => stream.round_trip_estimate(),
        }
    }

    /// Whether responses with this token are ours to understand.
    pub(crate) fn knows(&self, token: &Token) -> bool {
        match self {
            Self::Datagram(datagram) => datagram.knows(token),
            Self::Stream(stream) => stream.knows(token),
        }
    }

    /// Whether responses with this token are waited for.
    pub(crate) fn is_open(&self, token: &Token) -> bool {
        match self {
            Self::Datagram(datagram) => datagram.is_open(token),
            Self::Stream(stream) => stream.is_open(token),
        }
    }

    /// Bytes of payload that fit in a message beside these options.
    pub(crate) fn payload_room(
        &self,
        context: &Context,
        token: &Token,
        options: &Options,
    ) -> usize {
        match self {
            Self::Datagram(datagram) => datagram.payload_room(context, token, options),
            Self::Stream(stream) => stream.payload_room(token, options),
        }
    }

    /// Whether the peer may be offered a body in blocks that it has not asked for so.
    pub(crate) fn takes_blocks(&self) -> bool {
        match self {
            Self::Datagram(_) => true,
            Self::Stream(stream) => stream.takes_blocks(),
        }
    }

    /// Whether the application may send another request.
    pub(crate) fn check_limits(
        &self,
        context: &Context,
        token: &Token,
        request: &Request,
    ) -> Result<(), SendError> {
        match self {
            Self::Datagram(datagram) => datagram.check_limits(context, token, request),
            Self::Stream(stream) => stream.check_limits(context, token, request),
        }
    }

    /// Sends a request, whatever [`check_limits`](Self::check_limits) says.
    pub(crate) fn send(
        &mut self,
        context: &mut Context,
        now: Instant,
        token: Token,
        request: Request,
    ) -> Result<(), SendError> {
        match self {
            Self::Datagram(datagram) => datagram.send(context, now, token, request),
            Self::Stream(stream) => stream.send(context, now, token, request),
        }
    }

    /// Stops sending `request`, and expects no response to it.
    pub(crate) fn cancel(
        &mut self,
        context: &mut Context,
        token: &Token,
        request: Option<Request>,
    ) {
        match self {
            Self::Datagram(datagram) => datagram.cancel(context, token),
            Self::Stream(stream) => stream.cancel(context, token, request),
        }
    }

    /// Ends the observation that `request` registered.
    pub(crate) fn forget(
        &mut self,
        context: &mut Context,
        token: &Token,
        request: Option<Request>,
    ) {
        match self {
            // What still comes is rejected, and that ends it (RFC 7641 §3.6).
            Self::Datagram(datagram) => datagram.forget(token),
            Self::Stream(stream) => stream.cancel(context, token, request),
        }
    }

    pub(crate) fn respond(
        &mut self,
        context: &mut Context,
        now: Instant,
        exchange: Exchange,
        response: Response,
    ) {
        match self {
            Self::Datagram(datagram) => datagram.respond(context, now, exchange, response),
            Self::Stream(stream) => stream.respond(context, exchange, response),
        }
    }

    pub(crate) fn ignore(&mut self, context: &mut Context, exchange: Exchange) {
        match self {
            Self::Datagram(datagram) => datagram.ignore(context, exchange),
            Self::Stream(stream) => stream.ignore(context, exchange),
        }
    }

    pub(crate) fn notify(
        &mut self,
        context: &mut Context,
        now: Instant,
        token: Token,
        response: Response,
    ) -> Result<(), SendError> {
        match self {
            Self::Datagram(datagram) => datagram.notify(context, now, token, response),
            Self::Stream(stream) => stream.notify(context, token, response),
        }
    }

    pub(crate) fn handle_bytes(&mut self, context: &mut Context, now: Instant, bytes: &[u8]) {
        match self {
            Self::Datagram(datagram) => datagram.handle_datagram(context, now, bytes),
            Self::Stream(stream) => stream.handle_bytes(context, now, bytes),
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        match self {
            Self::Datagram(datagram) => datagram.handle_timeout(context, now),
            Self::Stream(stream) => stream.handle_timeout(context, now),
        }
    }

    pub(crate) fn next_timeout(&self, context: &Context) -> Option<Instant> {
        match self {
            Self::Datagram(datagram) => datagram.next_timeout(context),
            Self::Stream(stream) => stream.next_timeout(),
        }
    }

    /// Why the connection is over, once.
    pub(crate) fn poll_end(&mut self) -> Option<EndCause> {
        match self {
            Self::Datagram(_) => None,
            Self::Stream(stream) => stream.poll_end(),
        }
    }
}
