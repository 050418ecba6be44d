//! What was dropped for a mitigation, in total and on average (RFC 9132 §4.4.2).

use std::time::{Duration, Instant};

use dots::mitigation::DroppedCounters;

/// Averages are over buckets of five minutes.
const BUCKET: u64 = 300;

/// Packets and bytes.
type Dropped<T> = (T, T);

/// The counters of one mitigation since it came into force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    since: Instant,
    /// How long it was in force before `since`, as another process of this server.
    before: Duration,
    /// What the mitigator said last.
    last: Option<Dropped<u64>>,
    sum: Dropped<u128>,
    /// The sum when so many buckets were full.
    full: (u64, Dropped<u128>),
}

impl Meter {
    pub(super) fn new(now: Instant, before: Duration) -> Self {
        Self {
            since: now,
            before,
            last: None,
            sum: (0, 0),
            full: (0, (0, 0)),
        }
    }

    /// Takes a reading of the mitigator. True: it has dropped something since the last one. A
    /// counter that goes back has started anew.
    pub(super) fn read(&mut self, now: Instant, read: Dropped<u64>) -> bool {
        let last = self.last.replace(read).unwrap_or_default();
        let grown = |read: u64, last: u64| u128::from(read.checked_sub(last).unwrap_or(read));
        let (packets, bytes) = (grown(read.0, last.0), grown(read.1, last.1));
        self.sum = (self.sum.0 + packets, self.sum.1 + bytes);
        let buckets = self.elapsed(now) / BUCKET;
        if buckets > self.full.0 {
            self.full = (buckets, self.sum);
        }
        packets + bytes > 0
    }

    /// What a client is told; nothing before the first reading.
    pub(super) fn counters(&self, now: Instant) -> DroppedCounters {
        if self.last.is_none() {
            return DroppedCounters::default();
        }
        // Before the first bucket is full, the average is over what has passed of it.
        let ((packets, bytes), seconds) = match self.full {
            (0, _) => (self.sum, self.elapsed(now).max(1)),
            (buckets, sum) => (sum, buckets * BUCKET),
        };
        let average = |sum: u128| u64::try_from(sum / u128::from(seconds)).unwrap_or(u64::MAX);
        DroppedCounters {
            bytes: Some(wrapped(self.sum.1)),
            bps: Some(average(bytes)),
            pkts: Some(wrapped(self.sum.0)),
            pps: Some(average(packets)),
        }
    }

    /// In seconds.
    fn elapsed(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.since) + self.before).as_secs()
    }
}

/// Totals begin again at 0 after the largest number of 64 bits.
fn wrapped(sum: u128) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = sum.to_be_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the origin of a virtual clock"
    )]
    fn meter(before: u64) -> (Meter, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |seconds| start + Duration::from_secs(seconds);
        (Meter::new(start, Duration::from_secs(before)), at)
    }

    fn told(meter: &Meter, at: Instant) -> [Option<u64>; 4] {
        let counters = meter.counters(at);
        [counters.pkts, counters.bytes, counters.pps, counters.bps]
    }

    /// Covers: S-042
    #[test]
    fn a_young_mitigation_averages_over_its_life_and_an_older_one_over_full_buckets() {
        let (mut meter, at) = meter(0);
        assert_eq!(told(&meter, at(1)), [None; 4]);
        assert!(meter.read(at(0), (10, 1000)));
        let all = |pkts, bytes, pps, bps| [Some(pkts), Some(bytes), Some(pps), Some(bps)];
        assert_eq!(told(&meter, at(0)), all(10, 1000, 10, 1000));
        assert_eq!(told(&meter, at(10)), all(10, 1000, 1, 100));
        assert!(meter.read(at(100), (1000, 60_000)));
        assert_eq!(told(&meter, at(100)), all(1000, 60_000, 10, 600));
        // The first bucket is full.
        assert!(meter.read(at(300), (3000, 90_000)));
        assert_eq!(told(&meter, at(300)), all(3000, 90_000, 10, 300));
        // What is in a bucket that is not full counts in the total alone.
        assert!(meter.read(at(599), (9000, 90_000)));
        assert_eq!(told(&meter, at(599)), all(9000, 90_000, 10, 300));
        assert!(!meter.read(at(600), (9000, 90_000)));
        assert_eq!(told(&meter, at(600)), all(9000, 90_000, 15, 150));
        // Buckets without a reading count too.
        assert!(!meter.read(at(3000), (9000, 90_000)));
        assert_eq!(told(&meter, at(3000)), all(9000, 90_000, 3, 30));
    }

    /// Covers: S-042
    #[test]
    fn counters_that_start_anew_lose_nothing_and_totals_wrap() {
        let (mut meter, at) = meter(0);
        assert!(meter.read(at(1), (100, 1000)));
        assert!(meter.read(at(2), (5, 50)));
        assert!(!meter.read(at(3), (5, 50)));
        assert_eq!(told(&meter, at(3))[..2], [Some(105), Some(1050)]);
        assert!(!meter.read(at(4), (0, 0)));
        assert!(meter.read(at(5), (u64::MAX, u64::MAX)));
        assert_eq!(told(&meter, at(5))[..2], [Some(104), Some(1049)]);
        assert!(meter.counters(at(5)).bps > Some(u64::MAX / 6));
    }

    /// Covers: S-042. A restart of the server does not make a mitigation young.
    #[test]
    fn what_was_in_force_before_a_restart_averages_over_all_its_life() {
        let (mut meter, at) = meter(899);
        assert!(meter.read(at(1), (900, 9000)));
        assert_eq!(told(&meter, at(1))[2..], [Some(1), Some(10)]);
    }
}
