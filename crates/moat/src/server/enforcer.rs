//! Carries scopes to the mitigator, on a thread of its own because `nft` takes its time.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use agent::server::{Enforcement, Input, Server};
use dots::target::Target;
use mitigator::{Dropped, Filter, FilterChange, FilterId, Mitigator, MitigatorError};

use super::inputs::Inputs;
use super::message::{Scope, ToAuthority};
use crate::clock;

/// How often the mitigator is asked what it dropped, or brought in order again after a failure.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often the filter is brought in order at the start before that is given up, and the pause between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// The changes of one customer, or of all.
#[derive(Debug, Default)]
struct Part {
    /// What is to come into force.
    enforced: Vec<Enforcement>,
    changes: Vec<FilterChange>,
    /// How much there is to do.
    prefixes: usize,
}

/// Why the mitigator did not follow, and what is not in force therefore.
type Unfollowed = (MitigatorError, Vec<Enforcement>);

impl Part {
    fn of_all(parts: &[Self]) -> Self {
        let enforced = parts.iter().flat_map(|part| part.enforced.iter().cloned());
        let changes = parts.iter().flat_map(|part| part.changes.iter().cloned());
        Self {
            enforced: enforced.collect(),
            changes: changes.collect(),
            prefixes: parts.iter().map(|part| part.prefixes).sum(),
        }
    }
}

/// Keeps the mitigator at what is promised.
#[derive(Debug)]
pub(super) struct Enforcer<M> {
    mitigator: M,
    inputs: Inputs,
    wanted: BTreeMap<FilterId, (Enforcement, Filter)>,
    /// The mitigator could not follow; it is brought in order at the next chance.
    in_disorder: bool,
    interval: Duration,
}

impl<M: Mitigator> Enforcer<M> {
    pub(super) fn new(mitigator: M, inputs: Inputs) -> Self {
        Self {
            mitigator,
            inputs,
            wanted: BTreeMap::new(),
            in_disorder: false,
            interval: INTERVAL,
        }
    }

    /// Brings the mitigator to what the store holds, whatever it did before.
    ///
    /// # Errors
    /// When it cannot: the server must not start, since it could not keep what it promised.
    pub(super) fn reconcile(&mut self, server: &Server) -> Result<(), MitigatorError> {
        for (enforcement, target) in server.enforced_scopes() {
            self.want(enforcement, &target);
        }
        // A server that was killed may have left an nft behind that is still at work on the table.
        for _ in 1..ATTEMPTS {
            match self.repair() {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the filter does not follow yet"),
            }
            std::thread::sleep(PAUSE);
        }
        self.repair()
    }

