//! What a server said it would do, written down apart from what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agent::Now;
use agent::server::{Enforcement, MitigationKey, MitigationRecord};
use dots::lifetime::Lifetime;
use dots::target::Target;

/// How late an end may be noticed.
const SLACK: Duration = Duration::from_secs(1);

/// The longest time that a mitigation goes on after its withdrawal (RFC 9132 §4.4.4).
const TERMINATING: Duration = Duration::from_secs(300);

/// The promises of one server.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    promised: BTreeMap<MitigationKey, Promise>,
    /// Deleted since the last check; each needs a reason.
    deleted: BTreeSet<MitigationKey>,
    /// How many promises were made, refreshed ones included.
    pub(crate) made: u64,
}

#[derive(Debug)]
struct Promise {
    /// As granted; `None`: indefinite.
    lifetime: Option<Duration>,
    /// `None`: until it is withdrawn.
    until: Option<Instant>,
    target: Target,
    /// Its client wants it no more; it may go on for a while (RFC 9132 §4.4.4).
    is_withdrawn: bool,
}

impl Promise {
    fn check_end(&self, now: Instant, key: &MitigationKey) -> Result<(), String> {
        match self.until.is_some_and(|until| until + SLACK < now) {
            true => Err(format!("{key:?} outlived its lifetime")),
            false => Ok(()),
        }
    }
}

impl Ledger {
    /// The client is told that its request is granted.
    pub(crate) fn promise(&mut self, now: Instant, record: &MitigationRecord, granted: Lifetime) {
        let (key, target) = (&record.key, &record.request.target);
        self.made += 1;
        // A higher mid takes the place of what it overlaps (RFC 9132 §4.4.1.3).
        let is_same_client =
            |other: &MitigationKey| (&other.customer, &other.cuid) == (&key.customer, &key.cuid);
        let older = self.promised.range(..key).rev();
        let older = older.take_while(|(other, _)| is_same_client(other));
        let replaced = older.filter(|(_, promise)| promise.target.overlaps(target));
        let replaced: Vec<MitigationKey> = replaced.map(|(other, _)| other.clone()).collect();
        for other in replaced {
            self.promised.remove(&other);
        }
        let lifetime = match granted {
            Lifetime::Seconds(seconds) => Some(Duration::from_secs(seconds.get().into())),
            Lifetime::Indefinite => None,
        };
        let promise = Promise {
            lifetime,
            until: lifetime.map(|lifetime| now + lifetime),
            target: target.clone(),
            is_withdrawn: false,
        };
        self.promised.insert(key.clone(), promise);
    }

    /// The client was heard to withdraw it.
    pub(crate) fn withdraw(&mut self, now: Instant, key: &MitigationKey) {
        if let Some(promise) = self.promised.get_mut(key) {
            promise.is_withdrawn = true;
            promise.lifetime = Some(TERMINATING);
            promise.until = Some(now + TERMINATING);
        }
    }

    pub(crate) fn delete(&mut self, key: &MitigationKey) {
        self.deleted.insert(key.clone());
    }

    /// What there are promises of.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &MitigationKey> {
        self.promised.keys()
    }

    /// Whether what was deleted since the last check had come to its end, neither sooner nor later.
    pub(crate) fn check_deleted(&mut self, now: Instant) -> Result<(), String> {
        for key in std::mem::take(&mut self.deleted) {
            let Some(promise) = self.promised.get(&key) else {
                continue;
            };
            promise.check_end(now, &key)?;
            let is_expired = promise.until.is_some_and(|until| until <= now);
            if !is_expired && !promise.is_withdrawn {
                return Err(format!("{key:?} was ended without a reason"));
            }
            self.promised.remove(&key);
        }
        Ok(())
    }

    /// Whether what is promised is stored and in force; what is not must have come to its end.
    pub(crate) fn check(
        &self,
        now: Instant,
        key: &MitigationKey,
        stored: Option<&MitigationRecord>,
        in_force: &BTreeSet<Enforcement>,
    ) -> Result<(), String> {
        let Some(promise) = self.promised.get(key) else {
            return Ok(());
        };
        promise.check_end(now, key)?;
        let Some(record) = stored else {
            return Err(format!("{key:?} was promised and is not stored"));
        };
        let enforcement = record.enforcement();
        if !enforcement.is_some_and(|each| in_force.contains(&each)) {
            return Err(format!("{key:?} was promised and is not in force"));
        }
        Ok(())
    }

    /// Whether what is stored ends by itself. A process that died may have stored what it never promised.
    pub(crate) fn is_to_end(&self, now: Instant, record: &MitigationRecord) -> bool {
        match self.promised.get(&record.key) {
            Some(promise) => promise.until.is_some_and(|until| until > now),
            None => record.expires_unix.is_some(),
        }
    }

    /// The process died. What it had deleted it would have had a reason for; what was promised is
    /// stored, and the wall clock says when it ends.
    pub(crate) fn restart(&mut self, now: Now, stored: &BTreeMap<MitigationKey, MitigationRecord>) {
        for key in std::mem::take(&mut self.deleted) {
            self.promised.remove(&key);
        }
        for (key, promise) in &mut self.promised {
            let record = stored.get(key);
            // A late copy of the request, stored and not promised when it died, may ask for more.
            let asked = record.map(|record| record.request.lifetime);
            if let Some(Lifetime::Seconds(asked)) = asked.filter(|_| !promise.is_withdrawn) {
                let asked = Duration::from_secs(asked.get().into());
                promise.lifetime = promise.lifetime.map(|granted| granted.max(asked));
            }
            // A wall clock that jumped may shorten a lifetime, and not prolong it.
            let longest = promise.lifetime.map(|lifetime| now.monotonic + lifetime);
            let shown = record.and_then(|record| record.expires_unix);
            let shown = shown.map(|at| now.instant_of(at));
            promise.until = shown.into_iter().chain(longest).min();
        }
    }
}
