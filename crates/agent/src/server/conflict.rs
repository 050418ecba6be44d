//! Requests of different clients for the same addresses (RFC 9132 §4.4.1.3, §4.4.2.1).
//!
//! ```text
//! policy   newer request                 older request
//! Both     in force, told of a conflict  in force, told of a conflict
//! First    4.09 with retry-timer         in force
//! Last     in force, told of a conflict  deactivated (7) with retry-timer --newer ends--> in force
//! ```
//!
//! A request that was never in force (parked) is in no conflict until it is triggered.

use std::collections::BTreeSet;

use coap::Response;
use dots::identifiers::Mid;
use dots::mitigation::{ConflictCause, ConflictInformation, ConflictScope, ConflictStatus};
use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;

use super::lifecycle::Expiry;
use super::mitigation::Mitigation;
use super::outcome::Outcome;
use super::record::{MitigationKey, Standing};
use super::request::conflict;
use super::{Action, Change, Server};
use crate::time::Now;

/// For how many seconds after its retry-timer a deactivated mitigation is kept, so that its client
/// can refresh it (RFC 9132 §4.4.1.3).
pub(super) const DEACTIVATED_GRACE: u32 = 45;

/// How many prefixes a `conflict-scope` names: enough to recognise the other request, and so few
/// that a response fits the smallest datagram.
const CONFLICTING_PREFIXES: usize = 4;

/// How many mitigations of other clients are told of one that both they and it stand beside.
const MOST_TOLD: usize = 16;

/// What becomes of two requests of different clients for the same addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Both are in force: two filters for the same target do not contradict each other.
    #[default]
    Both,
    /// The one that is in force stays so, and the new one is refused.
    First,
    /// The new one is in force, and the other is not as long as that lasts.
    Last,
}

impl Server {
    /// The mitigations that a new one of `nets` is in conflict with and may stand in spite of; or
    /// why it may not.
    pub(super) fn judge(
        &self,
        now: Now,
        key: &MitigationKey,
        nets: &[IpNet],
    ) -> Result<Vec<MitigationKey>, Response> {
        let rivals = self.rivals(key, nets);
        match self.policy.on_conflict {
            ConflictPolicy::Both => Ok(distinct(rivals.take(MOST_TOLD))),
            ConflictPolicy::First => match self.refuse_for(now, rivals, nets) {
                Some(information) => Err(conflict(information)),
                None => Ok(Vec::new()),
            },
            ConflictPolicy::Last => {
                // Nor does a deactivated request come back under another mid before its time.
                let own = self.mitigations.overlapping(nets).find(|other| {
                    other.record.key.is_same_client(key)
                        && other.record.standing == Standing::Deactivated
                        && other.retry_timer(now) > 0
                });
                match own.and_then(|own| own.conflict(now)) {
                    Some(information) => Err(conflict(information)),
                    None => Ok(distinct(rivals)),
                }
            }
        }
    }

    /// Whether a deactivated mitigation has to stay so: then why, with a new lifetime for it.
    pub(super) fn judge_deactivated(
        &mut self,
        now: Now,
        key: &MitigationKey,
    ) -> Result<(), Response> {
        let Some(mitigation) = self.mitigations.get(key) else {
            return Ok(());
        };
        let nets = mitigation.nets();
        let Some(refusal) = self.refuse_for(now, self.rivals(key, &nets), &nets) else {
            return Ok(());
        };
        if mitigation.retry_timer(now) == 0 {
            self.extend_deactivated(now, key, refusal.retry_timer.unwrap_or_default());
        }
        Err(conflict(refusal))
    }

    /// A new mitigation stands in spite of these others: both sides are told, and the others go
    /// out of force where policy says so.
    pub(super) fn settle_conflicts(
        &mut self,
        now: Now,
        key: &MitigationKey,
        rivals: &[MitigationKey],
    ) {
        let newer = self.mitigations.get(key);
        let seconds = newer.map_or(0, |newer| time_left(now, newer));
        for rival in rivals {
            self.set_conflict(key, rival, ConflictStatus::RequestActive);
            if self.policy.on_conflict == ConflictPolicy::Last {
                self.deactivate(now, rival, key, seconds);
            } else {
                self.set_conflict(rival, key, ConflictStatus::RequestActive);
                self.mark(now, rival);
            }
        }
    }

