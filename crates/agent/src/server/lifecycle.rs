//! How mitigations come into force and end: the only place that enforces and withdraws.

use std::time::{Duration, Instant};

use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{MitigationStatus, Status};

use super::mitigation::{Mitigation, Progress};
use super::outcome::Outcome;
use super::rates::Meter;
use super::record::{MitigationKey, MitigationRecord, Standing};
use super::upstream::Known;
use super::{Action, Change, Server, termination};
use crate::time::Now;

/// The end of a lifetime on both clocks; `None`: never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expiry {
    pub(super) instant: Option<Instant>,
    pub(super) unix: Option<u64>,
}

impl Expiry {
    pub(super) fn after(now: Now, lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Seconds(seconds) => Self::in_seconds(now, seconds.get()),
            Lifetime::Indefinite => Self::default(),
        }
    }

    pub(super) fn in_seconds(now: Now, seconds: u32) -> Self {
        let unix = now.unix.saturating_add(seconds.into());
        Self {
            instant: Some(now.instant_of(unix)),
            unix: Some(unix),
        }
    }
}

impl Server {
    /// Takes up what the store holds, unless its customer may not ask for it any more
    /// (RFC 9132 §4.4.1.1).
    pub(super) fn restore(&mut self, now: Now, record: MitigationRecord) {
        if record.expires_unix.is_some_and(|at| at <= now.unix) {
            self.act(Action::Persist(Change::Delete(record.key)));
            return;
        }
        let customer = self.customers.get(&record.key.customer);
        let prefix = customer.map(|customer| customer.first_unowned(record.scope.prefixes()));
        if prefix != Some(None) {
            let prefix = prefix.flatten().copied();
            let key = record.key;
            self.act(Action::Persist(Change::Delete(key.clone())));
            self.act(Action::Decided(Outcome::NotOwned { key, prefix }));
            return;
        }
        if record.standing.is_in_force() {
            self.begin(record.credential);
        }
        let longest = match record.standing {
            Standing::Active { .. } | Standing::Parked => {
                Expiry::after(now, self.grant(record.request.lifetime)).instant
            }
            Standing::Terminating { .. } => Some(now.monotonic + termination::LONGEST),
            Standing::Deactivated => None,
        };
        let mut mitigation = Mitigation::new(now, record, self.policy.terminating);
        mitigation.upstream = self.policy.relaying.as_ref().map(|_| Known::restored());
        // A wall clock that was set back makes nothing last longer than was granted.
        mitigation.expires = mitigation.expires.into_iter().chain(longest).min();
        if mitigation.record.standing == Standing::Parked {
            self.await_owner(now, &mitigation.record);
        }
        self.mitigations.insert(mitigation);
    }

    /// When the wall clock was set, what is stored ends by the new one: what was promised for an hour lasts an hour, over a
    /// restart, too, on a device that learns the time after its start.
    pub(super) fn follow_clock(&mut self, now: Now) {
        if now.jump_since(self.clock).is_none() {
            return;
        }
        self.clock = now;
        let ends = self.mitigations.iter().filter_map(|mitigation| {
            let at = mitigation.expires?;
            Some((mitigation.record.key.clone(), at))
        });
        for (key, at) in ends.collect::<Vec<_>>() {
            let unix = now.unix.saturating_add(now.seconds_until(at).into());
            let expiry = Expiry {
                instant: Some(at),
                unix: Some(unix),
            };
            self.reschedule(&key, expiry);
        }
    }

    /// Takes up a new mitigation, which goes on for `terminating` after its withdrawal.
    pub(super) fn admit(&mut self, now: Now, record: MitigationRecord, terminating: Duration) {
        self.act(Action::Persist(Change::Put(record.clone())));
        if let Some(enforcement) = record.enforcement() {
            let target = record.scope.target();
            self.act(Action::Enforce(enforcement, target));
            self.begin(record.credential);
        }
        let names = record.scope.names.keys();
        self.resolutions.use_names(&record.key, names, |_| None);
        let mut mitigation = Mitigation::new(now, record, terminating);
        mitigation.upstream = self.not_answered_yet();
        self.mitigations.insert(mitigation);
    }

