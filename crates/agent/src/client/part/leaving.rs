//! How a part ends at its server, and what for (RFC 9132 §4.4.4).
//!
//! ```text
//! withdrawn, moved, or the wish over while the server may have it --> Withdrawing
//!   Withdrawing --2.02--> Ended --a copy of the request may be late--> looked at for 100 s
//!        ^-----------------------------the server shows it again-----------'
//! ```

use std::time::{Duration, Instant};

use dots::mitigation::Status;

use super::Part;
use crate::client::state::{End, State};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// How late a copy of a request can arrive (RFC 7252 §4.8.2, MAX_LATENCY).
const LATEST_COPY: Duration = Duration::from_secs(100);
/// How long a server that may mitigate beyond the wish is told to stop, if it does not answer.
const WITHDRAWAL: Duration = Duration::from_secs(3600);

/// What a part is withdrawn for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum Leaving {
    /// It is not wanted any more.
    ForGood,
    /// The wish is over, but the server may have it longer.
    Expired,
    /// To be asked for again under a new number (RFC 9132 §4.4.1.1).
    ToRenumber,
    /// Another server was asked instead.
    ToMove(AssociationId),
    /// By a new decision its server is not to be asked.
    Unasked,
}

impl Part {
    pub(in crate::client) fn withdraw(&mut self, now: Now) {
        if !self.is_over() {
            self.state = State::Withdrawing;
            self.leaving = Leaving::ForGood;
            self.asking_since = now.monotonic;
            self.pause = None;
        }
    }

    /// The wish is over.
    pub(super) fn expire(&mut self, now: Now, server_may_have_it: bool) {
        if server_may_have_it {
            self.withdraw(now);
            self.leaving = Leaving::Expired;
            self.expires = self.expires.max(Some(now.monotonic + WITHDRAWAL));
        } else {
            self.state = State::Ended(End::Expired);
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
    pub(super) fn lingers(&mut self, now: Now, status: Status) {
        let is_ending = matches!(
            status,
            Status::AttackMitigationTerminated | Status::AttackMitigationWithdrawn
        );
        if !is_ending && self.watched().is_some() {
            self.state = State::Withdrawing;
            self.asking_since = now.monotonic;
            self.pause = None;
            self.expires = self.watched;
        }
    }

    /// Whether it is being withdrawn for good.
    pub(in crate::client) fn is_withdrawn(&self) -> bool {
        self.state == State::Withdrawing && !self.is_renumbered()
    }

    /// Whether it is withdrawn only to be asked for again under a new number.
    pub(in crate::client) fn is_renumbered(&self) -> bool {
        self.leaving == Leaving::ToRenumber
    }

    /// Another server is asked from now on. What this one may know is withdrawn.
    pub(in crate::client) fn moved(&mut self, now: Now, to: AssociationId) {
        if self.was_sent && !self.is_redirected() {
            self.withdraw(now);
            self.leaving = Leaving::ToMove(to);
        } else {
            self.end(End::Moved { to });
        }
    }

    /// Its server is not to be asked any more. What it may know is withdrawn.
    pub(in crate::client) fn unasked(&mut self, now: Now) {
        if self.is_going() && self.was_sent {
            self.withdraw(now);
            self.leaving = Leaving::Unasked;
        } else if self.is_going() {
            self.end(End::NotAsked);
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
