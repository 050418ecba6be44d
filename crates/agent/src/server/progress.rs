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
use super::mitigation::Progress;
use super::record::{MitigationKey, Standing};
use crate::time::Now;

impl Server {
    /// The mitigator enforces these.
    pub(super) fn on_enforced(&mut self, now: Now, keys: &[MitigationKey]) {
        for key in keys {
            self.advance(now, key, |progress| match progress {
                Progress::Starting | Progress::Exceeded => Progress::Mitigating,
                other => other,
            });
        }
    }

    /// The mitigator cannot enforce these.
    pub(super) fn on_not_enforced(&mut self, now: Now, keys: &[MitigationKey]) {
        for key in keys {
            self.advance(now, key, |_| Progress::Exceeded);
        }
    }

    /// What the mitigator has dropped so far. An attack of which nothing is dropped has stopped.
    pub(super) fn on_dropped(&mut self, now: Now, dropped: &BTreeMap<MitigationKey, (u64, u64)>) {
        let quiet = self.policy.attack_stopped_after;
        for (key, read) in dropped {
            let Some(mitigation) = self.mitigations.get_mut(key) else {
                continue;
            };
            if !mitigation.is_in_force() || mitigation.is_void() {
                continue;
            }
            if mitigation.meter.read(now.monotonic, *read) {
                mitigation.busy_until = now.monotonic + quiet;
                self.advance(now, key, |progress| match progress {
                    Progress::Stopped => Progress::Mitigating,
                    other => other,
                });
            } else if mitigation.busy_until <= now.monotonic && !quiet.is_zero() {
                self.advance(now, key, |progress| match progress {
                    Progress::Mitigating => Progress::Stopped,
                    other => other,
                });
            }
        }
    }

    fn advance(&mut self, now: Now, key: &MitigationKey, next: impl Fn(Progress) -> Progress) {
        let quiet = self.policy.attack_stopped_after;
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        let before = mitigation.progress;
        if !mitigation.is_in_force() || mitigation.is_void() || next(before) == before {
            return;
        }
        mitigation.progress = next(before);
        let progress = mitigation.progress;
        if progress == Progress::Mitigating && before != Progress::Stopped {
            mitigation.busy_until = now.monotonic + quiet;
        }
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
