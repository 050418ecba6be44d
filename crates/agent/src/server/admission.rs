//! How an acceptable mitigation request comes into force, and stands to those that are there
//! (RFC 9132 §4.4.1.3).

use coap::{Code, OptionNumber, Response};
use dots::lifetime::Lifetime;
use dots::mitigation::{ConflictCause, ConflictInformation, Granted, MitigationRequest, Status};

use super::lifecycle::Expiry;
use super::outcome::Outcome;
use super::prefix_index::outermost;
use super::record::{Identity, MitigationKey, MitigationRecord, Standing};
use super::request::conflict;
use super::{Action, Server};
use crate::content;
use crate::time::Now;

impl Server {
    /// The same request again: its lifetime begins anew.
    pub(super) fn refresh(
        &mut self,
        now: Now,
        key: &MitigationKey,
        asked: &MitigationRequest,
    ) -> Result<Response, Response> {
        let standing = self.mitigations.get(key).map(|known| known.record.standing);
        if standing == Some(Standing::Deactivated) {
            self.judge_deactivated(now, key)?;
            self.reconsider_one(now, key);
        }
        let lifetime = self.grant(asked.lifetime);
        let key = key.clone();
        if let Some(mitigation) = self.mitigations.get_mut(&key) {
            mitigation.record.request.lifetime = asked.lifetime;
        }
        self.reschedule(&key, Expiry::after(now, lifetime));
        let granted = Granted {
            mid: key.mid,
            lifetime,
            conflict: None,
        };
        self.act(Action::Decided(Outcome::Refreshed { key, lifetime }));
        Ok(content::body(Code::CHANGED, granted.encode()))
    }

    /// A request that is new here.
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
        let rivals = match asked.trigger_mitigation {
            true => self.judge(now, &key, &nets)?,
            false => Vec::new(),
        };
        self.check_capacity(now, &key, replaced.len())?;
        let lifetime = self.grant(asked.lifetime);
        let expiry = Expiry::after(now, lifetime);
        let record = MitigationRecord {
            key: key.clone(),
            credential: identity.credential,
            standing: match asked.trigger_mitigation {
                true => Standing::Active {
                    started_unix: now.unix,
                },
                false => Standing::Parked,
            },
            expires_unix: expiry.unix,
            request: asked,
        };
        self.admit(record, expiry.instant);
        for older in replaced {
            let older = identity.key(older);
            self.end(now, &older, Status::AttackMitigationTerminated);
        }
        self.settle_conflicts(now, &key, &rivals);
        let accepted = self.mitigations.get(&key);
        let granted = Granted {
            mid: key.mid,
            lifetime,
            conflict: accepted.and_then(|accepted| accepted.conflict(now)),
        };
        self.act(Action::Decided(Outcome::Accepted { key, lifetime }));
        Ok(content::body(Code::CREATED, granted.encode()))
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

    /// The lifetime that policy grants for the one asked (RFC 9132 §4.4.1.1).
    fn grant(&self, asked: Lifetime) -> Lifetime {
        let longest = self.policy.max_lifetime;
        match asked {
            Lifetime::Seconds(seconds) => Lifetime::Seconds(seconds.min(longest)),
            Lifetime::Indefinite => Lifetime::Seconds(longest),
        }
    }
}
