//! What filters traffic, and may fail for a while.
//!
//! ```text
//! Working --fail--> Failed --recover--> Working, after it has caught up
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agent::server::{Input, MitigationKey};

/// How long it takes.
const ENFORCEMENT: Duration = Duration::from_millis(10);

/// The mitigator of one provider.
#[derive(Debug, Default)]
pub(crate) struct Mitigator {
    is_failed: bool,
    /// What it was told to filter.
    wanted: BTreeSet<MitigationKey>,
    filtered: BTreeSet<MitigationKey>,
    /// What the server has not been told of.
    due: BTreeMap<Instant, Vec<MitigationKey>>,
}

impl Mitigator {
    pub(crate) fn wanted(&self) -> &BTreeSet<MitigationKey> {
        &self.wanted
    }

    pub(crate) fn filtered(&self) -> &BTreeSet<MitigationKey> {
        &self.filtered
    }

    pub(crate) fn enforce(&mut self, now: Instant, key: MitigationKey) {
        self.wanted.insert(key.clone());
        self.due.entry(now + ENFORCEMENT).or_default().push(key);
    }

    pub(crate) fn withdraw(&mut self, key: &MitigationKey) {
        self.wanted.remove(key);
        if !self.is_failed {
            self.filtered.remove(key);
        }
    }

    /// The server has started: all of this is to be filtered, and nothing else.
    pub(crate) fn reconcile(&mut self, now: Instant, wanted: BTreeSet<MitigationKey>) {
        self.wanted = wanted;
        self.due.clear();
        self.report_all(now);
    }

    pub(crate) fn fail(&mut self, now: Instant) {
        self.is_failed = true;
        self.report_all(now);
    }

    pub(crate) fn recover(&mut self, now: Instant) {
        self.is_failed = false;
        self.report_all(now);
    }

    fn report_all(&mut self, now: Instant) {
        if !self.is_failed {
            self.filtered.retain(|key| self.wanted.contains(key));
        }
        let keys = self.wanted.iter().cloned();
        self.due.entry(now + ENFORCEMENT).or_default().extend(keys);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    /// What the server is to be told by now.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Input> {
        let first = self.next_timeout().filter(|at| *at <= now)?;
        let mut keys = self.due.remove(&first).unwrap_or_default();
        keys.retain(|key| self.wanted.contains(key));
        if self.is_failed {
            return Some(Input::NotEnforced(keys));
        }
        self.filtered.extend(keys.iter().cloned());
        Some(Input::Enforced(keys))
    }
}
