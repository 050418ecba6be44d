//! How often an attachment may be asked for additional information (RFC 8801 §4.1), so that nobody who forges Router
//! Advertisements can send a host against others (RFC 8801 §6).
//!
//! What was asked in the last ten seconds is at most five names, and ten failures end all asking: so both memories are small, and
//! a PvD that goes and comes back is remembered by them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::order::Failure;
use crate::identifier::PvdId;

/// Between two questions for one PvD at least, and the time in which questions are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Questions in that time.
const MOST_ASKED: usize = 5;
/// Failures after which the network counts as misconfigured, or under attack.
const MOST_FAILURES: usize = 10;

/// What was asked on one attachment, and what failed.
#[derive(Debug, Default)]
pub(super) struct Budget {
    asked: VecDeque<(Instant, PvdId)>,
    failures: BTreeMap<PvdId, Failure>,
}

/// Whether a PvD may be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Permission {
    /// Now.
    Granted,
    /// Not earlier.
    NotBefore(Instant),
    /// Not again while attached: it failed.
    Failed(Failure),
    /// No PvD is asked any more while attached: too much failed.
    Closed,
}

impl Budget {
    pub(super) fn check(&self, id: &PvdId, now: Instant) -> Permission {
        if let Some(failure) = self.failures.get(id) {
            return Permission::Failed(failure.clone());
        }
        if self.is_closed() {
            return Permission::Closed;
        }
        let recent = || self.asked.iter().filter(|(at, _)| *at + WINDOW > now);
        let same = recent().rev().find(|(_, asked)| asked == id);
        let full = recent().rev().nth(MOST_ASKED - 1);
        let latest = same
            .into_iter()
            .chain(full)
            .map(|(at, _)| *at + WINDOW)
            .max();
        latest.map_or(Permission::Granted, Permission::NotBefore)
    }

    /// Whether no PvD is asked any more.
    pub(super) fn is_closed(&self) -> bool {
        self.failures.len() >= MOST_FAILURES
    }

    pub(super) fn note_question(&mut self, id: PvdId, now: Instant) {
        self.asked.retain(|(at, _)| *at + WINDOW > now);
        self.asked.push_back((now, id));
    }

    pub(super) fn note_failure(&mut self, id: PvdId, failure: Failure) {
        self.failures.insert(id, failure);
    }

    /// A tunnel is there anew: what failed in the last one says nothing.
    pub(super) fn forget(&mut self, id: &PvdId) {
        self.failures.remove(id);
    }

    /// A new attachment: what failed on the last one says nothing. How much was asked still counts, or a link that comes and goes
    /// would be asked without end.
    pub(super) fn begin(&mut self) {
        self.failures.clear();
    }
}
