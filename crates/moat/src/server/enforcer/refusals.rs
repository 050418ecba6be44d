//! Customers for whom the mitigator did not do what it did for others: they are left out for a while, each time for longer.
//!
//! ```text
//! refused alone --> left out: 5 s, 10 s ... 10 min --> tried alone, after the others --taken--> like the others
//!                       '--it gives up what was refused: 5 s at most--^
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mitigator::MitigatorError;

use super::INTERVAL;

/// The longest time for which a customer is left out whose part was refused alone.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A customer is left out.
#[derive(Debug, Clone, Copy)]
struct Refused {
    until: Instant,
    pause: Duration,
}

/// The customers that were refused alone, and nothing was done for since.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<String, Refused>);

impl Refusals {
    /// Whether a customer was refused and is tried alone.
    pub(super) fn has(&self, customer: &str) -> bool {
        self.0.contains_key(customer)
    }

    /// Whether nothing is tried for a customer now.
    pub(super) fn leaves_out(&self, now: Instant, customer: &str) -> bool {
        let refused = self.0.get(customer);
        refused.is_some_and(|refused| refused.until > now)
    }

    /// Notes whether the mitigator has done a customer's part when that was all that was asked of it.
    pub(super) fn note(&mut self, now: Instant, customer: &str, error: Option<&MitigatorError>) {
        let Some(error) = error else {
            self.0.remove(customer);
            return;
        };
        let before = self.0.get(customer).map(|refused| refused.pause);
        let pause = before.map_or(INTERVAL, |pause| (pause * 2).min(LONGEST_PAUSE));
        tracing::error!(customer, %error, ?pause, "the filter does not take what this customer asks for");
        let until = now + pause;
        self.0.insert(customer.to_owned(), Refused { until, pause });
    }

    /// A customer has given up something that was not done: the rest may do. It is not tried at once, for who asks and
    /// gives up in turn would keep the mitigator busy.
    pub(super) fn relent(&mut self, now: Instant, customer: &str) {
        if let Some(refused) = self.0.get_mut(customer) {
            refused.until = refused.until.min(now + INTERVAL);
        }
    }
}

/// Whether less at a time may do.
pub(super) fn is_divisible(error: &MitigatorError) -> bool {
    matches!(
        error,
        MitigatorError::TimedOut { .. }
            | MitigatorError::TooLarge { .. }
            | MitigatorError::Rejected { .. }
    )
}

/// Whether the mitigator has said so, and not been waited for in vain.
pub(super) fn is_at_once(error: &MitigatorError) -> bool {
    is_divisible(error) && !matches!(error, MitigatorError::TimedOut { .. })
}
