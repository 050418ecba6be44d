//! Other programs on the other end, over loopback: `openssl`, and the clients of libcoap.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the other end is a process with real sockets and a real clock"
)]

#[path = "../common/mod.rs"]
mod common;
mod datagrams;
mod libcoap;
mod program;
mod streams;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dtls::{CloseReason, Output, Peer};

/// How long anything may take, also on a busy machine; nothing waits for its end where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Held while a port has been found free but not taken yet.
static PORTS: Mutex<()> = Mutex::new(());

fn ports() -> MutexGuard<'static, ()> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn established(output: Output) -> Option<Peer> {
    match output {
        Output::Established(peer) => Some(peer),
        other => panic!("{other:?} instead of a handshake"),
    }
}

fn data(output: Output) -> Option<Vec<u8>> {
    match output {
        Output::Data(data) => Some(data),
        other => panic!("{other:?} instead of data"),
    }
}

fn closed(output: Output) -> Option<CloseReason> {
    match output {
        Output::Closed(reason) => Some(reason),
        _ => None,
    }
}
