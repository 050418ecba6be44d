//! When a Confirmable message is sent again (RFC 7252 §4.2).
//!
//! ```text
//! sent ---timeout---> again ---2 x timeout---> again ---4 x timeout---> given up
//! |<--------------- MAX_TRANSMIT_SPAN at most ----->|
//! ```

use std::time::{Duration, Instant};

use crate::parameters::{TransmissionParameters, after};

#[derive(Debug)]
pub(crate) struct Retransmission {
    timeout: Duration,
    remaining: u32,
    deadline: Instant,
    last_opportunity: Instant,
    give_up: Instant,
}

/// What to do when the deadline has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send the message again.
    Transmit,
    /// The opportunity came too late; wait on for an acknowledgement.
    Miss,
    /// It was not delivered.
    GiveUp,
}

impl Retransmission {
    /// Of a message sent at `now`. Negotiated parameters count from the next message on.
    pub(crate) fn new(now: Instant, parameters: &TransmissionParameters, fraction: f64) -> Self {
        let timeout = parameters.initial_timeout(fraction);
        Self {
            timeout,
            remaining: parameters.max_retransmit,
            deadline: after(now, timeout),
            last_opportunity: after(now, parameters.max_transmit_span()),
            give_up: after(now, parameters.max_transmit_wait()),
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) -> Due {
        let Some(remaining) = self.remaining.checked_sub(1).filter(|_| now < self.give_up) else {
            return Due::GiveUp;
        };
        self.remaining = remaining;
        self.timeout = self.timeout.saturating_mul(2);
        self.deadline = after(now, self.timeout);
        if now <= self.last_opportunity {
            Due::Transmit
        } else {
            Due::Miss
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(fraction: f64, lateness: Duration) -> Vec<(Due, Duration)> {
        let start = now();
        let mut retransmission =
            Retransmission::new(start, &TransmissionParameters::default(), fraction);
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(due, _)| *due != Due::GiveUp) {
            let now = retransmission.deadline() + lateness;
            seen.push((retransmission.on_deadline(now), now - start));
        }
        seen
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the origin of a virtual clock"
    )]
    fn now() -> Instant {
        Instant::now()
    }

    /// RFC 7252 §4.2. Covers: S-056.
    #[test]
    fn the_wait_doubles_and_three_retransmissions_are_made() {
        let seconds = Duration::from_secs;
        let seen = run(0.0, Duration::ZERO);
        assert_eq!(
            seen,
            [
                (Due::Transmit, seconds(2)),
                (Due::Transmit, seconds(6)),
                (Due::Transmit, seconds(14)),
                (Due::GiveUp, seconds(30)),
            ]
        );
    }

    /// RFC 7252 §4.2: the sequence stays within MAX_TRANSMIT_SPAN, even if a transmission is
    /// missed.
    #[test]
    fn a_late_timer_misses_a_transmission_rather_than_leave_the_span() {
        let seen = run(0.9, Duration::from_secs(2));
        let sent: Vec<_> = seen
            .iter()
            .filter(|(due, _)| *due == Due::Transmit)
            .collect();
        assert_eq!(sent.len(), 2, "{seen:?}");
        assert!(sent.iter().all(|(_, at)| *at <= Duration::from_secs(21)));
    }
}
