//! What a server refuses or ends although it is wanted (RFC 9132 §4.4.1.3, §4.4.2, §9).
//!
//! ```text
//! never granted, and no repetition can mend it ----> Refused
//! refused while it is prolonged -------------------> Accepted until it expires, asked again later
//! else refused, or ended by the server (5, 6, 7) --> Postponed --a pause that doubles--> Asking
//! ```

use std::time::Duration;

use dots::mitigation::Status;

use super::Part;
use crate::client::exchange::{LONGEST_PAUSE, Refused, pause_after_refusals};
use crate::client::state::{End, Pause, Setback, State};
use crate::time::Now;

impl Part {
    /// The server does not take what it is asked for.
    pub(in crate::client) fn refused(&mut self, now: Now, said: Refused, dice: &mut fastrand::Rng) {
        if !self.is_asked_for() {
            return;
        }
        if said.is_final && !self.is_standing {
            return self.refused_for_good(said);
        }
        let pause = self.next_pause(now, dice).max(said.wait);
        self.conflict = said.conflict;
        let (code, diagnostic) = (said.code, said.diagnostic);
        if self.is_renewing() {
            return self.postpone(now, pause, Pause::Refused { code, diagnostic });
        }
        self.state = State::Postponed {
            retry: now.monotonic + pause,
            after: Setback::Refused { code, diagnostic },
        };
    }

    /// No repetition can mend it.
    pub(in crate::client) fn refused_for_good(&mut self, said: Refused) {
        if self.is_asked_for() {
            self.is_refreshing = false;
            self.conflict = said.conflict;
            self.state = State::Refused {
                code: said.code,
                diagnostic: said.diagnostic,
            };
        }
    }

    fn is_asked_for(&self) -> bool {
        self.state == State::Asking || self.is_renewing()
    }

    /// The server shows it as ended, or as about to end.
    pub(super) fn ended(&mut self, now: Now, status: Status, dice: &mut fastrand::Rng) {
        if self.is_wish_over(now.monotonic) {
            return self.end(End::Expired);
        }
        let pause = self.next_pause(now, dice);
        self.ask_again(now);
        self.state = State::Postponed {
            retry: now.monotonic + pause,
            after: Setback::Ended(status),
        };
    }

    /// The pause after a setback: twice as long as after the one before, unless it has stood for long
    /// since then. Many clients of one server do not come back at once.
    fn next_pause(&mut self, now: Now, dice: &mut fastrand::Rng) -> Duration {
        let stood = self.stood_since.take();
        if stood.is_some_and(|since| since + LONGEST_PAUSE <= now.monotonic) {
            self.setbacks = 0;
        }
        let pause = pause_after_refusals(self.setbacks).min(LONGEST_PAUSE * 3 / 4);
        self.setbacks = self.setbacks.saturating_add(1);
        pause + pause.mul_f64(dice.f64() / 3.0)
    }
}
