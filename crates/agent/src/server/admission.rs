//! How an acceptable mitigation request comes into force, and stands to those that are there
//! (RFC 9132 §4.4.1.3).

use coap::{Code, OptionNumber, Response};
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, ConflictScope, ConflictStatus, DroppedCounters, Granted,
    MitigationRequest, Status,
};
use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;

use super::mitigation::{Identity, Mitigation, MitigationKey, MitigationRecord, Phase};
use super::prefix_index::outermost;
use super::request::conflict;
use super::{Action, Change, Outcome, Server};
use crate::content;
use crate::time::Now;

/// How many prefixes a `conflict-scope` names: enough to recognise the other request, and so few
/// that a response fits the smallest datagram.
const CONFLICTING_PREFIXES: usize = 4;

impl Server {
    pub(super) fn refresh(
        &mut self,
        now: Now,
        key: MitigationKey,
        asked: &MitigationRequest,
    ) -> Response {
        let lifetime = self.grant(asked.lifetime);
        let expiry = Expiry::after(now, lifetime);
        self.mitigations.reschedule(&key, expiry.instant);
        if let Some(mitigation) = self.mitigations.get_mut(&key) {
            mitigation.record.expires_unix = expiry.unix;
            mitigation.record.request.lifetime = asked.lifetime;
            let record = mitigation.record.clone();
            self.actions.push_back(Action::Persist(Change::Put(record)));
        }
        let granted = Granted {
            mid: key.mid,
            lifetime,
            conflict: None,
        };
        self.actions
            .push_back(Action::Decided(Outcome::Refreshed { key, lifetime }));
        content::body(Code::CHANGED, granted.encode())
    }

    pub(super) fn create(
        &mut self,
        now: Now,
        key: MitigationKey,
        identity: &Identity,
        asked: MitigationRequest,
    ) -> Result<Response, Response> {
        let nets = outermost(&asked.target.prefixes);
        let replaced = self.mitigations.replaced_by(&key, &asked, &nets);
        if let Some(mid) = replaced.range(key.mid..).next_back() {
            let newer = identity.key(*mid);
            return Err(conflict(ConflictInformation {
                cause: Some(ConflictCause::OverlappingTargets),
                scope: Some(self.conflict_scope(&newer, &nets, Some(newer.mid))),
                ..ConflictInformation::default()
            }));
        }
        self.check_capacity(now, &key, replaced.len())?;
        // Another client of the same addresses: both requests stand, and the new one is told
        // (RFC 9132 §4.4.1.3). Filters of the two do not contradict each other.
        let other = self.mitigations.of_another(&key, &nets);
        let conflict = other.map(|other| ConflictInformation {
            status: Some(ConflictStatus::RequestActive),
            cause: Some(ConflictCause::OverlappingTargets),
            scope: Some(self.conflict_scope(other, &nets, None)),
            ..ConflictInformation::default()
        });
        let lifetime = self.grant(asked.lifetime);
        self.accept(now, key.clone(), identity, asked, lifetime);
        for older in replaced {
            self.end(
                now,
                &identity.key(older),
                Status::AttackMitigationTerminated,
            );
        }
        let granted = Granted {
            mid: key.mid,
            lifetime,
            conflict,
        };
        self.actions
            .push_back(Action::Decided(Outcome::Accepted { key, lifetime }));
        Ok(content::body(Code::CREATED, granted.encode()))
    }

    fn accept(
        &mut self,
        now: Now,
        key: MitigationKey,
        identity: &Identity,
        request: MitigationRequest,
        lifetime: Lifetime,
    ) {
        let expiry = Expiry::after(now, lifetime);
        let immediate = request.trigger_mitigation;
        let record = MitigationRecord {
            key: key.clone(),
            credential: identity.credential,
            started_unix: immediate.then_some(now.unix),
            expires_unix: expiry.unix,
            request,
        };
        self.actions
            .push_back(Action::Persist(Change::Put(record.clone())));
        if immediate {
            let target = record.request.target.clone();
            self.actions.push_back(Action::Enforce(key, target));
            self.begin(identity.credential);
        }
        self.mitigations.insert(Mitigation {
            record,
            phase: if immediate {
                Phase::Starting
            } else {
                Phase::Parked
            },
            expires: expiry.instant,
            dropped: DroppedCounters::default(),
        });
    }

    /// Whether there is room for a mitigation that takes the place of `replaced` others.
    fn check_capacity(
        &self,
        now: Now,
        key: &MitigationKey,
        replaced: usize,
    ) -> Result<(), Response> {
        let count = self.mitigations.count_of_customer(&key.customer);
        let customer = self.customers.get(&key.customer);
        let limit = customer.map_or(0, |customer| customer.max_mitigations);
        if count.saturating_sub(replaced) >= limit {
            let whose = format!("customer {} has", key.customer);
            return Err(self.at_capacity(now, &whose, limit));
        }
        let limit = self.policy.max_mitigations;
        if self.mitigations.len().saturating_sub(replaced) >= limit {
            return Err(self.at_capacity(now, "this server has", limit));
        }
        Ok(())
    }

    /// A capacity limit has no code of its own in RFC 9132; 5.03 with Max-Age says when to retry.
    fn at_capacity(&self, now: Now, whose: &str, limit: usize) -> Response {
        let mut response = content::diagnostic(
            Code::SERVICE_UNAVAILABLE,
            &format!("{whose} {limit} mitigations, which is the limit"),
        );
        let soonest = self
            .mitigations
            .next_expiry()
            .map_or(60, |(at, _)| now.seconds_until(at).clamp(1, 60));
        response.options.push_uint(OptionNumber::MAX_AGE, soonest);
        response
    }

    /// What `asked` has in common with another mitigation. The `mid` of another client, and what
    /// only that one protects, is nobody else's business (RFC 9132 §3).
    fn conflict_scope(
        &self,
        other: &MitigationKey,
        asked: &[IpNet],
        mid: Option<Mid>,
    ) -> ConflictScope {
        let theirs = self.mitigations.get(other).into_iter();
        let theirs = theirs.flat_map(|other| outermost(&other.record.request.target.prefixes));
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
}

/// The end of a lifetime on both clocks.
struct Expiry {
    instant: Option<std::time::Instant>,
    unix: Option<u64>,
}

impl Expiry {
    fn after(now: Now, lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Seconds(seconds) => {
                let unix = now.unix.saturating_add(seconds.get().into());
                Self {
                    instant: Some(now.instant_of(unix)),
                    unix: Some(unix),
                }
            }
            Lifetime::Indefinite => Self {
                instant: None,
                unix: None,
            },
        }
    }
}
