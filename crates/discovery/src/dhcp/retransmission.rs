//! How long to wait for an answer before the question is repeated.

use std::time::Duration;

/// By how much, and by what chance, one wait is longer than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Twice the wait before, give or take a tenth of it (RFC 8415 §15).
    Dhcpv6,
    /// Twice the wait before, then give or take a second (RFC 2131 §4.1).
    Dhcpv4,
}

/// The waits of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waits {
    rule: Rule,
    first: Duration,
    longest: Duration,
    /// What the next wait is made of; `None` before the first.
    previous: Option<Duration>,
}

impl Waits {
    /// An Information-request: INF_TIMEOUT and INF_MAX_RT (RFC 8415 §7.6).
    pub(super) const DHCPV6: Self = Self {
        rule: Rule::Dhcpv6,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(3600),
        previous: None,
    };
    /// DHCPINFORM (RFC 2131 §4.1).
    pub(super) const DHCPV4: Self = Self {
        rule: Rule::Dhcpv4,
        first: Duration::from_secs(4),
        longest: Duration::from_secs(64),
        previous: None,
    };

    /// The same from the start, for a new question.
    pub(super) fn restart(&mut self) {
        self.previous = None;
    }

    /// No wait is longer from now on, but for chance.
    pub(super) fn limit(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// How long to wait now.
    pub(super) fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        // From -1 to 1.
        let chance = 2.0 * rng.f64() - 1.0;
        let doubled = self.previous.map(|previous| previous.saturating_mul(2));
        let planned = doubled.unwrap_or(self.first).min(self.longest);
        match self.rule {
            Rule::Dhcpv6 => {
                let about = match self.previous {
                    Some(previous) if planned < self.longest => previous,
                    _ => planned,
                };
                let wait = planned.as_secs_f64() + 0.1 * chance * about.as_secs_f64();
                let wait = Duration::from_secs_f64(wait);
                self.previous = Some(wait);
                wait
            }
            Rule::Dhcpv4 => {
                self.previous = Some(planned);
                Duration::from_secs_f64(planned.as_secs_f64() + chance)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(mut waits: Waits, count: usize, seed: u64) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let next = |_| waits.next(&mut rng).as_secs_f64();
        (0..count).map(next).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_one_with_chance_in_them() {
        for seed in 0..100 {
            let v6 = waits(Waits::DHCPV6, 20, seed);
            assert!((0.9..=1.1).contains(&v6[0]));
            for pair in v6.windows(2) {
                let doubled = pair[0] * 2.0;
                let within = match doubled < 3600.0 {
                    true => pair[0] * 1.9..=pair[0] * 2.1,
                    false => 3240.0..=3960.0,
                };
                assert!(within.contains(&pair[1]), "{v6:?}");
            }
            let v4 = waits(Waits::DHCPV4, 7, seed);
            for (wait, around) in v4.iter().zip([4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0]) {
                assert!((around - 1.0..=around + 1.0).contains(wait), "{v4:?}");
            }
        }
    }
}
