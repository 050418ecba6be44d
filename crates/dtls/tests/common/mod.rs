//! Certificates and a client-server pair in memory for the tests of this crate.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its own part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub mod pair;
pub mod pki;
pub mod stream;

use std::time::Instant;

/// For how many seconds a certificate is issued that is to expire in a test: the next longer one where the machine has not
/// managed its handshakes in time.
pub const BRIEF: [u64; 3] = [2, 8, 32];

/// OpenSSL's timers run on the real clock, so the tests start from it.
#[allow(clippy::disallowed_methods)]
pub fn real_now() -> Instant {
    Instant::now()
}

/// Lets the real clock pass, where OpenSSL looks at it.
pub fn wait_until(due: Instant) {
    while real_now() < due {
        std::thread::park_timeout(due.saturating_duration_since(real_now()));
    }
}
