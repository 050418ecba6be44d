//! Block-wise transfers of our requests, and of the peer's responses and notifications to them.
//!
//! ```text
//! request of the application --> Sending   --> Block1 blocks
//! one response for it        <-- Receiving <-- Block2 blocks
//! ```
//! The application knows a transfer by the token of its request. Each further block is a request
//! with a token of its own, so that late responses to an earlier one are not taken for its.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::block::receiving::{Fetched, Receiving};
use crate::block::sending::{Sending, Sent};
use crate::context::Context;
use crate::identifier::Token;
use crate::link::Link;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::request::{Event, FailureCause, Request, Response, SendError};

#[derive(Debug, Default)]
pub(crate) struct BlockClient {
    /// By the token of the application's request.
    conversations: BTreeMap<Token, Conversation>,
    /// From the token of a request for a further block to that of the application's request.
    parts: BTreeMap<Token, Token>,
    next_tag: u32,
}

#[derive(Debug)]
struct Conversation {
    /// The application's request, without its payload.
    request: Request,
    stage: Stage,
    /// The token of the request for a further block that is under way.
    part: Option<Token>,
}

#[derive(Debug)]
enum Stage {
    /// As far as is known, one message each way.
    Whole,
    Sending(Sending),
    Receiving(Receiving),
}

impl BlockClient {
    pub(crate) fn knows(&self, token: &Token) -> bool {
        self.conversations.contains_key(token) || self.parts.contains_key(token)
    }

    pub(crate) fn send(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        token: Token,
        mut request: Request,
    ) -> Result<(), SendError> {
        let kept = Request {
            payload: Vec::new(),
            options: request.options.clone(),
            ..request
        };
        let room = link.payload_room(context, &token, &request.options);
        let (size, limit) = (request.payload.len(), context.limits.max_body);
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        let stage = match Sending::block_size(size, room) {
            Some(block_size) if size > room && link.takes_blocks() => {
                let body = std::mem::take(&mut request.payload);
                let sending = Sending::new(body, block_size, self.fresh_tag());
                // Each block would register anew, with a token of its own.
                request.options.remove(&[OptionNumber::OBSERVE]);
                request.payload = sending.part(&mut request.options);
                Stage::Sending(sending)
            }
            // What does not even fit in blocks, the attempt to send it says.
            _ => Stage::Whole,
        };
        link.send(context, now, token, request)?;
        self.end(context, link, &token);
        let conversation = Conversation {
            request: kept,
            stage,
            part: None,
        };
        self.conversations.insert(token, conversation);
        Ok(())
    }

    pub(crate) fn cancel(&mut self, context: &mut Context, link: &mut Link, token: &Token) {
        let request = self.end(context, link, token);
        link.cancel(context, token, request);
    }

    pub(crate) fn forget(&mut self, context: &mut Context, link: &mut Link, token: &Token) {
        let request = self.end(context, link, token);
        link.forget(context, token, request);
    }

    /// Stops what is under way for a token of the application's, but for the request itself, which
    /// it gives.
    fn end(&mut self, context: &mut Context, link: &mut Link, token: &Token) -> Option<Request> {
        let conversation = self.conversations.remove(token)?;
        if let Some(part) = conversation.part {
            self.parts.remove(&part);
            link.cancel(context, &part, None);
        }
        Some(conversation.request)
    }

    pub(crate) fn on_failed(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        token: Token,
        cause: FailureCause,
    ) {
        let name = self.parts.remove(&token).unwrap_or(token);
        let request = self.end(context, link, &name);
        fail(context, link, name, request, cause);
    }

