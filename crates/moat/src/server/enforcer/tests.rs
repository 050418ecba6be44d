//! What the enforcer makes of scopes, and of a mitigator that fails.

use std::sync::{Arc, Mutex};

use agent::server::MitigationKey;
use dots::identifiers::Mid;
use mitigator::Reconciled;

use super::*;
use crate::server::inputs::{Waiting, queue};
use crate::server::scopes;

/// Does what it is told, or says that it took too long.
#[derive(Debug, Clone, Default)]
struct Filters {
    hangs: Arc<Mutex<bool>>,
    /// What this filter names takes too long.
    too_slow: Option<FilterId>,
    /// More filters at a time are too many.
    limit: Option<usize>,
    counters: Arc<Mutex<BTreeMap<FilterId, Dropped>>>,
}

impl Filters {
    fn is_slow(&self, filter: &Filter) -> bool {
        self.too_slow.as_ref() == Some(&filter.id) && !filter.prefixes.is_empty()
    }

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

fn too_large() -> MitigatorError {
    MitigatorError::TooLarge {
        stderr: "No buffer space available".to_owned(),
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
        let is_slow = |change: &FilterChange| matches!(change, FilterChange::Enforce(filter) if self.is_slow(filter));
        if self.limit.is_some_and(|limit| changes.len() > limit) {
            return Err(too_large());
        }
        match changes.iter().any(is_slow) {
            true => Err(timed_out()),
            false => self.answer(),
        }
    }

    fn reconcile(&mut self, wanted: &[Filter]) -> Result<Reconciled, MitigatorError> {
        if wanted.iter().any(|filter| self.is_slow(filter)) {
            return Err(timed_out());
        }
        if self.limit.is_some_and(|limit| wanted.len() > limit) {
            return Err(too_large());
        }
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

/// The same of a customer.
fn of(customer: &str, mid: u32) -> Enforcement {
    let mut enforcement = first(mid);
    customer.clone_into(&mut enforcement.key.customer);
    enforcement
}

/// So many prefixes.
fn prefixes(count: usize) -> Target {
    Target {
        prefixes: vec!["192.0.2.1/32".parse().unwrap(); count],
        ..Target::default()
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
        .map(|(enforced, those)| {
            let mut mids: Vec<u32> = those.iter().map(|each| each.key.mid.0).collect();
            mids.sort_unstable();
            (enforced, mids)
        })
        .collect()
}

#[test]
fn what_the_filter_did_not_take_is_told_and_told_again_when_it_did() {
    let (filters, (inputs, waiting)) = (Filters::default(), queue());
    let start = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters.clone(), inputs);
    enforcer.apply(start, enforce(1));
    assert_eq!(told(&waiting), [(true, vec![1])]);
    filters.hang(true);
    enforcer.apply(start, enforce(2));
    enforcer.apply(start, enforce(3));
    enforcer.apply(start, vec![Scope::Withdraw(first(1))]);
    assert_eq!(told(&waiting), [(false, vec![2]), (false, vec![3])]);
    filters.hang(false);
    enforcer.apply(start, enforce(4));
    assert_eq!(told(&waiting), [(true, vec![2, 3, 4])]);
}

///
#[test]
fn what_one_customer_asks_for_and_takes_too_long_keeps_no_other_waiting() {
    let (inputs, waiting) = queue();
    let filters = Filters {
        too_slow: filter_id(&of("branch", 1)),
        ..Filters::default()
    };
    let start = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters, inputs);
    enforcer.apply(
        start,
        vec![
            Scope::Enforce(of("branch", 1), prefixes(2)),
            Scope::Enforce(of("branch", 2), prefixes(2)),
            Scope::Enforce(of("annex", 3), prefixes(5)),
            Scope::Enforce(of("home", 4), prefixes(1)),
        ],
    );
    assert_eq!(told(&waiting), [(true, vec![4]), (false, vec![1, 2, 3])]);
    // Nor later, as long as that goes on: what is in force is put in order without it.
    enforcer.apply(start, vec![Scope::Enforce(of("home", 5), prefixes(1))]);
    let last = told(&waiting);
    assert!(last.contains(&(true, vec![4])), "{last:?}");
    assert!(
        last.iter()
            .any(|(enforced, mids)| *enforced && mids.contains(&5) && mids.contains(&3))
    );
    for minutes in 1..200 {
        enforcer.look_after(start + Duration::from_secs(60 * minutes));
    }
    drop(told(&waiting));
    let later = start + Duration::from_secs(60 * 200);
    enforcer.apply(later, vec![Scope::Enforce(of("annex", 6), prefixes(1))]);
    assert!(told(&waiting).contains(&(true, vec![6])));
    // Once the mitigator can do it, it is done.
    enforcer.mitigator.too_slow = None;
    enforcer.look_after(later + refusals::LONGEST_PAUSE);
    assert!(told(&waiting).contains(&(true, vec![1, 2])));
}

///
#[test]
fn what_is_too_large_for_one_transaction_comes_into_force_customer_by_customer() {
    let (inputs, waiting) = queue();
    let filters = Filters {
        limit: Some(2),
        ..Filters::default()
    };
    let mut enforcer = Enforcer::new(filters, inputs);
    let of = |customer: &str, mid| Scope::Enforce(of(customer, mid), Target::default());
    let start = clock::now().monotonic;
    enforcer.apply(
        start,
        vec![of("annex", 1), of("branch", 2), of("branch", 3)],
    );
    assert_eq!(told(&waiting), [(true, vec![1]), (true, vec![2, 3])]);
    // Nobody else is told that he has to wait when one asks for too much.
    let much = (10..13).map(|mid| of("home", mid));
    enforcer.apply(start, much.chain([of("annex", 4)]).collect());
    assert_eq!(told(&waiting), [(true, vec![4]), (false, vec![10, 11, 12])]);
    // Somebody has removed all, and all together do not fit.
    enforcer.look_after(start);
    let last = told(&waiting);
    for mids in [vec![1, 4], vec![2, 3]] {
        assert!(last.contains(&(true, mids)), "{last:?}");
    }
}

/// Covers: X-013, S-037. One customer's filter that is never taken keeps the others neither from what they had nor the server
/// from its start.
#[test]
fn what_one_customer_was_promised_and_is_not_taken_keeps_no_server_from_its_start() {
    let (inputs, waiting) = queue();
    let filters = Filters {
        too_slow: filter_id(&of("branch", 1)),
        ..Filters::default()
    };
    let kept = filter_id(&of("home", 4)).unwrap();
    filters
        .counters
        .lock()
        .unwrap()
        .insert(kept, Dropped::default());
    let promised = [
        (of("branch", 1), prefixes(1)),
        (of("branch", 2), prefixes(1)),
        (of("annex", 3), prefixes(5)),
        (of("home", 4), prefixes(9)),
    ];
    let start = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters.clone(), inputs);
    enforcer.reconcile(start, promised.clone()).unwrap();
    let said = told(&waiting);
    assert_eq!(said[0], (true, vec![4]), "what the filter has stays");
    assert_eq!(said.last(), Some(&(false, vec![1, 2, 3])));
    enforcer.look_after(start + Duration::from_secs(1));
    assert!(told(&waiting).contains(&(true, vec![3])));
    // Nor does it where there is nobody else: who may not start can withdraw nothing.
    let (inputs, waiting) = queue();
    let mut enforcer = Enforcer::new(filters.clone(), inputs);
    enforcer.reconcile(start, promised[..1].to_vec()).unwrap();
    assert_eq!(told(&waiting), [(false, vec![1])]);
    // Where the mitigator does not work, nothing is kept that was promised.
    let (inputs, _waiting) = queue();
    filters.hang(true);
    let mut enforcer = Enforcer::new(filters, inputs);
    assert!(enforcer.reconcile(start, promised).is_err());
}

///
#[test]
fn what_came_into_force_customer_by_customer_does_so_again_at_the_next_start() {
    let (inputs, waiting) = queue();
    let filters = Filters {
        limit: Some(2),
        ..Filters::default()
    };
    let promised = [("annex", 1), ("branch", 2), ("branch", 3)];
    let promised = promised.map(|(customer, mid)| (of(customer, mid), Target::default()));
    let mut enforcer = Enforcer::new(filters, inputs);
    let start = clock::now().monotonic;
    enforcer.reconcile(start, promised).unwrap();
    assert_eq!(told(&waiting), [(true, vec![1]), (true, vec![2, 3])]);
}

/// Covers: S-042, S-019. A name has moved: what was in force is put in order, and is not what is wanted.
#[test]
fn what_is_wanted_otherwise_is_not_told_to_be_in_force() {
    let (inputs, waiting) = queue();
    let filters = Filters {
        too_slow: filter_id(&first(1)),
        ..Filters::default()
    };
    let start = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters, inputs);
    enforcer.apply(start, enforce(1));
    enforcer.apply(start, enforce(2));
    drop(told(&waiting));
    enforcer.apply(start, vec![Scope::Enforce(first(1), prefixes(1))]);
    assert_eq!(told(&waiting), [(false, vec![1])]);
    enforcer.look_after(start + INTERVAL);
    assert_eq!(told(&waiting), [(true, vec![2])]);
}

