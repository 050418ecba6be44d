//! What becomes of a part when nothing comes from its server.

use std::time::{Duration, Instant};

use dots::lifetime::Lifetime;

use super::{Leaving, Part};
use crate::client::exchange::SHORTEST_PAUSE;
use crate::client::state::{Pause, State};
use crate::time::Now;

/// Both ends count whole seconds.
const ROUNDING: Duration = Duration::from_secs(2);

impl Part {
    /// When the part changes by itself.
    pub(in crate::client) fn next_timeout(&self) -> Option<Instant> {
        let pending = !self.is_over() || self.watched().is_some();
        [
            self.ends_at(),
            self.retry_at(),
            self.refresh,
            self.pause_until(),
            self.observe_after,
            self.fresh_until,
            self.watched,
            self.efficacy.map(|(_, at)| at),
        ]
        .into_iter()
        .flatten()
        .filter(|_| pending)
        .min()
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self.state {
            State::Deactivated { retry } | State::Postponed { retry, .. } => Some(retry),
            _ => None,
        }
    }

    /// When the state comes to its end without the server.
    fn ends_at(&self) -> Option<Instant> {
        match self.state {
            State::Asking | State::Deactivated { .. } | State::Postponed { .. } => self.wish.until,
            State::Accepted(_) => {
                let wanted = self.wish.until.map(|until| until + ROUNDING);
                self.expires.into_iter().chain(wanted).min()
            }
            // By then the server has let it expire, whether it ever hears of the withdrawal.
            State::Withdrawing => self.expires,
            State::Refused { .. } | State::Ended(_) => None,
        }
    }

    pub(in crate::client) fn handle_timeout(&mut self, now: Now) {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now.monotonic);
        if past(self.pause_until()) {
            self.pause = None;
            self.asking_since = now.monotonic;
        }
        if past(self.observe_after) {
            self.observe_after = None;
        }
        if past(self.fresh_until) {
            self.fresh_until = None;
        }
        if past(self.efficacy.map(|(_, at)| at)) {
            self.efficacy = None;
        }
        if past(self.watched) {
            self.watched = None;
        }
        if past(self.ends_at()) {
            match self.state {
                // The server has it no more.
                State::Accepted(_) if !self.is_wish_over(now.monotonic) => {
                    self.ask_again(now);
                    self.spare(now);
                }
                State::Withdrawing => self.gone(),
                _ => self.leave(now, Leaving::Expired),
            }
        }
        if past(self.refresh) {
            self.refresh = None;
            if self.is_accepted() {
                self.renew(now);
                self.spare(now);
            }
        }
        if past(self.retry_at()) {
            match self.state {
                // What it granted before it refused, it may still have.
                State::Postponed { .. } => {
                    self.state = State::Asking;
                    self.asking_since = now.monotonic;
                }
                _ => self.ask_again(now),
            }
        }
    }

    /// When what the server grants is to be prolonged: at half of it, if it ends before the wish.
    pub(super) fn refresh_due(&self, now: Now) -> Option<Instant> {
        let end = self.expires.filter(|end| !self.is_wish_over(*end))?;
        let half = end.saturating_duration_since(now.monotonic) / 2;
        Some(now.monotonic + half.max(SHORTEST_PAUSE))
    }

    /// Asks again for what is accepted.
    pub(super) fn renew(&mut self, now: Now) {
        self.is_refreshing = true;
        self.asking_since = now.monotonic;
        self.pause = None;
    }

    /// What comes to its end is not asked for more often than a server is asked anything.
    fn spare(&mut self, now: Now) {
        let earliest = self.granted_at.map(|at| at + SHORTEST_PAUSE);
        self.pause = earliest
            .filter(|at| *at > now.monotonic)
            .map(|at| (at, Pause::ShortLived));
    }

    /// Whether what is wanted ends, to the second, at `end`.
    pub(super) fn is_wish_over(&self, end: Instant) -> bool {
        self.wish
            .until
            .is_some_and(|wanted| end + ROUNDING >= wanted)
    }
}

/// When `lifetime` is over; `None`: never.
pub(in crate::client) fn until(now: Now, lifetime: Lifetime) -> Option<Instant> {
    match lifetime {
        Lifetime::Seconds(seconds) => {
            Some(now.monotonic + Duration::from_secs(seconds.get().into()))
        }
        Lifetime::Indefinite => None,
    }
}
