//! The message format over TCP and TLS (RFC 8323 §3.2).
//!
//! ```text
//! |  Len  |  TKL  | Extended Length, 0 to 4 bytes | Code | Token, TKL bytes ... |
//! | Options ... | 0xff | Payload ...                                            |
//! ```
//! Len counts options, marker and payload. There is no type and no Message ID: the stream loses
//! nothing and doubles nothing.

use crate::code::Code;
use crate::identifier::Token;
use crate::options::{Options, OptionsError, decode_body, encode_body};

/// Lengths from here on take a byte more, two, or four.
const ONE_BYTE: usize = 13;
const TWO_BYTES: usize = 269;
const FOUR_BYTES: usize = 65805;

/// One CoAP message, as it stands in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Method, response code, signaling code (RFC 8323 §5.1), or 0.00 for an Empty message.
    pub code: Code,
    /// The token of the request it is or answers.
    pub token: Token,
    /// Its options. Those of signaling messages have numbers of their own (RFC 8323 §5.2).
    pub options: Options,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The bytes of the stream.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(
            self.options
                .encoded_length()
                .saturating_add(1)
                .saturating_add(self.payload.len()),
        );
        encode_body(&self.options, &self.payload, &mut body);
        let mut out = Vec::with_capacity(LONGEST_HEADER + Token::MAX_LENGTH + body.len());
        let (nibble, extension, extension_length) = length_field(body.len());
        out.push(nibble << 4 | self.token.length());
        let skipped = extension.len() - extension_length;
        out.extend_from_slice(extension.get(skipped..).unwrap_or_default());
        out.push(self.code.to_byte());
        out.extend_from_slice(self.token.as_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// The message at the start of `bytes` and how many bytes it takes; `None` if there are too few
    /// to tell. A message announced as longer than `limit` is refused before it is there.
    ///
    /// # Errors
    /// Any message format error of RFC 7252 §3 that this format can have. The stream cannot be read
    /// any further then.
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let token_length = usize::from(first & 0xf);
        if token_length > Token::MAX_LENGTH {
            return Err(FrameError::TokenLength(token_length));
        }
        let Some((body_length, rest)) = read_length(first >> 4, rest) else {
            return Ok(None);
        };
        let header = bytes.len() - rest.len() + size_of::<Code>() + token_length;
        let length = header.saturating_add(body_length);
        if length > limit {
            return Err(FrameError::TooLong { length, limit });
        }
        let (Some(rest), Some(body)) = (rest.get(..1 + token_length), bytes.get(header..length))
        else {
            return Ok(None);
        };
        let Some((&code, token)) = rest.split_first() else {
            return Ok(None);
        };
        let code = Code::from_byte(code);
        if !(code == Code::EMPTY || code.is_request() || code.is_response() || code.is_signaling())
        {
            return Err(FrameError::ReservedClass(code));
        }
        let token = Token::new(token).ok_or(FrameError::TokenLength(token_length))?;
        let (options, payload) = decode_body(body)?;
        let frame = Self {
            code,
            token,
            options,
            payload: payload.to_vec(),
        };
        Ok(Some((frame, length)))
    }

    /// Bytes of payload that fit in a message of `size` bytes beside token and options.
    pub(crate) fn payload_room(size: usize, token: &Token, options: &Options) -> usize {
        let rest = LONGEST_HEADER
            .saturating_add(token.as_bytes().len())
            .saturating_add(options.encoded_length())
            .saturating_add(1);
        size.saturating_sub(rest)
    }
}

/// First byte, Extended Length of four bytes, code.
const LONGEST_HEADER: usize = 6;

/// Len, and the Extended Length with how many of its last bytes count.
fn length_field(length: usize) -> (u8, [u8; 4], usize) {
    let (nibble, base, bytes) = match length {
        ..ONE_BYTE => (u8::try_from(length).unwrap_or_default(), length, 0),
        ONE_BYTE..TWO_BYTES => (13, ONE_BYTE, 1),
        TWO_BYTES..FOUR_BYTES => (14, TWO_BYTES, 2),
        FOUR_BYTES.. => (15, FOUR_BYTES, 4),
    };
    let extension = u32::try_from(length - base).unwrap_or(u32::MAX);
    (nibble, extension.to_be_bytes(), bytes)
}

/// Reads the Extended Length, if it is all there; and what follows.
fn read_length(nibble: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    let (base, extension, rest) = match nibble {
        13 => {
            let (byte, rest) = rest.split_first()?;
            (ONE_BYTE, u32::from(*byte), rest)
        }
        14 => {
            let (word, rest) = rest.split_first_chunk()?;
            (TWO_BYTES, u32::from(u16::from_be_bytes(*word)), rest)
        }
        15 => {
            let (word, rest) = rest.split_first_chunk()?;
            (FOUR_BYTES, u32::from_be_bytes(*word), rest)
        }
        short => (usize::from(short), 0, rest),
    };
    let extension = usize::try_from(extension).unwrap_or(usize::MAX);
    Some((base.saturating_add(extension), rest))
}

/// Why bytes of a stream are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A Token Length of 9 to 15 (RFC 7252 §3).
    #[error("reserved token length {0}")]
    TokenLength(usize),
    /// A message longer than is accepted here.
    #[error("message of {length} bytes exceeds {limit} bytes")]
    TooLong {
        /// Bytes of the whole message, as announced.
        length: usize,
        /// The limit exceeded.
        limit: usize,
    },
    /// A code of a class that means nothing (RFC 7252 §4.2, RFC 8323 §5.1).
    #[error("code {0} is of a reserved class")]
    ReservedClass(Code),
    /// What follows the token is malformed.
    #[error("after the token: {0}")]
    Options(#[from] OptionsError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option_number::OptionNumber;

    #[test]
    fn what_is_said_to_fit_fits() {
        for size in [64, 300, 1152, FOUR_BYTES, 2 * FOUR_BYTES] {
            let token = Token::new(&[7; 8]).expect("eight bytes");
            let mut options = Options::new();
            options.push(OptionNumber::URI_PATH, b"mitigate");
            let room = Frame::payload_room(size, &token, &options);
            let frame = Frame {
                code: Code::PUT,
                token,
                options,
                payload: vec![7; room],
            };
            let length = frame.encode().len();
            assert!(length <= size && size <= length + 4, "{length} of {size}");
        }
    }
}
