//! One accepted mitigation, and what its client is told of it.
//!
//! ```text
//! in force: Starting (1) --enforced--> Mitigating (2)
//! not in force: Parked (8), Deactivated (7)
//! ```

use std::time::Instant;

use dots::lifetime::RemainingLifetime;
use dots::mitigation::{
    ConflictInformation, ConflictStatus, DroppedCounters, MitigationStatus, Status,
};
use dots::target::Target;
use ipnet::IpNet;

use super::conflict::DEACTIVATED_GRACE;
use super::record::{Identity, MitigationRecord, Standing};
use crate::time::Now;

/// What the mitigator made of a mitigation in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has been told.
    Starting,
    /// It enforces it.
    Mitigating,
}

/// A mitigation that a client was promised.
#[derive(Clone, Debug)]
pub(super) struct Mitigation {
    pub(super) record: MitigationRecord,
    /// Means something while the mitigation is in force.
    pub(super) progress: Progress,
    pub(super) expires: Option<Instant>,
    pub(super) dropped: DroppedCounters,
    /// With the request of another client.
    pub(super) conflict: Option<ConflictInformation>,
    /// Its place in the order in which mitigations were accepted.
    pub(super) order: u64,
}

impl Mitigation {
    /// A mitigation as it is accepted, or restored.
    pub(super) fn new(record: MitigationRecord, expires: Option<Instant>) -> Self {
        Self {
            record,
            progress: Progress::Starting,
            expires,
            dropped: DroppedCounters::default(),
            conflict: None,
            order: 0,
        }
    }

    /// Whose it is.
    pub(super) fn client(&self) -> Identity {
        Identity {
            customer: self.record.key.customer.clone(),
            cuid: self.record.key.cuid.clone(),
            credential: self.record.credential,
        }
    }

    /// Whether the mitigator is to stop traffic.
    pub(super) fn is_in_force(&self) -> bool {
        self.record.standing.is_in_force()
    }

    /// The outermost prefixes that it protects, in order.
    pub(super) fn nets(&self) -> Vec<IpNet> {
        self.record.scope.nets()
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
            mitigation_start: self.record.standing.started_unix(),
            status: self.status_code(),
            lifetime: match self.expires {
                Some(at) => RemainingLifetime::Seconds(now.seconds_until(at)),
                None => RemainingLifetime::Indefinite,
            },
            counters: self.dropped,
            conflict: self.conflict(now),
        }
    }

    /// The conflict that it is in, as its own client may see it.
    pub(super) fn conflict(&self, now: Now) -> Option<ConflictInformation> {
        let conflict = self.conflict.clone()?;
        let is_inactive = conflict.status == Some(ConflictStatus::RequestInactiveOtherActive);
        Some(ConflictInformation {
            retry_timer: is_inactive.then(|| self.retry_timer(now)),
            ..conflict
        })
    }

    /// After how many seconds its client may ask again for a deactivated mitigation.
    pub(super) fn retry_timer(&self, now: Now) -> u32 {
        let left = self.expires.map_or(u32::MAX, |at| now.seconds_until(at));
        left.saturating_sub(DEACTIVATED_GRACE)
    }

    fn status_code(&self) -> Status {
        match (self.record.standing, self.progress) {
            (Standing::Parked, _) => Status::AttackMitigationSignalLoss,
            (Standing::Deactivated, _) => Status::AttackMitigationWithdrawn,
            (Standing::Active { .. }, Progress::Starting) => Status::AttackMitigationInProgress,
            (Standing::Active { .. }, Progress::Mitigating) => Status::AttackSuccessfullyMitigated,
        }
    }
}
