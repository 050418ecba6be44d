use std::time::Duration;

use crate::parameters::TransmissionParameters;

/// Share of a new sample in the estimate: one part in this many (RFC 6298 §2 uses the same).
const SMOOTHING: u32 = 8;

/// The estimate of the round-trip time, and the waits that follow from it (RFC 9132 §4.4).
///
/// Only requests sent once give samples, for otherwise it is unknown which copy was answered
/// (Karn's rule). The other half of that rule keeps a wait that had to grow for the requests that
/// follow, until there is a new sample: a path that became slower than the waits would give no
/// samples at all. Where much is lost and nothing is slow, samples are rare, too, so that every
/// response tells something: no round trip is longer than the time since the first copy.
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    backed_off: Duration,
}

impl RoundTrip {
    pub(crate) fn estimate(&self) -> Option<Duration> {
        self.smoothed
    }

    pub(crate) fn sample(&mut self, sample: Duration) {
        self.backed_off = Duration::ZERO;
        self.smoothed = Some(match self.smoothed {
            None => sample,
            Some(old) => (old.saturating_mul(SMOOTHING - 1).saturating_add(sample)) / SMOOTHING,
        });
    }

    /// One of several copies was answered, so long after the first was sent. Who waits as long as
    /// that hears an answer that comes.
    pub(crate) fn bound(&mut self, since_first: Duration) {
        self.backed_off = self.backed_off.min(since_first);
    }

    /// The wait before a Non-confirmable request is sent a second time.
    pub(crate) fn first_interval(&self, parameters: &TransmissionParameters) -> Duration {
        let longest = self.longest_interval(parameters);
        match self.smoothed {
            None => longest,
            Some(smoothed) => {
                let wanted = smoothed
                    .saturating_mul(4)
                    .max(parameters.non_minimum_interval);
                wanted.max(self.backed_off).min(longest)
            }
        }
    }

    /// The wait after one of `interval` that brought no response.
    pub(crate) fn next_interval(
        &mut self,
        interval: Duration,
        parameters: &TransmissionParameters,
    ) -> Duration {
        let grown = interval
            .saturating_add(interval / 2)
            .min(self.longest_interval(parameters));
        self.backed_off = self.backed_off.max(grown);
        grown
    }

    /// The least time between two Non-confirmable datagrams to a peer that does not answer: one a
    /// round trip, and without an estimate one every 3 s (RFC 9132 §4.4).
    pub(crate) fn pace(&self, parameters: &TransmissionParameters) -> Duration {
        self.smoothed.unwrap_or(parameters.non_repeat_interval)
    }

    fn longest_interval(&self, parameters: &TransmissionParameters) -> Duration {
        parameters
            .non_repeat_interval
            .max(self.smoothed.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: fn() -> TransmissionParameters = TransmissionParameters::default;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Covers: S-038.
    #[test]
    fn without_an_estimate_the_wait_is_always_three_seconds() {
        let mut round_trip = RoundTrip::default();
        let first = round_trip.first_interval(&PARAMETERS());
        assert_eq!(first, millis(3000));
        assert_eq!(round_trip.next_interval(first, &PARAMETERS()), millis(3000));
        assert_eq!(round_trip.pace(&PARAMETERS()), millis(3000));
    }

    /// Covers: S-038.
    #[test]
    fn with_an_estimate_the_wait_grows_from_four_round_trips_to_three_seconds() {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(millis(100));
        let mut wait = round_trip.first_interval(&PARAMETERS());
        assert_eq!(wait, millis(400));
        wait = round_trip.next_interval(wait, &PARAMETERS());
        assert_eq!(wait, millis(600));
        for _ in 0..10 {
            wait = round_trip.next_interval(wait, &PARAMETERS());
        }
        assert_eq!(wait, millis(3000));
    }

    /// Covers: S-038. One datagram a round trip, also where that is longer than 3 s.
    #[test]
    fn a_slow_path_is_never_asked_twice_a_round_trip() {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(millis(5000));
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(5000));
    }

    #[test]
    fn a_fast_path_is_not_flooded() {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(Duration::ZERO);
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(250));
    }

    #[test]
    fn a_wait_that_had_to_grow_is_kept_until_the_next_sample() {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(millis(100));
        let wait = round_trip.first_interval(&PARAMETERS());
        round_trip.next_interval(wait, &PARAMETERS());
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(600));
        round_trip.sample(millis(100));
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(400));
    }

    #[test]
    fn a_wait_that_had_to_grow_is_as_long_as_an_answer_took_at_most() {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(millis(100));
        let mut wait = round_trip.first_interval(&PARAMETERS());
        for _ in 0..10 {
            wait = round_trip.next_interval(wait, &PARAMETERS());
        }
        round_trip.bound(millis(5000));
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(3000));
        round_trip.bound(millis(900));
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(900));
        round_trip.bound(millis(10));
        assert_eq!(round_trip.first_interval(&PARAMETERS()), millis(400));
    }

    #[test]
    fn the_estimate_is_smoothed() {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(millis(100));
        round_trip.sample(millis(900));
        assert_eq!(round_trip.estimate(), Some(millis(200)));
    }
}
