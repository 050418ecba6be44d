//! The DOTS signal channel's vocabulary and messages (RFC 9132), as types and as CBOR.
//!
//! ```text
//! Uri-Path segments <-> path::Resource
//! Uri-Query         <-> query::Content
//! CBOR body         <-> mitigation::{MitigationRequest, Granted, Refusal, MitigationReport}
//!                       configuration::{ConfigurationRequest, ConfigurationReport}
//!                       redirect::RedirectedSignal
//!                       heartbeat::Heartbeat
//! ```
//!
//! Bytes become types in which what the RFC refuses cannot be written; the reason for a refusal is a
//! [`DecodeError`], whose [`DecodeError::diagnostic`] is the payload of the 4.00 or 4.22 response. Every message
//! also implements `serde::Serialize` as the JSON of the YANG module (RFC 9132 §5.3, RFC 7951).

mod cbor;
pub mod configuration;
mod decimal;
mod error;
pub mod heartbeat;
pub mod identifiers;
mod json;
pub mod key;
pub mod lifetime;
pub mod mitigation;
pub mod path;
pub mod query;
pub mod redirect;
pub mod target;

pub use error::{DecodeError, InvalidValue, Location, Step};

/// Content-Format of every DOTS body, `application/dots+cbor` (RFC 9132 §10.4).
pub const CONTENT_FORMAT: u16 = 271;

/// The CBOR tag that a sender may wrap around a body (RFC 9132 §10.5).
pub const CBOR_TAG: u64 = 271;

/// Default port of the signal channel, UDP and TCP (RFC 9132 §10.1).
pub const SIGNAL_CHANNEL_PORT: u16 = 4646;

/// Limits on what is accepted from a peer.
pub mod limits {
    /// Longest body, in bytes.
    pub const MESSAGE_BYTES: usize = 256 * 1024;
    /// Deepest nesting of maps, arrays and tags. A telemetry report, the deepest DOTS message, needs 12.
    pub const NESTING: usize = 16;
    /// Most entries of one map.
    pub const MAP_ENTRIES: usize = 64;
    /// Most entries of one list of targets or addresses. Six full lists of the longest entries fit a message.
    pub const LIST_ENTRIES: usize = 128;
    /// Most mitigations in one report.
    pub const REPORT_ENTRIES: usize = 1024;
    /// Longest text string, in bytes.
    pub const TEXT_BYTES: usize = 512;
    /// Most keys that one [`DecodeError::NotUnderstood`](crate::DecodeError::NotUnderstood) names.
    pub const NAMED_KEYS: usize = 8;
    /// Longest diagnostic payload, in bytes.
    pub const DIAGNOSTIC_BYTES: usize = 200;
}
