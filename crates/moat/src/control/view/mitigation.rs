//! How the mitigations of a server stand.

use agent::server::MitigationKey;
use dots::lifetime::RemainingLifetime;
use dots::mitigation::MitigationStatus;
use serde::{Deserialize, Serialize};

use super::Dropped;
use super::scope::{ports, protocols, targets};

/// A mitigation at a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MitigationView {
    /// Whose.
    pub(crate) customer: String,
    /// Which of its clients asked.
    pub(crate) cuid: String,
    /// The client's number.
    pub(crate) mid: u32,
    /// What is protected.
    pub(crate) targets: Vec<String>,
    /// Only these ports and ranges; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<String>,
    /// Only these protocols; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) protocols: Vec<String>,
    /// How far it has come.
    pub(crate) status: String,
    /// Seconds that are left; absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lifetime: Option<u32>,
    /// What was dropped for it.
    #[serde(flatten)]
    pub(crate) dropped: Dropped,
}

impl MitigationView {
    /// How a mitigation at the server stands.
    pub(crate) fn new(key: &MitigationKey, status: &MitigationStatus) -> Self {
        Self {
            customer: key.customer.clone(),
            cuid: key.cuid.to_string(),
            mid: key.mid.0,
            targets: targets(&status.target),
            ports: ports(&status.target),
            protocols: protocols(&status.target),
            status: status.status.to_string(),
            lifetime: match status.lifetime {
                RemainingLifetime::Seconds(seconds) => Some(seconds),
                RemainingLifetime::Indefinite => None,
            },
            dropped: status.counters.into(),
        }
    }
}
