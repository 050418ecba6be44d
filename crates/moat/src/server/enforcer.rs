//! Carries scopes to the mitigator, on a thread of its own because `nft` takes its time.
//!
//! ```text
//! scopes --> wanted, outstanding --apply--> in force --Enforced--> authority
//!                 |     ^
//!                 |     \-- one customer's part that is refused alone: after 5 s, 10 s ... 10 min
//!                 \-- refused: customer by customer, the smallest part first
//! ```
//! What is in force is put in order by itself, and never together with what was refused: whatever one customer asks for, the
//! others get theirs.

mod filter_id;
mod refusals;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agent::server::{Enforcement, Input};
use dots::target::Target;
use mitigator::{Dropped, Filter, FilterChange, FilterId, Mitigator, MitigatorError};

use self::filter_id::filter_id;
use self::refusals::{Refusals, is_at_once, is_divisible};
use super::inputs::Inputs;
use super::message::{Scope, ToAuthority};
use super::scopes::{Ended, Untaken};
use crate::clock;

/// How often the mitigator is asked what it dropped, or brought in order again after a failure.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often the filter is brought in order at the start before that is given up, and the pause between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

/// What is outstanding of one customer; of none: what is to go.
#[derive(Debug, Default)]
struct Part {
    filters: Vec<FilterId>,
    /// How much there is to do.
    prefixes: usize,
}

/// Each with its customer.
type Parts = Vec<(Option<String>, Part)>;

/// Keeps the mitigator at what is promised.
#[derive(Debug)]
pub(super) struct Enforcer<M> {
    mitigator: M,
    inputs: Inputs,
    wanted: BTreeMap<FilterId, (Enforcement, Filter)>,
    /// What the mitigator has taken, as it took it.
    in_force: BTreeMap<FilterId, Filter>,
    /// What is wanted and not in force as it is wanted, or in force and not wanted.
    outstanding: BTreeSet<FilterId>,
    refusals: Refusals,
    /// What the mitigator holds is not known; it is brought in order at the next chance.
    in_disorder: bool,
    interval: Duration,
}

impl<M: Mitigator> Enforcer<M> {
    pub(super) fn new(mitigator: M, inputs: Inputs) -> Self {
        Self {
            mitigator,
            inputs,
            wanted: BTreeMap::new(),
            in_force: BTreeMap::new(),
            outstanding: BTreeSet::new(),
            refusals: Refusals::default(),
            in_disorder: false,
            interval: INTERVAL,
        }
    }

