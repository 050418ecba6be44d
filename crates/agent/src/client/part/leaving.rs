//! How a part ends at its server, and what for (RFC 9132 §4.4.4).
//!
//! ```text
//! withdrawn, the wish over, or granted by another server that was asked instead --> Withdrawing
//!   Withdrawing --2.02--> Ended --a copy of the request may be late--> looked at for 100 s
//!        ^-----------------------------the server shows it again-----------'
//! ```

use std::time::{Duration, Instant};

use dots::lifetime::RemainingLifetime;
use dots::mitigation::{MitigationStatus, Status};

use super::{Held, Part};
use crate::client::state::{End, State};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// How late a copy of a request can arrive (RFC 7252 §4.8.2, MAX_LATENCY).
const LATEST_COPY: Duration = Duration::from_secs(100);

/// What a part is withdrawn for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum Leaving {
    /// It is not wanted any more.
    ForGood,
    /// The wish is over, but the server may have it longer.
    Expired,
    /// To be asked for again under a new number (RFC 9132 §4.4.1.1).
    ToRenumber,
    /// Another server is asked instead: withdrawn once that one has granted it.
    ToMove(AssociationId),
    /// By a new decision its server is not to be asked.
    Unasked,
}

impl Part {
    /// It is not wanted any more.
    pub(in crate::client) fn withdraw(&mut self, now: Now) {
        if !self.is_over() {
            self.leave(now, Leaving::ForGood);
        }
    }

    /// The server is told to stop, if it may have it. Who is being told already is not told anew.
    pub(in crate::client) fn leave(&mut self, now: Now, leaving: Leaving) {
        self.leaving = leaving;
        if self.state == State::Withdrawing {
            return;
        }
        self.behind = self
            .behind
            .filter(|it| it.until.is_none_or(|end| end > now.monotonic));
        self.expires = self.with_behind(self.held_until(now));
        self.state = State::Withdrawing;
        self.asking_since = now.monotonic;
        self.pause = None;
        let is_over = self.expires.is_some_and(|end| end <= now.monotonic);
        if self.held == Held::Nothing && self.behind.is_none() || is_over {
            self.gone();
        }
    }

    /// A request may have been sent several times, and not every copy have arrived.
    pub(in crate::client) fn copied(&mut self) {
        self.has_late_copies = true;
    }

    /// 2.02.
    pub(in crate::client) fn deleted(&mut self, now: Now) {
        if std::mem::take(&mut self.has_late_copies) {
            self.watched = Some(now.monotonic + LATEST_COPY);
        }
        if self.watched.is_some() {
            self.observe_later(now);
        }
        self.gone();
    }

    /// The server has it no more, whatever it has heard.
    pub(super) fn gone(&mut self) {
        if self.state == State::Withdrawing {
            self.state = State::Ended(match &self.leaving {
                Leaving::ToMove(to) => End::Moved { to: to.clone() },
                Leaving::Expired => End::Expired,
                Leaving::Unasked => End::NotAsked,
                Leaving::ForGood | Leaving::ToRenumber => End::Withdrawn,
            });
        }
    }

    /// Until when the server is looked at, once it is over.
    pub(super) fn watched(&self) -> Option<Instant> {
        self.watched
            .filter(|_| matches!(self.state, State::Ended(_)))
    }

    /// What is over is shown by the server.
    pub(super) fn lingers(&mut self, now: Now, shown: &MitigationStatus) {
        let is_ending = matches!(
            shown.status,
            Status::DotsClientWithdrawnMitigation
                | Status::AttackMitigationTerminated
                | Status::AttackMitigationWithdrawn
        );
        if !is_ending && self.watched().is_some() {
            self.state = State::Withdrawing;
            self.asking_since = now.monotonic;
            self.pause = None;
            self.held = Held::Granted;
            self.expires = match shown.lifetime {
                RemainingLifetime::Seconds(left) => {
                    let end = now.monotonic + Duration::from_secs(left.into());
                    self.watched.max(Some(end))
                }
                RemainingLifetime::Indefinite => None,
            };
        }
    }

    /// Whether it is being withdrawn for good.
    pub(in crate::client) fn is_withdrawn(&self) -> bool {
        self.state == State::Withdrawing && !self.is_renumbered()
    }

    /// Whether it was or is being withdrawn here: that is no word of its server.
    pub(in crate::client) fn was_withdrawn(&self) -> bool {
        self.is_withdrawn() || self.state == State::Ended(End::Withdrawn)
    }

    /// Whether it is withdrawn only to be asked for again under a new number.
    pub(in crate::client) fn is_renumbered(&self) -> bool {
        self.leaving == Leaving::ToRenumber
    }

    /// Another server is asked from now on. What this one may have stays with it until the other one
    /// has granted it.
    pub(in crate::client) fn moved(&mut self, to: AssociationId) {
        let has_nothing = match self.held {
            Held::Nothing => true,
            Held::Asked => self.is_redirected() && self.behind.is_none(),
            Held::Granted => false,
        };
        if has_nothing && self.is_going() {
            self.end(End::Moved { to });
        } else {
            self.leaving = Leaving::ToMove(to);
        }
    }

    /// It is asked for here again: the other server does not take it.
    pub(in crate::client) fn stays(&mut self, now: Now) {
        self.leaving = Leaving::ForGood;
        self.asking_since = now.monotonic;
    }

    /// The other server has granted it.
    pub(in crate::client) fn hand_over(&mut self, now: Now) {
        self.leave(now, self.leaving.clone());
    }

    /// Whether another server is asked instead, and has not granted it.
    pub(in crate::client) fn is_moving(&self) -> bool {
        self.is_going() && matches!(self.leaving, Leaving::ToMove(_))
    }

    /// Its server is not to be asked any more. What it may have is withdrawn.
    pub(in crate::client) fn unasked(&mut self, now: Now) {
        if self.is_going() {
            self.leave(now, Leaving::Unasked);
        }
    }

    /// Whether its server is not to be asked any more.
    pub(in crate::client) fn is_unasked(&self) -> bool {
        self.state == State::Ended(End::NotAsked) || self.leaving == Leaving::Unasked
    }

    /// The server that is asked instead.
    pub(in crate::client) fn moved_to(&self) -> Option<&AssociationId> {
        match (&self.leaving, &self.state) {
            (Leaving::ToMove(to), _) | (_, State::Ended(End::Moved { to })) => Some(to),
            _ => None,
        }
    }

    /// Whether another server is asked instead.
    pub(in crate::client) fn is_moved(&self) -> bool {
        self.moved_to().is_some()
    }
}