    /// What a mitigation in force protects has moved, perhaps to where others are.
    pub(super) fn contend(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let nets = mitigation.nets();
        match self.judge(now, key, &nets) {
            Ok(rivals) => self.settle_conflicts(now, key, &rivals),
            Err(_) => {
                let winner = self
                    .rivals(key, &nets)
                    .max_by_key(|rival| time_left(now, rival));
                let winner = winner.map(|rival| (rival.record.key.clone(), time_left(now, rival)));
                if let Some((winner, seconds)) = winner {
                    self.deactivate(now, key, &winner, seconds);
                }
            }
        }
    }

    /// A preconfigured mitigation comes into force (RFC 9132 §4.7), unless that of another client
    /// is in its way.
    pub(super) fn trigger(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let nets = mitigation.nets();
        match self.judge(now, key, &nets) {
            Ok(rivals) => {
                self.bring_into_force(now, key);
                self.withdraw_immediate(now, key);
                self.settle_conflicts(now, key, &rivals);
            }
            Err(_) => {
                if let Some(mitigation) = self.mitigations.get_mut(key) {
                    mitigation.record.standing = Standing::Deactivated;
                    let record = mitigation.record.clone();
                    self.act(Action::Persist(Change::Put(record)));
                }
                self.reconsider_one(now, key);
            }
        }
    }

    /// A mitigation of these addresses is over: those that it kept out of force come back, in the
    /// order that policy prefers.
    pub(super) fn reconsider(&mut self, now: Now, nets: &[IpNet]) {
        let contested = self.mitigations.overlapping(nets);
        let contested = distinct(contested.filter(|other| other.conflict.is_some()));
        self.reconsider_in_order(now, contested);
    }

    /// After a restart: brings back what nothing keeps out of force any more.
    pub(super) fn reconsider_deactivated(&mut self, now: Now) {
        let all = self.mitigations.iter();
        let deactivated = all.filter(|each| each.record.standing == Standing::Deactivated);
        let deactivated = distinct(deactivated);
        self.reconsider_in_order(now, deactivated);
    }

    /// After a restart: what stands beside others is told so again.
    pub(super) fn recall_conflicts(&mut self) {
        let forgotten = self.mitigations.iter().filter(|each| {
            matches!(each.record.standing, Standing::Active { .. }) && each.conflict.is_none()
        });
        for key in distinct(forgotten) {
            let nets = self.mitigations.get(&key).map(Mitigation::nets);
            let nets = nets.unwrap_or_default();
            let rivals = distinct(self.rivals(&key, &nets).take(MOST_TOLD));
            if let Some(last) = rivals.last() {
                self.set_conflict(&key, last, ConflictStatus::RequestActive);
            }
        }
    }

    /// `keys` are in the order in which they were accepted.
    fn reconsider_in_order(&mut self, now: Now, mut keys: Vec<MitigationKey>) {
        if self.policy.on_conflict == ConflictPolicy::Last {
            keys.reverse();
        }
        for key in keys {
            self.reconsider_one(now, &key);
        }
    }

    /// Brings a deactivated mitigation back if nothing is in its way, and forgets conflicts that
    /// are resolved.
    pub(super) fn reconsider_one(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let nets = mitigation.nets();
        let is_deactivated = mitigation.record.standing == Standing::Deactivated;
        let winner = self.rivals(key, &nets).next();
        let winner = winner.map(|winner| winner.record.key.clone());
        match winner {
            Some(winner) if is_deactivated => {
                self.set_conflict(key, &winner, ConflictStatus::RequestInactiveOtherActive);
                self.set_conflict(&winner, key, ConflictStatus::RequestActive);
            }
            Some(_) => {}
            None if is_deactivated => {
                self.set_resolved(key);
                self.bring_into_force(now, key);
                let key = key.clone();
                self.act(Action::Decided(Outcome::Reactivated { key }));
            }
            None => {
                let is_contested = self.mitigations.overlapping(&nets).any(|other| {
                    other.record.standing == Standing::Deactivated
                        && !other.record.key.is_same_client(key)
                });
                if !is_contested {
                    self.set_resolved(key);
                }
            }
        }
    }

