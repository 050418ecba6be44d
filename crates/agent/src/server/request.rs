//! What becomes of a request (RFC 9132 §4.4.1.3, §4.4.2, §4.4.4).
//!
//! Checks stand in the order in which a request is understood: who asks, what is named, what the
//! body says, whether the client owns it, how it stands to what is already there.

use coap::{Code, Exchange, OptionNumber, Request, Response, Token};
use dots::identifiers::{Cdid, Mid};
use dots::mitigation::{ConflictInformation, Refusal};
use dots::path::{PathError, Resource};
use dots::query::Content;
use dots::target::Target;

use super::clients::Client;
use super::mitigation::Mitigation;
use super::notification::represent;
use super::observation::ObserverLimits;
use super::outcome::Outcome;
use super::record::{Identity, MitigationKey};
use super::request_budget::RequestBudget;
use super::waiting::Pending;
use super::{Action, Server, SessionId};
use crate::content;
use crate::session::resource_of;
use crate::time::Now;

/// For how many seconds a customer that asks too often is sent away at most.
const LONGEST_WAIT: u64 = 3;

/// So many mitigations, prefixes, ports, protocols and names take what one more request does.
const PARTS_OF_A_REQUEST: usize = 16;

/// What comes of a request that is not refused.
#[derive(Debug)]
pub(super) enum Answer {
    /// This.
    Respond(Response),
    /// Nothing (RFC 9132 §4.4.3).
    Ignore,
    /// It is decided once its names are resolved.
    Wait(Box<Pending>),
    /// It is answered once the servers upstream have answered.
    Hold(MitigationKey),
}

impl Server {
    pub(super) fn on_request(
        &mut self,
        now: Now,
        session: SessionId,
        exchange: Exchange,
        token: Token,
        request: &Request,
    ) {
        match self.answer(now, session, token, request) {
            Ok(Answer::Respond(response)) => self.respond(session, exchange, Ok(response)),
            Ok(Answer::Ignore) => self.act(Action::Ignore(session, exchange)),
            Ok(Answer::Wait(pending)) => self.wait(now, session, exchange, *pending),
            Ok(Answer::Hold(key)) => self.hold(now, key, session, exchange),
            Err(refusal) => self.respond(session, exchange, Err(refusal)),
        }
    }

    pub(super) fn respond(
        &mut self,
        session: SessionId,
        exchange: Exchange,
        answer: Result<Response, Response>,
    ) {
        let response = answer.unwrap_or_else(|refusal| {
            self.act(Action::Decided(self.refusal(session, &refusal)));
            refusal
        });
        self.act(Action::Respond(session, exchange, response));
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
    ) -> Result<Answer, Response> {
        if let Some(Err(error)) = request.options.hop_limit() {
            return Err(bad_request(&error.to_string()));
        }
        let client = self.authorised(session)?;
        self.spend(now, &client.0, 1)?;
        match resource_of(request) {
            Ok(Resource::Mitigate { cdid, cuid, mid }) => {
                let (peer, credential) = client;
                let (customer, cdid) = self.domain_of(now, peer, cdid)?;
                let cuid = cuid.ok_or_else(|| bad_request("the Uri-Path lacks cuid"))?;
                let identity = Identity {
                    customer,
                    credential,
                    cuid,
                };
                self.on_mitigate(now, (session, token), (request, cdid), &identity, mid)
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
        (request, cdid): (&Request, Option<Cdid>),
        identity: &Identity,
        mid: Option<Mid>,
    ) -> Result<Answer, Response> {
        match (request.method, mid) {
            (Code::GET, mid) => self
                .on_get(now, (session, token), request, identity, mid)
                .map(Answer::Respond),
            (Code::PUT, Some(mid)) => self.on_put(now, (request, cdid), identity, mid),
            (Code::DELETE, Some(mid)) => Ok(Answer::Respond(self.on_delete(now, identity, mid))),
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
                    "these credentials belong to no customer of this server",
                )
            })
    }

