//! How an acceptable mitigation request comes into force, and stands to those that are there
//! (RFC 9132 §4.4.1.3).

use coap::{Code, OptionNumber, Request, Response};
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{ConflictCause, ConflictInformation, Granted, MitigationRequest, Status};
use dots::target::{Target, TargetPrefix};

use super::conflict::ConflictPolicy;
use super::lifecycle::Expiry;
use super::outcome::Outcome;
use super::record::{Identity, MitigationKey, MitigationRecord, Standing};
use super::request::{Answer, bad_request, conflict};
use super::resources::{ClientKey, ClientResources};
use super::scope::Scope;
use super::waiting::Pending;
use super::{Action, Server};
use crate::content;
use crate::time::Now;

impl Server {
    /// RFC 9132 §4.4.1.3, with the efficacy update of §4.4.3.
    pub(super) fn on_put(
        &mut self,
        now: Now,
        request: &Request,
        identity: &Identity,
        mid: Mid,
    ) -> Result<Answer, Response> {
        content::check_format(request)?;
        let key = identity.key(mid);
        let is_update = request.options.get_first(OptionNumber::IF_MATCH).is_some();
        let asked = match self.mitigations.get(&key) {
            Some(existing) if is_update => MitigationRequest::decode_efficacy_update(
                &request.payload,
                existing.record.request.lifetime,
            ),
            None if is_update => {
                self.act(Action::Decided(Outcome::Ignored { key }));
                return Ok(Answer::Ignore);
            }
            _ => MitigationRequest::decode(&request.payload),
        };
        let asked = asked.map_err(|error| bad_request(&error.diagnostic()))?;
        self.decide(now, identity, mid, asked)
    }

    /// Decides a request, or says what it has to wait for.
    pub(super) fn decide(
        &mut self,
        now: Now,
        identity: &Identity,
        mid: Mid,
        asked: MitigationRequest,
    ) -> Result<Answer, Response> {
        if self.mitigations.is_cuid_of_another(identity) {
            return Err(conflict(ConflictInformation {
                cause: Some(ConflictCause::CuidCollision),
                ..ConflictInformation::default()
            }));
        }
        let key = identity.key(mid);
        if let Some(existing) = self.mitigations.get(&key) {
            let before = &existing.record.request;
            if !is_same(&before.target, &asked.target)
                || before.trigger_mitigation != asked.trigger_mitigation
            {
                return Err(bad_request(
                    "this mid is in use with other parameters; a changed request takes a higher mid",
                ));
            }
            self.check_owner(identity, existing.record.scope.prefixes())?;
            return self.refresh(now, &key, &asked).map(Answer::Respond);
        }
        let mut scope = self.scope_of(identity, &asked)?;
        if !self.fill_in(now, identity, &mut scope)? {
            self.check_waiting(identity, mid)?;
            return Ok(Answer::Wait(Box::new(Pending {
                identity: identity.clone(),
                mid,
                asked,
                scope,
            })));
        }
        let created = self.create(now, key, identity, asked, scope);
        created.map(Answer::Respond)
    }

    /// What this server can protect, and this client may ask for (RFC 9132 §4.4.1.1).
    fn scope_of(&self, identity: &Identity, asked: &MitigationRequest) -> Result<Scope, Response> {
        let client = ClientKey {
            customer: identity.customer.clone(),
            cuid: identity.cuid.clone(),
        };
        let aliases = self.resources.get(&client).map(ClientResources::aliases);
        let scope = Scope::new(&asked.target, aliases);
        let scope = scope.map_err(|error| bad_request(&error.to_string()))?;
        let (most, most_names) = (self.policy.max_targets, self.policy.max_names);
        if scope.size() > most {
            return Err(bad_request(&format!(
                "one request may name at most {most} prefixes, ports, protocols and names"
            )));
        }
        if scope.names.len() > most_names {
            return Err(bad_request(&format!(
                "one request may name at most {most_names} names"
            )));
        }
        self.check_owner(identity, &scope.fixed.prefixes)?;
        Ok(scope)
    }

    /// RFC 9132 §4.4.1.1: nobody asks for what belongs to others.
    fn check_owner<'a>(
        &self,
        identity: &Identity,
        prefixes: impl IntoIterator<Item = &'a TargetPrefix>,
    ) -> Result<(), Response> {
        let unowned = match self.customers.get(&identity.customer) {
            Some(customer) => customer.first_unowned(prefixes),
            None => prefixes.into_iter().next(),
        };
        match unowned {
            Some(prefix) => Err(bad_request(&format!(
                "target-prefix {prefix} is not within the prefixes of customer {}",
                identity.customer
            ))),
            None => Ok(()),
        }
    }

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
        scope: Scope,
    ) -> Result<Response, Response> {
        let nets = scope.nets();
        let replaced = self.mitigations.replaced_by(&key, &asked, &scope);
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
        let accept_list = self.accept_list_conflict(&key, &nets);
        if self.policy.on_conflict == ConflictPolicy::First
            && let Some(information) = accept_list
        {
            return Err(conflict(information));
        }
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
            scope,
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
            conflict: accepted
                .and_then(|accepted| accepted.conflict(now))
                .or(accept_list),
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

/// Whether two targets are the same, in whatever order they name it.
fn is_same(one: &Target, other: &Target) -> bool {
    let in_order = |target: &Target| {
        let mut target = target.clone();
        target.prefixes.sort_unstable();
        target.port_ranges.sort_unstable();
        target.protocols.sort_unstable();
        target.fqdns.sort_unstable();
        target.uris.sort_unstable();
        target.aliases.sort_unstable();
        target
    };
    in_order(one) == in_order(other)
}
