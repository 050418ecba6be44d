//! One accepted mitigation, and the table of them.
//!
//! ```text
//! PUT accepted --> Starting (1) --enforced--> Mitigating (2) --DELETE, expiry, override--> gone
//!      \-- trigger-mitigation false --> Parked (8) --session lost--> Starting
//! ```

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::identifiers::{Cuid, Mid};
use dots::lifetime::RemainingLifetime;
use dots::mitigation::{DroppedCounters, MitigationRequest, MitigationStatus, Status};
use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;

use super::prefix_index::{PrefixIndex, outermost};
use crate::time::Now;

/// What identifies a mitigation at a server: the client identity and its number (RFC 9132 §4.4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MitigationKey {
    /// The customer that the client authenticated as.
    pub customer: String,
    /// The client of that customer.
    pub cuid: Cuid,
    /// The client's number for the request.
    pub mid: Mid,
}

/// The authenticated client identity that a request acts for (RFC 9132 §4.4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) customer: String,
    pub(super) cuid: Cuid,
    pub(super) credential: [u8; 32],
}

impl Identity {
    pub(super) fn key(&self, mid: Mid) -> MitigationKey {
        MitigationKey {
            customer: self.customer.clone(),
            cuid: self.cuid.clone(),
            mid,
        }
    }
}

/// What must survive a crash once a mitigation is promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MitigationRecord {
    /// Whose, and which.
    pub key: MitigationKey,
    /// SHA-256 of the public key that the client proved to hold; a `cuid` belongs to it
    /// as long as it has mitigations.
    pub credential: [u8; 32],
    /// What was asked.
    pub request: MitigationRequest,
    /// When the mitigation started, in seconds since 1970; `None` while it is parked.
    pub started_unix: Option<u64>,
    /// When it ends without a refresh, in seconds since 1970; `None`: never.
    pub expires_unix: Option<u64>,
}

/// How far a mitigation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Promised; the mitigator has been told.
    Starting,
    /// The mitigator enforces it.
    Mitigating,
    /// It waits for the session to be lost (`trigger-mitigation` false).
    Parked,
}

impl Phase {
    fn status(self) -> Status {
        match self {
            Self::Starting => Status::AttackMitigationInProgress,
            Self::Mitigating => Status::AttackSuccessfullyMitigated,
            Self::Parked => Status::AttackMitigationSignalLoss,
        }
    }
}

/// A mitigation in force, or parked.
#[derive(Clone, Debug)]
pub(super) struct Mitigation {
    pub(super) record: MitigationRecord,
    pub(super) phase: Phase,
    pub(super) expires: Option<Instant>,
    pub(super) dropped: DroppedCounters,
}

impl Mitigation {
    /// Whose it is.
    pub(super) fn client(&self) -> Identity {
        Identity {
            customer: self.record.key.customer.clone(),
            cuid: self.record.key.cuid.clone(),
            credential: self.record.credential,
        }
    }

    /// The prefixes it protects.
    pub(super) fn prefixes(&self) -> &[TargetPrefix] {
        &self.record.request.target.prefixes
    }

    /// The entry of a GET response or a notification (RFC 9132 §4.4.2).
    pub(super) fn status(&self, now: Now) -> MitigationStatus {
        MitigationStatus {
            target: self.record.request.target.clone(),
            ..self.status_alone(now)
        }
    }

    /// The same without the scope.
    pub(super) fn status_alone(&self, now: Now) -> MitigationStatus {
        MitigationStatus {
            mid: self.record.key.mid,
            target: Target::default(),
            trigger_mitigation: Some(self.record.request.trigger_mitigation),
            mitigation_start: self.record.started_unix,
            status: self.phase.status(),
            lifetime: match self.expires {
                Some(at) => RemainingLifetime::Seconds(now.seconds_until(at)),
                None => RemainingLifetime::Indefinite,
            },
            counters: self.dropped,
            conflict: None,
        }
    }
}

/// Requests of which overlapping ones replace each other: those of one client, with the same
/// `trigger-mitigation` (RFC 9132 §4.4.1.3).
type Alternatives = (String, Cuid, bool);

fn alternatives(key: &MitigationKey, request: &MitigationRequest) -> Alternatives {
    (
        key.customer.clone(),
        key.cuid.clone(),
        request.trigger_mitigation,
    )
}

/// All mitigations of a server, indexed by scope and by expiry.
#[derive(Debug, Default)]
pub(super) struct Mitigations {
    by_key: BTreeMap<MitigationKey, Mitigation>,
    by_prefix: PrefixIndex<MitigationKey>,
    by_client: BTreeMap<Alternatives, PrefixIndex<Mid>>,
    by_expiry: BTreeSet<(Instant, MitigationKey)>,
    owner_of_cuid: BTreeMap<Cuid, ([u8; 32], usize)>,
    by_customer: BTreeMap<String, BTreeSet<MitigationKey>>,
}

