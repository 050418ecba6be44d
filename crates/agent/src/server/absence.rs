//! Clients whose last session broke without a word, or that have not come back since a restart, and
//! that have preconfigured requests (RFC 9132 §4.7).
//!
//! ```text
//! session breaks, or restart --> away --Established--> back: nothing starts
//!                                 \--- as long as heartbeats may fail ---> requests start
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use super::Server;
use super::mitigation::Mitigation;
use super::record::{MitigationKey, MitigationRecord, Standing};
use crate::time::Now;

/// SHA-256 of what a client proved to hold.
type Credential = [u8; 32];

/// Whose preconfigured requests the client has: this customer's; of a gateway, those of anybody.
type Owner = Option<String>;

/// The clients that are away, each with the instant at which it counts as lost.
#[derive(Debug, Default)]
pub(super) struct Absences {
    until: BTreeMap<Credential, Instant>,
    by_instant: BTreeMap<(Instant, Credential), Owner>,
}

impl Absences {
    /// A gateway has requests of its own, too, if it is a customer as well.
    fn begin(&mut self, credential: Credential, owner: Owner, until: Instant) {
        let owner = match self.end(&credential) {
            Some(before) if before != owner => None,
            _ => owner,
        };
        self.until.insert(credential, until);
        self.by_instant.insert((until, credential), owner);
    }

    /// The client is back.
    pub(super) fn end(&mut self, credential: &Credential) -> Option<Owner> {
        let until = self.until.remove(credential)?;
        self.by_instant.remove(&(until, *credential))
    }

    /// When the next client counts as lost.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_instant.keys().next().map(|(at, _)| *at)
    }

    fn pop_due(&mut self, now: Instant) -> Option<(Credential, Owner)> {
        let first = self.by_instant.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((_, credential), owner) = first.remove_entry();
        self.until.remove(&credential);
        Some((credential, owner))
    }
}

impl Server {
    /// A customer, unless it is a gateway.
    fn owner(&self, customer: &str) -> Owner {
        let is_gateway = self.customers.is_gateway(customer);
        (!is_gateway).then(|| customer.to_owned())
    }

    /// A client has no session, and did not say that it goes: unless it comes back in time, what it
    /// preconfigured starts.
    pub(super) fn await_return(&mut self, now: Now, customer: &str, credential: Credential) {
        let has_session = self.attacks.has_session(&credential);
        let owner = self.owner(customer);
        if !has_session && !self.parked(owner.as_deref(), &credential).is_empty() {
            let until = now.monotonic + self.policy.lost_after;
            self.absences.begin(credential, owner, until);
        }
    }

    /// The client of a preconfigured request that was restored has no session yet.
    pub(super) fn await_owner(&mut self, now: Now, record: &MitigationRecord) {
        let until = now.monotonic + self.policy.lost_after;
        let is_of_gateway = record.relayed.cdid.is_some();
        let owner = (!is_of_gateway).then(|| record.key.customer.clone());
        self.absences.begin(record.credential, owner, until);
    }

    /// Starts what clients preconfigured that have not come back.
    pub(super) fn give_up_absent(&mut self, now: Now) {
        while let Some((credential, owner)) = self.absences.pop_due(now.monotonic) {
            self.start(now, owner.as_deref(), &credential);
        }
    }

    /// A client is lost: what it preconfigured starts.
    pub(super) fn start_parked(&mut self, now: Now, customer: &str, credential: &Credential) {
        let owner = self.owner(customer);
        self.start(now, owner.as_deref(), credential);
    }

    fn start(&mut self, now: Now, owner: Option<&str>, credential: &Credential) {
        for key in self.parked(owner, credential) {
            self.trigger(now, &key);
        }
    }

    fn parked(&self, owner: Option<&str>, credential: &Credential) -> Vec<MitigationKey> {
        match owner {
            Some(customer) => parked(self.mitigations.of_customer(customer), credential),
            None => parked(self.mitigations.iter(), credential),
        }
    }
}

fn parked<'a>(
    all: impl Iterator<Item = &'a Mitigation>,
    credential: &Credential,
) -> Vec<MitigationKey> {
    all.map(|mitigation| &mitigation.record)
        .filter(|record| record.standing == Standing::Parked && record.credential == *credential)
        .map(|record| record.key.clone())
        .collect()
}