    /// Brings the mitigator to what the store holds, whatever it did before. Where all together are not taken, customers take
    /// turns, and who is refused alone waits like one who is refused later.
    ///
    /// # Errors
    /// When it does not work at all: the server must not start, since it could not keep what it promised.
    pub(super) fn reconcile(
        &mut self,
        now: Instant,
        promised: impl IntoIterator<Item = (Enforcement, Target)>,
    ) -> Result<(), MitigatorError> {
        for (enforcement, target) in promised {
            if let Some(id) = self.want(enforcement, &target) {
                self.take(&id);
            }
        }
        // A server that was killed may have left an nft behind that is still at work on the table.
        for _ in 1..ATTEMPTS {
            match self.repair() {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "the filter does not follow yet"),
            }
            std::thread::sleep(PAUSE);
        }
        let Err(error) = self.repair() else {
            return Ok(());
        };
        if !is_divisible(&error) {
            return Err(error);
        }
        self.begin_anew(&error)?;
        // A customer's part that takes too long ends a round.
        for _ in 0..ATTEMPTS {
            self.catch_up(now);
            if !self.in_force.is_empty() {
                break;
            }
        }
        self.tell_not_enforced(|_| true);
        Ok(())
    }

    /// Runs until nobody can send scopes any more.
    pub(super) fn run(mut self, scopes: &Untaken) {
        let mut due = clock::now().monotonic + self.interval;
        loop {
            let wait = due.saturating_duration_since(clock::now().monotonic);
            match scopes.take(wait) {
                Ok(scopes) if scopes.is_empty() => {}
                Ok(scopes) => self.apply(clock::now().monotonic, scopes),
                Err(Ended) => return,
            }
            // However busy it is: who is attacked wants to know what is dropped.
            if clock::now().monotonic >= due {
                self.look_after(clock::now().monotonic);
                due = clock::now().monotonic + self.interval;
            }
        }
    }

    /// Reads the counters, and does what is still to be done.
    fn look_after(&mut self, now: Instant) {
        if !self.in_disorder {
            self.report_dropped();
        }
        self.catch_up(now);
    }

    fn apply(&mut self, now: Instant, scopes: Vec<Scope>) {
        let mut asked = BTreeSet::new();
        for scope in scopes {
            match scope {
                Scope::Enforce(enforcement, target) => {
                    asked.extend(self.want(enforcement, &target));
                }
                Scope::Withdraw(enforcement) => {
                    if let Some(id) = filter_id(&enforcement) {
                        if self.outstanding.contains(&id) {
                            self.refusals.relent(now, &enforcement.key.customer);
                        }
                        self.wanted.remove(&id);
                        self.in_force.remove(&id);
                        self.outstanding.insert(id);
                    }
                }
            }
        }
        self.catch_up(now);
        // What was in force before still is.
        self.tell_not_enforced(|id| asked.contains(id));
    }

    /// Says which of these are wanted and outstanding.
    fn tell_not_enforced(&self, is_one: impl Fn(&FilterId) -> bool) {
        let still = self.outstanding.iter().filter(|id| is_one(id));
        let still = still.filter_map(|id| self.wanted.get(id));
        let still: Vec<_> = still.map(|(enforcement, _)| enforcement.clone()).collect();
        if !still.is_empty() {
            self.tell(Input::NotEnforced(still));
        }
    }

    /// Does what is outstanding: all together, then, if that is refused, one customer's part after the other.
    fn catch_up(&mut self, now: Instant) {
        if self.in_disorder {
            let result = match self.repair() {
                // It came into force customer by customer.
                Err(error @ MitigatorError::TooLarge { .. }) => self.begin_anew(&error),
                result => result,
            };
            if let Err(error) = result {
                tracing::error!(%error, "the filter does not follow; it is tried again");
                return;
            }
        }
        let (mut parts, suspects) = self.parts(now);
        let whole = parts.iter().flat_map(|(_, part)| part.filters.clone());
        let whole: Vec<FilterId> = whole.collect();
        match self.follow(&whole) {
            Ok(()) => parts.clear(),
            Err(error) if is_divisible(&error) && parts.len() > 1 => {
                tracing::warn!(%error, "the filter does not follow; customers take turns");
            }
            Err(error) => {
                match parts.as_slice() {
                    [(Some(customer), _)] if is_divisible(&error) && self.is_beside(customer) => {
                        self.refusals.note(now, customer, Some(&error));
                    }
                    _ => {
                        tracing::error!(%error, "the filter does not follow; it is tried again");
                    }
                }
                return;
            }
        }
        parts.sort_by_key(|(_, part)| part.prefixes);
        for (customer, part) in parts.into_iter().chain(suspects) {
            let followed = self.follow(&part.filters);
            if let Some(customer) = &customer {
                let error = followed.as_ref().err();
                self.refusals.note(now, customer, error);
            }
            // What takes that long is not tried for several in a row: others have something to be done, too.
            if matches!(followed, Err(error) if !is_at_once(&error)) {
                return;
            }
        }
    }

    /// Whether other customers have something in force, so that the mitigator is of use.
    fn is_beside(&self, customer: &str) -> bool {
        let in_force = self.in_force.keys().filter_map(|id| self.wanted.get(id));
        let mut customers = in_force.map(|(enforcement, _)| &enforcement.key.customer);
        customers.any(|each| each != customer)
    }

    /// What is outstanding by customer, and apart from it what was refused before and may be tried again.
    fn parts(&self, now: Instant) -> (Parts, Parts) {
        let mut parts: BTreeMap<Option<String>, Part> = BTreeMap::new();
        for id in &self.outstanding {
            let wanted = self.wanted.get(id);
            let customer = wanted.map(|(enforcement, _)| enforcement.key.customer.clone());
            let part = parts.entry(customer).or_default();
            part.prefixes += wanted.map_or(0, |(_, filter)| filter.prefixes.len());
            part.filters.push(id.clone());
        }
        let refusals = &self.refusals;
        parts.retain(|customer, _| {
            let customer = customer.as_deref();
            !customer.is_some_and(|customer| refusals.leaves_out(now, customer))
        });
        let is_suspect = |customer: &Option<String>| {
            let customer = customer.as_deref();
            customer.is_some_and(|customer| refusals.has(customer))
        };
        let parts = parts.into_iter();
        parts.partition(|(customer, _)| !is_suspect(customer))
    }

    fn follow(&mut self, filters: &[FilterId]) -> Result<(), MitigatorError> {
        if filters.is_empty() {
            return Ok(());
        }
        let change = |id: &FilterId| match self.wanted.get(id) {
            Some((_, filter)) => FilterChange::Enforce(filter.clone()),
            None => FilterChange::Withdraw(id.clone()),
        };
        let changes: Vec<FilterChange> = filters.iter().map(change).collect();
        if let Err(error) = self.mitigator.apply(&changes) {
            // One that is too large has changed nothing, and all together would be larger.
            self.in_disorder |= !matches!(error, MitigatorError::TooLarge { .. });
            return Err(error);
        }
        let enforced = filters.iter().filter_map(|id| self.take(id));
        let enforced: Vec<Enforcement> = enforced.collect();
        if !enforced.is_empty() {
            self.tell(Input::Enforced(enforced));
        }
        Ok(())
    }

    /// The mitigator holds this filter as it is wanted now.
    fn take(&mut self, id: &FilterId) -> Option<Enforcement> {
        self.outstanding.remove(id);
        let (enforcement, filter) = self.wanted.get(id)?;
        self.in_force.insert(id.clone(), filter.clone());
        Some(enforcement.clone())
    }

    /// Brings the mitigator to what is in force, whatever it did meanwhile.
    fn repair(&mut self) -> Result<(), MitigatorError> {
        let filters: Vec<Filter> = self.in_force.values().cloned().collect();
        let found = self.mitigator.reconcile(&filters)?;
        self.in_disorder = false;
        self.outstanding.retain(|id| self.wanted.contains_key(id));
        tracing::info!(
            added = found.added.len(),
            removed = found.removed.len(),
            kept = found.kept.len(),
            "the filter holds what was promised"
        );
        // What is wanted otherwise by now is not in force as it is wanted.
        let as_wanted = self.in_force.keys();
        let as_wanted = as_wanted.filter(|id| !self.outstanding.contains(*id));
        let those = as_wanted.filter_map(|id| self.wanted.get(id));
        let those: Vec<Enforcement> = those.map(|(each, _)| each.clone()).collect();
        if !those.is_empty() {
            self.tell(Input::Enforced(those));
        }
        Ok(())
    }

    /// What is to be in force is not taken all at once: what the mitigator has of it stays, if that is taken, and the rest
    /// is outstanding.
    fn begin_anew(&mut self, error: &MitigatorError) -> Result<(), MitigatorError> {
        tracing::error!(%error, "the filter is made anew, customer by customer");
        let found = self.mitigator.counters().unwrap_or_default();
        let in_force = self.in_force.keys().cloned();
        self.outstanding
            .extend(in_force.filter(|id| !found.contains_key(id)));
        self.in_force.retain(|id, _| found.contains_key(id));
        if !self.in_force.is_empty() && self.repair().is_ok() {
            return Ok(());
        }
        self.outstanding
            .extend(std::mem::take(&mut self.in_force).into_keys());
        self.repair()
    }

    fn report_dropped(&mut self) {
        if self.in_force.is_empty() {
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
            .in_force
            .keys()
            .filter(|id| !counters.contains_key(*id))
            .filter_map(|id| self.wanted.get(id))
            .map(|(enforcement, _)| enforcement.clone())
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

    fn want(&mut self, enforcement: Enforcement, target: &Target) -> Option<FilterId> {
        let id = filter_id(&enforcement)?;
        let filter = Filter {
            id: id.clone(),
            prefixes: target.prefixes.iter().map(|prefix| prefix.net()).collect(),
            port_ranges: target.port_ranges.clone(),
            protocols: target.protocols.clone(),
        };
        self.wanted.insert(id.clone(), (enforcement, filter));
        self.outstanding.insert(id.clone());
        Some(id)
    }

    fn tell(&self, input: Input) {
        self.inputs.send(ToAuthority::Input(input));
    }
}