impl Mitigations {
    pub(super) fn get(&self, key: &MitigationKey) -> Option<&Mitigation> {
        self.by_key.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &MitigationKey) -> Option<&mut Mitigation> {
        self.by_key.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Mitigation> {
        self.by_key.values()
    }

    pub(super) fn insert(&mut self, mitigation: Mitigation) {
        let key = mitigation.record.key.clone();
        self.remove(&key);
        let request = &mitigation.record.request;
        let own = self
            .by_client
            .entry(alternatives(&key, request))
            .or_default();
        for prefix in outermost(&request.target.prefixes) {
            self.by_prefix.insert(prefix, key.clone());
            own.insert(prefix, key.mid);
        }
        if let Some(at) = mitigation.expires {
            self.by_expiry.insert((at, key.clone()));
        }
        self.owner_of_cuid
            .entry(key.cuid.clone())
            .or_insert((mitigation.record.credential, 0))
            .1 += 1;
        self.by_customer
            .entry(key.customer.clone())
            .or_default()
            .insert(key.clone());
        self.by_key.insert(key, mitigation);
    }

    pub(super) fn remove(&mut self, key: &MitigationKey) -> Option<Mitigation> {
        let mitigation = self.by_key.remove(key)?;
        let request = &mitigation.record.request;
        if let Entry::Occupied(mut own) = self.by_client.entry(alternatives(key, request)) {
            for prefix in outermost(&request.target.prefixes) {
                self.by_prefix.remove(prefix, key);
                own.get_mut().remove(prefix, &key.mid);
            }
            if own.get().is_empty() {
                own.remove();
            }
        }
        if let Some(at) = mitigation.expires {
            self.by_expiry.remove(&(at, key.clone()));
        }
        if let Some((_, count)) = self.owner_of_cuid.get_mut(&key.cuid) {
            *count -= 1;
            if *count == 0 {
                self.owner_of_cuid.remove(&key.cuid);
            }
        }
        if let Some(keys) = self.by_customer.get_mut(&key.customer) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_customer.remove(&key.customer);
            }
        }
        Some(mitigation)
    }

    /// Moves the expiry of a mitigation.
    pub(super) fn reschedule(&mut self, key: &MitigationKey, expires: Option<Instant>) {
        if let Some(mitigation) = self.by_key.get_mut(key) {
            if let Some(at) = mitigation.expires {
                self.by_expiry.remove(&(at, key.clone()));
            }
            if let Some(at) = expires {
                self.by_expiry.insert((at, key.clone()));
            }
            mitigation.expires = expires;
        }
    }

    /// The mitigations of one client by `mid`, or the one of this `mid`.
    pub(super) fn of_client(
        &self,
        client: &Identity,
        mid: Option<Mid>,
    ) -> impl Iterator<Item = &Mitigation> {
        let first = client.key(mid.unwrap_or(Mid(0)));
        let last = client.key(mid.unwrap_or(Mid(u32::MAX)));
        let credential = client.credential;
        self.by_key
            .range(first..=last)
            .map(|(_, mitigation)| mitigation)
            .filter(move |mitigation| mitigation.record.credential == credential)
    }

    /// The mitigations of all clients of a customer.
    pub(super) fn of_customer(&self, customer: &str) -> impl Iterator<Item = &Mitigation> {
        let keys = self.by_customer.get(customer).into_iter().flatten();
        keys.filter_map(|key| self.by_key.get(key))
    }

    /// How many mitigations a customer has.
    pub(super) fn count_of_customer(&self, customer: &str) -> usize {
        self.by_customer.get(customer).map_or(0, BTreeSet::len)
    }

    /// Whether another credential has mitigations under this `cuid` (RFC 9132 §4.4.1.1).
    pub(super) fn is_cuid_of_another(&self, cuid: &Cuid, credential: &[u8; 32]) -> bool {
        self.owner_of_cuid
            .get(cuid)
            .is_some_and(|(owner, _)| owner != credential)
    }

    /// The mitigations of the same client that `asked`, by its key, is an alternative to and
    /// shares an address with.
    pub(super) fn replaced_by(
        &self,
        key: &MitigationKey,
        asked: &MitigationRequest,
        nets: &[IpNet],
    ) -> BTreeSet<Mid> {
        let own = self.by_client.get(&alternatives(key, asked)).into_iter();
        own.flat_map(|own| nets.iter().flat_map(|net| own.overlapping(*net)))
            .flatten()
            .copied()
            .collect()
    }

    /// A mitigation of another client that shares an address with `nets`.
    pub(super) fn of_another(&self, key: &MitigationKey, nets: &[IpNet]) -> Option<&MitigationKey> {
        let is_another =
            |other: &&MitigationKey| (&other.customer, &other.cuid) != (&key.customer, &key.cuid);
        // The keys of one client are neighbours: if none but its own are there, they are at both ends.
        nets.iter()
            .flat_map(|net| self.by_prefix.overlapping(*net))
            .find_map(|keys| {
                [keys.first(), keys.last()]
                    .into_iter()
                    .flatten()
                    .find(is_another)
            })
    }

    /// How many mitigations there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The next mitigation to expire.
    pub(super) fn next_expiry(&self) -> Option<(Instant, &MitigationKey)> {
        self.by_expiry.first().map(|(at, key)| (*at, key))
    }
}
