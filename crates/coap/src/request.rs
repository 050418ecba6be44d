use std::time::Duration;

use crate::code::Code;
use crate::frame::Frame;
use crate::identifier::{Exchange, MessageId, Token};
use crate::message::{Message, MessageType};
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::stream::StreamError;

/// A request (RFC 7252 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Code,
    /// Path, query and the rest.
    pub options: Options,
    /// The body; may be empty.
    pub payload: Vec<u8>,
    /// How it travels.
    pub delivery: Delivery,
}

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In a Confirmable message, retransmitted with back-off until it is acknowledged (RFC 7252
    /// §4.2). Over a stream each request is sent once, and delivery is but a limit to the wait for
    /// the response: EXCHANGE_LIFETIME. Every request received over a stream says this.
    Confirmable,
    /// In Non-confirmable messages, sent again at intervals until there is a response (RFC 9132
    /// §4.4). Over a stream the response may take any time.
    NonRepeated,
    /// In one Non-confirmable message; a heartbeat, say. Every received Non-confirmable request
    /// says this. Over a stream the response may take NON_LIFETIME.
    NonOnce,
}

/// A response (RFC 7252 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The response code.
    pub code: Code,
    /// Content-Format, Observe, Max-Age and the rest.
    pub options: Options,
    /// The body; may be empty.
    pub payload: Vec<u8>,
}

impl Response {
    /// A response with a sentence for the person at the other end (RFC 7252 §5.5.2).
    pub(crate) fn diagnostic(code: Code, text: &str) -> Self {
        Self {
            code,
            options: Options::new(),
            payload: text.as_bytes().to_vec(),
        }
    }

    /// 5.00 in place of a response that cannot be sent, with why that is.
    pub(crate) fn unsendable(error: &SendError) -> Self {
        let text = match error {
            SendError::TooLarge { .. } => {
                format!("the answer is too large to be sent in one message: {error}")
            }
            _ => format!("the answer cannot be sent: {error}"),
        };
        Self::diagnostic(Code::INTERNAL_SERVER_ERROR, &text)
    }

    /// 4.02 with a diagnostic payload that names the option (RFC 7252 §5.4.1).
    pub(crate) fn bad_option(option: OptionNumber) -> Self {
        let text = format!("critical option {} is not supported here", option.0);
        Self::diagnostic(Code::BAD_OPTION, &text)
    }

    pub(crate) fn into_frame(self, token: Token) -> Frame {
        Frame {
            code: self.code,
            token,
            options: self.options,
            payload: self.payload,
        }
    }

    pub(crate) fn into_message(
        self,
        message_type: MessageType,
        message_id: MessageId,
        token: Token,
    ) -> Message {
        let Self {
            code,
            options,
            payload,
        } = self;
        Message {
            message_type,
            code,
            message_id,
            token,
            options,
            payload,
        }
    }
}

/// What the application learns from the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer asks for something. Answer with [`Endpoint::respond`](crate::Endpoint::respond) or
    /// [`Endpoint::ignore`](crate::Endpoint::ignore). A peer that repeats a request under fresh
    /// Message IDs makes a new event each time, with the same token: handlers must be idempotent.
    Request {
        /// The handle to answer with.
        exchange: Exchange,
        /// The peer's token; the name of the observation if this registers one.
        token: Token,
        /// The request.
        request: Request,
    },
    /// The peer answers a request of ours, or notifies us on an observation of ours (RFC 7641
    /// §3.2).
    Response {
        /// The token that sending the request gave.
        token: Token,
        /// The response.
        response: Response,
        /// Time from the request to this response, where it is certain which copy was answered.
        round_trip: Option<Duration>,
    },
    /// A request of ours will not be answered. Its token is closed.
    Failed {
        /// The token that sending the request gave.
        token: Token,
        /// Why.
        cause: FailureCause,
    },
    /// The peer no longer wants notifications with this token (RFC 7641 §3.6).
    NotificationRejected {
        /// The peer's token, as given to [`Endpoint::notify`](crate::Endpoint::notify).
        token: Token,
    },
    /// The connection is over, and the last event with it: send what
    /// [`Endpoint::poll_transmit`](crate::Endpoint::poll_transmit) still has, and close. Over
    /// datagrams this never happens.
    Ended {
        /// Why.
        cause: EndCause,
    },
}

/// Why a connection is to be closed (RFC 8323 §5.5, §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The peer wants to leave, and its requests are answered.
    Released,
    /// The peer aborted the connection.
    Aborted,
    /// The peer did what it must not, and is told so.
    Misbehaviour(StreamError),
}

/// Why a request of ours will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// Nothing came within the time that the transmission parameters give.
    TimedOut,
    /// The peer rejected the request with a Reset message.
    Reset,
    /// The response had a critical option that this endpoint must not overlook, and was rejected
    /// (RFC 7252 §5.4.1).
    CriticalOption(OptionNumber),
    /// The response came in blocks that did not fit together, or kept changing while they were
    /// fetched (RFC 7959 §2.4).
    Inconsistent,
    /// The response came in blocks, and its body exceeds
    /// [`Limits::max_body`](crate::Limits::max_body).
    TooLarge {
        /// The limit exceeded, in bytes.
        limit: usize,
    },
    /// The request for a further block could not be sent.
    Unsendable(SendError),
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// [`Limits::outstanding_requests`](crate::Limits::outstanding_requests) are waiting for a
    /// response.
    #[error("{limit} requests are outstanding already")]
    TooManyOutstanding {
        /// The limit reached.
        limit: usize,
    },
    /// [`Limits::observations`](crate::Limits::observations) are registered.
    #[error("{limit} observations are registered already")]
    TooManyObservations {
        /// The limit reached.
        limit: usize,
    },
    /// The message would exceed [`Limits::max_message_size`](crate::Limits::max_message_size), or
    /// over a stream what the peer takes (RFC 8323 §5.3.1), or its body [`Limits::max_body`](crate::Limits::max_body).
    #[error("{size} bytes exceed {limit} bytes")]
    TooLarge {
        /// Bytes of the encoded message, or of the body.
        size: usize,
        /// The limit exceeded.
        limit: usize,
    },
    /// A request whose method is none.
    #[error("code {0} is not a method")]
    NotAMethod(Code),
    /// A notification whose code is none of a response.
    #[error("code {0} is not a response code")]
    NotAResponseCode(Code),
    /// The connection is over, see [`Event::Ended`].
    #[error("the connection is over")]
    Ended,
}
