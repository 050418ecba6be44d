//! How mitigations come into force and end: the only place that enforces and withdraws.

use std::collections::BTreeMap;
use std::time::Instant;

use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{DroppedCounters, MitigationStatus, Status};

use super::mitigation::{Mitigation, Progress};
use super::record::{MitigationKey, MitigationRecord, Standing};
use super::{Action, Change, Server};
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
    /// Takes up what the store holds.
    pub(super) fn restore(&mut self, now: Now, record: MitigationRecord) {
        if record.expires_unix.is_some_and(|at| at <= now.unix) {
            self.act(Action::Persist(Change::Delete(record.key)));
            return;
        }
        let expires = record.expires_unix.map(|at| now.instant_of(at));
        if record.standing.is_in_force() {
            self.begin(record.credential);
        }
        self.mitigations.insert(Mitigation::new(record, expires));
    }

    /// Takes up a new mitigation.
    pub(super) fn admit(&mut self, record: MitigationRecord, expires: Option<Instant>) {
        self.act(Action::Persist(Change::Put(record.clone())));
        if record.standing.is_in_force() {
            let target = record.scope.target();
            self.act(Action::Enforce(record.key.clone(), target));
            self.begin(record.credential);
        }
        let names = record.scope.names.keys();
        self.resolutions.use_names(&record.key, names, |_| None);
        self.mitigations.insert(Mitigation::new(record, expires));
    }

    /// Brings a mitigation into force that was not.
    pub(super) fn bring_into_force(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        mitigation.record.standing = Standing::Active {
            started_unix: now.unix,
        };
        mitigation.progress = Progress::Starting;
        mitigation.dropped = DroppedCounters::default();
        let record = mitigation.record.clone();
        let client = mitigation.client();
        let target = record.scope.target();
        self.act(Action::Persist(Change::Put(record)));
        self.act(Action::Enforce(key.clone(), target));
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
        mitigation.record.standing = standing;
        mitigation.record.expires_unix = expiry.unix;
        let record = mitigation.record.clone();
        let client = mitigation.client();
        self.act(Action::Persist(Change::Put(record)));
        self.act(Action::Withdraw(key.clone()));
        self.cease(&client.credential);
        self.observations
            .mark(now.monotonic, &client, key.mid, None);
    }

    /// Ends a mitigation: out of force, out of the store, its observers told once.
    pub(super) fn end(&mut self, now: Now, key: &MitigationKey, status: Status) {
        let Some(mitigation) = self.mitigations.remove(key) else {
            return;
        };
        let names = mitigation.record.scope.names.keys();
        self.resolutions.release(key, names);
        self.act(Action::Persist(Change::Delete(key.clone())));
        if mitigation.is_in_force() {
            self.act(Action::Withdraw(key.clone()));
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

    /// The mitigator enforces these.
    pub(super) fn on_enforced(&mut self, now: Now, keys: &[MitigationKey]) {
        for key in keys {
            if let Some(mitigation) = self.mitigations.get_mut(key)
                && mitigation.is_in_force()
                && mitigation.progress == Progress::Starting
            {
                mitigation.progress = Progress::Mitigating;
                let client = mitigation.client();
                self.observations
                    .mark(now.monotonic, &client, key.mid, None);
            }
        }
    }

    /// What the mitigator has dropped so far.
    pub(super) fn on_dropped(&mut self, dropped: BTreeMap<MitigationKey, (u64, u64)>) {
        for (key, (packets, bytes)) in dropped {
            if let Some(mitigation) = self.mitigations.get_mut(&key) {
                mitigation.dropped.pkts = Some(packets);
                mitigation.dropped.bytes = Some(bytes);
            }
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
