//! What becomes of a request (RFC 9132 §4.4.1.3, §4.4.2, §4.4.4).
//!
//! Checks stand in the order in which a request is understood: who asks, what is named, what the
//! body says, whether the client owns it, how it stands to what is already there.

use coap::{Code, Exchange, OptionNumber, Request, Response, Token};
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, ConflictScope, ConflictStatus, DroppedCounters, Granted,
    MitigationRequest, Refusal, Status,
};
use dots::path::{PathError, Resource};
use dots::target::Target;
use dtls::Peer;

use super::mitigation::{Identity, Mitigation, MitigationKey, MitigationRecord, Phase};
use super::notification::{represent, statuses};
use super::{Action, Change, Client, Server, SessionId};
use crate::content;
use crate::session::resource_of;
use crate::time::Now;

/// A decision of the server and its reason, one per request or event.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A certificate is valid, but nobody here is called what it says.
    NoCustomer {
        /// The session.
        session: SessionId,
        /// Who it is.
        peer: Peer,
    },
    /// A mitigation was accepted.
    Accepted {
        /// Which.
        key: MitigationKey,
        /// For how long.
        lifetime: Lifetime,
    },
    /// A mitigation was prolonged.
    Refreshed {
        /// Which.
        key: MitigationKey,
        /// For how long.
        lifetime: Lifetime,
    },
    /// A mitigation was withdrawn by its client.
    Withdrawn {
        /// Which.
        key: MitigationKey,
    },
    /// A request was refused.
    Refused {
        /// The session it came on.
        session: SessionId,
        /// The customer, if the session belongs to one.
        customer: Option<String>,
        /// The code of the response.
        code: Code,
        /// The diagnostic payload; empty where the body is DOTS CBOR.
        reason: String,
    },
    /// An efficacy update for an unknown mitigation was left unanswered (RFC 9132 §4.4.3).
    Ignored {
        /// Which it named.
        key: MitigationKey,
    },
}

/// How many prefixes a `conflict-scope` names: enough to recognise the other request, and few
/// enough for one datagram.
const CONFLICTING_PREFIXES: usize = 16;

/// Either an answer in accord with the request, or a refusal.
type Answer = Result<Response, Response>;

impl Server {
    pub(super) fn on_request(
        &mut self,
        now: Now,
        session: SessionId,
        exchange: Exchange,
        token: Token,
        request: &Request,
    ) {
        let answer = match self.answer(now, session, token, request) {
            Ok(None) => {
                self.actions.push_back(Action::Ignore(session, exchange));
                return;
            }
            Ok(Some(response)) => response,
            Err(refusal) => {
                self.actions
                    .push_back(Action::Decided(self.refusal(session, &refusal)));
                refusal
            }
        };
        self.actions
            .push_back(Action::Respond(session, exchange, answer));
    }

    fn refusal(&self, session: SessionId, response: &Response) -> Outcome {
        let is_cbor = response.options.content_format().is_some();
        let reason = match is_cbor {
            true => String::new(),
            false => String::from_utf8_lossy(&response.payload).into_owned(),
        };
        Outcome::Refused {
            session,
            customer: self
                .clients
                .get(&session)
                .and_then(|client| client.customer.clone()),
            code: response.code,
            reason,
        }
    }

    fn answer(
        &mut self,
        now: Now,
        session: SessionId,
        token: Token,
        request: &Request,
    ) -> Result<Option<Response>, Response> {
        let client = self.authorised(session)?;
        match resource_of(request) {
            Ok(Resource::Mitigate { cuid, mid, .. }) => {
                // A cdid from a peer that is no trusted gateway is not looked at (RFC 9132 §4.4.1.2).
                let cuid = cuid.ok_or_else(|| bad_request("the Uri-Path lacks cuid"))?;
                let identity = Identity {
                    customer: client.0,
                    credential: client.1,
                    cuid,
                };
                self.on_mitigate(now, (session, token), request, &identity, mid)
            }
            Ok(Resource::Config { .. }) => Err(content::diagnostic(
                Code::NOT_FOUND,
                "this server has no session configuration to negotiate",
            )),
            // Heartbeats end in the session.
            Ok(Resource::Heartbeat) => Err(bad_request("a heartbeat is for the immediate peer")),
            Err(error) => Err(content::diagnostic(
                match error {
                    PathError::NotFound => Code::NOT_FOUND,
                    PathError::Invalid(_) => Code::BAD_REQUEST,
                },
                &error.to_string(),
            )),
        }
    }

