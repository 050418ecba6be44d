//! Requests and responses over TCP and TLS (RFC 8323).
//!
//! ```text
//! AwaitingCsm --CSM--> Open --Release--> Releasing --all requests answered--> Over
//!      any state --malformed, Abort--> Over
//! ```
//! Our CSM is the first message sent, and requests follow without waiting for the peer's (RFC 8323
//! §3.3).

mod client;
mod signaling;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::client::Client;
pub use self::signaling::StreamError;
use self::signaling::{Capabilities, abort, check_critical, own_csm, pong};
use crate::code::Code;
use crate::context::Context;
use crate::frame::Frame;
use crate::identifier::{Exchange, Token};
use crate::observation::Interest;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::request::{Delivery, EndCause, Event, Request, Response, SendError};

#[derive(Debug)]
pub(crate) struct Stream {
    state: State,
    capabilities: Capabilities,
    /// The start of a message that is not all there.
    unread: Vec<u8>,
    client: Client,
    /// Requests of the peer's without a response.
    requests: BTreeMap<Exchange, Token>,
    next_exchange: u64,
    /// Not told yet.
    end: Option<EndCause>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitingCsm,
    Open,
    Releasing,
    Over,
}

impl Stream {
    /// The connection is up; the CSM is queued.
    pub(crate) fn new(context: &mut Context) -> Self {
        context.transmit(own_csm(&context.limits).encode());
        Self {
            state: State::AwaitingCsm,
            capabilities: Capabilities::default(),
            unread: Vec::new(),
            client: Client::default(),
            requests: BTreeMap::new(),
            next_exchange: 0,
            end: None,
        }
    }

    pub(crate) fn round_trip_estimate(&self) -> Option<Duration> {
        self.client.round_trip_estimate()
    }

    pub(crate) fn knows(&self, token: &Token) -> bool {
        self.client.knows(token)
    }

    pub(crate) fn is_open(&self, token: &Token) -> bool {
        self.client.is_open(token)
    }

    pub(crate) fn payload_room(&self, token: &Token, options: &Options) -> usize {
        Frame::payload_room(self.capabilities.max_message_size, token, options)
    }

    /// Whether the peer takes bodies in blocks, as far as is known.
    pub(crate) fn takes_blocks(&self) -> bool {
        self.capabilities.block_wise.unwrap_or(true)
    }

    pub(crate) fn check_limits(
        &self,
        context: &Context,
        token: &Token,
        request: &Request,
    ) -> Result<(), SendError> {
        self.client.check_limits(context, token, request)
    }

    pub(crate) fn send(
        &mut self,
        context: &mut Context,
        now: Instant,
        token: Token,
        request: Request,
    ) -> Result<(), SendError> {
        if !request.method.is_request() {
            return Err(SendError::NotAMethod(request.method));
        }
        let interest = Interest::of(request.options.observe());
        let frame = Frame {
            code: request.method,
            token,
            options: request.options,
            payload: request.payload,
        };
        self.transmit(context, &frame)?;
        self.client
            .on_sent(context, now, token, interest, request.delivery);
        Ok(())
    }

    /// Stops waiting for a response. An observation that `request` registers is ended explicitly
    /// (RFC 8323 §7.4).
    pub(crate) fn cancel(
        &mut self,
        context: &mut Context,
        token: &Token,
        request: Option<Request>,
    ) {
        let registered = self.client.close(context, token);
        let Some(request) = request.filter(|_| registered) else {
            return;
        };
        let mut options = request.options;
        options.remove(&[OptionNumber::OBSERVE]);
        options.push_uint(OptionNumber::OBSERVE, 1);
        // A connection that cannot carry it is over, and the observation with it.
        let _over = self.transmit(
            context,
            &Frame {
                code: request.method,
                token: *token,
                options,
                payload: Vec::new(),
            },
        );
    }

    pub(crate) fn respond(
        &mut self,
        context: &mut Context,
        exchange: Exchange,
        response: Response,
    ) {
        let Some(token) = self.requests.remove(&exchange) else {
            context.counters.expired_exchanges += 1;
            return;
        };
        self.answer(context, token, response);
        self.release();
    }

    pub(crate) fn ignore(&mut self, context: &mut Context, exchange: Exchange) {
        if self.requests.remove(&exchange).is_none() {
            context.counters.expired_exchanges += 1;
        }
        self.release();
    }

    pub(crate) fn notify(
        &mut self,
        context: &mut Context,
        token: Token,
        response: Response,
    ) -> Result<(), SendError> {
        self.transmit_response(context, token, response)
    }

