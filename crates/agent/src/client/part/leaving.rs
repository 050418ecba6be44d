//! How a part ends at its server, and what for (RFC 9132 §4.4.4).

use super::Part;
use crate::client::state::{End, State};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// What a part is withdrawn for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) enum Leaving {
    /// It is not wanted any more.
    ForGood,
    /// To be asked for again under a new number (RFC 9132 §4.4.1.1).
    ToRenumber,
    /// Another server was asked instead.
    ToMove(AssociationId),
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

    /// 2.02.
    pub(in crate::client) fn deleted(&mut self) {
        if self.state == State::Withdrawing {
            self.state = State::Ended(match &self.leaving {
                Leaving::ToMove(to) => End::Moved { to: to.clone() },
                Leaving::ForGood | Leaving::ToRenumber => End::Withdrawn,
            });
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
