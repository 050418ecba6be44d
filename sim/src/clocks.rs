//! What a machine's clocks show.

use std::time::Instant;

use agent::Now;

/// The wall clock at the start of a run: 2026-01-01.
const EPOCH: u64 = 1_767_225_600;

/// The clocks of one machine. The monotonic one is the same everywhere, for no agent can tell.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: Instant,
    wall_offset: i64,
    jumps: u32,
}

impl Clocks {
    /// Clocks that are right.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            wall_offset: 0,
            jumps: 0,
        }
    }

    /// Sets the wall clock forward, or back, by so many seconds.
    pub fn jump(&mut self, seconds: i64) {
        self.wall_offset += seconds;
        self.jumps += 1;
    }

    /// Whether they were ever set.
    pub fn have_jumped(&self) -> bool {
        self.jumps > 0
    }

    /// What they show at `now`.
    pub fn show(&self, now: Instant) -> Now {
        let unix = EPOCH + now.saturating_duration_since(self.start).as_secs();
        Now {
            monotonic: now,
            unix: unix.saturating_add_signed(self.wall_offset),
        }
    }
}