    pub(crate) fn on_response(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        token: Token,
        (response, round_trip): (Response, Option<Duration>),
    ) {
        let name = self.parts.remove(&token).unwrap_or(token);
        let Some(mut conversation) = self.conversations.remove(&name) else {
            return;
        };
        if let Some(part) = conversation.part.take().filter(|part| *part != token) {
            // A notification that is newer than what was being fetched.
            self.parts.remove(&part);
            link.cancel(context, &part, None);
        }
        let max_body = context.limits.max_body;
        match std::mem::replace(&mut conversation.stage, Stage::Whole) {
            Stage::Sending(mut sending) => {
                let fresh_tag = self.fresh_tag();
                if sending.on_response(&response, fresh_tag) == Sent::Next {
                    let mut options = conversation.request.options.clone();
                    options.remove(&[OptionNumber::OBSERVE]);
                    let payload = sending.part(&mut options);
                    conversation.stage = Stage::Sending(sending);
                    return self.ask(context, link, now, name, conversation, (options, payload));
                }
                sending.tag(&mut conversation.request.options);
            }
            Stage::Receiving(mut receiving) if token != name => {
                match receiving.take(response, max_body) {
                    Fetched::Next => self.fetch(context, link, now, name, conversation, receiving),
                    Fetched::Whole => {
                        let round_trip = receiving.round_trip;
                        let whole = (receiving.into_response(), round_trip);
                        self.deliver(context, link, name, conversation, whole);
                    }
                    Fetched::Other(response) => {
                        // Whatever it is, it is no notification: the observation is over.
                        let request = conversation.request.clone();
                        link.forget(context, &name, Some(request));
                        let other = (response, receiving.round_trip);
                        self.deliver(context, link, name, conversation, other);
                    }
                    Fetched::Failed(cause) => {
                        fail(context, link, name, Some(conversation.request), cause);
                    }
                }
                return;
            }
            Stage::Receiving(_) | Stage::Whole => {}
        }
        let method = conversation.request.method;
        match Receiving::begin(method, response, round_trip, max_body) {
            Ok(receiving) => self.fetch(context, link, now, name, conversation, receiving),
            Err(Ok(response)) => {
                self.deliver(context, link, name, conversation, (response, round_trip));
            }
            Err(Err(cause)) => fail(context, link, name, Some(conversation.request), cause),
        }
    }

    fn fetch(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        name: Token,
        mut conversation: Conversation,
        receiving: Receiving,
    ) {
        let mut options = conversation.request.options.clone();
        receiving.ask(&mut options);
        conversation.stage = Stage::Receiving(receiving);
        let part = (options, Vec::new());
        self.ask(context, link, now, name, conversation, part);
    }

    /// Sends the request for a further block.
    fn ask(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        name: Token,
        mut conversation: Conversation,
        (options, payload): (Options, Vec<u8>),
    ) {
        let part = context
            .identifiers
            .token(|token| *token == name || self.knows(token) || link.knows(token));
        let request = Request {
            options,
            payload,
            ..conversation.request
        };
        if let Err(error) = link.send(context, now, part, request) {
            let cause = FailureCause::Unsendable(error);
            return fail(context, link, name, Some(conversation.request), cause);
        }
        conversation.part = Some(part);
        self.conversations.insert(name, conversation);
        self.parts.insert(part, name);
    }

    /// Hands the application the whole response. An observation goes on.
    fn deliver(
        &mut self,
        context: &mut Context,
        link: &Link,
        token: Token,
        conversation: Conversation,
        (mut response, round_trip): (Response, Option<Duration>),
    ) {
        if link.is_open(&token) {
            self.conversations.insert(token, conversation);
        }
        response.options.remove(&[
            OptionNumber::BLOCK2,
            OptionNumber::BLOCK1,
            OptionNumber::SIZE2,
        ]);
        context.deliver(Event::Response {
            token,
            response,
            round_trip,
        });
    }

    fn fresh_tag(&mut self) -> u32 {
        self.next_tag = self.next_tag.wrapping_add(1);
        self.next_tag
    }
}

/// Tells the application that no whole response will come. An observation ends: whoever observes
/// must know when it has missed something.
fn fail(
    context: &mut Context,
    link: &mut Link,
    token: Token,
    request: Option<Request>,
    cause: FailureCause,
) {
    link.forget(context, &token, request);
    context.deliver(Event::Failed { token, cause });
}
