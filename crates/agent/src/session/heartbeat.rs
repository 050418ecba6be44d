//! The heartbeats of one session (RFC 9132 §4.7).
//!
//! ```text
//! agent                                   peer
//!   | NON PUT /.well-known/dots/hb          |   every heartbeat-interval
//!   |  {heartbeat: {peer-hb-status: bool}}  |   true: the peer's own heartbeats arrive here
//!   |-------------------------------------->|
//!   |                                  2.04 |
//!   |<--------------------------------------|   anything received proves the peer alive
//! ```

use std::time::{Duration, Instant};

use dots::configuration::ConfigurationSet;
use dtls::Transport;

/// How often heartbeats go out and how many may stay unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeartbeatParameters {
    /// `heartbeat-interval`: 15 s to 240 s; zero turns heartbeats off (RFC 9132 §4.5.2).
    interval: Duration,
    /// `missing-hb-allowed`: consecutive unanswered heartbeats after which a session counts as
    /// disconnected.
    missing_allowed: u32,
}

impl HeartbeatParameters {
    /// Over TCP, a heartbeat has one interval to be answered in, and nothing is lost on the way:
    /// the first that is not answered counts (RFC 9132 §4.5, §4.7).
    pub(super) fn new(set: &ConfigurationSet, transport: Transport) -> Self {
        Self {
            interval: set.heartbeat_interval.duration().unwrap_or_default(),
            missing_allowed: match transport {
                Transport::Datagram => set.missing_hb_allowed.get().into(),
                Transport::Stream => 1,
            },
        }
    }
}

/// What a timeout of the machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a heartbeat that says whether the peer's own arrive.
    Send { peer_hb_status: bool },
    /// `missing-hb-allowed` heartbeats in a row went unanswered. Said once until the peer is
    /// heard again; heartbeats go on.
    Unanswered,
}

/// Sends heartbeats and counts what comes back.
#[derive(Debug)]
pub(super) struct Heartbeat {
    parameters: HeartbeatParameters,
    next: Instant,
    awaiting_answer: bool,
    unanswered: u32,
    /// [`Due::Unanswered`] was said, and nothing came since.
    said: bool,
    peer_heartbeat: Option<Instant>,
}

impl Heartbeat {
    /// Starts when the session is established.
    pub(super) fn new(now: Instant, parameters: HeartbeatParameters) -> Self {
        Self {
            parameters,
            next: now + parameters.interval,
            awaiting_answer: false,
            unanswered: 0,
            said: false,
            peer_heartbeat: None,
        }
    }

    /// Another configuration holds from now on; the next heartbeat follows its interval.
    pub(super) fn reconfigure(&mut self, now: Instant, parameters: HeartbeatParameters) {
        if parameters != self.parameters {
            self.parameters = parameters;
            self.next = now + parameters.interval;
        }
    }

    /// When [`Heartbeat::due`] has something to say.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        (!self.parameters.interval.is_zero()).then_some(self.next)
    }

    /// Anything came from the peer: the session lives, whatever became of single heartbeats.
    pub(super) fn on_received(&mut self) {
        self.awaiting_answer = false;
        self.unanswered = 0;
        self.said = false;
    }

    /// Whether too many heartbeats in a row went unanswered.
    pub(super) fn is_peer_silent(&self) -> bool {
        self.unanswered >= self.parameters.missing_allowed.max(1)
    }

    /// How many heartbeats in a row went unanswered.
    pub(super) fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// A heartbeat of the peer came.
    pub(super) fn on_peer_heartbeat(&mut self, now: Instant) {
        self.peer_heartbeat = Some(now);
    }

    /// What is due at `now`; call until `None`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.next_timeout().is_none_or(|next| now < next) {
            return None;
        }
        if self.awaiting_answer {
            self.awaiting_answer = false;
            self.unanswered = self.unanswered.saturating_add(1);
            // The limit may have come down below the count: another set of parameters holds.
            if self.is_peer_silent() && !self.said {
                self.said = true;
                return Some(Due::Unanswered);
            }
        }
        self.next = now + self.parameters.interval;
        self.awaiting_answer = true;
        let recent = 2 * self.parameters.interval;
        let peer_hb_status = self
            .peer_heartbeat
            .is_some_and(|at| now.saturating_duration_since(at) <= recent);
        Some(Due::Send { peer_hb_status })
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
mod tests {
    use super::*;

    fn machine() -> (Instant, Duration, Heartbeat) {
        let start = Instant::now();
        let parameters = HeartbeatParameters {
            interval: Duration::from_secs(30),
            missing_allowed: 3,
        };
        (
            start,
            parameters.interval,
            Heartbeat::new(start, parameters),
        )
    }

    /// Covers: S-066
    #[test]
    fn peer_hb_status_is_true_for_two_intervals_after_a_heartbeat_of_the_peer() {
        let (start, interval, mut machine) = machine();
        machine.on_peer_heartbeat(start);
        let sent: Vec<bool> = (1..=3)
            .map(|beat| match machine.due(start + beat * interval) {
                Some(Due::Send { peer_hb_status }) => peer_hb_status,
                other => panic!("{other:?} instead of a heartbeat"),
            })
            .collect();
        assert_eq!(sent, [true, true, false]);
    }

    /// Covers: S-067
    #[test]
    fn the_session_is_unanswered_after_missing_hb_allowed_heartbeats_in_a_row() {
        let (start, interval, mut machine) = machine();
        for beat in 1..=3 {
            assert!(matches!(
                machine.due(start + beat * interval),
                Some(Due::Send { .. })
            ));
        }
        assert_eq!(machine.due(start + 4 * interval), Some(Due::Unanswered));
        let more = machine.due(start + 4 * interval);
        assert!(matches!(more, Some(Due::Send { .. })), "heartbeats go on");
        assert_eq!(machine.due(start + 4 * interval), None);
    }

    /// Covers: S-059, S-070
    #[test]
    fn a_limit_that_comes_down_below_the_count_is_exceeded_and_that_is_said_once() {
        let (start, interval, mut machine) = machine();
        for beat in 1..=3 {
            machine.due(start + beat * interval);
        }
        let stricter = HeartbeatParameters {
            interval,
            missing_allowed: 1,
        };
        machine.reconfigure(start + 3 * interval, stricter);
        assert_eq!(machine.due(start + 4 * interval), Some(Due::Unanswered));
        for beat in 4..=9 {
            let due = machine.due(start + beat * interval);
            assert!(matches!(due, Some(Due::Send { .. })), "{due:?}");
        }
        machine.on_received();
        machine.due(start + 10 * interval);
        assert_eq!(machine.due(start + 11 * interval), Some(Due::Unanswered));
    }

    /// Covers: S-067, S-069
    #[test]
    fn anything_received_starts_the_count_again() {
        let (start, interval, mut machine) = machine();
        for beat in 1..=20 {
            let due = machine.due(start + beat * interval);
            assert!(
                matches!(due, Some(Due::Send { .. })),
                "beat {beat}: {due:?}"
            );
            if beat % 3 == 0 {
                machine.on_received();
            }
        }
    }

    /// Covers: S-056
    #[test]
    fn an_interval_of_zero_turns_heartbeats_off() {
        let (start, interval, _) = machine();
        let off = HeartbeatParameters {
            interval: Duration::ZERO,
            missing_allowed: 3,
        };
        let mut machine = Heartbeat::new(start, off);
        assert_eq!(machine.next_timeout(), None);
        assert_eq!(machine.due(start + interval), None);
    }
}
