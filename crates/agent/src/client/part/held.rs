//! What the server may have of a part, whatever is wanted of it by now, and what is stored of that.
//!
//! ```text
//! Nothing --sent--> Asked --2.01, 2.04--> Granted
//!                     ^--expired, unknown to the server, retry-timer over--'
//! ```

use std::time::{Duration, Instant};

use super::{Leaving, Part, Wish};
use crate::client::RequestRecord;
use crate::client::association::UNANSWERED_REQUEST;
use crate::client::state::{Pause, State};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// How long a server that may mitigate beyond the wish is told to stop, if it does not answer.
const WITHDRAWAL: Duration = Duration::from_secs(3600);

/// What the server may have of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It was not asked.
    Nothing,
    /// It was asked: its answer may be lost, or what it granted is over as far as is known.
    Asked,
    /// It has granted it until [`Part::expires`].
    Granted,
}

/// What of a record can change.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) struct Stored {
    wanted_until: Option<Instant>,
    is_withdrawing: bool,
    granted_at: Option<Instant>,
    not_before: Option<Instant>,
    moved_to: Option<AssociationId>,
}

impl Stored {
    /// `None`: the store does not have the part.
    pub(in crate::client) fn of(part: &Part) -> Option<Self> {
        (!part.is_over()).then(|| Self {
            wanted_until: part.wish.until,
            is_withdrawing: part.is_withdrawn(),
            granted_at: part.granted_at.filter(|_| part.held == Held::Granted),
            not_before: part.not_before(),
            moved_to: part.moved_to().cloned(),
        })
    }
}

impl Part {
    /// A part as the store has it. The server is asked again, as after a lost session.
    pub(in crate::client) fn restored(now: Now, wish: Wish, record: &RequestRecord) -> Self {
        let mut part = Self::new(now, record.mid, wish);
        part.held = Held::Asked;
        part.is_standing = true;
        part.expires = record.expires_unix.map(|at| now.instant_of(at));
        if record.granted {
            part.held = Held::Granted;
            part.granted_at = Some(now.monotonic);
        }
        if let Some(to) = record.moved_to.clone() {
            part.leaving = Leaving::ToMove(to);
        }
        // As it was stored, also where that is past by now.
        part.pause = record
            .not_before_unix
            .map(|at| (now.instant_of(at), Pause::Told));
        if record.withdrawing {
            let stored = part.expires;
            part.leave(now, part.leaving.clone());
            part.expires = stored.or(part.expires);
        }
        part
    }

    /// What the store has to know of it: nothing once it is over.
    pub(in crate::client) fn record(
        &self,
        now: Now,
        association: &AssociationId,
    ) -> Option<RequestRecord> {
        let unix = |at: Instant| now.unix + u64::from(now.seconds_until(at));
        (!self.is_over()).then(|| RequestRecord {
            id: self.wish.request,
            association: association.clone(),
            mid: self.mid,
            target: self.wish.target.clone(),
            trigger_mitigation: self.wish.trigger_mitigation,
            wanted_until_unix: self.wish.until.map(unix),
            withdrawing: self.is_withdrawn(),
            granted: self.held == Held::Granted,
            expires_unix: self.expires.map(unix),
            moved_to: self.moved_to().cloned(),
            not_before_unix: self.not_before().map(unix),
        })
    }

    /// When the server may be asked again, if it said so.
    fn not_before(&self) -> Option<Instant> {
        match (&self.state, &self.pause) {
            (
                State::Accepted(_) | State::Asking,
                Some((at, Pause::Busy | Pause::Told | Pause::Refused { .. })),
            ) => Some(*at),
            _ => self.put_off_until(),
        }
    }

    /// The server was told or asked something.
    pub(in crate::client) fn sent(&mut self) {
        if self.held == Held::Nothing {
            self.held = Held::Asked;
        }
    }

    /// Whether the server was never asked.
    pub(in crate::client) fn is_unsent(&self) -> bool {
        self.held == Held::Nothing
    }

    /// When another server may be asked instead, if this one has no session: what was never sent
    /// at once, and what was granted when that is over. `None`: never.
    pub(in crate::client) fn movable_at(&self) -> Option<Instant> {
        if self.state != State::Asking || self.is_moving() {
            return None;
        }
        match self.held {
            Held::Nothing => Some(self.asking_since),
            Held::Asked => Some(self.asking_since + UNANSWERED_REQUEST),
            Held::Granted => self
                .expires
                .map(|end| end.max(self.asking_since + UNANSWERED_REQUEST)),
        }
    }

    /// Until when the server may have it, if it hears no more. `None`: as long as it likes.
    pub(super) fn held_until(&self, now: Now) -> Option<Instant> {
        if self.is_accepted() && !self.is_refreshing {
            return self.expires;
        }
        // What it granted without an end stays; what the lost answer granted is not known.
        let has_end = self.held != Held::Granted || self.expires.is_some();
        let until = self.wish.until.filter(|_| has_end)?;
        Some(until.max(now.monotonic + WITHDRAWAL))
    }
}
