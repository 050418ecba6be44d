//! When advertisements are sent (RFC 4861 §6.2.4, §6.2.6).

use std::time::{Duration, Instant};

/// `MAX_INITIAL_RTR_ADVERT_INTERVAL`
const LONGEST_INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// `MAX_INITIAL_RTR_ADVERTISEMENTS`
const INITIAL_ADVERTISEMENTS: u32 = 3;
/// `MIN_DELAY_BETWEEN_RAS`
const SHORTEST_GAP: Duration = Duration::from_secs(3);
/// `MAX_RA_DELAY_TIME`
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// `MinRtrAdvInterval` and `MaxRtrAdvInterval` (RFC 4861 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    least: Duration,
    most: Duration,
}

impl Intervals {
    /// `None` unless `most` is 4 s to 1800 s, and `least` 3 s to three quarters of that.
    pub fn new(least: Duration, most: Duration) -> Option<Self> {
        let is_possible = (Duration::from_secs(4)..=Duration::from_secs(1800)).contains(&most)
            && (SHORTEST_GAP..=most * 3 / 4).contains(&least);
        is_possible.then_some(Self { least, most })
    }

    /// The longest time between two advertisements.
    pub fn most(&self) -> Duration {
        self.most
    }
}

impl Default for Intervals {
    /// 200 s to 600 s.
    fn default() -> Self {
        Self {
            least: Duration::from_secs(200),
            most: Duration::from_secs(600),
        }
    }
}

#[derive(Debug)]
pub(super) struct Schedule {
    intervals: Intervals,
    /// So many of the first ones are still to come.
    initial: u32,
    last: Option<Instant>,
    next: Instant,
}

impl Schedule {
    pub(super) fn new(intervals: Intervals, now: Instant) -> Self {
        Self {
            intervals,
            initial: INITIAL_ADVERTISEMENTS,
            last: None,
            next: now,
        }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn sent(&mut self, now: Instant, random: &mut fastrand::Rng) {
        let Intervals { least, most } = self.intervals;
        let mut interval = between(least, most, random);
        self.initial = self.initial.saturating_sub(1);
        if self.initial > 0 {
            interval = interval.min(LONGEST_INITIAL_INTERVAL);
        }
        self.last = Some(now);
        self.next = now + interval;
    }

    /// A host asks; however many do, it is not put off any further.
    pub(super) fn solicited(&mut self, now: Instant, random: &mut fastrand::Rng) {
        let delay = between(Duration::ZERO, LONGEST_DELAY, random);
        self.next = self.next.min(self.earliest(now) + delay);
    }

    /// What is advertised has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        self.initial = INITIAL_ADVERTISEMENTS;
        self.next = self.next.min(self.earliest(now));
    }

    fn earliest(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| now.max(last + SHORTEST_GAP))
    }
}

fn between(least: Duration, most: Duration, random: &mut fastrand::Rng) -> Duration {
    let [least, most] = [least, most].map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    Duration::from_millis(random.u64(least..=most))
}