    fn on_mitigate(
        &mut self,
        now: Now,
        (session, token): (SessionId, Token),
        request: &Request,
        identity: &Identity,
        mid: Option<Mid>,
    ) -> Result<Option<Response>, Response> {
        match (request.method, mid) {
            (Code::GET, mid) => self
                .on_get(now, (session, token), request, identity, mid)
                .map(Some),
            (Code::PUT, Some(mid)) => self.on_put(now, request, identity, mid),
            (Code::DELETE, Some(mid)) => Ok(Some(self.on_delete(now, identity, mid))),
            (Code::PUT | Code::DELETE, None) => Err(bad_request("the Uri-Path lacks mid")),
            _ => Err(content::diagnostic(
                Code::METHOD_NOT_ALLOWED,
                "mitigate takes GET, PUT and DELETE",
            )),
        }
    }

    /// RFC 9132 §8: a peer that is no customer gets 4.01.
    fn authorised(&self, session: SessionId) -> Result<(String, [u8; 32]), Response> {
        let client: Option<&Client> = self.clients.get(&session);
        client
            .and_then(|client| Some((client.customer.clone()?, client.credential)))
            .ok_or_else(|| {
                content::diagnostic(
                    Code::UNAUTHORIZED,
                    "this certificate belongs to no customer of this server",
                )
            })
    }

    /// RFC 9132 §4.4.1.3.
    fn on_put(
        &mut self,
        now: Now,
        request: &Request,
        identity: &Identity,
        mid: Mid,
    ) -> Result<Option<Response>, Response> {
        content::check_format(request)?;
        let asked = MitigationRequest::decode(&request.payload)
            .map_err(|error| bad_request(&error.diagnostic()))?;
        let key = identity.key(mid);
        let is_update = request.options.get_first(OptionNumber::IF_MATCH).is_some();
        if is_update && self.mitigations.get(&key).is_none() {
            self.actions
                .push_back(Action::Decided(Outcome::Ignored { key }));
            return Ok(None);
        }
        if is_update && asked.attack_status.is_none() {
            return Err(bad_request("an efficacy update carries attack-status"));
        }
        self.check_scope(identity, &asked)?;
        if self
            .mitigations
            .is_cuid_of_another(&identity.cuid, &identity.credential)
        {
            return Err(conflict(ConflictInformation {
                cause: Some(ConflictCause::CuidCollision),
                ..ConflictInformation::default()
            }));
        }
        if let Some(existing) = self.mitigations.get(&key) {
            let before = &existing.record.request;
            if !is_same(&before.target, &asked.target)
                || before.trigger_mitigation != asked.trigger_mitigation
            {
                return Err(bad_request(
                    "this mid is in use with other parameters; a changed request takes a higher mid",
                ));
            }
            return Ok(Some(self.refresh(now, key, &asked)));
        }
        self.create(now, key, identity, asked).map(Some)
    }

    /// What this server can protect, and this client may ask for (RFC 9132 §4.4.1.1).
    fn check_scope(&self, identity: &Identity, asked: &MitigationRequest) -> Result<(), Response> {
        let target = &asked.target;
        if let Some(alias) = target.aliases.first() {
            return Err(bad_request(&format!(
                "alias-name \"{alias}\" was not created by this client"
            )));
        }
        if !target.fqdns.is_empty() || !target.uris.is_empty() {
            return Err(bad_request(
                "this server resolves no names; name the resources by target-prefix",
            ));
        }
        let named = target.prefixes.len() + target.port_ranges.len() + target.protocols.len();
        if named > self.policy.max_targets {
            return Err(bad_request(&format!(
                "one request may name at most {} prefixes, ports and protocols",
                self.policy.max_targets
            )));
        }
        let customer = self.customers.get(&identity.customer);
        let unowned = match customer {
            Some(customer) => customer.first_unowned(&target.prefixes),
            None => target.prefixes.first(),
        };
        match unowned {
            Some(prefix) => Err(bad_request(&format!(
                "target-prefix {prefix} is not within the prefixes of customer {}",
                identity.customer
            ))),
            None => Ok(()),
        }
    }

