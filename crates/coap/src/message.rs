//! The message format over UDP and DTLS (RFC 7252 §3).
//!
//! ```text
//! |Ver| T |  TKL  |     Code      |          Message ID           |
//! | Token, TKL bytes ... | Options ... | 0xff | Payload ...        |
//! ```
//!
//! The codec is our own because `coap-lite` 0.13, the likely candidate, neither checks the version
//! nor refuses a payload marker without payload, both of which RFC 7252 §3 asks for. It keeps
//! options in a map of linked lists, one allocation or more each, and folds every code it has no
//! name for into `Reserved`, so that an unknown 4.xx is no longer a response. It also has no
//! framing for RFC 8323, which here shares the option encoding.

use crate::code::Code;
use crate::identifier::{MessageId, Token};
use crate::options::{Options, OptionsError, decode_body, encode_body};

const VERSION: u8 = 1;
const HEADER_LENGTH: usize = 4;
const PAYLOAD_MARKER_LENGTH: usize = 1;

/// The type of a message (RFC 7252 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// Asks for an Acknowledgement.
    Confirmable,
    /// Asks for none.
    NonConfirmable,
    /// Says that a Confirmable message arrived; may carry the response.
    Acknowledgement,
    /// Says that a message arrived and could not be processed.
    Reset,
}

impl MessageType {
    const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }

    const fn to_bits(self) -> u8 {
        match self {
            Self::Confirmable => 0,
            Self::NonConfirmable => 1,
            Self::Acknowledgement => 2,
            Self::Reset => 3,
        }
    }
}

/// One CoAP message, as it fills a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub message_type: MessageType,
    /// Method, response code, or 0.00 for an Empty message.
    pub code: Code,
    /// Its Message ID.
    pub message_id: MessageId,
    /// The token of the request it is or answers; empty in an Empty message.
    pub token: Token,
    /// Its options; none in an Empty message.
    pub options: Options,
    /// Its payload; none in an Empty message.
    pub payload: Vec<u8>,
}

impl Message {
    /// An Empty message, which has nothing but a type and a Message ID (RFC 7252 §4.1).
    #[must_use]
    pub fn empty(message_type: MessageType, message_id: MessageId) -> Self {
        let (code, token, options, payload) =
            (Code::EMPTY, Token::EMPTY, Options::new(), Vec::new());
        Self {
            message_type,
            code,
            message_id,
            token,
            options,
            payload,
        }
    }

    /// The datagram.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = self
            .options
            .encoded_length()
            .saturating_add(PAYLOAD_MARKER_LENGTH)
            .saturating_add(self.payload.len());
        let mut out = Vec::with_capacity(
            HEADER_LENGTH
                .saturating_add(Token::MAX_LENGTH)
                .saturating_add(body),
        );
        out.push(VERSION << 6 | self.message_type.to_bits() << 4 | self.token.length());
        out.push(self.code.to_byte());
        out.extend_from_slice(&self.message_id.0.to_be_bytes());
        out.extend_from_slice(self.token.as_bytes());
        encode_body(&self.options, &self.payload, &mut out);
        out
    }

    /// Bytes of payload that fit in a message of `size` bytes beside token and options.
    pub(crate) fn payload_room(size: usize, token: &Token, options: &Options) -> usize {
        let rest = HEADER_LENGTH
            .saturating_add(token.as_bytes().len())
            .saturating_add(options.encoded_length())
            .saturating_add(PAYLOAD_MARKER_LENGTH);
        size.saturating_sub(rest)
    }

    /// The message a datagram holds.
    ///
    /// # Errors
    /// Any message format error of RFC 7252 §3 and §4.1, and code classes that are reserved.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let (header, rest) = Header::decode(datagram)?;
        if header.token_length > Token::MAX_LENGTH {
            return Err(DecodeError::TokenLength(header.token_length));
        }
        if header.code == Code::EMPTY {
            return if header.token_length == 0 && rest.is_empty() {
                Ok(Self::empty(header.message_type, header.message_id))
            } else {
                Err(DecodeError::EmptyWithContent)
            };
        }
        if !header.code.is_request() && !header.code.is_response() {
            return Err(DecodeError::ReservedClass(header.code));
        }
        let (token, body) = rest
            .split_at_checked(header.token_length)
            .ok_or(DecodeError::TokenCutShort)?;
        let token = Token::new(token).ok_or(DecodeError::TokenLength(header.token_length))?;
        let (options, payload) = decode_body(body)?;
        Ok(Self {
            message_type: header.message_type,
            code: header.code,
            message_id: header.message_id,
            token,
            options,
            payload: payload.to_vec(),
        })
    }
}

/// The fixed part of a message. It can be read even where the rest is malformed, to reject the
/// message.
pub(crate) struct Header {
    pub(crate) message_type: MessageType,
    token_length: usize,
    code: Code,
    pub(crate) message_id: MessageId,
}

impl Header {
    pub(crate) fn decode(datagram: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let too_short = DecodeError::TooShort {
            length: datagram.len(),
        };
        let (&[first, code, high, low], rest) = datagram
            .split_first_chunk::<HEADER_LENGTH>()
            .ok_or(too_short)?;
        if first >> 6 != VERSION {
            return Err(DecodeError::Version(first >> 6));
        }
        let header = Self {
            message_type: MessageType::from_bits(first >> 4),
            token_length: usize::from(first & 0xf),
            code: Code::from_byte(code),
            message_id: MessageId(u16::from_be_bytes([high, low])),
        };
        Ok((header, rest))
    }
}

/// Gives an encoded message another Message ID.
pub(crate) fn set_message_id(datagram: &mut [u8], message_id: MessageId) {
    if let Some(field) = datagram.get_mut(2..HEADER_LENGTH) {
        field.copy_from_slice(&message_id.0.to_be_bytes());
    }
}

/// Why a datagram is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not even a header.
    #[error("{length} bytes are less than a header")]
    TooShort {
        /// Bytes that came.
        length: usize,
    },
    /// A version other than 1; such messages are ignored in silence (RFC 7252 §3).
    #[error("unknown version {0}")]
    Version(u8),
    /// A Token Length of 9 to 15 (RFC 7252 §3).
    #[error("reserved token length {0}")]
    TokenLength(usize),
    /// The datagram ends inside the token.
    #[error("token is cut short")]
    TokenCutShort,
    /// A code that is neither request nor response nor Empty (RFC 7252 §4.2).
    #[error("code {0} is of a reserved class")]
    ReservedClass(Code),
    /// An Empty message with a token or anything after the Message ID (RFC 7252 §4.1).
    #[error("empty message with content")]
    EmptyWithContent,
    /// What follows the token is malformed.
    #[error("after the token: {0}")]
    Options(#[from] OptionsError),
}
