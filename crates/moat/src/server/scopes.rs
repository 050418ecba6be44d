//! The way to the enforcer: what is to be in force, and not how it came to that.
//!
//! However long the enforcer is busy, there is at most one entry for each time that a mitigation is in force, and none for
//! one that began and ended meanwhile. So there are no more than mitigations, and than filters that the enforcer has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::server::Enforcement;
use dots::target::Target;

use super::message::Scope;

/// The end that the authority holds.
#[derive(Debug)]
pub(crate) struct Scopes(Arc<Shared>);

/// The end that the enforcer holds.
#[derive(Debug)]
pub(super) struct Untaken(Arc<Shared>);

/// Nobody holds the other end any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What has changed since the enforcer took it; `None`: it is to be withdrawn.
    untaken: BTreeMap<Enforcement, Option<Target>>,
    /// What the enforcer was told to enforce.
    taken: BTreeSet<Enforcement>,
    is_over: bool,
}

/// Both ends, when the enforcer has these already.
pub(super) fn queue(taken: impl IntoIterator<Item = Enforcement>) -> (Scopes, Untaken) {
    let shared = Arc::new(Shared::default());
    shared.lock().taken.extend(taken);
    (Scopes(Arc::clone(&shared)), Untaken(shared))
}

impl Scopes {
    /// Tells the enforcer.
    ///
    /// # Errors
    /// [`Ended`]
    pub(super) fn tell(&self, scopes: Vec<Scope>) -> Result<(), Ended> {
        let mut state = self.0.lock();
        if state.is_over {
            return Err(Ended);
        }
        for scope in scopes {
            match scope {
                Scope::Enforce(enforcement, target) => {
                    state.untaken.insert(enforcement, Some(target));
                }
                Scope::Withdraw(enforcement) if state.taken.contains(&enforcement) => {
                    state.untaken.insert(enforcement, None);
                }
                Scope::Withdraw(enforcement) => drop(state.untaken.remove(&enforcement)),
            }
        }
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }
}

impl Untaken {
    /// What has changed, waited for no longer than this.
    ///
    /// # Errors
    /// [`Ended`], when nothing will change any more.
    pub(super) fn take(&self, longest: Duration) -> Result<Vec<Scope>, Ended> {
        let state = self.0.lock();
        let is_idle = |state: &mut State| state.untaken.is_empty() && !state.is_over;
        let waited = self.0.changed.wait_timeout_while(state, longest, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.untaken.is_empty() && state.is_over {
            return Err(Ended);
        }
        let untaken = std::mem::take(&mut state.untaken);
        let scope = |(enforcement, target): (Enforcement, Option<Target>)| match target {
            Some(target) => {
                state.taken.insert(enforcement.clone());
                Scope::Enforce(enforcement, target)
            }
            None => {
                state.taken.remove(&enforcement);
                Scope::Withdraw(enforcement)
            }
        };
        Ok(untaken.into_iter().map(scope).collect())
    }
}

impl Drop for Scopes {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use agent::server::MitigationKey;
    use dots::identifiers::Mid;

    use super::*;

    fn time(started_unix: u64) -> Enforcement {
        Enforcement {
            key: MitigationKey {
                customer: "home".to_owned(),
                cuid: "client".parse().unwrap(),
                mid: Mid(1),
            },
            accepted: 1,
            started_unix,
        }
    }

    fn taken(untaken: &Untaken) -> Vec<(bool, u64)> {
        let scopes = untaken.take(Duration::ZERO).unwrap().into_iter();
        scopes
            .map(|scope| match scope {
                Scope::Enforce(enforcement, _) => (true, enforcement.started_unix),
                Scope::Withdraw(enforcement) => (false, enforcement.started_unix),
            })
            .collect()
    }

    ///
    #[test]
    fn while_the_enforcer_is_busy_nothing_piles_up_whatever_a_customer_asks_for() {
        let (scopes, untaken) = queue([time(0)]);
        for round in 1..10_000 {
            let next = vec![
                Scope::Withdraw(time(round - 1)),
                Scope::Enforce(time(round), Target::default()),
            ];
            scopes.tell(next).unwrap();
        }
        assert_eq!(taken(&untaken), [(false, 0), (true, 9999)]);
        scopes.tell(vec![Scope::Withdraw(time(9999))]).unwrap();
        assert_eq!(taken(&untaken), [(false, 9999)]);
        assert_eq!(taken(&untaken), []);
    }

    #[test]
    fn each_end_notices_when_the_other_is_gone() {
        let (scopes, untaken) = queue([]);
        let last = vec![Scope::Enforce(time(1), Target::default())];
        scopes.tell(last).unwrap();
        drop(scopes);
        assert_eq!(taken(&untaken), [(true, 1)]);
        assert!(untaken.take(Duration::from_secs(60)).is_err());

        let (scopes, untaken) = queue([]);
        drop(untaken);
        assert_eq!(scopes.tell(Vec::new()), Err(Ended));
    }
}