    fn refresh(&mut self, now: Now, key: MitigationKey, asked: &MitigationRequest) -> Response {
        let lifetime = self.grant(asked.lifetime);
        let expiry = Expiry::after(now, lifetime);
        self.mitigations.reschedule(&key, expiry.instant);
        if let Some(mitigation) = self.mitigations.get_mut(&key) {
            mitigation.record.expires_unix = expiry.unix;
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

    fn create(
        &mut self,
        now: Now,
        key: MitigationKey,
        identity: &Identity,
        asked: MitigationRequest,
    ) -> Answer {
        let overlapping = self.mitigations.overlapping(&asked.target);
        let of_this_client = |other: &&MitigationKey| {
            other.customer == key.customer
                && other.cuid == key.cuid
                && self.mitigations.get(other).is_some_and(|mitigation| {
                    mitigation.record.request.trigger_mitigation == asked.trigger_mitigation
                })
        };
        let (own, others): (Vec<_>, Vec<_>) = overlapping.iter().partition(of_this_client);
        if let Some(newer) = own.iter().find(|other| other.mid > key.mid) {
            return Err(conflict(ConflictInformation {
                cause: Some(ConflictCause::OverlappingTargets),
                scope: Some(self.conflict_scope(newer, &asked.target, Some(newer.mid))),
                ..ConflictInformation::default()
            }));
        }
        let count = self.mitigations.count_of_customer(&key.customer);
        let limit = self
            .customers
            .get(&key.customer)
            .map_or(0, |customer| customer.max_mitigations);
        if count.saturating_sub(own.len()) >= limit {
            let whose = format!("customer {} has", key.customer);
            return Err(self.at_capacity(now, &whose, limit));
        }
        let limit = self.policy.max_mitigations;
        if self.mitigations.len().saturating_sub(own.len()) >= limit {
            return Err(self.at_capacity(now, "this server has", limit));
        }
        // Another client of the same addresses: both requests stand, and the new one is told
        // (RFC 9132 §4.4.1.3). Filters of the two do not contradict each other.
        let conflict = others
            .iter()
            .find(|other| (&other.customer, &other.cuid) != (&key.customer, &key.cuid))
            .map(|other| ConflictInformation {
                status: Some(ConflictStatus::RequestActive),
                cause: Some(ConflictCause::OverlappingTargets),
                scope: Some(self.conflict_scope(other, &asked.target, None)),
                ..ConflictInformation::default()
            });
        let replaced: Vec<MitigationKey> = own.into_iter().cloned().collect();
        let lifetime = self.grant(asked.lifetime);
        self.accept(now, key.clone(), identity, asked, lifetime);
        for older in replaced {
            self.end(now, &older, Status::AttackMitigationTerminated);
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
        asked: &Target,
        mid: Option<Mid>,
    ) -> ConflictScope {
        let theirs = self.mitigations.get(other).into_iter();
        let theirs = theirs.flat_map(|mitigation| &mitigation.record.request.target.prefixes);
        let common = theirs.flat_map(|their| {
            let ours = asked.prefixes.iter().filter(|our| our.overlaps(their));
            ours.map(|our| if our.contains(their) { *their } else { *our })
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

    /// RFC 9132 §4.4.2, with Observe of §4.4.2.1.
    fn on_get(
        &mut self,
        now: Now,
        (session, token): (SessionId, Token),
        request: &Request,
        identity: &Identity,
        mid: Option<Mid>,
    ) -> Answer {
        let observer = (session, token);
        let observe = request.options.observe();
        if observe == Some(1) {
            self.observations.deregister(observer);
        }
        let found = statuses(&self.mitigations, now, identity, mid);
        let mut response = represent(found, self.policy.max_body)?;
        if observe == Some(0) {
            let is_first = self.observations.is_empty();
            let limit = self.policy.max_observations;
            let sequence = self.observations.register(observer, (identity, mid), limit);
            if let Some(sequence) = sequence {
                response.options.push_uint(OptionNumber::OBSERVE, sequence);
            }
            if is_first {
                self.next_notification = Some(now.monotonic + self.policy.notification_interval);
            }
        }
        Ok(response)
    }

    /// RFC 9132 §4.4.4: 2.02 also for what was never there.
    fn on_delete(&mut self, now: Now, identity: &Identity, mid: Mid) -> Response {
        let key = identity.key(mid);
        let is_own = self
            .mitigations
            .get(&key)
            .is_some_and(|mitigation| mitigation.record.credential == identity.credential);
        if is_own {
            self.end(now, &key, Status::AttackMitigationTerminated);
            self.actions
                .push_back(Action::Decided(Outcome::Withdrawn { key }));
        }
        content::empty(Code::DELETED)
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

/// Whether two targets are the same, in whatever order they name it.
fn is_same(one: &Target, other: &Target) -> bool {
    let in_order = |target: &Target| {
        let mut target = target.clone();
        target.prefixes.sort_unstable();
        target.port_ranges.sort_unstable();
        target.protocols.sort_unstable();
        target
    };
    in_order(one) == in_order(other)
}

fn bad_request(text: &str) -> Response {
    content::diagnostic(Code::BAD_REQUEST, text)
}

/// RFC 9132 §4.4.1.3: 4.09 with the reason in DOTS CBOR.
fn conflict(information: ConflictInformation) -> Response {
    content::body(
        Code::CONFLICT,
        Refusal {
            conflict: information,
        }
        .encode(),
    )
}
