//! Requests that wait for names to be resolved.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use coap::{Exchange, Response};
use dots::identifiers::Mid;
use dots::mitigation::MitigationRequest;
use dots::target::{DomainName, TargetPrefix};

use super::outcome::Outcome;
use super::record::Identity;
use super::request::{Answer, bad_request};
use super::resolution::ResolutionError;
use super::scope::Scope;
use super::{Action, Server, SessionId};
use crate::content;
use crate::relay::Relayed;
use crate::time::Now;

/// After how many seconds to ask again for what could not be resolved.
const RETRY: u32 = 10;

/// What a request needs before it can be decided.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) identity: Identity,
    pub(super) mid: Mid,
    pub(super) asked: MitigationRequest,
    pub(super) relayed: Relayed,
    pub(super) scope: Scope,
}

#[derive(Debug)]
struct Entry {
    session: SessionId,
    exchange: Exchange,
    asked: MitigationRequest,
    relayed: Relayed,
    scope: Scope,
    deadline: Instant,
}

/// The waiting requests; one for each that a client has named.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<(Identity, Mid), Entry>);

impl Waiting {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().map(|entry| entry.deadline).min()
    }

    pub(super) fn is_waited_for(&self, name: &DomainName) -> bool {
        self.0
            .values()
            .any(|entry| entry.scope.names.contains_key(name))
    }

    /// The customer of the first request that waits for a name.
    pub(super) fn customer_of(&self, name: &DomainName) -> Option<&str> {
        let mut entries = self.0.iter();
        let (id, _) = entries.find(|(_, entry)| entry.scope.names.contains_key(name))?;
        Some(&id.0.customer)
    }

    fn count_of(&self, customer: &str) -> usize {
        let identities = self.0.keys().map(|(identity, _)| identity);
        identities
            .filter(|identity| identity.customer == customer)
            .count()
    }

    fn find(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<(Identity, Mid)> {
        let entries = self.0.iter().filter(|(_, entry)| is_wanted(entry));
        entries.map(|(id, _)| id.clone()).collect()
    }
}

impl Server {
    /// Resolved names in the scope of a request, as far as they are known; or why they cannot be
    /// what it asks for. False: it has to wait.
    pub(super) fn fill_in(
        &mut self,
        now: Now,
        identity: &Identity,
        mid: Mid,
        scope: &mut Scope,
    ) -> Result<bool, Response> {
        let customer = self.customers.get(&identity.customer);
        let mut is_complete = true;
        let mut stranger = None;
        for (name, prefixes) in &mut scope.names {
            let Some(addresses) = self.resolutions.fresh(now.monotonic, name) else {
                is_complete = false;
                continue;
            };
            let owned = |address: &IpAddr| {
                let prefix = TargetPrefix::try_from(*address).ok()?;
                let unowned = customer?.first_unowned([&prefix]).is_some();
                (!unowned).then_some(prefix)
            };
            if let Some(address) = addresses.iter().find(|address| owned(address).is_none()) {
                stranger = Some((name.clone(), *address));
                break;
            }
            *prefixes = addresses.iter().filter_map(owned).collect();
            prefixes.sort_unstable();
            prefixes.dedup();
        }
        let Some((name, address)) = stranger else {
            return Ok(is_complete);
        };
        let refusal = nothing_owned(&name, &identity.customer);
        self.act(Action::Decided(Outcome::AddressNotOwned {
            key: identity.key(mid),
            name,
            address,
        }));
        Err(refusal)
    }

    /// Whether one more request may wait, and have its names looked up.
    pub(super) fn check_waiting(
        &self,
        now: Now,
        identity: &Identity,
        mid: Mid,
        scope: &Scope,
    ) -> Result<(), Response> {
        let waiting = &self.resolutions.waiting;
        let is_repeated = waiting.0.contains_key(&(identity.clone(), mid));
        let is_full = waiting.0.len() >= self.policy.max_waiting
            || waiting.count_of(&identity.customer) >= self.policy.max_waiting_of_customer;
        if is_full && !is_repeated {
            return Err(try_again("too many requests wait for names to be resolved"));
        }
        let names = scope.names.keys();
        let wanted = names
            .filter(|name| self.is_to_be_looked_up(now, name))
            .count();
        let room = self.room_for_lookups(&identity.customer);
        let is_alone = room >= self.policy.max_lookups_of_customer;
        if wanted > room && !is_alone {
            return Err(try_again(
                "too many names of this customer are being resolved",
            ));
        }
        Ok(())
    }

    fn is_to_be_looked_up(&self, now: Now, name: &DomainName) -> bool {
        let resolutions = &self.resolutions;
        resolutions.fresh(now.monotonic, name).is_none() && !resolutions.lookups.is_under_way(name)
    }

