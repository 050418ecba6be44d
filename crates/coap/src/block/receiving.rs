use std::time::Duration;

use crate::block::option::{Block, BlockSize};
use crate::code::Code;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::request::{FailureCause, Response};

/// How often the body of a response to GET is fetched from the start again because it changed meanwhile.
const MAX_RESTARTS: u32 = 3;

/// The body of a response, fetched block by block (RFC 7959 §2.4).
///
/// ```text
/// 2:0/1 --2:1/0--> 2:1/1 --2:2/0--> ... 2:n/0, whole
///   ^----------------another ETag, or a block that does not fit
/// ```
#[derive(Debug)]
pub(crate) struct Receiving {
    /// What came first, with the body as far as it is there.
    response: Response,
    /// Of the request that the application made.
    pub(crate) round_trip: Option<Duration>,
    size: BlockSize,
    /// Asking for the first block once more does something where the method is not GET.
    restarts_left: u32,
}

/// What a block led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The block that [`Receiving::ask`] asks for is to be fetched.
    Next,
    /// There is no more to fetch: take [`Receiving::into_response`].
    Whole,
    /// This is the response in the place of what was to be fetched.
    Other(Response),
    /// It came to nothing.
    Failed(FailureCause),
}

impl Receiving {
    /// Takes the first response. `Err` if that is all of it, or if it cannot be.
    pub(crate) fn begin(
        method: Code,
        response: Response,
        round_trip: Option<Duration>,
        max_body: usize,
    ) -> Result<Self, Result<Response, FailureCause>> {
        let block = match Block::read(&response.options, OptionNumber::BLOCK2) {
            Ok(Some(block)) => block,
            Ok(None) => return Err(Ok(response)),
            Err(_) => return Err(Err(FailureCause::Inconsistent)),
        };
        if !block.is_first() || !block.describes(response.payload.len()) {
            return Err(Err(FailureCause::Inconsistent));
        }
        if !block.more {
            return Err(Ok(response));
        }
        if exceeds(&response, max_body) {
            return Err(Err(FailureCause::TooLarge { limit: max_body }));
        }
        Ok(Self {
            response,
            round_trip,
            size: block.size,
            restarts_left: if method == Code::GET { MAX_RESTARTS } else { 0 },
        })
    }

    /// Turns the options of the first request into those that ask for the next block. The ETag goes
    /// with them (RFC 9132 §4.4.2).
    pub(crate) fn ask(&self, options: &mut Options) {
        options.remove(&[
            OptionNumber::OBSERVE,
            OptionNumber::ETAG,
            OptionNumber::SIZE2,
        ]);
        if let Some(tag) = self.tag().filter(|_| !self.response.payload.is_empty()) {
            options.push(OptionNumber::ETAG, tag);
        }
        // The offset is a multiple of the size: `take` sees to it.
        if let Some(block) = Block::at(self.response.payload.len(), false, self.size) {
            block.write(options, OptionNumber::BLOCK2);
        }
    }

    /// Takes the response to [`ask`](Self::ask).
    pub(crate) fn take(&mut self, part: Response, max_body: usize) -> Fetched {
        if !part.code.is_success() {
            return Fetched::Other(part);
        }
        if self.response.payload.is_empty() {
            return self.begin_again(part, max_body);
        }
        let Ok(Some(block)) = Block::read(&part.options, OptionNumber::BLOCK2) else {
            return self.restart();
        };
        let have = self.response.payload.len();
        // Deployed servers leave out an ETag that is the one asked for.
        let etag = part.options.get_first(OptionNumber::ETAG);
        let fits = part.code == self.response.code
            && etag.is_none_or(|etag| Some(etag) == self.tag())
            && part.options.content_format() == self.response.options.content_format()
            && block.offset() == have
            && block.describes(part.payload.len());
        if !fits {
            return self.restart();
        }
        if have.saturating_add(part.payload.len()) > max_body {
            return Fetched::Failed(FailureCause::TooLarge { limit: max_body });
        }
        self.response.payload.extend_from_slice(&part.payload);
        self.size = block.size;
        if !block.more {
            return Fetched::Whole;
        }
        match Block::at(self.response.payload.len(), false, self.size) {
            Some(_) => Fetched::Next,
            None => Fetched::Failed(FailureCause::TooLarge { limit: max_body }),
        }
    }

    fn restart(&mut self) -> Fetched {
        let Some(left) = self.restarts_left.checked_sub(1) else {
            return Fetched::Failed(FailureCause::Inconsistent);
        };
        self.restarts_left = left;
        self.response.payload.clear();
        Fetched::Next
    }

    /// Takes the first block of another attempt. It is still the notification that it was.
    fn begin_again(&mut self, mut first: Response, max_body: usize) -> Fetched {
        first.options.remove(&[OptionNumber::OBSERVE]);
        if let Some(value) = self.response.options.observe() {
            first.options.push_uint(OptionNumber::OBSERVE, value);
        }
        match Self::begin(Code::GET, first, self.round_trip, max_body) {
            Ok(again) => {
                let restarts_left = self.restarts_left;
                *self = Self {
                    restarts_left,
                    ..again
                };
                Fetched::Next
            }
            Err(Ok(whole)) => {
                self.response = whole;
                Fetched::Whole
            }
            Err(Err(cause)) => Fetched::Failed(cause),
        }
    }

    /// The response with its whole body.
    pub(crate) fn into_response(self) -> Response {
        self.response
    }

    fn tag(&self) -> Option<&[u8]> {
        self.response.options.get_first(OptionNumber::ETAG)
    }
}

fn exceeds(response: &Response, max_body: usize) -> bool {
    let announced = response.options.uint(OptionNumber::SIZE2).unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    announced.max(response.payload.len()) > max_body
}
