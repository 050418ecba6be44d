//! Requests and responses over an unreliable datagram transport (RFC 7252 §4, §5).

use std::time::{Duration, Instant};

use crate::client::{Client, Verdict};
use crate::code::Code;
use crate::context::Context;
use crate::identifier::{Exchange, Token};
use crate::message::{DecodeError, Header, Message, MessageType};
use crate::options::Options;
use crate::request::{Request, Response, SendError};
use crate::server::Server;

#[derive(Debug, Default)]
pub(crate) struct Datagram {
    client: Client,
    server: Server,
}

impl Datagram {
    pub(crate) fn round_trip_estimate(&self) -> Option<Duration> {
        self.client.round_trip_estimate()
    }

    /// Whether responses with this token are ours to understand.
    pub(crate) fn knows(&self, token: &Token) -> bool {
        self.client.knows(token)
    }

    /// Whether responses with this token are waited for.
    pub(crate) fn is_open(&self, token: &Token) -> bool {
        self.client.is_open(token)
    }

    /// Bytes of payload that fit in a message beside these options.
    pub(crate) fn payload_room(
        &self,
        context: &Context,
        token: &Token,
        options: &Options,
    ) -> usize {
        Message::payload_room(context.limits.max_message_size, token, options)
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
        self.client.send(context, now, token, request)
    }

    pub(crate) fn cancel(&mut self, context: &Context, token: &Token) {
        self.client.cancel(context, token);
    }

    pub(crate) fn forget(&mut self, token: &Token) {
        self.client.forget(token);
    }

    pub(crate) fn respond(
        &mut self,
        context: &mut Context,
        now: Instant,
        exchange: Exchange,
        response: Response,
    ) {
        self.server.respond(context, now, exchange, response);
    }

    pub(crate) fn ignore(&mut self, context: &mut Context, exchange: Exchange) {
        self.server.ignore(context, exchange);
    }

    pub(crate) fn notify(
        &mut self,
        context: &mut Context,
        now: Instant,
        token: Token,
        response: Response,
    ) -> Result<(), SendError> {
        self.server.notify(context, now, token, response)
    }

    pub(crate) fn handle_datagram(&mut self, context: &mut Context, now: Instant, datagram: &[u8]) {
        if datagram.len() > context.limits.max_received_size {
            return reject_malformed(context, datagram);
        }
        match Message::decode(datagram) {
            Ok(message) => self.handle_message(context, now, message),
            // RFC 7252 §3: ignored in silence.
            Err(DecodeError::Version(_)) => context.counters.malformed += 1,
            Err(_) => reject_malformed(context, datagram),
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        self.client.handle_timeout(context, now);
        self.server.handle_timeout(context, now);
    }

    pub(crate) fn next_timeout(&self, context: &Context) -> Option<Instant> {
        let client = self.client.next_timeout(context);
        client.into_iter().chain(self.server.next_timeout()).min()
    }

    /// RFC 7252 §4.2, §4.3, table 1: which types may carry what.
    fn handle_message(&mut self, context: &mut Context, now: Instant, message: Message) {
        let id = message.message_id;
        let empty = message.code == Code::EMPTY;
        match message.message_type {
            MessageType::Confirmable if empty => {
                context.counters.pings += 1;
                context.reset(id);
            }
            MessageType::Acknowledgement if empty => {
                let matched = self.client.on_acknowledgement(context, now, id)
                    || self.server.on_acknowledgement(id);
                if !matched {
                    context.counters.unmatched_acknowledgements += 1;
                }
            }
            MessageType::Reset if empty => {
                context.counters.resets_received += 1;
                if !self.client.on_reset(context, id) {
                    self.server.on_reset(context, now, id);
                }
            }
            // A full queue loses the message before anything is acknowledged, as the network might
            // have.
            _ if !empty && !context.has_room() => context.counters.overflows += 1,
            MessageType::Confirmable | MessageType::NonConfirmable if message.code.is_request() => {
                self.server.on_request(context, now, message);
            }
            MessageType::Confirmable
            | MessageType::NonConfirmable
            | MessageType::Acknowledgement
                if message.code.is_response() =>
            {
                self.handle_response(context, now, message);
            }
            _ => context.counters.malformed += 1,
        }
    }

    fn handle_response(&mut self, context: &mut Context, now: Instant, message: Message) {
        let (message_type, id) = (message.message_type, message.message_id);
        match (message_type, self.client.on_response(context, now, message)) {
            (MessageType::Confirmable, Verdict::Accept) => context.acknowledge(id),
            (MessageType::Confirmable | MessageType::NonConfirmable, Verdict::Reject) => {
                context.reset(id);
            }
            // RFC 7252 §4.2: an Acknowledgement is never answered.
            _ => {}
        }
    }
}

fn reject_malformed(context: &mut Context, datagram: &[u8]) {
    context.counters.malformed += 1;
    if let Ok((header, _)) = Header::decode(datagram)
        && header.message_type == MessageType::Confirmable
    {
        context.reset(header.message_id);
    }
}
