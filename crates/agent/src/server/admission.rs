//! How an acceptable mitigation request comes into force, and stands to those that are there
//! (RFC 9132 §4.4.1.3).

use coap::{Code, OptionNumber, Request, Response};
use dots::identifiers::{Cdid, Mid};
use dots::lifetime::Lifetime;
use dots::mitigation::{ConflictCause, ConflictInformation, Granted, MitigationRequest, Status};
use dots::target::{Target, TargetPrefix};

use super::conflict::ConflictPolicy;
use super::lifecycle::Expiry;
use super::mitigation::{Mitigation, Progress};
use super::outcome::Outcome;
use super::record::{Identity, MitigationKey, MitigationRecord, Standing};
use super::request::{Answer, bad_request, conflict, parts_of};
use super::resources::{ClientKey, ClientResources};
use super::scope::Scope;
use super::waiting::Pending;
use super::{Action, Server};
use crate::content;
use crate::relay::Relayed;
use crate::time::Now;

impl Server {
    /// RFC 9132 §4.4.1.3, with the efficacy update of §4.4.3.
    pub(super) fn on_put(
        &mut self,
        now: Now,
        (request, cdid): (&Request, Option<Cdid>),
        identity: &Identity,
        mid: Mid,
    ) -> Result<Answer, Response> {
        content::check_format(request)?;
        // A gateway is not sent away: it asks for others, too.
        if cdid.is_none() {
            self.check_redirect(&identity.customer)?;
        }
        let key = identity.key(mid);
        let is_update = request.options.get_first(OptionNumber::IF_MATCH).is_some();
        // What its client has withdrawn is gone for an update that comes late.
        let existing = self.mitigations.get(&key);
        let existing = existing.filter(|existing| !is_update || !existing.is_terminating());
        let asked = match existing {
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
        if let Some(refusal) = existing
            .filter(|_| is_update)
            .and_then(|it| refuse_update(now, it))
        {
            return Err(refusal);
        }
        let told = asked.attack_status.filter(|_| is_update);
        self.spend_on_parts(now, &identity.customer, parts_of(&asked.target))?;
        let relayed = self.relayed(request, cdid)?;
        let answer = self.decide(now, identity, mid, (asked, relayed))?;
        if let Some(attack_status) = told {
            self.act(Action::Decided(Outcome::Efficacy { key, attack_status }));
        }
        Ok(answer)
    }

    /// Decides a request, or says what it has to wait for.
    pub(super) fn decide(
        &mut self,
        now: Now,
        identity: &Identity,
        mid: Mid,
        (asked, relayed): (MitigationRequest, Relayed),
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
            let is_same = is_same(&before.target, &asked.target)
                && before.trigger_mitigation == asked.trigger_mitigation;
            if is_same {
                self.check_owner(identity, existing.record.scope.prefixes())?;
                let is_terminating = existing.is_terminating();
                let deactivated = existing.deactivated_upstream(now);
                if existing.record.standing == Standing::Deactivated {
                    self.judge_deactivated(now, &key)?;
                    self.reconsider_one(now, &key);
                }
                if self.awaits_upstream(&key) {
                    return Ok(self.ask_upstream_again(now, key, &asked));
                }
                if let Some(information) = deactivated {
                    return Err(self.refuse_deactivated(now, &key, information));
                }
                let answer = match is_terminating {
                    true => self.revive(now, &key, &asked),
                    false => self.refresh(now, &key, &asked),
                };
                return answer.map(Answer::Respond);
            }
            if !existing.is_terminating() {
                return Err(bad_request(
                    "this mid is in use with other parameters; a changed request takes a higher mid",
                ));
            }
        }
        let mut scope = self.scope_of(identity, &asked)?;
        if !self.fill_in(now, identity, mid, &mut scope)? {
            self.check_waiting(now, identity, mid, &scope)?;
            return Ok(Answer::Wait(Box::new(Pending {
                identity: identity.clone(),
                mid,
                asked,
                relayed,
                scope,
            })));
        }
        let created = self.create(now, key.clone(), identity, (asked, relayed), scope)?;
        Ok(match self.policy.relaying {
            Some(_) => Answer::Hold(key),
            None => Answer::Respond(created),
        })
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
        let lifetime = self.grant_relayed(key, asked.lifetime);
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
        let code = self.code_of_promise(&key);
        self.act(Action::Decided(Outcome::Refreshed { key, lifetime }));
        Ok(content::body(code, granted.encode()))
    }

