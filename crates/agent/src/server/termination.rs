//! Mitigations that their client has withdrawn, and that go on for a while (RFC 9132 §4.4.4).
//!
//! ```text
//! Active --DELETE--> Terminating (5) --120 s--> gone (6)
//!    ^                   |
//!    \--- PUT ----------/  asked for again: the next time it takes twice as long, at most 300 s
//! ```
//!
//! That keeps routes and filters from flapping. It ends at once where the customer needs the room.

use std::time::Duration;

use coap::{Code, Response};
use dots::mitigation::{Granted, MitigationRequest, Status};

use super::lifecycle::Expiry;
use super::outcome::Outcome;
use super::record::{MitigationKey, Standing};
use super::{Action, Server};
use crate::content;
use crate::time::Now;

/// The longest time that a withdrawn mitigation goes on.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// How long a mitigation goes on that was asked for again while it terminated.
pub(super) fn doubled(terminating: Duration) -> Duration {
    terminating.saturating_mul(2).min(LONGEST)
}

impl Server {
    /// A client has withdrawn its mitigation.
    pub(super) fn withdraw(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let seconds = mitigation.terminating.min(LONGEST).as_secs();
        match mitigation.record.standing {
            Standing::Terminating { .. } => return,
            Standing::Active { started_unix } if seconds > 0 => {
                let nets = mitigation.nets();
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                if let Some(mitigation) = self.mitigations.get_mut(key) {
                    mitigation.record.standing = Standing::Terminating { started_unix };
                    mitigation.conflict = None;
                }
                self.silence(key);
                self.reschedule(key, Expiry::in_seconds(now, seconds));
                self.mark(now, key);
                self.reconsider(now, &nets);
            }
            Standing::Active { .. } | Standing::Parked | Standing::Deactivated => {
                self.end(now, key, Status::AttackMitigationTerminated);
            }
        }
        let key = key.clone();
        self.act(Action::Decided(Outcome::Withdrawn { key }));
    }

    /// A client asks again for just what it withdrew: it never went out of force.
    pub(super) fn revive(
        &mut self,
        now: Now,
        key: &MitigationKey,
        asked: &MitigationRequest,
    ) -> Result<Response, Response> {
        let Some(mitigation) = self.mitigations.get(key) else {
            return self.refresh(now, key, asked);
        };
        let rivals = self.judge(now, key, &mitigation.nets())?;
        if let Some(mitigation) = self.mitigations.get_mut(key)
            && let Standing::Terminating { started_unix } = mitigation.record.standing
        {
            mitigation.record.standing = Standing::Active { started_unix };
            mitigation.record.request.lifetime = asked.lifetime;
            mitigation.terminating = doubled(mitigation.terminating);
        }
        let lifetime = self.grant(asked.lifetime);
        self.reschedule(key, Expiry::after(now, lifetime));
        self.settle_conflicts(now, key, &rivals);
        self.mark(now, key);
        let revived = self.mitigations.get(key);
        let granted = Granted {
            mid: key.mid,
            lifetime,
            conflict: revived.and_then(|revived| revived.conflict(now)),
        };
        let key = key.clone();
        self.act(Action::Decided(Outcome::Accepted { key, lifetime }));
        Ok(content::body(Code::CREATED, granted.encode()))
    }

    /// The loss of the session has brought a preconfigured mitigation into force: it takes the
    /// place of immediate ones of the same client, which do not go on (RFC 9132 §4.4.1.3).
    pub(super) fn withdraw_immediate(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let (asked, scope) = (&mitigation.record.request.target, &mitigation.record.scope);
        let client = mitigation.client();
        for mid in self.mitigations.own_overlapping(key, true, asked, scope) {
            let immediate = client.key(mid);
            self.end(now, &immediate, Status::AttackMitigationWithdrawn);
        }
    }

    /// What a mitigation protects has moved, perhaps to where others of its client are: of those alike the one with the highest
    /// `mid` stays (RFC 9132 §4.4.1.3), and preconfigured and immediate ones stand to each other as if this were new. What
    /// nobody upstream has accepted takes no place before that.
    pub(super) fn meet_own(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        if mitigation.is_terminating() || self.awaits_upstream(key) {
            return;
        }
        let is_immediate = mitigation.record.request.trigger_mitigation;
        let standing = mitigation.record.standing;
        let (asked, scope) = (&mitigation.record.request.target, &mitigation.record.scope);
        let client = mitigation.client();
        let own = |trigger_mitigation| {
            let table = &self.mitigations;
            let mids = table.own_overlapping(key, trigger_mitigation, asked, scope);
            let keys = mids.into_iter().map(|mid| client.key(mid));
            keys.filter(|other| other != key && !self.awaits_upstream(other))
                .collect::<Vec<_>>()
        };
        let alike = own(is_immediate);
        let preconfigured = if is_immediate { own(false) } else { Vec::new() };
        let is_newer = |other: &MitigationKey| {
            let other = self.mitigations.get(other);
            other.is_some_and(|other| other.record.key.mid > key.mid && !other.is_terminating())
        };
        if alike.iter().any(is_newer) {
            return self.end(now, key, Status::AttackMitigationTerminated);
        }
        for older in alike {
            self.end(now, &older, Status::AttackMitigationTerminated);
        }
        for other in preconfigured {
            self.yield_to_immediate(now, &other);
        }
        if !is_immediate && standing.is_in_force() {
            self.withdraw_immediate(now, key);
        }
    }

    /// How long a new mitigation that takes the place of these is to go on after its withdrawal.
    pub(super) fn terminating_after<'a>(
        &self,
        replaced: impl Iterator<Item = &'a MitigationKey>,
    ) -> Duration {
        let inherited = replaced.filter_map(|key| {
            let older = self.mitigations.get(key)?;
            Some(match older.record.standing {
                Standing::Terminating { .. } => doubled(older.terminating),
                _ => older.terminating,
            })
        });
        inherited.fold(self.policy.terminating, Duration::max)
    }

    /// Ends the withdrawn mitigation of a customer that would end first. False: there is none.
    pub(super) fn end_one_terminating(&mut self, now: Now, customer: &str) -> bool {
        let terminating = self.mitigations.of_customer(customer).filter(|mitigation| {
            matches!(mitigation.record.standing, Standing::Terminating { .. })
        });
        let first = terminating.min_by_key(|mitigation| mitigation.expires);
        let Some(key) = first.map(|first| first.record.key.clone()) else {
            return false;
        };
        self.end(now, &key, Status::AttackMitigationTerminated);
        true
    }
}
