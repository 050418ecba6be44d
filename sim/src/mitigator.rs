//! What filters traffic, and may fail for a while.
//!
//! ```text
//! Working --fail--> Failed --recover--> Working, after it has caught up
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agent::server::{Enforcement, Input, MitigationKey};

/// How long it takes.
const ENFORCEMENT: Duration = Duration::from_millis(10);

/// The mitigator of one provider.
#[derive(Debug, Default)]
pub(crate) struct Mitigator {
    is_failed: bool,
    /// What it was told to filter.
    wanted: BTreeSet<Enforcement>,
    filtered: BTreeSet<Enforcement>,
    /// What the server has not been told of.
    due: BTreeMap<Instant, Vec<Enforcement>>,
}

impl Mitigator {
    pub(crate) fn wanted(&self) -> &BTreeSet<Enforcement> {
        &self.wanted
    }

    /// What it was told to filter for one mitigation.
    pub(crate) fn wanted_of(&self, key: &MitigationKey) -> impl Iterator<Item = &Enforcement> {
        let first = Enforcement {
            key: key.clone(),
            accepted: 0,
            started_unix: 0,
        };
        let from_here = self.wanted.range(first..);
        from_here.take_while(move |each| each.key == *key)
    }

    pub(crate) fn filtered(&self) -> &BTreeSet<Enforcement> {
        &self.filtered
    }

    pub(crate) fn enforce(&mut self, now: Instant, enforcement: Enforcement) {
        self.wanted.insert(enforcement.clone());
        self.due
            .entry(now + ENFORCEMENT)
            .or_default()
            .push(enforcement);
    }

    pub(crate) fn withdraw(&mut self, enforcement: &Enforcement) {
        self.wanted.remove(enforcement);
        if !self.is_failed {
            self.filtered.remove(enforcement);
        }
    }

    /// The server has started: all of this is to be filtered, and nothing else.
    pub(crate) fn reconcile(&mut self, now: Instant, wanted: BTreeSet<Enforcement>) {
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
            self.filtered.retain(|each| self.wanted.contains(each));
        }
        let those = self.wanted.iter().cloned();
        self.due.entry(now + ENFORCEMENT).or_default().extend(those);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    /// What the server is to be told by now.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Input> {
        let first = self.next_timeout().filter(|at| *at <= now)?;
        let mut those = self.due.remove(&first).unwrap_or_default();
        those.retain(|each| self.wanted.contains(each));
        if self.is_failed {
            return Some(Input::NotEnforced(those));
        }
        self.filtered.extend(those.iter().cloned());
        Some(Input::Enforced(those))
    }
}
