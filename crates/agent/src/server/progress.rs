//! What the mitigator makes of the mitigations in force (RFC 9132 §4.4.2, Table 3).
//!
//! ```text
//! Starting (1) --Enforced--> Mitigating (2) --nothing dropped for a while--> Stopped (3)
//!     |  ^                        |     ^---------- something dropped ----------/
//!     \--|----- NotEnforced ------/
//!        \Enforced--> Exceeded (4)
//! ```

use std::collections::BTreeMap;

use super::Server;
use super::mitigation::Mitigation;
use super::mitigation::Progress;
use super::record::{Enforcement, MitigationKey, Standing};
use crate::time::Now;

impl Server {
    /// The mitigator enforces these.
    pub(super) fn on_enforced(&mut self, now: Now, those: &[Enforcement]) {
        for enforcement in those {
            self.advance(now, enforcement, |progress| match progress {
                Progress::Starting | Progress::Exceeded => Progress::Mitigating,
                other => other,
            });
        }
    }

    /// The mitigator cannot enforce these.
    pub(super) fn on_not_enforced(&mut self, now: Now, those: &[Enforcement]) {
        for enforcement in those {
            self.advance(now, enforcement, |_| Progress::Exceeded);
        }
    }

    /// What the mitigator has dropped so far. An attack of which nothing is dropped has stopped.
    pub(super) fn on_dropped(&mut self, now: Now, dropped: &BTreeMap<Enforcement, (u64, u64)>) {
        let quiet = self.policy.attack_stopped_after;
        for (enforcement, read) in dropped {
            let Some(mitigation) = self.enforced(enforcement) else {
                continue;
            };
            if mitigation.meter.read(now.monotonic, *read) {
                mitigation.busy_until = now.monotonic + quiet;
                self.advance(now, enforcement, |progress| match progress {
                    Progress::Stopped => Progress::Mitigating,
                    other => other,
                });
            } else if mitigation.busy_until <= now.monotonic && !quiet.is_zero() {
                self.advance(now, enforcement, |progress| match progress {
                    Progress::Mitigating => Progress::Stopped,
                    other => other,
                });
            }
        }
    }

    /// The mitigation that is meant, unless it is over or protects nothing.
    fn enforced(&mut self, enforcement: &Enforcement) -> Option<&mut Mitigation> {
        let mitigation = self.mitigations.get_mut(&enforcement.key)?;
        let is_meant = mitigation.record.enforcement().as_ref() == Some(enforcement);
        (is_meant && !mitigation.is_void()).then_some(mitigation)
    }

    fn advance(
        &mut self,
        now: Now,
        enforcement: &Enforcement,
        next: impl Fn(Progress) -> Progress,
    ) {
        let (key, quiet) = (&enforcement.key, self.policy.attack_stopped_after);
        let Some(mitigation) = self.enforced(enforcement) else {
            return;
        };
        let before = mitigation.progress;
        if next(before) == before {
            return;
        }
        if next(before) == Progress::Mitigating && before != Progress::Stopped {
            mitigation.busy_until = now.monotonic + quiet;
        }
        self.come_to(now, key, next(before));
    }

    /// So much is made of a mitigation in force now.
    pub(super) fn come_to(&mut self, now: Now, key: &MitigationKey, progress: Progress) {
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        mitigation.progress = progress;
        let is_active = matches!(mitigation.record.standing, Standing::Active { .. });
        let is_preconfigured = !mitigation.record.request.trigger_mitigation;
        if is_active && is_preconfigured && progress == Progress::Stopped {
            self.announce(now, key);
        } else {
            self.silence(key);
        }
        if is_active {
            self.mark(now, key);
        }
    }
}
