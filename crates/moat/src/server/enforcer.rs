//! Carries scopes to the mitigator, on a thread of its own because `nft` takes its time.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use agent::server::{Input, MitigationKey, Server};
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

/// Keeps the mitigator at what is promised.
#[derive(Debug)]
pub(super) struct Enforcer<M> {
    mitigator: M,
    inputs: Inputs,
    wanted: BTreeMap<FilterId, (MitigationKey, Filter)>,
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
        for (key, target) in server.enforced_scopes() {
            self.want(key.clone(), &target);
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
        let mut keys = Vec::new();
        let mut changes = Vec::new();
        for scope in scopes {
            match scope {
                Scope::Enforce(key, target) => {
                    keys.push(key.clone());
                    if let Some(filter) = self.want(key, &target) {
                        changes.push(FilterChange::Enforce(filter));
                    }
                }
                Scope::Withdraw(key) => {
                    keys.retain(|other| *other != key);
                    if let Some(id) = filter_id(&key) {
                        self.wanted.remove(&id);
                        changes.push(FilterChange::Withdraw(id));
                    }
                }
            }
        }
        // What failed before is not among these changes, so everything is brought in order.
        let followed = if self.in_disorder {
            self.repair()
        } else {
            self.mitigator
                .apply(&changes)
                .map(|()| self.tell(Input::Enforced(keys.clone())))
        };
        if let Err(error) = followed {
            tracing::error!(%error, "the filter does not follow; it is tried again");
            self.in_disorder = true;
            // What was in force before still is.
            if !keys.is_empty() {
                self.tell(Input::NotEnforced(keys));
            }
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
        let keys = self.wanted.values().map(|(key, _)| key.clone()).collect();
        self.tell(Input::Enforced(keys));
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
                        let (key, _) = self.wanted.get(&id)?;
                        Some((key.clone(), (dropped.packets, dropped.bytes)))
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
        let missing: Vec<MitigationKey> = self
            .wanted
            .iter()
            .filter(|(id, _)| !counters.contains_key(*id))
            .map(|(_, (key, _))| key.clone())
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

    fn want(&mut self, key: MitigationKey, target: &Target) -> Option<Filter> {
        let id = filter_id(&key)?;
        let filter = Filter {
            id: id.clone(),
            prefixes: target.prefixes.iter().map(|prefix| prefix.net()).collect(),
            port_ranges: target.port_ranges.clone(),
            protocols: target.protocols.clone(),
        };
        self.wanted.insert(id, (key, filter.clone()));
        Some(filter)
    }

    fn tell(&self, input: Input) {
        // Only requests can find no room.
        let _told = self.inputs.send(ToAuthority::Input(input));
    }
}

/// The name of a mitigation's filter: the same after a restart, and no text of a peer.
fn filter_id(key: &MitigationKey) -> Option<FilterId> {
    let mut hash = openssl::sha::Sha256::new();
    for part in [key.customer.as_str(), key.cuid.as_str()] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&key.mid.0.to_be_bytes());
    let digest = hash.finish();
    let name: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("m_{name}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use dots::identifiers::Mid;
    use mitigator::Reconciled;

    use super::super::inputs::{Waiting, queue};
    use super::*;

    /// Does what it is told, or says that it took too long.
    #[derive(Debug, Clone, Default)]
    struct Filters {
        hangs: Arc<Mutex<bool>>,
        counters: Arc<Mutex<BTreeMap<FilterId, Dropped>>>,
    }

    impl Filters {
        fn hang(&self, hangs: bool) {
            *self.hangs.lock().unwrap() = hangs;
        }

        fn answer(&self) -> Result<(), MitigatorError> {
            if !*self.hangs.lock().unwrap() {
                return Ok(());
            }
            Err(MitigatorError::TimedOut {
                program: "nft".into(),
                limit: INTERVAL,
            })
        }
    }

    impl Mitigator for Filters {
        fn apply(&mut self, _: &[FilterChange]) -> Result<(), MitigatorError> {
            self.answer()
        }

        fn reconcile(&mut self, _: &[Filter]) -> Result<Reconciled, MitigatorError> {
            self.answer().map(|()| Reconciled::default())
        }

        fn counters(&mut self) -> Result<BTreeMap<FilterId, Dropped>, MitigatorError> {
            self.answer()
                .map(|()| self.counters.lock().unwrap().clone())
        }
    }

    fn key(mid: u32) -> MitigationKey {
        MitigationKey {
            customer: "home".to_owned(),
            cuid: "client".parse().unwrap(),
            mid: Mid(mid),
        }
    }

    fn enforce(mid: u32) -> Vec<Scope> {
        vec![Scope::Enforce(key(mid), Target::default())]
    }

    fn told(waiting: &Waiting) -> Vec<(bool, Vec<u32>)> {
        std::iter::from_fn(|| waiting.take())
            .map(|message| match message {
                ToAuthority::Input(Input::Enforced(keys)) => (true, keys),
                ToAuthority::Input(Input::NotEnforced(keys)) => (false, keys),
                ToAuthority::Input(Input::Dropped(_)) => (true, Vec::new()),
                other => panic!("{other:?}"),
            })
            .map(|(enforced, keys)| (enforced, keys.iter().map(|key| key.mid.0).collect()))
            .collect()
    }

    /// Covers: S-041
    #[test]
    fn what_the_filter_did_not_take_is_told_and_told_again_when_it_did() {
        let (filters, (inputs, waiting)) = (Filters::default(), queue());
        let mut enforcer = Enforcer::new(filters.clone(), inputs);
        enforcer.apply(enforce(1));
        assert_eq!(told(&waiting), [(true, vec![1])]);
        filters.hang(true);
        enforcer.apply(enforce(2));
        enforcer.apply(enforce(3));
        enforcer.apply(vec![Scope::Withdraw(key(1))]);
        assert_eq!(told(&waiting), [(false, vec![2]), (false, vec![3])]);
        filters.hang(false);
        enforcer.apply(enforce(4));
        let mut last = told(&waiting);
        for (_, mids) in &mut last {
            mids.sort_unstable();
        }
        assert_eq!(last, [(true, vec![2, 3, 4])]);
    }

    /// Covers: S-041
    #[test]
    fn filters_that_somebody_else_removed_are_missed_and_put_back() {
        let (filters, (inputs, waiting)) = (Filters::default(), queue());
        let mut enforcer = Enforcer::new(filters, inputs);
        enforcer.apply(enforce(1));
        enforcer.look_after();
        let told = told(&waiting);
        let expected = [
            (true, vec![1]),
            (false, vec![1]),
            (true, vec![]),
            (true, vec![1]),
        ];
        assert_eq!(told, expected);
    }

    /// Covers: S-042
    #[test]
    fn counters_are_read_however_often_filters_change() {
        let (filters, (inputs, waiting)) = (Filters::default(), queue());
        let dropped = Dropped {
            packets: 7,
            bytes: 700,
        };
        let id = filter_id(&key(1)).unwrap();
        filters.counters.lock().unwrap().insert(id, dropped);
        let mut enforcer = Enforcer::new(filters, inputs);
        enforcer.interval = Duration::from_millis(20);
        let (scopes, changes) = std::sync::mpsc::channel();
        let running = std::thread::spawn(move || enforcer.run(&changes));
        let is_counted = |message: ToAuthority| {
            matches!(message, ToAuthority::Input(Input::Dropped(dropped))
                if dropped.get(&key(1)) == Some(&(7, 700)))
        };
        // There is always something to do.
        let mut counted = false;
        for _ in 0..10_000 {
            scopes.send(enforce(1)).unwrap();
            std::thread::sleep(Duration::from_millis(1));
            counted = std::iter::from_fn(|| waiting.take()).any(is_counted);
            if counted {
                break;
            }
        }
        drop(scopes);
        running.join().unwrap();
        assert!(counted);
    }
}
