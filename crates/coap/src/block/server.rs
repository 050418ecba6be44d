//! Block-wise transfers of the peer's requests, and of our responses and notifications to them.
//!
//! ```text
//! Block1 blocks     --> Uploads         --> one request for the application
//! Block2 after the first <-- Representations <-- one response or notification of the application
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::block::option::{Block, BlockSize, ReservedSize};
use crate::block::representation::{Representations, cut, prepare};
use crate::block::resource::ResourceKey;
use crate::block::upload::{Received, Uploads};
use crate::code::Code;
use crate::context::Context;
use crate::identifier::{Exchange, Token};
use crate::link::Link;
use crate::observation::Interest;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::request::{Event, Request, Response, SendError};

#[derive(Debug, Default)]
pub(crate) struct BlockServer {
    uploads: Uploads,
    representations: Representations,
    /// What the responses depend on, of requests the application has not answered yet.
    asked: BTreeMap<Exchange, Asked>,
    /// What the notifications depend on, the youngest last.
    observers: VecDeque<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    token: Token,
    key: ResourceKey,
    interest: Interest,
    block1: Option<Block>,
    block2: Option<Block>,
}

impl BlockServer {
    pub(crate) fn on_request(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        (exchange, token): (Exchange, Token),
        mut request: Request,
    ) {
        let asked = match Asked::read(token, &request) {
            Ok(asked) => asked,
            Err(ReservedSize) => {
                let refusal =
                    Response::diagnostic(Code::BAD_REQUEST, "a block size of 7 is reserved");
                return link.respond(context, now, exchange, refusal);
            }
        };
        if asked.interest == Interest::Deregister {
            self.forget_observer(&token);
        }
        if let Some(block) = asked.block1 {
            let target = (asked.key, block);
            let received =
                self.uploads
                    .receive(context, now, target, &request.options, &request.payload);
            match received {
                Received::Complete(body) => request.payload = body,
                unfinished => {
                    let room = link.payload_room(context, &token, &request.options);
                    let response = progress(context, block, room, &unfinished);
                    return link.respond(context, now, exchange, response);
                }
            }
        } else if let Some(block) = asked.block2
            && !block.is_first()
            && let Some(response) = self.later_block(context, link, now, &asked, block, &request)
        {
            return link.respond(context, now, exchange, response);
        }
        request.options.remove(&[
            OptionNumber::BLOCK2,
            OptionNumber::BLOCK1,
            OptionNumber::SIZE2,
            OptionNumber::SIZE1,
        ]);
        self.asked.insert(exchange, asked);
        while self.asked.len() > context.limits.deduplication_entries {
            self.asked.pop_first();
        }
        context.deliver(Event::Request {
            exchange,
            token,
            request,
        });
    }

    /// The answer to a request for a block after the first one. `None` if the application has to
    /// give it; asking it anew is safe only where asking changes nothing.
    fn later_block(
        &mut self,
        context: &Context,
        link: &Link,
        now: Instant,
        asked: &Asked,
        block: Block,
        request: &Request,
    ) -> Option<Response> {
        if let Some(whole) = self.representations.get(context, now, asked.key) {
            let room = link.payload_room(context, &asked.token, &whole.options);
            let part = cut(whole, block.offset(), Some(block.size), room);
            return Some(part.unwrap_or_else(no_such_block));
        }
        let safe = matches!(request.method, Code::GET | Code::FETCH);
        (!safe).then(|| {
            let text = "the response is no longer kept; start over";
            Response::diagnostic(Code::REQUEST_ENTITY_INCOMPLETE, text)
        })
    }

    pub(crate) fn respond(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        exchange: Exchange,
        mut response: Response,
    ) {
        if let Some(asked) = self.asked.remove(&exchange) {
            if asked.interest == Interest::Register && response.options.observe().is_some() {
                self.remember_observer(context, asked);
            }
            if let Some(block) = asked.block1 {
                block.write(&mut response.options, OptionNumber::BLOCK1);
            }
            response = self.fit(context, link, now, &asked, response);
        }
        link.respond(context, now, exchange, response);
    }

    pub(crate) fn ignore(&mut self, exchange: Exchange) {
        self.asked.remove(&exchange);
    }

    pub(crate) fn notify(
        &mut self,
        context: &mut Context,
        link: &mut Link,
        now: Instant,
        token: Token,
        mut response: Response,
    ) -> Result<(), SendError> {
        let observer = self.observers.iter().find(|asked| asked.token == token);
        if let Some(asked) = observer.copied() {
            response = self.fit(context, link, now, &asked, response);
        }
        link.notify(context, now, token, response)
    }