///
#[test]
fn who_gives_up_what_was_refused_gets_the_rest_soon() {
    let (inputs, waiting) = queue();
    let filters = Filters {
        too_slow: filter_id(&of("branch", 1)),
        ..Filters::default()
    };
    let mut now = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters, inputs);
    enforcer.apply(now, enforce(9));
    let both = [1, 2].map(|mid| Scope::Enforce(of("branch", mid), prefixes(1)));
    enforcer.apply(now, both.into());
    for _ in 0..10 {
        now += refusals::LONGEST_PAUSE;
        enforcer.look_after(now);
    }
    drop(told(&waiting));
    enforcer.apply(now, vec![Scope::Withdraw(of("branch", 1))]);
    enforcer.look_after(now + INTERVAL);
    assert!(told(&waiting).contains(&(true, vec![2])));
}

#[test]
fn filters_that_somebody_else_removed_are_missed_and_put_back() {
    let (filters, (inputs, waiting)) = (Filters::default(), queue());
    let start = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters, inputs);
    enforcer.apply(start, enforce(1));
    enforcer.look_after(start);
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
    let start = clock::now().monotonic;
    let mut enforcer = Enforcer::new(filters.clone(), inputs);
    enforcer.apply(start, enforce(1));
    let second = Enforcement {
        accepted: 2,
        ..first(1)
    };
    let replacement = vec![
        Scope::Withdraw(first(1)),
        Scope::Enforce(second.clone(), Target::default()),
    ];
    enforcer.apply(start, replacement);
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
    let (scopes, untaken) = scopes::queue([]);
    let running = std::thread::spawn(move || enforcer.run(&untaken));
    let is_counted = |message: ToAuthority| {
        matches!(message, ToAuthority::Input(Input::Dropped(dropped))
            if dropped.get(&first(1)) == Some(&(7, 700)))
    };
    // There is always something to do.
    let mut counted = false;
    for _ in 0..10_000 {
        scopes.tell(enforce(1)).unwrap();
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
