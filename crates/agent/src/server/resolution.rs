//! Names that mitigations are asked for (RFC 9132 §4.4.1.1): requests wait for them, and what is in
//! force follows them.
//!
//! ```text
//! PUT with a name --> waits --Resolved--> decided like any other
//!                        \--- 5 s without an answer --> 5.03
//! name in use --TTL--> Action::Resolve --Resolved--> moved addresses are enforced, others withdrawn
//! ```
//!
//! One answer serves all that wait for the name, and all that use it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use dots::target::{DomainName, TargetPrefix};

use super::lookups::Lookups;
use super::mitigation::Progress;
use super::outcome::Outcome;
use super::record::{MitigationKey, Standing};
use super::waiting::Waiting;
use super::{Action, Change, Server};
use crate::time::Now;

/// The shortest and the longest time after which a name in use is resolved again.
const TTL_RANGE: (u32, u32) = (30, 3600);

/// How many addresses of one name are looked at; the first ones.
const MOST_ADDRESSES: usize = 32;

/// After a restart names are resolved again over so many seconds, not all at once.
const RESTORE_SPREAD: u64 = 30;

/// When a name that found no room is looked up instead.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What a resolver found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// IPv4 and IPv6; at least one.
    pub addresses: Vec<IpAddr>,
    /// For how many seconds that holds.
    pub ttl: u32,
}

/// Why a resolver found nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolutionError {
    /// There is none.
    #[error("no resolver is configured")]
    NoResolver,
    /// The name does not exist, or has no address.
    #[error("the name has no address")]
    NoAddress,
    /// It cannot be had now; it may be later.
    #[error("{0}")]
    Unavailable(String),
}

/// One name that a mitigation or a waiting request names.
#[derive(Debug, Default)]
struct Name {
    /// The last answer, and until when it holds.
    answer: Option<(Vec<IpAddr>, Instant)>,
    /// When to ask again; or, while the resolver is asked, when to give up on it.
    due: Option<Instant>,
    is_asked: bool,
    users: BTreeSet<MitigationKey>,
}

/// All names in use, and the requests that wait for some.
#[derive(Debug, Default)]
pub(super) struct Resolutions {
    names: BTreeMap<DomainName, Name>,
    by_due: BTreeSet<(Instant, DomainName)>,
    pub(super) waiting: Waiting,
    pub(super) lookups: Lookups,
}

impl Resolutions {
    /// The next instant at which something is to be resolved again or given up.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.by_due.first().map(|(at, _)| *at);
        [due, self.waiting.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What a name stands for, if that is known and still holds.
    pub(super) fn fresh(&self, now: Instant, name: &DomainName) -> Option<&[IpAddr]> {
        let (addresses, until) = self.names.get(name)?.answer.as_ref()?;
        (*until > now).then_some(addresses)
    }

    /// Whether the resolver is to be asked now, which gives up at `give_up`.
    pub(super) fn ask(&mut self, name: &DomainName, give_up: Instant) -> bool {
        let entry = self.names.entry(name.clone()).or_default();
        if entry.is_asked {
            return false;
        }
        entry.is_asked = true;
        self.set_due(name, Some(give_up));
        true
    }

    /// A mitigation uses these names.
    pub(super) fn use_names<'a>(
        &mut self,
        key: &MitigationKey,
        names: impl IntoIterator<Item = &'a DomainName>,
        due: impl Fn(usize) -> Option<Instant>,
    ) {
        for name in names {
            let entry = self.names.entry(name.clone()).or_default();
            entry.users.insert(key.clone());
            if entry.due.is_none() {
                let due = due(self.names.len());
                self.set_due(name, due);
            }
        }
    }

    /// A mitigation is over.
    pub(super) fn release<'a>(
        &mut self,
        key: &MitigationKey,
        names: impl IntoIterator<Item = &'a DomainName>,
    ) {
        for name in names {
            if let Some(entry) = self.names.get_mut(name) {
                entry.users.remove(key);
            }
            self.drop_if_unused(name);
        }
    }

    /// Forgets a name that nobody needs.
    pub(super) fn drop_if_unused(&mut self, name: &DomainName) {
        let is_needed = self.waiting.is_waited_for(name);
        let entry = self.names.get(name);
        if entry.is_some_and(|entry| entry.users.is_empty()) && !is_needed {
            self.set_due(name, None);
            self.names.remove(name);
        }
    }

    fn set_due(&mut self, name: &DomainName, due: Option<Instant>) {
        if let Entry::Occupied(mut entry) = self.names.entry(name.clone()) {
            if let Some(before) = entry.get().due {
                self.by_due.remove(&(before, name.clone()));
            }
            if let Some(at) = due {
                self.by_due.insert((at, name.clone()));
            }
            entry.get_mut().due = due;
        }
    }

    fn pop_due(&mut self, now: Instant) -> Option<DomainName> {
        let (_, name) = self.by_due.first().filter(|(at, _)| *at <= now)?.clone();
        self.set_due(&name, None);
        Some(name)
    }
}

impl Server {
    /// What a resolver found.
    pub(super) fn on_resolved(
        &mut self,
        now: Now,
        name: &DomainName,
        result: Result<Resolution, ResolutionError>,
    ) {
        self.resolutions.lookups.end(name);
        self.take_answer(now, name, result);
    }

