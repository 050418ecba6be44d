//! How many requests a customer may make (RFC 9132 §11).

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// A token bucket that is full to begin with.
#[derive(Debug)]
pub(super) struct RequestBudget {
    /// When the bucket is full again.
    full: Instant,
}

impl RequestBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self { full: now }
    }

    /// Takes `requests` out of a bucket that holds `burst` and gets `per_second` back; or says
    /// how long it takes until they are there. A full bucket is enough for any number.
    pub(super) fn take(
        &mut self,
        now: Instant,
        per_second: NonZeroU32,
        burst: NonZeroU32,
        requests: u32,
    ) -> Result<(), Duration> {
        let each = Duration::from_secs(1) / per_second.get();
        let full = self.full.max(now) + each * requests.min(burst.get());
        let missing = full.duration_since(now);
        let most = each * burst.get();
        if missing > most {
            return Err(missing - most);
        }
        self.full = full;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    ///
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the origin of a virtual clock"
    )]
    fn a_burst_is_allowed_and_comes_back_at_the_rate() {
        let start = Instant::now();
        let rate = NonZeroU32::new(4).unwrap();
        let burst = NonZeroU32::new(3).unwrap();
        let mut budget = RequestBudget::new(start);
        let mut take = |millis| budget.take(start + Duration::from_millis(millis), rate, burst, 1);
        for _ in 0..3 {
            assert_eq!(take(0), Ok(()));
        }
        assert_eq!(take(0), Err(Duration::from_millis(250)));
        assert_eq!(take(249), Err(Duration::from_millis(1)));
        assert_eq!((take(250), take(250).is_ok()), (Ok(()), false));
        // It never holds more than a burst, and a clock that lags does no harm.
        for _ in 0..3 {
            assert_eq!(take(60_000), Ok(()));
        }
        assert!(take(60_000).is_err() && take(0).is_err());
    }

    ///
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the origin of a virtual clock"
    )]
    fn a_large_request_takes_the_place_of_many_and_is_possible_with_a_full_bucket() {
        let start = Instant::now();
        let rate = NonZeroU32::new(4).unwrap();
        let burst = NonZeroU32::new(3).unwrap();
        let mut budget = RequestBudget::new(start);
        let mut take = |requests| budget.take(start, rate, burst, requests);
        assert_eq!((take(0), take(2)), (Ok(()), Ok(())));
        assert_eq!(take(2), Err(Duration::from_millis(250)));
        assert_eq!((take(1), take(0)), (Ok(()), Ok(())));
        let mut full = RequestBudget::new(start);
        assert_eq!(full.take(start, rate, burst, u32::MAX), Ok(()));
    }
}
