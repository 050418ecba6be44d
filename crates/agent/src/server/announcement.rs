//! Statuses that are told four times before a preconfigured mitigation waits again for the loss of
//! its session (RFC 9132 §4.4.2, Table 3).
//!
//! ```text
//! in force --overlapped by an immediate request--> out of force, 7 7 7 7 --> 8
//! in force --attack stopped--> 3 3 3 3 --> out of force, 8
//! ```
//!
//! Without observers, who would be told, the status stays as long as four notifications take.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Server;
use super::lifecycle::Expiry;
use super::mitigation::Progress;
use super::observation::View;
use super::record::{MitigationKey, Standing};
use crate::time::Now;

/// How often the status is told.
const TIMES: u8 = 4;

/// A status that is being told.
#[derive(Clone, Debug)]
pub(super) struct Announcement {
    /// How often the observers of each view were.
    told: BTreeMap<View, u8>,
    /// How long it stays at least when nobody observes.
    until: Instant,
}

/// When the announcements are to be looked at again.
pub(super) type Announcements = BTreeSet<(Instant, MitigationKey)>;

impl Server {
    /// The status of a preconfigured mitigation is to be told four times.
    pub(super) fn announce(&mut self, now: Now, key: &MitigationKey) {
        self.silence(key);
        let until = now.monotonic + self.policy.notification_interval * TIMES.into();
        if let Some(mitigation) = self.mitigations.get_mut(key) {
            mitigation.announcement = Some(Announcement {
                told: BTreeMap::new(),
                until,
            });
            self.announcements.insert((until, key.clone()));
        }
    }

    /// The status of a mitigation is not to be told four times any more.
    pub(super) fn silence(&mut self, key: &MitigationKey) {
        let mitigation = self.mitigations.get_mut(key);
        if let Some(over) = mitigation.and_then(|mitigation| mitigation.announcement.take()) {
            self.announcements.remove(&(over.until, key.clone()));
        }
    }

    /// The observers of a view of these mitigations were told.
    pub(super) fn count_told(&mut self, now: Now, keys: &[MitigationKey], view: View) {
        for key in keys {
            let Some(mitigation) = self.mitigations.get_mut(key) else {
                continue;
            };
            let client = mitigation.client();
            let Some(announcement) = &mut mitigation.announcement else {
                continue;
            };
            *announcement.told.entry(view).or_default() += 1;
            let is_enough = |view: View| {
                announcement
                    .told
                    .get(&view)
                    .is_some_and(|told| *told >= TIMES)
            };
            let is_over = self.observations.views_of(&client, key.mid).all(is_enough);
            if is_over {
                self.pass(now, key);
            }
        }
    }

    /// Looks at announcements that nobody observes.
    pub(super) fn check_announcements(&mut self, now: Now) {
        while let Some((_, key)) = self
            .announcements
            .first()
            .filter(|(at, _)| *at <= now.monotonic)
            .cloned()
        {
            let observed = self.mitigations.get(&key).is_some_and(|mitigation| {
                let client = mitigation.client();
                self.observations
                    .views_of(&client, key.mid)
                    .next()
                    .is_some()
            });
            if observed || !self.pass(now, &key) {
                self.announce_again(now, &key);
            }
        }
    }

    /// Four times are over: the mitigation waits for the loss of the session. False: it cannot
    /// while there is no session, whose loss would start it again.
    fn pass(&mut self, now: Now, key: &MitigationKey) -> bool {
        let Some(mitigation) = self.mitigations.get(key) else {
            return true;
        };
        let client = mitigation.client();
        let is_in_force = mitigation.is_in_force();
        if is_in_force && !self.attacks.has_session(&client.credential) {
            return false;
        }
        self.silence(key);
        if is_in_force {
            self.park(now, key);
        } else {
            self.mark(now, key);
        }
        true
    }

    fn announce_again(&mut self, now: Now, key: &MitigationKey) {
        let told = self.mitigations.get(key).and_then(|mitigation| {
            let announcement = mitigation.announcement.as_ref()?;
            Some(announcement.told.clone())
        });
        self.announce(now, key);
        let mitigation = self.mitigations.get_mut(key);
        let announcement = mitigation.and_then(|mitigation| mitigation.announcement.as_mut());
        if let Some((announcement, told)) = announcement.zip(told) {
            announcement.told = told;
        }
    }

    /// An immediate request of the same client takes the place of a preconfigured one
    /// (RFC 9132 §4.4.1.3).
    pub(super) fn yield_to_immediate(&mut self, now: Now, key: &MitigationKey) {
        let standing = self.mitigations.get(key).map(|known| known.record.standing);
        if matches!(standing, Some(Standing::Active { .. })) {
            self.park(now, key);
            self.announce(now, key);
        }
    }

    /// Takes a preconfigured mitigation out of force until the session is lost.
    fn park(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        mitigation.progress = Progress::Starting;
        let was_in_conflict = mitigation.conflict.take().is_some();
        let nets = mitigation.nets();
        let expiry = Expiry {
            instant: mitigation.expires,
            unix: mitigation.record.expires_unix,
        };
        self.take_out_of_force(now, key, Standing::Parked, expiry);
        if was_in_conflict {
            self.reconsider(now, &nets);
        }
    }
}
