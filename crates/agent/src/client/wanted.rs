//! What people want protected, whoever is asked for it: PvDs come and go, what is wanted stays.

use std::time::Instant;

use dots::target::Target;

use super::part::Wish;
use super::{RequestId, WantedRecord};
use crate::server_selection::{Attack, Selection};
use crate::time::Now;

/// A request, before it is decided who is asked.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) attack: Attack,
    /// False: only once the session with the server is lost (RFC 9132 §4.4.1.1).
    pub(super) trigger_mitigation: bool,
    /// `None`: until it is withdrawn.
    pub(super) until: Option<Instant>,
    pub(super) is_withdrawn: bool,
    /// The last decision.
    pub(super) selection: Selection,
    /// Until when it is wanted, as the store has it; `None`: the store does not have it.
    pub(super) stored: Option<Option<Instant>>,
}

impl Wanted {
    pub(super) fn new(attack: Attack, trigger_mitigation: bool, until: Option<Instant>) -> Self {
        Self {
            attack,
            trigger_mitigation,
            until,
            is_withdrawn: false,
            selection: Selection::default(),
            stored: None,
        }
    }

    /// A request as the store has it.
    pub(super) fn restored(now: Now, record: WantedRecord) -> Self {
        let until = record.wanted_until_unix.map(|at| now.instant_of(at));
        Self {
            stored: Some(until),
            ..Self::new(record.attack, record.trigger_mitigation, until)
        }
    }

    /// What can be told of a request from a part of it: an older version stored no more.
    pub(super) fn of_part(part: &Wish, is_withdrawn: bool) -> Self {
        let target = Target {
            prefixes: Vec::new(),
            ..part.target.clone()
        };
        Self {
            is_withdrawn,
            ..Self::new(target.into(), part.trigger_mitigation, part.until)
        }
    }

    /// Sees to it that a part belongs to the whole, unless the store has that.
    pub(super) fn include(&mut self, part: &Wish) {
        if self.stored.is_none() {
            let prefixes = part.target.prefixes.iter();
            self.attack.target.prefixes.extend(prefixes);
        }
    }

    /// A newer request has taken the place of a part: what that named is the newer one's now
    /// (RFC 9132 §4.4.1.3). Returns whether it changes anything.
    pub(super) fn shed(&mut self, part: &Target) -> bool {
        let prefixes = &mut self.attack.target.prefixes;
        let before = prefixes.len();
        prefixes.retain(|prefix| {
            let mut taken = part.prefixes.iter();
            !taken.any(|taken| taken.net().contains(&prefix.net()))
        });
        prefixes.len() != before
    }

    /// Whether anybody is still to be asked.
    pub(super) fn is_going(&self, now: Now) -> bool {
        !self.is_withdrawn && self.until.is_none_or(|at| at > now.monotonic)
    }

    pub(super) fn record(&self, now: Now, id: RequestId) -> WantedRecord {
        let seconds = self.until.map(|at| u64::from(now.seconds_until(at)));
        WantedRecord {
            id,
            attack: self.attack.clone(),
            trigger_mitigation: self.trigger_mitigation,
            wanted_until_unix: seconds.map(|left| now.unix + left),
        }
    }
}
