//! Bodies of responses that the peer fetches block by block (RFC 7959 §2.4).
//!
//! ```text
//! response of the application --> first block, 2:0/1, ETag, Size2
//!                         kept --> 2:1/1, 2:2/1 ... 2:n/0, as the peer asks for them
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use crate::block::option::{Block, BlockSize, LONGEST_OPTION};
use crate::block::resource::{ResourceKey, entity_tag};
use crate::context::Context;
use crate::option_number::OptionNumber;
use crate::parameters::after;
use crate::request::Response;

/// The responses of which the peer fetches parts, the one touched last at the end.
#[derive(Debug, Default)]
pub(crate) struct Representations {
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    key: ResourceKey,
    response: Response,
    expires: Instant,
}

impl Representations {
    /// Keeps a response, in the place of the last one for the same resource.
    pub(crate) fn keep(
        &mut self,
        context: &Context,
        now: Instant,
        key: ResourceKey,
        response: Response,
    ) {
        self.expire(now);
        self.kept.retain(|kept| kept.key != key);
        let expires = after(now, context.parameters.exchange_lifetime());
        self.kept.push_back(Kept {
            key,
            response,
            expires,
        });
        while self.kept.len() > context.limits.block_transfers {
            self.kept.pop_front();
        }
    }

    /// The response kept for a resource, for longer now that it is asked for.
    pub(crate) fn get(
        &mut self,
        context: &Context,
        now: Instant,
        key: ResourceKey,
    ) -> Option<&Response> {
        self.expire(now);
        let position = self.kept.iter().position(|kept| kept.key == key)?;
        let kept = self.kept.remove(position)?;
        let expires = after(now, context.parameters.exchange_lifetime());
        self.kept.push_back(Kept { expires, ..kept });
        self.kept.back().map(|kept| &kept.response)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        self.kept.retain(|kept| now < kept.expires);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.kept.iter().map(|kept| kept.expires).min()
    }
}

/// Gives a response what all its blocks have: ETag, Size2, and no Observe, which only the first one
/// has (RFC 7959 §2.6).
pub(crate) fn prepare(response: &mut Response) {
    let options = &mut response.options;
    if options.get_first(OptionNumber::ETAG).is_none() {
        options.push(OptionNumber::ETAG, &entity_tag(&response.payload));
    }
    options.remove(&[OptionNumber::SIZE2, OptionNumber::OBSERVE]);
    if let Ok(size) = u32::try_from(response.payload.len()) {
        options.push_uint(OptionNumber::SIZE2, size);
    }
}

/// The block of a response that starts at `offset`, at most `largest`, where `room` bytes of payload
/// fit beside the options of the response. `None` if there is no such block.
pub(crate) fn cut(
    whole: &Response,
    offset: usize,
    largest: Option<BlockSize>,
    room: usize,
) -> Option<Response> {
    let fits = BlockSize::largest_within(room.saturating_sub(LONGEST_OPTION))?;
    let size = largest.map_or(fits, |largest| fits.min(largest));
    let rest = whole
        .payload
        .get(offset..)
        .filter(|rest| !rest.is_empty())?;
    let block = Block::at(offset, rest.len() > size.bytes(), size)?;
    let mut options = whole.options.clone();
    block.write(&mut options, OptionNumber::BLOCK2);
    Some(Response {
        code: whole.code,
        options,
        payload: rest.get(..size.bytes()).unwrap_or(rest).to_vec(),
    })
}
