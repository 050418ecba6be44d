//! What must survive a crash once a mitigation is promised.
//!
//! ```text
//! trigger-mitigation true  ------> Active --another client's request wins--> Deactivated
//! trigger-mitigation false -> Parked --session lost--> Active <--that ends-------/
//!                                ^--- attack stopped ---/  \--DELETE--> Terminating
//! ```

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::MitigationRequest;

use super::scope::Scope;
use crate::relay::Relayed;

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

impl MitigationKey {
    /// Whether both are of one client.
    pub(super) fn is_same_client(&self, other: &Self) -> bool {
        (&self.customer, &self.cuid) == (&other.customer, &other.cuid)
    }
}

/// One time that a mitigation is in force, the same before and after a restart. What the mitigator
/// says of another time, or of another mitigation that had the same key, is not about this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Enforcement {
    /// Of which mitigation.
    pub key: MitigationKey,
    /// The place of that mitigation in the order of acceptance.
    pub accepted: u64,
    /// Since then, in seconds since 1970.
    pub started_unix: u64,
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
    /// Its place in the order in which this server accepted mitigations.
    pub accepted: u64,
    /// SHA-256 of the public key that the client proved to hold; a `cuid` belongs to it
    /// as long as it has mitigations.
    pub credential: [u8; 32],
    /// What was asked.
    pub request: MitigationRequest,
    /// What that protects.
    pub scope: Scope,
    /// Whether it is in force.
    pub standing: Standing,
    /// When it ends without a refresh, in seconds since 1970; `None`: never.
    pub expires_unix: Option<u64>,
    /// How a gateway relays it, and for whom the gateway asked that it came from.
    pub relayed: Relayed,
}

impl MitigationRecord {
    /// The time that it is in force, if it is.
    pub fn enforcement(&self) -> Option<Enforcement> {
        let started_unix = self.standing.started_unix()?;
        Some(Enforcement {
            key: self.key.clone(),
            accepted: self.accepted,
            started_unix,
        })
    }
}

/// Whether a mitigation is in force, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for the session to be lost (`trigger-mitigation` false).
    Parked,
    /// It is in force.
    Active {
        /// Since then, in seconds since 1970.
        started_unix: u64,
    },
    /// Its client has withdrawn it; it is in force until it expires (RFC 9132 §4.4.4).
    Terminating {
        /// Since then, in seconds since 1970.
        started_unix: u64,
    },
    /// It is not in force as long as the request of another client is (RFC 9132 §4.4.1.3).
    Deactivated,
}

impl Standing {
    /// Whether the mitigator is to stop traffic.
    pub fn is_in_force(self) -> bool {
        self.started_unix().is_some()
    }

    /// Since when it is in force, in seconds since 1970.
    pub fn started_unix(self) -> Option<u64> {
        match self {
            Self::Active { started_unix } | Self::Terminating { started_unix } => {
                Some(started_unix)
            }
            Self::Parked | Self::Deactivated => None,
        }
    }
}
