//! Bodies of requests that arrive block by block (RFC 7959 §2.5).
//!
//! ```text
//! 1:0/1 --> collected --1:1/1--> collected --1:2/0--> complete: one request for the application
//!           2.31                 2.31                  its response
//! ```
//! A body that is complete is kept: peers repeat the last block, under a fresh Message ID, until
//! they hear the response, and each repetition is the whole request again. A block that is there
//! already is no news either, so that copies of it, and a peer that starts over, do no harm.

use std::collections::VecDeque;
use std::time::Instant;

use crate::block::option::Block;
use crate::block::resource::ResourceKey;
use crate::context::Context;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::parameters::after;

/// The transfers under way or lately complete, the one touched last at the end.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    transfers: VecDeque<Upload>,
}

#[derive(Debug)]
struct Upload {
    key: ResourceKey,
    content_format: Option<u16>,
    body: Vec<u8>,
    complete: bool,
    expires: Instant,
}

/// What a block led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// There are more to come: 2.31.
    Continue,
    /// This is the body.
    Complete(Vec<u8>),
    /// Length and Block1 do not fit together: 4.00.
    Malformed,
    /// An earlier block is missing: 4.08. The transfer is over.
    Incomplete,
    /// The body is too large: 4.13. The transfer is over.
    TooLarge,
}

impl Uploads {
    pub(crate) fn receive(
        &mut self,
        context: &Context,
        now: Instant,
        (key, block): (ResourceKey, Block),
        options: &Options,
        payload: &[u8],
    ) -> Received {
        if !block.describes(payload.len()) {
            return Received::Malformed;
        }
        self.expire(now);
        let known = self.remove(key);
        let end = block.offset().saturating_add(payload.len());
        let announced = options.uint(OptionNumber::SIZE1).unwrap_or_default();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if end.max(announced) > context.limits.max_body {
            return Received::TooLarge;
        }
        let content_format = options.content_format();
        let known = known.filter(|upload| {
            let fits = upload.has(block.offset(), payload) || upload.ends_at(block.offset());
            fits && upload.content_format == content_format
        });
        let expires = after(now, context.parameters.exchange_lifetime());
        let mut upload = match known {
            Some(upload) => Upload { expires, ..upload },
            None if block.is_first() => Upload {
                key,
                content_format,
                body: Vec::new(),
                complete: false,
                expires,
            },
            None => return Received::Incomplete,
        };
        let received = upload.take(block, payload);
        self.transfers.push_back(upload);
        while self.transfers.len() > context.limits.block_transfers {
            self.transfers.pop_front();
        }
        received
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        self.transfers.retain(|upload| now < upload.expires);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.transfers.iter().map(|upload| upload.expires).min()
    }

    fn remove(&mut self, key: ResourceKey) -> Option<Upload> {
        let position = self.transfers.iter().position(|upload| upload.key == key)?;
        self.transfers.remove(position)
    }
}

impl Upload {
    fn has(&self, offset: usize, payload: &[u8]) -> bool {
        let there = self.body.get(offset..offset.saturating_add(payload.len()));
        there == Some(payload)
    }

    fn ends_at(&self, offset: usize) -> bool {
        !self.complete && self.body.len() == offset
    }

    /// Takes a block that is there already or comes next.
    fn take(&mut self, block: Block, payload: &[u8]) -> Received {
        if self.ends_at(block.offset()) {
            self.body.extend_from_slice(payload);
        }
        let end = block.offset().saturating_add(payload.len());
        if block.more {
            // A last block with others behind it belongs to a new, longer body.
            self.complete &= end < self.body.len();
            return Received::Continue;
        }
        self.body.truncate(end);
        self.complete = true;
        Received::Complete(self.body.clone())
    }
}
