//! A sans-I/O CoAP endpoint for one secured session: message layer, requests and responses,
//! observations, block-wise transfer (RFC 7252, RFC 7641, RFC 7959), with the transmission rules of
//! DOTS (RFC 9132 §4.4, §4.5), and the same over TCP and TLS (RFC 8323).
//!
//! ```text
//! datagram -> message (codec) -> datagram -+-> client: our requests, our observations
//!                                          +-> server: the peer's requests, notifications
//! bytes    -> frame (codec)   -> stream    --> both, and signaling
//!
//! datagram or stream -> link -> block: whole bodies -> Event
//! ```
//! [`Endpoint`] is where to start. Time comes in as an argument and randomness from a seed, so that
//! two endpoints and a lossy network between them run in one test. Whatever the peer sends is
//! answered or counted, or ends the connection, and uses no more memory than [`Limits`] names.

mod block;
mod client;
mod code;
mod context;
mod counters;
mod datagram;
mod deduplication;
mod endpoint;
pub mod frame;
mod identifier;
mod link;
pub mod message;
mod notifications;
mod observation;
mod open_request;
mod option_number;
mod options;
mod parameters;
mod request;
mod retransmission;
mod round_trip;
mod separate;
mod server;
mod stream;

pub use code::Code;
pub use counters::Counters;
pub use endpoint::Endpoint;
pub use frame::{Frame, FrameError};
pub use identifier::{Exchange, MessageId, Token};
pub use message::{DecodeError, Message, MessageType};
pub use option_number::OptionNumber;
pub use options::{HopLimitError, MAX_OPTIONS, MAX_VALUE_LENGTH, Options, OptionsError};
pub use parameters::{Limits, TransmissionParameters};
pub use request::{Delivery, EndCause, Event, FailureCause, Request, Response, SendError};
pub use stream::StreamError;
