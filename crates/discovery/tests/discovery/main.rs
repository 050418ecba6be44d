//! Discovery as a network sees it: messages and records in, messages, questions and findings out.

#![allow(clippy::unwrap_used, clippy::panic)]
// A point to count virtual time from.
#![allow(clippy::disallowed_methods)]

mod dhcp;
mod exchange;
mod procedure;
mod resolution;
mod silence;
mod support;