    /// Takes what was read from the connection, cut anywhere.
    pub(crate) fn handle_bytes(&mut self, context: &mut Context, now: Instant, bytes: &[u8]) {
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let mut rest = &unread[..];
        while self.state != State::Over {
            match Frame::decode(rest, context.limits.max_received_size) {
                Ok(Some((frame, length))) => {
                    rest = rest.get(length..).unwrap_or_default();
                    if let Err(error) = self.handle_frame(context, now, frame) {
                        self.abort(context, error);
                    }
                }
                Ok(None) => {
                    let read = unread.len() - rest.len();
                    if read < unread.len() {
                        unread.drain(..read);
                        self.unread = unread;
                    }
                    return;
                }
                Err(error) => {
                    context.counters.malformed += 1;
                    self.abort(context, error.into());
                }
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        self.client.handle_timeout(context, now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.client.next_timeout()
    }

    pub(crate) fn poll_end(&mut self) -> Option<EndCause> {
        self.end.take()
    }

    fn handle_frame(
        &mut self,
        context: &mut Context,
        now: Instant,
        frame: Frame,
    ) -> Result<(), StreamError> {
        match frame.code {
            // RFC 8323 §3.4: a keepalive.
            Code::EMPTY => context.counters.pings += 1,
            Code::CSM => {
                self.capabilities.update(&frame)?;
                if self.state == State::AwaitingCsm {
                    self.state = State::Open;
                }
            }
            code if self.state == State::AwaitingCsm => return Err(StreamError::NoCsm(code)),
            code if code.is_signaling() => self.handle_signal(context, &frame)?,
            code if code.is_request() => self.on_request(context, frame),
            _ if context.has_room() => self.client.on_response(context, now, frame),
            _ => context.counters.overflows += 1,
        }
        Ok(())
    }

    fn handle_signal(&mut self, context: &mut Context, frame: &Frame) -> Result<(), StreamError> {
        check_critical(frame)?;
        match frame.code {
            Code::PING => {
                context.counters.pings += 1;
                // A connection that cannot carry it is over.
                let _over = self.transmit(context, &pong(frame));
            }
            Code::RELEASE => {
                self.state = State::Releasing;
                self.release();
            }
            Code::ABORT => self.end(EndCause::Aborted),
            // A Pong that nobody waits for, or a message of the future.
            _ => {}
        }
        Ok(())
    }

    fn on_request(&mut self, context: &mut Context, frame: Frame) {
        if let Some(option) = context.unrecognised_critical(&frame.options) {
            context.counters.unknown_critical_option += 1;
            return self.answer(context, frame.token, Response::bad_option(option));
        }
        if self.requests.len() >= context.limits.deduplication_entries || !context.has_room() {
            context.counters.overflows += 1;
            let busy = Response::diagnostic(Code::SERVICE_UNAVAILABLE, "too many requests at once");
            return self.answer(context, frame.token, busy);
        }
        let exchange = Exchange(self.next_exchange);
        self.next_exchange += 1;
        self.requests.insert(exchange, frame.token);
        let request = Request {
            method: frame.code,
            options: frame.options,
            payload: frame.payload,
            delivery: Delivery::Confirmable,
        };
        context.emit(Event::Request {
            exchange,
            token: frame.token,
            request,
        });
    }

    /// Sends a response, or 5.00 in its place where it cannot be sent.
    fn answer(&mut self, context: &mut Context, token: Token, response: Response) {
        let Err(error) = self.transmit_response(context, token, response) else {
            return;
        };
        context.counters.unsendable_responses += 1;
        let explained = self.transmit(context, &Response::unsendable(&error).into_frame(token));
        if matches!(explained, Err(SendError::TooLarge { .. })) {
            let bare = Response::diagnostic(Code::INTERNAL_SERVER_ERROR, "");
            // A connection that cannot carry it is over.
            let _over = self.transmit(context, &bare.into_frame(token));
        }
    }

    fn transmit_response(
        &mut self,
        context: &mut Context,
        token: Token,
        response: Response,
    ) -> Result<(), SendError> {
        if !response.code.is_response() {
            return Err(SendError::NotAResponseCode(response.code));
        }
        self.transmit(context, &response.into_frame(token))
    }

    fn transmit(&mut self, context: &mut Context, frame: &Frame) -> Result<(), SendError> {
        if self.state == State::Over {
            return Err(SendError::Ended);
        }
        let (bytes, limit) = (frame.encode(), self.capabilities.max_message_size);
        if bytes.len() > limit {
            let size = bytes.len();
            return Err(SendError::TooLarge { size, limit });
        }
        // To lose a message here would be to lose it for good.
        if context.is_congested() {
            context.counters.overflows += 1;
            self.abort(context, StreamError::Congested);
            return Err(SendError::Ended);
        }
        context.transmit(bytes);
        Ok(())
    }

    /// Ends a connection that the peer wants to leave, once its requests are answered (RFC 8323
    /// §5.5).
    fn release(&mut self) {
        if self.state == State::Releasing && self.requests.is_empty() {
            self.end(EndCause::Released);
        }
    }

    fn abort(&mut self, context: &mut Context, error: StreamError) {
        context.transmit_last(abort(&error).encode());
        self.end(EndCause::Misbehaviour(error));
    }

    fn end(&mut self, cause: EndCause) {
        self.state = State::Over;
        self.requests.clear();
        self.client.forget_all();
        self.end = Some(cause);
    }
}
