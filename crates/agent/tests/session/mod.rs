//! A signal channel session by itself (RFC 9132 §4.4.2.1, §4.7).

mod bench;
mod configuration;
mod heartbeats;
mod notifications;
mod streams;
