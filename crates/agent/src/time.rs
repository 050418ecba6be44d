//! The two clocks an agent is told.

use std::time::{Duration, Instant};

/// The longest time that a label of the wall clock is believed: a damaged store may say anything, and an
/// instant has an end.
const FARTHEST: Duration = Duration::from_secs(1 << 40);

/// One moment on both clocks.
///
/// Everything that must not jump (lifetimes, repetitions, heartbeats) runs on `monotonic`. The
/// wall clock labels what leaves the process: `mitigation-start` on the wire and the expiry in the
/// store. By that a restart decides what is kept, so who stores it follows a clock that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The clock that never goes back.
    pub monotonic: Instant,
    /// Seconds since 1970-01-01 00:00 UTC.
    pub unix: u64,
}

/// By how many seconds the wall clock may differ from the other one before it counts as set.
const DRIFT: u64 = 5;

impl Now {
    /// What the wall clock shows at `monotonic`, later than this moment, if nobody sets it.
    pub fn unix_at(&self, monotonic: Instant) -> u64 {
        let elapsed = monotonic.saturating_duration_since(self.monotonic);
        self.unix.saturating_add(elapsed.as_secs())
    }

    /// By how many seconds the wall clock was set since `then`; `None` if it was not.
    pub fn jump_since(&self, then: Self) -> Option<i64> {
        let expected = then.unix_at(self.monotonic).cast_signed();
        let jump = self.unix.cast_signed().saturating_sub(expected);
        (jump.unsigned_abs() >= DRIFT).then_some(jump)
    }

    /// The instant at which the wall clock will show `unix`; now, if that is past, and at most
    /// 2^40 seconds from now.
    pub fn instant_of(&self, unix: u64) -> Instant {
        let left = Duration::from_secs(unix.saturating_sub(self.unix));
        self.monotonic + left.min(FARTHEST)
    }

    /// Whole seconds from now until `at`, rounded up; 0 if that is past.
    pub fn seconds_until(&self, at: Instant) -> u32 {
        let left = at.saturating_duration_since(self.monotonic);
        let whole = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        u32::try_from(whole).unwrap_or(u32::MAX)
    }
}