    /// What `asked` has in common with another mitigation. The `mid` of another client, and what
    /// only that one protects, is nobody else's business (RFC 9132 §3).
    pub(super) fn conflict_scope(
        &self,
        other: &MitigationKey,
        asked: &[IpNet],
        mid: Option<Mid>,
    ) -> ConflictScope {
        let theirs = self.mitigations.get(other).into_iter();
        let theirs = theirs.flat_map(|other| other.nets());
        let common = theirs.flat_map(|their| {
            let inner = asked.iter().filter_map(move |our| match () {
                () if our.contains(&their) => Some(their),
                () if their.contains(our) => Some(*our),
                () => None,
            });
            inner.filter_map(|net| TargetPrefix::try_from(net).ok())
        });
        ConflictScope {
            mid,
            target: Target {
                prefixes: common.take(CONFLICTING_PREFIXES).collect(),
                ..Target::default()
            },
            ..ConflictScope::default()
        }
    }

    /// The active mitigations of other clients that share an address with `nets`; one may come
    /// up again.
    fn rivals<'a>(
        &'a self,
        key: &'a MitigationKey,
        nets: &'a [IpNet],
    ) -> impl Iterator<Item = &'a Mitigation> {
        let others = self.mitigations.overlapping(nets);
        others.filter(|other| {
            matches!(other.record.standing, Standing::Active { .. })
                && !other.record.key.is_same_client(key)
        })
    }

    /// What a client is told whose request cannot stand beside these; `None` if there is none.
    fn refuse_for<'a>(
        &self,
        now: Now,
        rivals: impl Iterator<Item = &'a Mitigation>,
        nets: &[IpNet],
    ) -> Option<ConflictInformation> {
        // All of them have to end: the one that lasts longest is the one to wait for.
        let winner = rivals.max_by_key(|rival| time_left(now, rival))?;
        Some(ConflictInformation {
            status: Some(ConflictStatus::RequestInactiveOtherActive),
            cause: Some(ConflictCause::OverlappingTargets),
            scope: Some(self.conflict_scope(&winner.record.key, nets, None)),
            retry_timer: Some(time_left(now, winner)),
        })
    }

    fn deactivate(
        &mut self,
        now: Now,
        key: &MitigationKey,
        winner: &MitigationKey,
        retry_timer: u32,
    ) {
        self.set_conflict(key, winner, ConflictStatus::RequestInactiveOtherActive);
        let kept = retry_timer.saturating_add(DEACTIVATED_GRACE);
        let expiry = Expiry::in_seconds(now, kept);
        self.take_out_of_force(now, key, Standing::Deactivated, expiry);
        self.act(Action::Decided(Outcome::Deactivated {
            key: key.clone(),
            retry_timer,
        }));
        // It keeps nobody else out of force any more.
        let nets = self.mitigations.get(key).map(Mitigation::nets);
        self.reconsider(now, &nets.unwrap_or_default());
    }

    fn extend_deactivated(&mut self, now: Now, key: &MitigationKey, retry_timer: u32) {
        let kept = retry_timer.saturating_add(DEACTIVATED_GRACE);
        let expiry = Expiry::in_seconds(now, kept);
        self.reschedule(key, expiry);
    }

    /// Notes what `key` has in common with the mitigation of another client.
    fn set_conflict(&mut self, key: &MitigationKey, other: &MitigationKey, status: ConflictStatus) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let scope = self.conflict_scope(other, &mitigation.nets(), None);
        if let Some(mitigation) = self.mitigations.get_mut(key) {
            mitigation.conflict = Some(ConflictInformation {
                status: Some(status),
                cause: Some(ConflictCause::OverlappingTargets),
                scope: Some(scope),
                retry_timer: None,
            });
        }
    }

    fn set_resolved(&mut self, key: &MitigationKey) {
        if let Some(mitigation) = self.mitigations.get_mut(key) {
            mitigation.conflict = None;
        }
    }
}

/// In seconds.
fn time_left(now: Now, mitigation: &Mitigation) -> u32 {
    let at = mitigation.expires;
    at.map_or(u32::MAX, |at| now.seconds_until(at))
}

/// Each once, in the order in which they were accepted.
fn distinct<'a>(mitigations: impl Iterator<Item = &'a Mitigation>) -> Vec<MitigationKey> {
    let in_order: BTreeSet<(u64, &MitigationKey)> = mitigations
        .map(|mitigation| (mitigation.record.accepted, &mitigation.record.key))
        .collect();
    in_order.into_iter().map(|(_, key)| key.clone()).collect()
}
