//! The one place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use agent::Now;

/// This moment on both clocks. A wall clock before 1970 counts as 1970.
pub(crate) fn now() -> Now {
    Now {
        monotonic: Instant::now(),
        unix: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    }
}

/// A seed that no peer can guess.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn seed() -> Result<[u8; 32], openssl::error::ErrorStack> {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(bytes)
}

/// The first eight bytes of a fresh seed, for the generators of the agents.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn short_seed() -> Result<u64, openssl::error::ErrorStack> {
    let seed = seed()?;
    Ok(seed
        .iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}