    /// For whom a peer asks, and what it calls that customer's domain. A cdid counts only if it comes
    /// from a gateway that is trusted to say it (RFC 9132 §4.4.1.2).
    fn domain_of(
        &mut self,
        now: Now,
        peer: String,
        cdid: Option<Cdid>,
    ) -> Result<(String, Option<Cdid>), Response> {
        let Some(gateway) = self.customers.get(&peer).filter(|it| it.is_gateway) else {
            return Ok((peer, None));
        };
        let unauthorised = |text: &str| Err(content::diagnostic(Code::UNAUTHORIZED, text));
        let Some(cdid) = cdid else {
            return match gateway.prefixes.is_empty() {
                true => unauthorised("a gateway says with cdid for which customer it asks"),
                false => Ok((peer, None)),
            };
        };
        let Some(customer) = self.customers.of_domain(&cdid) else {
            return unauthorised(&format!(
                "cdid {cdid} belongs to no customer of this server"
            ));
        };
        let customer = customer.name.to_ascii_lowercase();
        self.spend(now, &customer, 1)?;
        Ok((customer, Some(cdid)))
    }

    /// What a request takes beyond others that names so many parts, or asks for them.
    pub(super) fn spend_on_parts(
        &mut self,
        now: Now,
        customer: &str,
        parts: usize,
    ) -> Result<(), Response> {
        let requests = u32::try_from(parts / PARTS_OF_A_REQUEST).unwrap_or(u32::MAX);
        self.spend(now, customer, requests)
    }

    /// A customer that asks too often, or for too much, is told when to come back before anything is
    /// looked at.
    fn spend(&mut self, now: Now, customer: &str, requests: u32) -> Result<(), Response> {
        let now = now.monotonic;
        let (rate, burst) = (self.policy.requests_per_second, self.policy.request_burst);
        let budget = match self.budgets.get_mut(customer) {
            Some(budget) => budget,
            None => self
                .budgets
                .entry(customer.to_owned())
                .or_insert(RequestBudget::new(now)),
        };
        budget.take(now, rate, burst, requests).map_err(|wait| {
            let seconds = wait.as_secs().saturating_add(1).min(LONGEST_WAIT);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            content::unavailable("too many requests", seconds)
        })
    }

    /// RFC 9132 §4.4.2, with Observe of §4.4.2.1.
    fn on_get(
        &mut self,
        now: Now,
        (session, token): (SessionId, Token),
        request: &Request,
        identity: &Identity,
        mid: Option<Mid>,
    ) -> Result<Response, Response> {
        let observer = (session, token);
        let observe = request.options.observe();
        if observe == Some(1) {
            self.observations.deregister(observer);
        }
        let queries: Result<Vec<&str>, _> = request.options.uri_query().collect();
        let queries = queries.map_err(|_| bad_request("the Uri-Query is not UTF-8"))?;
        let part = Content::parse(queries).map_err(|error| bad_request(&error.to_string()))?;
        let shown = |mitigation: &Mitigation| match part {
            Content::NonConfig => 1,
            Content::Config | Content::All => 1 + parts_of(&mitigation.record.request.target),
        };
        let parts = self.mitigations.of_client(identity, mid).map(shown);
        self.spend_on_parts(now, &identity.customer, parts.sum())?;
        let found: Vec<_> = self.mitigations.of_client(identity, mid).collect();
        let mut response =
            represent(now, part, &found, &[], self.policy.max_body).inspect_err(|_| {
                self.observations.deregister(observer);
            })?;
        if observe == Some(0) {
            let limit = self.policy.max_notification;
            if response.payload.len() > limit && represent(now, part, &found, &[], limit).is_err() {
                self.observations.deregister(observer);
                return Ok(response);
            }
            let is_first = self.observations.is_empty();
            let limits = ObserverLimits {
                of_session: self.policy.max_observations,
                of_customer: self.policy.max_observations_of_customer,
            };
            let topic = (identity.clone(), mid, part);
            let sequence = self.observations.register(observer, topic, limits);
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
        self.withdraw_waiting(identity, mid);
        let key = identity.key(mid);
        let is_own = self
            .mitigations
            .get(&key)
            .is_some_and(|mitigation| mitigation.record.credential == identity.credential);
        if is_own {
            self.withdraw(now, &key);
        }
        content::empty(Code::DELETED)
    }
}

/// How much there is to do for a target.
pub(super) fn parts_of(target: &Target) -> usize {
    target.prefixes.len()
        + target.port_ranges.len()
        + target.protocols.len()
        + target.fqdns.len()
        + target.uris.len()
        + target.aliases.len()
}

pub(super) fn bad_request(text: &str) -> Response {
    content::diagnostic(Code::BAD_REQUEST, text)
}

/// RFC 9132 §4.4.1.3: 4.09 with the reason in DOTS CBOR.
pub(super) fn conflict(information: ConflictInformation) -> Response {
    content::body(
        Code::CONFLICT,
        Refusal {
            conflict: information,
        }
        .encode(),
    )
}
