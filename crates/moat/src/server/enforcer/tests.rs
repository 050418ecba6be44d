//! What the enforcer makes of scopes, and of a mitigator that fails.

use std::sync::{Arc, Mutex};

use agent::server::MitigationKey;
use dots::identifiers::Mid;
use mitigator::Reconciled;

use super::*;
use crate::server::inputs::{Waiting, queue};

/// Does what it is told, or says that it took too long.
#[derive(Debug, Clone, Default)]
struct Filters {
    hangs: Arc<Mutex<bool>>,
    /// Changes of this filter take too long.
    too_slow: Option<FilterId>,
    counters: Arc<Mutex<BTreeMap<FilterId, Dropped>>>,
}

impl Filters {
    fn hang(&self, hangs: bool) {
        *self.hangs.lock().unwrap() = hangs;
    }

    fn answer(&self) -> Result<(), MitigatorError> {
        match *self.hangs.lock().unwrap() {
            false => Ok(()),
            true => Err(timed_out()),
        }
    }
}

fn timed_out() -> MitigatorError {
    MitigatorError::TimedOut {
        program: "nft".into(),
        limit: INTERVAL,
    }
}

impl Mitigator for Filters {
    fn apply(&mut self, changes: &[FilterChange]) -> Result<(), MitigatorError> {
        let is_slow = |change: &FilterChange| matches!(change, FilterChange::Enforce(filter) if self.too_slow.as_ref() == Some(&filter.id));
        match changes.iter().any(is_slow) {
            true => Err(timed_out()),
            false => self.answer(),
        }
    }

    fn reconcile(&mut self, _: &[Filter]) -> Result<Reconciled, MitigatorError> {
        self.answer().map(|()| Reconciled::default())
    }

    fn counters(&mut self) -> Result<BTreeMap<FilterId, Dropped>, MitigatorError> {
        self.answer()
            .map(|()| self.counters.lock().unwrap().clone())
    }
}

/// A mitigation that was accepted first, with this number.
fn first(mid: u32) -> Enforcement {
    Enforcement {
        key: MitigationKey {
            customer: "home".to_owned(),
            cuid: "client".parse().unwrap(),
            mid: Mid(mid),
        },
        accepted: 1,
        started_unix: 1_900_000_000,
    }
}

fn enforce(mid: u32) -> Vec<Scope> {
    vec![Scope::Enforce(first(mid), Target::default())]
}

fn told(waiting: &Waiting) -> Vec<(bool, Vec<u32>)> {
    std::iter::from_fn(|| waiting.take())
        .map(|message| match message {
            ToAuthority::Input(Input::Enforced(those)) => (true, those),
            ToAuthority::Input(Input::NotEnforced(those)) => (false, those),
            ToAuthority::Input(Input::Dropped(_)) => (true, Vec::new()),
            other => panic!("{other:?}"),
        })
        .map(|(enforced, those)| (enforced, those.iter().map(|each| each.key.mid.0).collect()))
        .collect()
}

#[test]
fn what_the_filter_did_not_take_is_told_and_told_again_when_it_did() {
    let (filters, (inputs, waiting)) = (Filters::default(), queue());
    let mut enforcer = Enforcer::new(filters.clone(), inputs);
    enforcer.apply(enforce(1));
    assert_eq!(told(&waiting), [(true, vec![1])]);
    filters.hang(true);
    enforcer.apply(enforce(2));
    enforcer.apply(enforce(3));
    enforcer.apply(vec![Scope::Withdraw(first(1))]);
    assert_eq!(told(&waiting), [(false, vec![2]), (false, vec![3])]);
    filters.hang(false);
    enforcer.apply(enforce(4));
    let mut last = told(&waiting);
    for (_, mids) in &mut last {
        mids.sort_unstable();
    }
    assert_eq!(last, [(true, vec![2, 3, 4])]);
}

///
#[test]
fn what_one_customer_asks_for_and_takes_too_long_keeps_no_other_waiting() {
    let (inputs, waiting) = queue();
    let of = |customer: &str, mid| {
        let mut enforcement = first(mid);
        customer.clone_into(&mut enforcement.key.customer);
        enforcement
    };
    let prefixes = |count| Target {
        prefixes: vec!["192.0.2.1/32".parse().unwrap(); count],
        ..Target::default()
    };
    let filters = Filters {
        too_slow: filter_id(&of("branch", 1)),
        ..Filters::default()
    };
    let mut enforcer = Enforcer::new(filters, inputs);
    enforcer.apply(vec![
        Scope::Enforce(of("branch", 1), prefixes(2)),
        Scope::Enforce(of("branch", 2), prefixes(2)),
        Scope::Enforce(of("annex", 3), prefixes(5)),
        Scope::Enforce(of("home", 4), prefixes(1)),
    ]);
    assert_eq!(told(&waiting), [(true, vec![4]), (false, vec![1, 2, 3])]);
    // All is brought in order at once when there is time for it.
    enforcer.look_after();
    assert_eq!(told(&waiting).len(), 1);
}

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
fn the_filter_of_a_new_mitigation_counts_for_itself_whatever_its_number() {
    let (filters, (inputs, waiting)) = (Filters::default(), queue());
    let mut enforcer = Enforcer::new(filters.clone(), inputs);
    enforcer.apply(enforce(1));
    let second = Enforcement {
        accepted: 2,
        ..first(1)
    };
    let replacement = vec![
        Scope::Withdraw(first(1)),
        Scope::Enforce(second.clone(), Target::default()),
    ];
    enforcer.apply(replacement);
    let id = |enforcement: &Enforcement| filter_id(enforcement).unwrap();
    let before = Dropped {
        packets: 7,
        bytes: 700,
    };
    let mut counters = filters.counters.lock().unwrap();
    counters.insert(id(&first(1)), before);
    counters.entry(id(&second)).or_default();
    drop(counters);
    enforcer.report_dropped();
    let told = std::iter::from_fn(|| waiting.take()).filter_map(|message| match message {
        ToAuthority::Input(Input::Dropped(dropped)) => Some(dropped),
        _ => None,
    });
    assert_eq!(told.last(), Some([(second, (0, 0))].into()));
}

/// Covers: S-042
#[test]
fn counters_are_read_however_often_filters_change() {
    let (filters, (inputs, waiting)) = (Filters::default(), queue());
    let dropped = Dropped {
        packets: 7,
        bytes: 700,
    };
    let id = filter_id(&first(1)).unwrap();
    filters.counters.lock().unwrap().insert(id, dropped);
    let mut enforcer = Enforcer::new(filters, inputs);
    enforcer.interval = Duration::from_millis(20);
    let (scopes, changes) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || enforcer.run(&changes));
    let is_counted = |message: ToAuthority| {
        matches!(message, ToAuthority::Input(Input::Dropped(dropped))
            if dropped.get(&first(1)) == Some(&(7, 700)))
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
