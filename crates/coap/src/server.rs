//! Requests of the peer, each processed once, and the notifications that follow from them.
//!
//! ```text
//! CON --> Pending --respond--> Answered (piggybacked in the ACK)
//!            | acknowledgement delay: empty ACK
//!            v
//!         Promised --respond--> Answered (separate CON, sent again until acknowledged)
//! NON --> Unacknowledged --respond--> Answered (NON)
//! ```
//! Every duplicate of an answered request gets the reply again, Non-confirmable ones too: peers in
//! the field send those again with the same Message ID to ask for the response once more.

use std::time::Instant;

use crate::context::Context;
use crate::deduplication::{Deduplication, Progress, Received};
use crate::identifier::{Exchange, MessageId, Token};
use crate::message::{Message, MessageType};
use crate::notifications::Notifications;
use crate::request::{Delivery, Event, Request, Response, SendError};
use crate::separate::SeparateResponses;

#[derive(Debug, Default)]
pub(crate) struct Server {
    requests: Deduplication,
    separate: SeparateResponses,
    notifications: Notifications,
}

impl Server {
    pub(crate) fn on_request(&mut self, context: &mut Context, now: Instant, message: Message) {
        let (id, token) = (message.message_id, message.token);
        if let Some(original) = self.requests.original(now, id, token) {
            return on_duplicate(context, original);
        }
        let confirmable = message.message_type == MessageType::Confirmable;
        if let Some(option) = context.unrecognised_critical(&message.options) {
            context.counters.unknown_critical_option += 1;
            if confirmable {
                let exchange = self.requests.admit(context, now, (id, token), confirmable);
                self.respond(context, now, exchange, Response::bad_option(option));
            } else {
                context.reset(id);
            }
            return;
        }
        let exchange = self.requests.admit(context, now, (id, token), confirmable);
        let delivery = if confirmable {
            Delivery::Confirmable
        } else {
            Delivery::NonOnce
        };
        let Message {
            code: method,
            options,
            payload,
            ..
        } = message;
        let request = Request {
            method,
            options,
            payload,
            delivery,
        };
        context.emit(Event::Request {
            exchange,
            token,
            request,
        });
    }

    pub(crate) fn respond(
        &mut self,
        context: &mut Context,
        now: Instant,
        exchange: Exchange,
        response: Response,
    ) {
        let Some(received) = self.requests.get(exchange) else {
            context.counters.expired_exchanges += 1;
            return;
        };
        let (request_id, token) = (received.message_id, received.token);
        let (message_type, message_id) = match received.progress {
            Progress::Pending { .. } => (MessageType::Acknowledgement, request_id),
            Progress::Promised => (MessageType::Confirmable, context.identifiers.message_id()),
            Progress::Unacknowledged => (
                MessageType::NonConfirmable,
                context.identifiers.message_id(),
            ),
            Progress::Answered { .. } => {
                context.counters.expired_exchanges += 1;
                return;
            }
        };
        if response.options.observe().is_some() && message_type != MessageType::Acknowledgement {
            self.notifications.remember(context, now, message_id, token);
        }
        let datagram = sendable(
            context,
            response.into_message(message_type, message_id, token),
        );
        if message_type == MessageType::Confirmable {
            // RFC 7252 §5.2.2: a request acknowledged without its response is acknowledged without
            // it again.
            let acknowledgement = Message::empty(MessageType::Acknowledgement, request_id).encode();
            self.requests.finish(context, exchange, acknowledgement);
            self.separate.send(context, now, message_id, datagram);
        } else {
            context.transmit(datagram.clone());
            self.requests.finish(context, exchange, datagram);
        }
    }

    /// Ends an exchange without a response. The message layer still acknowledges (RFC 7252 §4.2).
    pub(crate) fn ignore(&mut self, context: &mut Context, exchange: Exchange) {
        let Some(received) = self.requests.get(exchange) else {
            context.counters.expired_exchanges += 1;
            return;
        };
        let acknowledgement =
            Message::empty(MessageType::Acknowledgement, received.message_id).encode();
        let reply = match received.progress {
            Progress::Pending { .. } => {
                context.transmit(acknowledgement.clone());
                acknowledgement
            }
            Progress::Promised => acknowledgement,
            Progress::Unacknowledged => Vec::new(),
            Progress::Answered { .. } => {
                context.counters.expired_exchanges += 1;
                return;
            }
        };
        self.requests.finish(context, exchange, reply);
    }

    pub(crate) fn notify(
        &mut self,
        context: &mut Context,
        now: Instant,
        token: Token,
        response: Response,
    ) -> Result<(), SendError> {
        if !response.code.is_response() {
            return Err(SendError::NotAResponseCode(response.code));
        }
        let message_id = context.identifiers.message_id();
        let message = response.into_message(MessageType::NonConfirmable, message_id, token);
        let datagram = context.encode(&message)?;
        context.transmit(datagram);
        self.notifications.remember(context, now, message_id, token);
        Ok(())
    }

    /// Takes an empty Acknowledgement; `false` if no response waits for it.
    pub(crate) fn on_acknowledgement(&mut self, message_id: MessageId) -> bool {
        self.separate.settle(message_id)
    }

    pub(crate) fn on_reset(&mut self, context: &mut Context, now: Instant, message_id: MessageId) {
        self.separate.settle(message_id);
        if let Some(token) = self.notifications.reject(now, message_id) {
            context.emit(Event::NotificationRejected { token });
        }
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        while let Some(message_id) = self.requests.promise_due(now) {
            context.acknowledge(message_id);
        }
        self.separate.handle_timeout(context, now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.requests
            .next_timeout()
            .into_iter()
            .chain(self.separate.next_timeout())
            .min()
    }
}

fn on_duplicate(context: &mut Context, original: &Received) {
    context.counters.duplicates += 1;
    match &original.progress {
        Progress::Answered { reply } if !reply.is_empty() => context.transmit(reply.clone()),
        Progress::Promised => context.acknowledge(original.message_id),
        Progress::Pending { .. } | Progress::Unacknowledged | Progress::Answered { .. } => {}
    }
}

/// The datagram of a response, or of 5.00 in its place where it cannot be sent.
fn sendable(context: &mut Context, mut message: Message) -> Vec<u8> {
    let encoded = match message.code.is_response() {
        true => context.encode(&message),
        false => Err(SendError::NotAResponseCode(message.code)),
    };
    let explained = encoded.or_else(|error| {
        context.counters.unsendable_responses += 1;
        let failure = Response::unsendable(&error);
        message.code = failure.code;
        message.options = failure.options;
        message.payload = failure.payload;
        context.encode(&message)
    });
    explained.unwrap_or_else(|_| {
        message.payload.clear();
        message.encode()
    })
}