    /// Runs until the authority is gone.
    pub(super) fn run(mut self, scopes: &Receiver<Vec<Scope>>) {
        let mut due = clock::now().monotonic + self.interval;
        loop {
            let wait = due.saturating_duration_since(clock::now().monotonic);
            match scopes.recv_timeout(wait) {
                Ok(batch) => {
                    let rest = scopes.try_iter().flatten();
                    self.apply(batch.into_iter().chain(rest).collect());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // However busy it is: who is attacked wants to know what is dropped.
            if clock::now().monotonic >= due {
                self.look_after();
                due = clock::now().monotonic + self.interval;
            }
        }
    }

    /// Reads the counters, or brings everything in order again.
    fn look_after(&mut self) {
        if !self.in_disorder {
            self.report_dropped();
        }
        if self.in_disorder
            && let Err(error) = self.repair()
        {
            tracing::error!(%error, "the filter still does not follow");
        }
    }

    fn apply(&mut self, scopes: Vec<Scope>) {
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for scope in scopes {
            let (Scope::Enforce(enforcement, _) | Scope::Withdraw(enforcement)) = &scope;
            let part = parts.entry(enforcement.key.customer.clone()).or_default();
            match scope {
                Scope::Enforce(enforcement, target) => {
                    part.enforced.push(enforcement.clone());
                    if let Some(filter) = self.want(enforcement, &target) {
                        part.prefixes += filter.prefixes.len();
                        part.changes.push(FilterChange::Enforce(filter));
                    }
                }
                Scope::Withdraw(enforcement) => {
                    part.enforced.retain(|other| *other != enforcement);
                    if let Some(id) = filter_id(&enforcement) {
                        let before = self.wanted.remove(&id);
                        part.prefixes += before.map_or(0, |(_, filter)| filter.prefixes.len());
                        part.changes.push(FilterChange::Withdraw(id));
                    }
                }
            }
        }
        let parts: Vec<Part> = parts.into_values().collect();
        let whole = Part::of_all(&parts);
        // What failed before is not among these changes, so everything is brought in order.
        let followed = if self.in_disorder {
            self.repair().map_err(|error| (error, whole.enforced))
        } else {
            match self.follow(whole) {
                Err((MitigatorError::TimedOut { .. }, _)) if parts.len() > 1 => {
                    self.follow_one_by_one(parts)
                }
                followed => followed,
            }
        };
        if let Err((error, those)) = followed {
            tracing::error!(%error, "the filter does not follow; it is tried again");
            self.in_disorder = true;
            // What was in force before still is.
            if !those.is_empty() {
                self.tell(Input::NotEnforced(those));
            }
        }
    }

    /// What one customer asks for, nft could not do in time: the smallest first, and whatever comes
    /// after the first that takes too long again has to wait.
    fn follow_one_by_one(&mut self, mut parts: Vec<Part>) -> Result<(), Unfollowed> {
        parts.sort_by_key(|part| part.prefixes);
        let mut parts = parts.into_iter();
        while let Some(part) = parts.next() {
            if let Err((error, mut those)) = self.follow(part) {
                those.extend(parts.flat_map(|part| part.enforced));
                return Err((error, those));
            }
        }
        Ok(())
    }

    fn follow(&mut self, part: Part) -> Result<(), Unfollowed> {
        match self.mitigator.apply(&part.changes) {
            Ok(()) => {
                self.tell(Input::Enforced(part.enforced));
                Ok(())
            }
            Err(error) => Err((error, part.enforced)),
        }
    }

    fn repair(&mut self) -> Result<(), MitigatorError> {
        let filters: Vec<Filter> = self
            .wanted
            .values()
            .map(|(_, filter)| filter.clone())
            .collect();
        let found = self.mitigator.reconcile(&filters)?;
        self.in_disorder = false;
        tracing::info!(
            added = found.added.len(),
            removed = found.removed.len(),
            kept = found.kept.len(),
            "the filter holds what was promised"
        );
        let those = self.wanted.values().map(|(each, _)| each.clone());
        self.tell(Input::Enforced(those.collect()));
        Ok(())
    }

    fn report_dropped(&mut self) {
        if self.wanted.is_empty() {
            return;
        }
        match self.mitigator.counters() {
            Ok(counters) => {
                self.miss(&counters);
                let dropped = counters
                    .into_iter()
                    .filter_map(|(id, dropped)| {
                        let (enforcement, _) = self.wanted.get(&id)?;
                        Some((enforcement.clone(), (dropped.packets, dropped.bytes)))
                    })
                    .collect();
                self.tell(Input::Dropped(dropped));
            }
            Err(error) => {
                tracing::warn!(%error, "the filter's counters cannot be read");
                self.in_disorder = true;
            }
        }
    }

    /// Filters that somebody else has removed, as `nft flush ruleset` does, are not in force.
    fn miss(&mut self, counters: &BTreeMap<FilterId, Dropped>) {
        let missing: Vec<Enforcement> = self
            .wanted
            .iter()
            .filter(|(id, _)| !counters.contains_key(*id))
            .map(|(_, (enforcement, _))| enforcement.clone())
            .collect();
        if !missing.is_empty() {
            tracing::error!(
                filters = missing.len(),
                "somebody has removed filters of moat; they are put back"
            );
            self.in_disorder = true;
            self.tell(Input::NotEnforced(missing));
        }
    }

    fn want(&mut self, enforcement: Enforcement, target: &Target) -> Option<Filter> {
        let id = filter_id(&enforcement)?;
        let filter = Filter {
            id: id.clone(),
            prefixes: target.prefixes.iter().map(|prefix| prefix.net()).collect(),
            port_ranges: target.port_ranges.clone(),
            protocols: target.protocols.clone(),
        };
        self.wanted.insert(id, (enforcement, filter.clone()));
        Some(filter)
    }

    fn tell(&self, input: Input) {
        self.inputs.send(ToAuthority::Input(input));
    }
}

/// The name of a filter: the same after a restart, and no text of a peer. A mitigation with the key of
/// one that ended has a filter of its own, which has dropped nothing yet.
fn filter_id(enforcement: &Enforcement) -> Option<FilterId> {
    let key = &enforcement.key;
    let mut hash = openssl::sha::Sha256::new();
    for part in [key.customer.as_str(), key.cuid.as_str()] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&key.mid.0.to_be_bytes());
    hash.update(&enforcement.accepted.to_be_bytes());
    hash.update(&enforcement.started_unix.to_be_bytes());
    let digest = hash.finish();
    let name: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("m_{name}").parse().ok()
}