    /// Brings a mitigation into force that was not.
    pub(super) fn bring_into_force(&mut self, now: Now, key: &MitigationKey) {
        self.silence(key);
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        mitigation.record.standing = Standing::Active {
            started_unix: now.unix,
        };
        mitigation.progress = Progress::Starting;
        mitigation.meter = Meter::new(now.monotonic, Duration::ZERO);
        let record = mitigation.record.clone();
        let client = mitigation.client();
        let target = record.scope.target();
        let enforcement = record.enforcement();
        self.act(Action::Persist(Change::Put(record)));
        if let Some(enforcement) = enforcement {
            self.act(Action::Enforce(enforcement, target));
        }
        self.begin(client.credential);
        self.observations
            .mark(now.monotonic, &client, key.mid, None);
    }

    /// Takes a mitigation out of force and keeps it.
    pub(super) fn take_out_of_force(
        &mut self,
        now: Now,
        key: &MitigationKey,
        standing: Standing,
        expiry: Expiry,
    ) {
        self.mitigations.reschedule(key, expiry.instant);
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        let enforcement = mitigation.record.enforcement();
        mitigation.record.standing = standing;
        mitigation.record.expires_unix = expiry.unix;
        let record = mitigation.record.clone();
        let client = mitigation.client();
        self.act(Action::Persist(Change::Put(record)));
        if let Some(enforcement) = enforcement {
            self.act(Action::Withdraw(enforcement));
            self.cease(&client.credential);
        }
        self.observations
            .mark(now.monotonic, &client, key.mid, None);
    }

    /// Ends a mitigation: out of force, out of the store, its observers told once.
    pub(super) fn end(&mut self, now: Now, key: &MitigationKey, status: Status) {
        self.silence(key);
        self.drop_held(key);
        let Some(mitigation) = self.mitigations.remove(key) else {
            return;
        };
        let names = mitigation.record.scope.names.keys();
        self.resolutions.release(key, names);
        self.act(Action::Persist(Change::Delete(key.clone())));
        if let Some(enforcement) = mitigation.record.enforcement() {
            self.act(Action::Withdraw(enforcement));
            self.cease(&mitigation.record.credential);
        }
        let last = MitigationStatus {
            status,
            lifetime: RemainingLifetime::Seconds(0),
            ..mitigation.status_alone(now)
        };
        let client = mitigation.client();
        self.observations
            .mark(now.monotonic, &client, key.mid, Some(&last));
        if mitigation.conflict.is_some() {
            self.reconsider(now, &mitigation.nets());
        }
    }

    /// Moves the end of a mitigation.
    pub(super) fn reschedule(&mut self, key: &MitigationKey, expiry: Expiry) {
        self.mitigations.reschedule(key, expiry.instant);
        if let Some(mitigation) = self.mitigations.get_mut(key) {
            mitigation.record.expires_unix = expiry.unix;
            let record = mitigation.record.clone();
            self.act(Action::Persist(Change::Put(record)));
        }
    }

    /// What observers of a mitigation see has changed.
    pub(super) fn mark(&mut self, now: Now, key: &MitigationKey) {
        if let Some(mitigation) = self.mitigations.get(key) {
            let client = mitigation.client();
            self.observations
                .mark(now.monotonic, &client, key.mid, None);
        }
    }

    /// A mitigation of the client came into force.
    fn begin(&mut self, credential: [u8; 32]) {
        for session in self.attacks.begin(credential) {
            self.act(Action::SetMitigating(session, true));
        }
    }

    /// A mitigation of the client is not in force any more.
    fn cease(&mut self, credential: &[u8; 32]) {
        for session in self.attacks.end(credential) {
            self.act(Action::SetMitigating(session, false));
        }
    }
}
