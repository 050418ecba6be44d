//! Lines that peers can cause are few in a minute: a disk is not filled by asking, and nobody's lines are
//! pushed out by another's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Lines in a minute that one customer may cause, or all peers that are no customer's.
const LINES: u32 = 600;
const WINDOW: Duration = Duration::from_secs(60);

/// The limits of all customers.
#[derive(Debug, Default)]
pub(super) struct LogLimits {
    strangers: LogLimit,
    customers: BTreeMap<String, LogLimit>,
}

/// Counts the lines of the present minute.
#[derive(Debug, Default)]
struct LogLimit {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogLimits {
    /// Whether one more line may be written that this customer caused, or somebody who is none. Says
    /// how many were left out before.
    pub(super) fn allows(&mut self, now: Instant, customer: Option<&str>) -> bool {
        let limit = match customer {
            None => &mut self.strangers,
            Some(name) => match self.customers.get_mut(name) {
                Some(limit) => limit,
                None => self.customers.entry(name.to_owned()).or_default(),
            },
        };
        limit.allows(now, customer)
    }
}

impl LogLimit {
    fn allows(&mut self, now: Instant, customer: Option<&str>) -> bool {
        if self.since.is_none_or(|since| now >= since + WINDOW) {
            if self.left_out > 0 {
                tracing::warn!(customer, lines = self.left_out, "lines were left out");
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
    fn a_flood_of_one_customer_makes_ten_lines_a_second_and_hides_nobody_elses() {
        let mut limits = LogLimits::default();
        let start = Instant::now();
        let mut lines = |customer, at| (0..2000).filter(|_| limits.allows(at, customer)).count();
        assert_eq!(lines(Some("home"), start), 600);
        assert_eq!(lines(Some("branch"), start), 600);
        assert_eq!(lines(None, start), 600);
        let later = start + Duration::from_millis(59_999);
        assert_eq!(lines(Some("home"), later), 0);
        assert_eq!(lines(Some("home"), start + WINDOW), 600);
    }
}