    /// Lets a request wait. One that repeats another takes its place.
    pub(super) fn wait(
        &mut self,
        now: Now,
        session: SessionId,
        exchange: Exchange,
        pending: Pending,
    ) {
        let names: Vec<DomainName> = pending.scope.names.keys().cloned().collect();
        let entry = Entry {
            session,
            exchange,
            asked: pending.asked,
            relayed: pending.relayed,
            scope: pending.scope,
            deadline: now.monotonic + self.policy.resolution_limit,
        };
        let customer = pending.identity.customer.clone();
        let id = (pending.identity, pending.mid);
        if let Some(before) = self.resolutions.waiting.0.insert(id, entry) {
            self.act(Action::Ignore(before.session, before.exchange));
        }
        for name in names {
            if self.resolutions.fresh(now.monotonic, &name).is_none() {
                self.resolve(now, &name, &customer);
            }
        }
    }

    /// A name is known: decides what waited for nothing else.
    pub(super) fn decide_waiting(&mut self, now: Now, name: &DomainName) {
        let waiting = &self.resolutions.waiting;
        for id in waiting.find(|entry| entry.scope.names.contains_key(name)) {
            let Some(entry) = self.resolutions.waiting.0.get(&id) else {
                continue;
            };
            let names: Vec<DomainName> = entry.scope.names.keys().cloned().collect();
            let mut names = names.iter();
            if !names.all(|name| self.resolutions.fresh(now.monotonic, name).is_some()) {
                continue;
            }
            if let Some(entry) = self.resolutions.waiting.0.remove(&id) {
                let (identity, mid) = &id;
                let (session, exchange) = (entry.session, entry.exchange);
                match self.decide(now, identity, *mid, (entry.asked, entry.relayed)) {
                    Ok(Answer::Respond(response)) => self.respond(session, exchange, Ok(response)),
                    Ok(Answer::Ignore) => self.act(Action::Ignore(session, exchange)),
                    // The client's aliases have changed meanwhile.
                    Ok(Answer::Wait(pending)) => self.wait(now, session, exchange, *pending),
                    Ok(Answer::Hold(key)) => self.hold(now, key, session, exchange),
                    Err(refusal) => self.respond(session, exchange, Err(refusal)),
                }
                for name in entry.scope.names.keys() {
                    self.resolutions.drop_if_unused(name);
                }
            }
        }
    }

    /// A name cannot be had: what waited for it is refused, and nothing else.
    pub(super) fn refuse_waiting(&mut self, name: &DomainName, error: &ResolutionError) {
        let waiting = &self.resolutions.waiting;
        for id in waiting.find(|entry| entry.scope.names.contains_key(name)) {
            // The resolver's words are for the log.
            let refusal = match error {
                ResolutionError::NoAddress => nothing_owned(name, &id.0.customer),
                ResolutionError::NoResolver => bad_request("names cannot be resolved here"),
                ResolutionError::Unavailable(_) => {
                    try_again(&format!("{name} cannot be resolved at present"))
                }
            };
            self.refuse_one(&id, refusal);
        }
    }

    /// Refuses what has waited too long.
    pub(super) fn give_up_waiting(&mut self, now: Now) {
        let waiting = &self.resolutions.waiting;
        for id in waiting.find(|entry| entry.deadline <= now.monotonic) {
            self.refuse_one(&id, try_again("the names could not be resolved in time"));
        }
    }

    /// Nobody waits for an answer any more: the session is over, or the request was withdrawn.
    pub(super) fn forget_waiting(&mut self, session: SessionId) {
        let waiting = &self.resolutions.waiting;
        for id in waiting.find(|entry| entry.session == session) {
            self.remove_waiting(&id);
        }
    }

    /// The request was withdrawn before it was decided.
    pub(super) fn withdraw_waiting(&mut self, identity: &Identity, mid: Mid) {
        if let Some(entry) = self.remove_waiting(&(identity.clone(), mid)) {
            self.act(Action::Ignore(entry.session, entry.exchange));
        }
    }

    fn refuse_one(&mut self, id: &(Identity, Mid), refusal: Response) {
        if let Some(entry) = self.remove_waiting(id) {
            self.respond(entry.session, entry.exchange, Err(refusal));
        }
    }

    fn remove_waiting(&mut self, id: &(Identity, Mid)) -> Option<Entry> {
        let entry = self.resolutions.waiting.0.remove(id)?;
        for name in entry.scope.names.keys() {
            self.resolutions.drop_if_unused(name);
        }
        Some(entry)
    }
}

fn try_again(reason: &str) -> Response {
    content::unavailable(reason, RETRY)
}

/// One sentence for a name without an address and for one with another's: who asks learns nothing of names that the resolver
/// knows and he does not.
fn nothing_owned(name: &DomainName, customer: &str) -> Response {
    bad_request(&format!(
        "{name} does not stand for addresses within the prefixes of customer {customer} alone"
    ))
}
