//! One accepted mitigation, and what its client is told of it.
//!
//! ```text
//! active: Starting (1), Mitigating (2), Stopped (3), Exceeded (4)    terminating: 5
//! parked: 8, or 7 while it is announced    deactivated: 7            over: 6, or 7
//! ```

use std::time::{Duration, Instant};

use dots::lifetime::RemainingLifetime;
use dots::mitigation::{ConflictInformation, ConflictStatus, MitigationStatus, Status};
use dots::target::Target;
use ipnet::IpNet;

use super::announcement::Announcement;
use super::conflict::DEACTIVATED_GRACE;
use super::rates::Meter;
use super::record::{Identity, MitigationRecord, Standing};
use super::upstream::Known;
use crate::time::Now;

/// What the mitigator made of a mitigation in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has been told.
    Starting,
    /// It enforces it.
    Mitigating,
    /// It enforces it, and there is nothing to drop any more.
    Stopped,
    /// It cannot, or there is nothing left to protect.
    Exceeded,
}

/// A mitigation that a client was promised.
#[derive(Clone, Debug)]
pub(super) struct Mitigation {
    pub(super) record: MitigationRecord,
    /// Means something while the mitigation is in force and not void.
    pub(super) progress: Progress,
    pub(super) expires: Option<Instant>,
    pub(super) meter: Meter,
    /// The attack has not stopped before that.
    pub(super) busy_until: Instant,
    /// How long it goes on after its withdrawal.
    pub(super) terminating: Duration,
    /// A status that is told four times.
    pub(super) announcement: Option<Announcement>,
    /// With the request of another client.
    pub(super) conflict: Option<ConflictInformation>,
    /// How it stands upstream, at a gateway.
    pub(super) upstream: Option<Known>,
}

impl Mitigation {
    /// A mitigation as it is accepted, or restored; it goes on for `terminating` after its withdrawal.
    pub(super) fn new(now: Now, record: MitigationRecord, terminating: Duration) -> Self {
        let started = record.standing.started_unix().unwrap_or(now.unix);
        let age = Duration::from_secs(now.unix.saturating_sub(started));
        Self {
            progress: Progress::Starting,
            expires: record.expires_unix.map(|at| now.instant_of(at)),
            meter: Meter::new(now.monotonic, age),
            busy_until: now.monotonic,
            terminating,
            announcement: None,
            conflict: None,
            upstream: None,
            record,
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

    /// Whether it is withdrawn and goes on for a while.
    pub(super) fn is_terminating(&self) -> bool {
        matches!(self.record.standing, Standing::Terminating { .. })
    }

    /// The outermost prefixes that it protects, in order.
    pub(super) fn nets(&self) -> Vec<IpNet> {
        self.record.scope.nets()
    }

    /// Whether its names stand for no address that it may protect: nothing is mitigated.
    pub(super) fn is_void(&self) -> bool {
        self.record.scope.prefixes().next().is_none()
    }

    /// What the mitigator makes of it.
    pub(super) fn progress(&self) -> Progress {
        match self.is_void() {
            true => Progress::Exceeded,
            false => self.progress,
        }
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
            status: self.status_code(now),
            lifetime: match self.expires {
                Some(at) => RemainingLifetime::Seconds(now.seconds_until(at)),
                None => RemainingLifetime::Indefinite,
            },
            counters: match &self.upstream {
                Some(known) => known.dropped(),
                None => self.meter.counters(now.monotonic),
            },
            conflict: self.conflict(now),
        }
    }

    /// The conflict that keeps it out of force upstream, at a gateway.
    pub(super) fn deactivated_upstream(&self, now: Now) -> Option<ConflictInformation> {
        self.upstream.as_ref()?.conflict(now)
    }

    /// The conflict that it is in, as its own client may see it.
    pub(super) fn conflict(&self, now: Now) -> Option<ConflictInformation> {
        if let Some(upstream) = self.deactivated_upstream(now) {
            return Some(upstream);
        }
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

    fn status_code(&self, now: Now) -> Status {
        match (self.record.standing, self.progress()) {
            (Standing::Active { .. } | Standing::Parked, _)
                if self.deactivated_upstream(now).is_some() =>
            {
                Status::AttackMitigationWithdrawn
            }
            (Standing::Parked, _) if self.announcement.is_some() => {
                Status::AttackMitigationWithdrawn
            }
            (Standing::Parked, _) => Status::AttackMitigationSignalLoss,
            (Standing::Deactivated, _) => Status::AttackMitigationWithdrawn,
            (Standing::Terminating { .. }, _) => Status::DotsClientWithdrawnMitigation,
            (Standing::Active { .. }, Progress::Starting) => Status::AttackMitigationInProgress,
            (Standing::Active { .. }, Progress::Mitigating) => Status::AttackSuccessfullyMitigated,
            (Standing::Active { .. }, Progress::Stopped) => Status::AttackStopped,
            (Standing::Active { .. }, Progress::Exceeded) => Status::AttackExceededCapability,
        }
    }
}