    /// The response itself if it fits, or else its first block (RFC 7959 §2.4), or the one that was
    /// asked for. One that is too large even for blocks is left as it is.
    fn fit(
        &mut self,
        context: &Context,
        link: &Link,
        now: Instant,
        asked: &Asked,
        mut response: Response,
    ) -> Response {
        let offset = asked
            .block2
            .filter(|_| response.code.is_success())
            .map_or(0, Block::offset);
        let length = response.payload.len();
        let largest = asked.block2.map(|block| block.size);
        let room = link.payload_room(context, &asked.token, &response.options);
        let whole = length <= room && largest.is_none_or(|size| length <= size.bytes());
        // Who asks for blocks, or sends them, takes them.
        let blocks = asked.block2.or(asked.block1).is_some() || link.takes_blocks();
        if (offset == 0 && whole) || length > context.limits.max_body || !blocks {
            return response;
        }
        let observe = response.options.observe();
        let block1 = response.options.uint(OptionNumber::BLOCK1);
        response.options.remove(&[OptionNumber::BLOCK1]);
        prepare(&mut response);
        let mut first_only = Options::new();
        for (number, value) in [
            (OptionNumber::OBSERVE, observe),
            (OptionNumber::BLOCK1, block1),
        ] {
            if let Some(value) = value {
                first_only.push_uint(number, value);
            }
        }
        let room = link
            .payload_room(context, &asked.token, &response.options)
            .saturating_sub(first_only.encoded_length());
        let Some(mut part) = cut(&response, offset, largest, room) else {
            return if offset < length {
                response
            } else {
                no_such_block()
            };
        };
        for (number, value) in first_only.iter() {
            part.options.push(number, value);
        }
        self.representations.keep(context, now, asked.key, response);
        part
    }

    fn remember_observer(&mut self, context: &Context, asked: Asked) {
        self.forget_observer(&asked.token);
        // Notifications begin with the first block, whatever their registration asked for.
        let block2 = asked.block2.map(|block| Block::first(block.size));
        self.observers.push_back(Asked { block2, ..asked });
        while self.observers.len() > context.limits.remembered_observers {
            self.observers.pop_front();
        }
    }

    pub(crate) fn forget_observer(&mut self, token: &Token) {
        self.observers.retain(|asked| asked.token != *token);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.uploads.expire(now);
        self.representations.expire(now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.uploads
            .next_timeout()
            .into_iter()
            .chain(self.representations.next_timeout())
            .min()
    }
}

impl Asked {
    fn read(token: Token, request: &Request) -> Result<Self, ReservedSize> {
        let options = &request.options;
        Ok(Self {
            token,
            key: ResourceKey::of(request.method, options),
            interest: Interest::of(options.observe()),
            block1: Block::read(options, OptionNumber::BLOCK1)?,
            block2: Block::read(options, OptionNumber::BLOCK2)?,
        })
    }
}

/// The response to a block that does not complete a body. 2.31 asks for blocks no larger than we
/// would send ourselves (RFC 7959 §2.3, §2.9).
fn progress(context: &Context, block: Block, room: usize, received: &Received) -> Response {
    match received {
        Received::Continue | Received::Complete(_) => {
            let size =
                BlockSize::largest_within(room).map_or(block.size, |own| own.min(block.size));
            let mut response = Response::diagnostic(Code::CONTINUE, "");
            // The number stays that of the size it came with.
            Block { size, ..block }.write(&mut response.options, OptionNumber::BLOCK1);
            response
        }
        Received::Malformed => Response::diagnostic(
            Code::BAD_REQUEST,
            "the payload is not as long as Block1 says",
        ),
        Received::Incomplete => {
            let text = "an earlier block is missing; start over";
            Response::diagnostic(Code::REQUEST_ENTITY_INCOMPLETE, text)
        }
        Received::TooLarge => {
            let mut response = Response::diagnostic(Code::REQUEST_ENTITY_TOO_LARGE, "");
            let size = u32::try_from(context.limits.max_body).unwrap_or(u32::MAX);
            response.options.push_uint(OptionNumber::SIZE1, size);
            response
        }
    }
}

fn no_such_block() -> Response {
    Response::diagnostic(Code::BAD_REQUEST, "the body ends before this block")
}
