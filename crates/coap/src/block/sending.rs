use crate::block::option::{Block, BlockSize, LONGEST_OPTION};
use crate::code::Code;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::request::Response;

/// How often a body is sent from the start again because the server lost track of it.
const MAX_RESTARTS: u32 = 3;

/// The body of a request of ours, on its way block by block (RFC 7959 §2.5).
///
/// ```text
/// 1:0/1 --2.31--> 1:1/1 --2.31--> ... 1:n/0 --response
///   ^----------------4.08, 4.13 with a smaller size
/// ```
#[derive(Debug)]
pub(crate) struct Sending {
    body: Vec<u8>,
    block: Block,
    restarts: u32,
    /// Keeps blocks of one attempt apart from late copies of another (RFC 9175 §3.3).
    tag: u32,
}

/// What the response to a block means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The next block is to be sent.
    Next,
    /// The response answers the whole request.
    All,
}

impl Sending {
    /// The size of the blocks of a body of `length` bytes, where `room` bytes of payload fit in a
    /// message beside the options of the request. `None` if it cannot be sent so.
    pub(crate) fn block_size(length: usize, room: usize) -> Option<BlockSize> {
        let size = BlockSize::largest_within(room.saturating_sub(LONGEST_OPTIONS))?;
        let end = length.checked_next_multiple_of(size.bytes())?;
        Block::at(end, false, size).map(|_| size)
    }

    pub(crate) fn new(body: Vec<u8>, size: BlockSize, tag: u32) -> Self {
        let mut sending = Self {
            body,
            block: Block::first(size),
            restarts: 0,
            tag,
        };
        sending.start(size, tag);
        sending
    }

    /// The payload of the block to be sent, with the options that say which it is.
    pub(crate) fn part(&self, options: &mut Options) -> Vec<u8> {
        self.block.write(options, OptionNumber::BLOCK1);
        options.remove(&[OptionNumber::REQUEST_TAG, OptionNumber::SIZE1]);
        self.tag(options);
        if let Ok(size) = u32::try_from(self.body.len()) {
            options.push_uint(OptionNumber::SIZE1, size);
        }
        let rest = self.body.get(self.block.offset()..).unwrap_or_default();
        rest.get(..self.block.size.bytes()).unwrap_or(rest).to_vec()
    }

    /// Adds the Request-Tag, which requests for the response of a block-wise request keep (RFC 9175
    /// §3.4).
    pub(crate) fn tag(&self, options: &mut Options) {
        options.push_uint(OptionNumber::REQUEST_TAG, self.tag);
    }

    /// Takes the response to the block last sent. `fresh_tag` is for another attempt.
    pub(crate) fn on_response(&mut self, response: &Response, fresh_tag: u32) -> Sent {
        // An unreadable Block1 gives no advice.
        let advice = Block::read(&response.options, OptionNumber::BLOCK1)
            .ok()
            .flatten();
        let smaller = advice.map_or(self.block.size, |advice| advice.size.min(self.block.size));
        match response.code {
            Code::REQUEST_ENTITY_INCOMPLETE if self.restarts < MAX_RESTARTS => {
                self.restarts += 1;
                self.start(smaller, fresh_tag)
            }
            Code::REQUEST_ENTITY_TOO_LARGE if smaller < self.block.size => {
                self.start(smaller, fresh_tag)
            }
            // A server that acts on each block says something else than 2.31, and yet wants the
            // rest (RFC 7959 §2.3).
            code if code.is_success() && self.block.more => {
                let offset = self.block.offset().saturating_add(self.block.size.bytes());
                self.seek(offset, smaller)
            }
            _ => Sent::All,
        }
    }

    fn start(&mut self, size: BlockSize, tag: u32) -> Sent {
        self.tag = tag;
        self.seek(0, size)
    }

    fn seek(&mut self, offset: usize, size: BlockSize) -> Sent {
        let more = self.body.len() > offset.saturating_add(size.bytes());
        match Block::at(offset, more, size) {
            Some(block) => {
                self.block = block;
                Sent::Next
            }
            // Blocks so small that their numbers do not reach the end.
            None => Sent::All,
        }
    }
}

/// Room for Block1, Request-Tag and Size1: each a header of at most three bytes, and their values.
const LONGEST_OPTIONS: usize = LONGEST_OPTION + 7 + 7;
