//! What a server that redirects its client elsewhere has granted before, or may have, and is told when it is withdrawn
//! (RFC 9132 §4.6). The RFC assumes that both servers know the same; where they do not, nobody else would
//! end it.
//!
//! ```text
//! at the provisioned server, as far as is known --redirect--> left behind --redirect over--> asked there as ever
//!                                                               '--withdrawn--> DELETE at both, until each answers
//! ```

use std::time::Instant;

use super::{Held, Part};
use crate::client::route::Destination;
use crate::client::state::State;
use crate::time::Now;

/// What the provisioned server has of a part that is asked of an alternate one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Behind {
    /// When it ends by itself; `None`: never.
    pub(super) until: Option<Instant>,
}

impl Part {
    /// The provisioned server sends its client elsewhere, in its answer to what this part asked or to something else. What
    /// it has not answered it may have granted.
    pub(in crate::client) fn leave_behind(&mut self, now: Now, is_answered: bool) {
        let until = match self.held {
            Held::Granted => self.expires,
            Held::Asked if self.state == State::Withdrawing => self.expires,
            Held::Asked if !is_answered => self.held_until(now),
            Held::Asked | Held::Nothing => return,
        };
        if !self.is_over() && self.behind.is_none() {
            self.behind = Some(Behind { until });
        }
    }

    /// The provisioned server is the one that is asked again.
    pub(in crate::client) fn come_back(&mut self) {
        if self.state != State::Withdrawing {
            self.behind = None;
        }
    }

    /// Whether the provisioned server is to be told that it is withdrawn, whoever is asked instead.
    pub(in crate::client) fn is_left_behind(&self) -> bool {
        self.state == State::Withdrawing && self.behind.is_some()
    }

    /// Whether what it wants is said `here`, where `asked` is the one that is asked.
    pub(in crate::client) fn is_said(&self, here: Destination, asked: Destination) -> bool {
        match here {
            Destination::Provisioned => here == asked || self.is_left_behind(),
            Destination::Alternate => here == asked && !self.is_alternate_told,
        }
    }

    /// Where an answer is awaited, where `asked` is the one that is asked.
    pub(in crate::client) fn awaited(&self, asked: Destination) -> Destination {
        match self.is_alternate_told {
            true => Destination::Provisioned,
            false => asked,
        }
    }

    /// 2.02 from `origin`, where `asked` is the one that is asked.
    pub(in crate::client) fn deleted_at(
        &mut self,
        now: Now,
        origin: Destination,
        asked: Destination,
    ) {
        match origin {
            Destination::Provisioned => self.behind = None,
            Destination::Alternate => self.is_alternate_told = true,
        }
        self.conclude(now, asked);
    }

    /// The provisioned server does not take the withdrawal and names another one, which is `asked`.
    pub(in crate::client) fn sent_on(&mut self, now: Now, asked: Destination) {
        if asked == Destination::Alternate {
            self.behind = None;
            self.conclude(now, asked);
        }
    }

    fn conclude(&mut self, now: Now, asked: Destination) {
        let is_told = asked == Destination::Provisioned || self.is_alternate_told;
        if is_told && self.behind.is_none() {
            self.is_alternate_told = false;
            self.deleted(now);
        }
    }

    /// Until when any of the servers may have it, of which the one that is asked has it until `asked`.
    pub(super) fn with_behind(&self, asked: Option<Instant>) -> Option<Instant> {
        match self.behind {
            Some(Behind { until }) => Some(until?.max(asked?)),
            None => asked,
        }
    }
}
