//! Asking the routers of a link to advertise, when a node comes to it (RFC 4861 §6.3.7).

use std::time::{Duration, Instant};

/// `MAX_RTR_SOLICITATION_DELAY`: many nodes come to a link at once when it is switched on.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// `RTR_SOLICITATION_INTERVAL`
const INTERVAL: Duration = Duration::from_secs(4);
/// `MAX_RTR_SOLICITATIONS`
const MOST: u8 = 3;

/// Until a default router answers.
#[derive(Debug, Default)]
pub(super) struct Solicitation {
    next: Option<Instant>,
    sent: u8,
}

impl Solicitation {
    pub(super) fn begin(&mut self, random: &mut fastrand::Rng, now: Instant) {
        let delay = LONGEST_DELAY.mul_f64(random.f64());
        *self = Self {
            next: Some(now + delay),
            sent: 0,
        };
    }

    pub(super) fn end(&mut self) {
        self.next = None;
    }

    /// Whether the routers are to be asked now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_some_and(|next| next <= now);
        if is_due {
            self.sent += 1;
            self.next = (self.sent < MOST).then_some(now + INTERVAL);
        }
        is_due
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}
