//! What people want protected, whoever is asked for it: PvDs come and go, what is wanted stays.

use std::time::Instant;

use dots::target::{Target, TargetPrefix};

use super::part::Wish;
use super::{RequestId, WantedRecord};
use crate::relay::Relayed;
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
    pub(super) relayed: Relayed,
    pub(super) is_withdrawn: bool,
    /// A network that was asked has gone, or has not what it assigned: it may come back.
    pub(super) was_cut: bool,
    /// At a server that would be asked, a newer request was there already when it was last decided.
    pub(super) is_outdone: bool,
    /// It names less than it did, because newer requests do.
    pub(super) is_less: bool,
    /// It names less than the store has.
    pub(super) was_shed: bool,
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
            relayed: Relayed::default(),
            is_withdrawn: false,
            was_cut: false,
            is_outdone: false,
            is_less: false,
            was_shed: false,
            selection: Selection::default(),
            stored: None,
        }
    }

    /// A request as the store has it.
    pub(super) fn restored(now: Now, record: WantedRecord) -> Self {
        let until = record.wanted_until_unix.map(|at| now.instant_of(at));
        Self {
            stored: Some(until),
            relayed: record.relayed,
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

    /// Makes a part, as the store has it, belong to the whole. Both were written when the wall clock may
    /// have shown different times: what the store has of the whole counts.
    pub(super) fn include(&mut self, part: &mut Wish) {
        if let Some(until) = self.stored {
            part.until = until;
        } else {
            let whole = &mut self.attack.target.prefixes;
            for prefix in &part.target.prefixes {
                if !whole.contains(prefix) {
                    whole.push(*prefix);
                }
            }
            // A part that was over is not prolonged with the others.
            let until = self.until.zip(part.until);
            self.until = until.map(|(whole, part)| whole.max(part));
        }
    }

    /// What a newer request names is that one's from now on, as it is at the servers
    /// (RFC 9132 §4.4.1.3).
    pub(super) fn shed(&mut self, newer: &[TargetPrefix]) {
        let prefixes = &mut self.attack.target.prefixes;
        let before = prefixes.len();
        prefixes.retain(|prefix| {
            let mut newer = newer.iter();
            !newer.any(|newer| newer.net().contains(&prefix.net()))
        });
        let was_shed = prefixes.len() != before;
        self.was_shed |= was_shed;
        self.is_less |= was_shed;
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
            relayed: self.relayed.clone(),
        }
    }
}
