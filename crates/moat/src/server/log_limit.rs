//! Lines that anybody can cause, as by being refused, are few in a second: a disk is not filled by asking.

use std::time::{Duration, Instant};

/// Lines in a second.
const LINES: u32 = 100;

/// Counts the lines of the present second.
#[derive(Debug, Default)]
pub(super) struct LogLimit {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogLimit {
    /// Whether one more line may be written. Says how many were left out before.
    pub(super) fn allows(&mut self, now: Instant, what: &'static str) -> bool {
        let second = Duration::from_secs(1);
        if self.since.is_none_or(|since| now >= since + second) {
            if self.left_out > 0 {
                tracing::warn!(lines = self.left_out, "{what}: lines left out");
            }
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        }
        if self.lines == LINES {
            self.left_out += 1;
            return false;
        }
        self.lines += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    ///
    #[test]
    fn a_flood_of_refusals_makes_a_hundred_lines_a_second() {
        let mut limit = LogLimit::default();
        let start = Instant::now();
        let lines = |limit: &mut LogLimit, at| (0..1000).filter(|_| limit.allows(at, "x")).count();
        assert_eq!(lines(&mut limit, start), 100);
        assert_eq!(lines(&mut limit, start + Duration::from_millis(999)), 0);
        assert_eq!(lines(&mut limit, start + Duration::from_secs(1)), 100);
    }
}