    /// A request that is new here.
    pub(super) fn create(
        &mut self,
        now: Now,
        key: MitigationKey,
        identity: &Identity,
        (asked, relayed): (MitigationRequest, Relayed),
        scope: Scope,
    ) -> Result<Response, Response> {
        let nets = scope.nets();
        let immediate = asked.trigger_mitigation;
        let own = |trigger_mitigation| {
            let table = &self.mitigations;
            let mids = table.own_overlapping(&key, trigger_mitigation, &asked.target, &scope);
            let keys = mids.into_iter().map(|mid| identity.key(mid));
            keys.collect::<Vec<MitigationKey>>()
        };
        let mut replaced = own(immediate);
        let preconfigured = if immediate { own(false) } else { Vec::new() };
        // What its client has withdrawn gives way, whatever its number.
        let is_newer = |other: &&MitigationKey| other.mid > key.mid && !self.is_terminating(other);
        if let Some(newer) = replaced.iter().rfind(is_newer) {
            return Err(conflict(ConflictInformation {
                cause: Some(ConflictCause::OverlappingTargets),
                scope: Some(self.conflict_scope(newer, &nets, Some(newer.mid))),
                ..ConflictInformation::default()
            }));
        }
        if self.is_terminating(&key) && !replaced.contains(&key) {
            replaced.push(key.clone());
        }
        let rivals = match immediate {
            true => self.judge(now, &key, &nets)?,
            false => Vec::new(),
        };
        let accept_list = self.accept_list_conflict(&key, &nets);
        if self.policy.on_conflict == ConflictPolicy::First
            && let Some(information) = accept_list
        {
            return Err(conflict(information));
        }
        self.check_capacity(now, &key, &replaced)?;
        let terminating = self.terminating_after(replaced.iter());
        if self.is_terminating(&key) {
            self.end(now, &key, Status::AttackMitigationTerminated);
        }
        let lifetime = self.grant(asked.lifetime);
        let expiry = Expiry::after(now, lifetime);
        let record = MitigationRecord {
            key: key.clone(),
            accepted: self.mitigations.next_place(),
            credential: identity.credential,
            standing: match immediate {
                true => Standing::Active {
                    started_unix: now.unix,
                },
                false => Standing::Parked,
            },
            expires_unix: expiry.unix,
            request: asked,
            scope,
            relayed,
        };
        self.admit(now, record, terminating);
        // What a gateway relays takes no place before it is accepted upstream.
        let is_decided = self.policy.relaying.is_none();
        for older in replaced.iter().filter(|older| is_decided && **older != key) {
            self.end(now, older, Status::AttackMitigationTerminated);
        }
        for other in preconfigured.iter().filter(|_| is_decided) {
            self.yield_to_immediate(now, other);
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
        if is_decided {
            self.act(Action::Decided(Outcome::Accepted { key, lifetime }));
        }
        Ok(content::body(Code::CREATED, granted.encode()))
    }

    /// Whether a mitigation is withdrawn and goes on for a while.
    fn is_terminating(&self, key: &MitigationKey) -> bool {
        let mitigation = self.mitigations.get(key);
        mitigation.is_some_and(Mitigation::is_terminating)
    }

    /// Makes room for a mitigation that takes the place of `replaced` others, if need be of what
    /// the customer has withdrawn. Those of them that nobody upstream has answered count, and give way only where there is
    /// no room.
    fn check_capacity(
        &mut self,
        now: Now,
        key: &MitigationKey,
        replaced: &[MitigationKey],
    ) -> Result<(), Response> {
        let customer = self.customers.get(&key.customer);
        let limit = customer.map_or(0, |customer| customer.max_mitigations);
        let limit_of_all = self.policy.max_mitigations;
        loop {
            let there = |key: &&MitigationKey| self.mitigations.get(key).is_some();
            let is_unanswered = |key: &&MitigationKey| self.was_never_accepted(key);
            let (unanswered, replaced): (Vec<_>, Vec<_>) =
                replaced.iter().filter(there).partition(is_unanswered);
            let replaced = replaced.len();
            let count = self.mitigations.count_of_customer(&key.customer);
            let is_full = count.saturating_sub(replaced) >= limit;
            if !is_full && self.mitigations.len().saturating_sub(replaced) < limit_of_all {
                return Ok(());
            }
            if self.end_one_terminating(now, &key.customer) {
                continue;
            }
            if let Some(oldest) = unanswered.first() {
                self.replace(now, oldest);
            } else {
                return Err(match is_full {
                    true => self.at_capacity(now, &format!("customer {} has", key.customer), limit),
                    false => self.at_capacity(now, "this server has", limit_of_all),
                });
            }
        }
    }

    /// A capacity limit has no code of its own in RFC 9132; 5.03 with Max-Age says when to retry.
    fn at_capacity(&self, now: Now, whose: &str, limit: usize) -> Response {
        let soonest = self
            .mitigations
            .next_expiry()
            .map_or(60, |(at, _)| now.seconds_until(at).clamp(1, 60));
        let reason = format!("{whose} {limit} mitigations, which is the limit");
        content::unavailable(&reason, soonest)
    }

    /// The lifetime that policy grants for the one asked (RFC 9132 §4.4.1.1).
    pub(super) fn grant(&self, asked: Lifetime) -> Lifetime {
        let longest = self.policy.max_lifetime;
        match asked {
            Lifetime::Seconds(seconds) => Lifetime::Seconds(seconds.min(longest)),
            Lifetime::Indefinite => Lifetime::Seconds(longest),
        }
    }
}

/// Why an efficacy update is not accepted: nothing is mitigated (RFC 9132 §4.4.3).
fn refuse_update(now: Now, mitigation: &Mitigation) -> Option<Response> {
    let conflict = mitigation.conflict(now);
    let retry_timer = conflict.and_then(|conflict| conflict.retry_timer);
    let (reason, seconds) = match (mitigation.record.standing, mitigation.progress()) {
        _ if let Some(seconds) = retry_timer => {
            ("the request of another client is in force", seconds)
        }
        (Standing::Active { .. }, Progress::Exceeded) => (
            "the attack exceeds what can be mitigated here",
            content::RETRY,
        ),
        _ => return None,
    };
    Some(content::unavailable(reason, seconds))
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