    /// What is known of a name: for those that wait, and for those that are in force.
    fn take_answer(
        &mut self,
        now: Now,
        name: &DomainName,
        result: Result<Resolution, ResolutionError>,
    ) {
        let Some(entry) = self.resolutions.names.get_mut(name) else {
            return;
        };
        entry.is_asked = false;
        let users: Vec<MitigationKey> = entry.users.iter().cloned().collect();
        let result = result.and_then(|found| match found.addresses.is_empty() {
            true => Err(ResolutionError::NoAddress),
            false => Ok(found),
        });
        match result {
            Ok(mut found) => {
                found.addresses.truncate(MOST_ADDRESSES);
                let (shortest, longest) = TTL_RANGE;
                let ttl = found.ttl.clamp(shortest, longest);
                let until = now.monotonic + Duration::from_secs(ttl.into());
                entry.answer = Some((found.addresses.clone(), until));
                self.resolutions.set_due(name, Some(until));
                for key in users {
                    self.follow(now, &key, name, &found.addresses);
                }
                self.decide_waiting(now, name);
            }
            Err(error) => {
                let again = now.monotonic + Duration::from_secs(TTL_RANGE.0.into());
                self.resolutions.set_due(name, Some(again));
                let waiting = self.resolutions.waiting.customer_of(name);
                let customer = users.first().map(|key| key.customer.as_str());
                let customer = customer.or(waiting).map(str::to_owned);
                if let Some(customer) = customer {
                    self.act(Action::Decided(Outcome::NotResolved {
                        name: name.clone(),
                        customer,
                        error: error.clone(),
                    }));
                }
                self.refuse_waiting(name, &error);
            }
        }
        self.resolutions.drop_if_unused(name);
    }

    /// Resolves again what is due, and gives up what takes too long.
    pub(super) fn resolve_again(&mut self, now: Now) {
        while let Some(name) = self.resolutions.pop_due(now.monotonic) {
            let Some(entry) = self.resolutions.names.get_mut(&name) else {
                continue;
            };
            if entry.is_asked {
                let error = ResolutionError::Unavailable("the resolver does not answer".to_owned());
                self.take_answer(now, &name, Err(error));
            } else if entry.users.is_empty() {
                self.resolutions.drop_if_unused(&name);
            } else {
                self.look_up_again(now, &name);
            }
        }
        self.give_up_waiting(now);
    }

    /// Asks the resolver on behalf of a customer, unless it is being asked.
    pub(super) fn resolve(&mut self, now: Now, name: &DomainName, customer: &str) {
        let give_up = now.monotonic + self.policy.resolution_limit;
        let is_under_way = self.resolutions.lookups.is_under_way(name);
        if self.resolutions.ask(name, give_up) && !is_under_way {
            self.resolutions.lookups.begin(name.clone(), customer);
            self.act(Action::Resolve {
                name: name.clone(),
                customer: customer.to_owned(),
            });
        }
    }

    /// Resolves a name in use again, for a customer that has room for that; or a little later.
    fn look_up_again(&mut self, now: Now, name: &DomainName) {
        let users = self.resolutions.names.get(name);
        let users = users.into_iter().flat_map(|entry| &entry.users);
        let customer = users
            .map(|key| &key.customer)
            .find(|customer| self.room_for_lookups(customer) > 0)
            .cloned();
        match customer {
            Some(customer) => self.resolve(now, name, &customer),
            None => {
                let later = now.monotonic + NO_ROOM;
                self.resolutions.set_due(name, Some(later));
            }
        }
    }

    /// How many more names may be looked up for a customer.
    pub(super) fn room_for_lookups(&self, customer: &str) -> usize {
        let count = self.resolutions.lookups.count_of(customer);
        self.policy.max_lookups_of_customer.saturating_sub(count)
    }

    /// The mitigations that were restored follow their names again.
    pub(super) fn follow_names(&mut self, now: Now) {
        for mitigation in self.mitigations.iter() {
            let names = mitigation.record.scope.names.keys();
            self.resolutions
                .use_names(&mitigation.record.key, names, |count| {
                    let seconds = count as u64 % RESTORE_SPREAD;
                    Some(now.monotonic + Duration::from_secs(seconds))
                });
        }
    }

    /// A name of a mitigation stands for these addresses now. What its customer does not own is
    /// left out (RFC 9132 §4.4.1.1).
    fn follow(&mut self, now: Now, key: &MitigationKey, name: &DomainName, addresses: &[IpAddr]) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let customer = self.customers.get(&key.customer);
        let owned = |address: &IpAddr| {
            let prefix = TargetPrefix::try_from(*address).ok()?;
            customer?
                .first_unowned([&prefix])
                .is_none()
                .then_some(prefix)
        };
        let stranger = addresses.iter().find(|address| owned(address).is_none());
        let mut scope = mitigation.record.scope.clone();
        let mut prefixes: Vec<TargetPrefix> = addresses.iter().filter_map(owned).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let before = scope.names.insert(name.clone(), prefixes.clone());
        let standing = mitigation.record.standing;
        let was_in_conflict = mitigation.conflict.is_some();
        let before_nets = mitigation.nets();
        if let Some(address) = stranger {
            self.act(Action::Decided(Outcome::AddressNotOwned {
                key: key.clone(),
                name: name.clone(),
                address: *address,
            }));
        }
        if before == Some(prefixes) {
            return;
        }
        let target = scope.target();
        self.mitigations.rescope(key, scope);
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        let is_void = mitigation.is_void();
        if is_void {
            mitigation.progress = Progress::Starting;
        }
        let record = mitigation.record.clone();
        let enforcement = record.enforcement();
        if is_void {
            self.silence(key);
        }
        self.act(Action::Persist(Change::Put(record)));
        if let Some(enforcement) = enforcement {
            self.act(Action::Enforce(enforcement, target));
        }
        if was_in_conflict {
            self.reconsider(now, &before_nets);
            self.reconsider_one(now, key);
        }
        self.meet_own(now, key);
        if matches!(standing, Standing::Active { .. }) {
            self.contend(now, key);
        }
        self.act(Action::Decided(Outcome::Moved {
            key: key.clone(),
            name: name.clone(),
        }));
        self.mark(now, key);
    }
}
