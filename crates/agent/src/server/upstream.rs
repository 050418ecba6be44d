//! Mitigations of a gateway: what its servers upstream say decides (RFC 8811 §2.2.3, RFC 9284 §5.2).
//!
//! ```text
//! PUT --recorded--> held --Accepted, and all have answered--> 2.01, with the shortest lifetime
//!                    |   \--Refused by all asked------------> what they said, and forgotten
//!                    '--patience over--> 2.01 if one has accepted, else 5.03; it stays wanted
//! accepted --their status--> status here --Refused: they have ended it--> over (6)
//! ```
//!
//! A request is recorded before it is relayed, and relayed before it is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use coap::{Code, Exchange, OptionNumber, Request, Response};
use dots::identifiers::Cdid;
use dots::lifetime::Lifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, DroppedCounters, Granted, MitigationRequest, Status,
};

use super::lifecycle::Expiry;
use super::mitigation::Progress;
use super::outcome::Outcome;
use super::record::{MitigationKey, MitigationRecord};
use super::request::{Answer, conflict};
use super::{Action, Server, SessionId};
use crate::content;
use crate::relay::{Relay, Relayed};
use crate::time::Now;

/// After how many seconds to ask again for what nobody upstream has answered.
const RETRY: u32 = 30;

/// How a gateway relays what it is asked.
#[derive(Clone, Debug)]
pub struct Relaying {
    /// What it does about loops (RFC 8768).
    pub relay: Relay,
    /// How long a request waits for the servers upstream.
    pub patience: Duration,
}

/// One acceptance of a mitigation: what takes its key later has another place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acceptance {
    /// Which mitigation.
    pub key: MitigationKey,
    /// Its place in the order of acceptance.
    pub accepted: u64,
}

impl From<&MitigationRecord> for Acceptance {
    fn from(record: &MitigationRecord) -> Self {
        Self {
            key: record.key.clone(),
            accepted: record.accepted,
        }
    }
}

/// How a mitigation stands at the servers that a gateway has asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// At least one of them mitigates, or will.
    Accepted(UpstreamStatus),
    /// All that were asked have refused or ended it, or nobody can be asked; and this is what the
    /// client is told.
    Refused(Response),
}

/// What those say together that have accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// The best of their statuses.
    pub status: Status,
    /// The shortest lifetime that one has granted, in seconds; `None`: all are indefinite.
    pub lifetime: Option<u32>,
    /// What they have dropped together.
    pub dropped: DroppedCounters,
    /// Whether all that were asked have answered.
    pub is_complete: bool,
}

/// What is known here of a mitigation that is relayed.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What those say that have accepted it, once one has.
    accepted: Option<UpstreamStatus>,
    /// The longest that this lifetime was since somebody accepted.
    granted: Option<u32>,
    /// Whether the client has been told that it is accepted. What was restored may have been.
    is_promised: bool,
}

impl Known {
    /// What a restart finds.
    pub(super) fn restored() -> Self {
        Self {
            is_promised: true,
            ..Self::default()
        }
    }

    pub(super) fn dropped(&self) -> DroppedCounters {
        self.accepted
            .map_or_else(DroppedCounters::default, |said| said.dropped)
    }
}

/// A request that waits for the servers upstream.
#[derive(Debug)]
struct Entry {
    session: SessionId,
    exchange: Exchange,
    deadline: Instant,
}

/// The requests that wait for the servers upstream; one for each mitigation at most.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_key: BTreeMap<MitigationKey, Entry>,
    by_deadline: BTreeSet<(Instant, MitigationKey)>,
}

impl Held {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, key: MitigationKey, entry: Entry) -> Option<Entry> {
        let before = self.remove(&key);
        self.by_deadline.insert((entry.deadline, key.clone()));
        self.by_key.insert(key, entry);
        before
    }

    fn remove(&mut self, key: &MitigationKey) -> Option<Entry> {
        let entry = self.by_key.remove(key)?;
        self.by_deadline.remove(&(entry.deadline, key.clone()));
        Some(entry)
    }

    /// Nobody waits for these answers any more.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.by_key.retain(|key, entry| {
            let is_over = entry.session == session;
            if is_over {
                self.by_deadline.remove(&(entry.deadline, key.clone()));
            }
            !is_over
        });
    }
}

impl Server {
    /// Every mitigation as it is stored. A gateway asks its servers for these after a restart.
    pub fn records(&self) -> impl Iterator<Item = &MitigationRecord> {
        self.mitigations.iter().map(|mitigation| &mitigation.record)
    }

    /// What is known of a mitigation that begins, if it is relayed.
    pub(super) fn not_answered_yet(&self) -> Option<Known> {
        self.policy.relaying.as_ref().map(|_| Known::default())
    }

    /// Whether nobody upstream has accepted the mitigation yet.
    pub(super) fn awaits_upstream(&self, key: &MitigationKey) -> bool {
        let known = self.mitigations.get(key);
        let known = known.and_then(|mitigation| mitigation.upstream.as_ref());
        known.is_some_and(|known| known.accepted.is_none())
    }

    /// How a request goes on that came with this cdid, if it goes on.
    pub(super) fn relayed(
        &self,
        request: &Request,
        cdid: Option<Cdid>,
    ) -> Result<Relayed, Response> {
        let relay = self.policy.relaying.as_ref().map(|it| &it.relay);
        let forward = |relay: &Relay| {
            let hop_limit = relay.forward(&request.options);
            hop_limit.map_err(|reason| relay.refuse(&reason))
        };
        let hop_limit = relay.map(forward).transpose()?;
        Ok(Relayed { hop_limit, cdid })
    }

    /// The same request again, before anybody upstream has accepted it.
    pub(super) fn ask_upstream_again(
        &mut self,
        now: Now,
        key: MitigationKey,
        asked: &MitigationRequest,
    ) -> Answer {
        if let Some(mitigation) = self.mitigations.get_mut(&key) {
            mitigation.record.request.lifetime = asked.lifetime;
        }
        let lifetime = self.grant(asked.lifetime);
        self.reschedule(&key, Expiry::after(now, lifetime));
        Answer::Hold(key)
    }

    /// Lets a request wait for the servers upstream. One that repeats another takes its place.
    pub(super) fn hold(
        &mut self,
        now: Now,
        key: MitigationKey,
        session: SessionId,
        exchange: Exchange,
    ) {
        let relaying = self.policy.relaying.as_ref();
        let patience = relaying.map_or(Duration::ZERO, |relaying| relaying.patience);
        let entry = Entry {
            session,
            exchange,
            deadline: now.monotonic + patience,
        };
        if let Some(before) = self.held.insert(key, entry) {
            self.act(Action::Ignore(before.session, before.exchange));
        }
    }

    /// The mitigation is over: who waits for it gets no answer.
    pub(super) fn drop_held(&mut self, key: &MitigationKey) {
        if let Some(entry) = self.held.remove(key) {
            self.act(Action::Ignore(entry.session, entry.exchange));
        }
    }

    /// Answers those who have waited long enough.
    pub(super) fn give_up_held(&mut self, now: Now) {
        while let Some((at, key)) = self.held.by_deadline.first().cloned() {
            if at > now.monotonic {
                return;
            }
            if !self.awaits_upstream(&key) {
                self.promise(now, &key);
            } else if let Some(entry) = self.held.remove(&key) {
                let reason = "no server upstream has answered yet; the request is kept";
                let mut response = content::diagnostic(Code::SERVICE_UNAVAILABLE, reason);
                response.options.push_uint(OptionNumber::MAX_AGE, RETRY);
                self.respond(entry.session, entry.exchange, Err(response));
            }
        }
    }

    pub(super) fn on_upstream(&mut self, now: Now, those: Vec<(Acceptance, Upstream)>) {
        for (acceptance, said) in those {
            let mitigation = self.mitigations.get(&acceptance.key);
            if mitigation.is_none_or(|it| it.record.accepted != acceptance.accepted) {
                continue;
            }
            match said {
                Upstream::Accepted(status) => self.on_accepted(now, &acceptance.key, status),
                Upstream::Refused(response) => self.on_refused(now, &acceptance.key, response),
            }
        }
    }

    fn on_accepted(&mut self, now: Now, key: &MitigationKey, said: UpstreamStatus) {
        let Some(mitigation) = self.mitigations.get_mut(key) else {
            return;
        };
        let Some(known) = &mut mitigation.upstream else {
            return;
        };
        let is_first = known.accepted.is_none();
        known.granted = match is_first {
            true => said.lifetime,
            false => known.granted.zip(said.lifetime).map(|(a, b)| a.max(b)),
        };
        let is_news = known.accepted.replace(said) != Some(said);
        if let Some(progress) = progress(said.status) {
            mitigation.progress = progress;
        }
        if is_first {
            self.end_replaced(now, key);
        }
        if said.is_complete {
            self.promise(now, key);
        }
        if is_news {
            self.mark(now, key);
        }
    }

    /// Answers who waits for a mitigation that is accepted.
    fn promise(&mut self, now: Now, key: &MitigationKey) {
        let Some(entry) = self.held.remove(key) else {
            return;
        };
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let lifetime = self.grant_relayed(key, mitigation.record.request.lifetime);
        self.reschedule(key, Expiry::after(now, lifetime));
        let conflict = self
            .mitigations
            .get(key)
            .and_then(|mitigation| mitigation.conflict(now));
        let granted = Granted {
            mid: key.mid,
            lifetime,
            conflict,
        };
        let key = key.clone();
        let code = self.code_of_promise(&key);
        let outcome = match code {
            Code::CREATED => Outcome::Accepted { key, lifetime },
            _ => Outcome::Refreshed { key, lifetime },
        };
        self.act(Action::Decided(outcome));
        let response = content::body(code, granted.encode());
        self.respond(entry.session, entry.exchange, Ok(response));
    }

    /// 2.01 the first time that a client hears of what is accepted upstream, else 2.04.
    pub(super) fn code_of_promise(&mut self, key: &MitigationKey) -> Code {
        let mitigation = self.mitigations.get_mut(key);
        let known = mitigation.and_then(|mitigation| mitigation.upstream.as_mut());
        match known {
            Some(known) if !known.is_promised => {
                known.is_promised = true;
                Code::CREATED
            }
            _ => Code::CHANGED,
        }
    }

    /// What policy grants, and no more than the servers upstream have.
    pub(super) fn grant_relayed(&self, key: &MitigationKey, asked: Lifetime) -> Lifetime {
        let own = self.grant(asked);
        let known = self.mitigations.get(key);
        let known = known.and_then(|mitigation| mitigation.upstream.as_ref());
        let granted = known.and_then(|known| known.granted);
        match (own, granted.and_then(NonZeroU32::new)) {
            (Lifetime::Seconds(own), Some(granted)) => Lifetime::Seconds(own.min(granted)),
            (Lifetime::Indefinite, Some(granted)) => Lifetime::Seconds(granted),
            (own, None) => own,
        }
    }

    /// All that were asked have refused it, or ended it.
    fn on_refused(&mut self, now: Now, key: &MitigationKey, response: Response) {
        let waiting = self.held.remove(key);
        self.end(now, key, Status::AttackMitigationTerminated);
        match waiting {
            Some(entry) => self.respond(entry.session, entry.exchange, Err(response)),
            None => self.act(Action::Decided(Outcome::EndedUpstream {
                key: key.clone(),
                code: response.code,
                reason: String::from_utf8_lossy(&response.payload).into_owned(),
            })),
        }
    }

    /// An accepted mitigation takes the place of its client's older ones that share an address
    /// (RFC 9132 §4.4.1.3): not before, so that a refusal takes no protection away.
    fn end_replaced(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let request = &mitigation.record.request;
        let (asked, scope) = (&request.target, &mitigation.record.scope);
        let table = &self.mitigations;
        let same_kind = table.own_overlapping(key, request.trigger_mitigation, asked, scope);
        let client = mitigation.client();
        for mid in same_kind.into_iter().filter(|mid| *mid < key.mid) {
            let older = client.key(mid);
            if let Some(entry) = self.held.remove(&older) {
                let refusal = conflict(ConflictInformation {
                    cause: Some(ConflictCause::OverlappingTargets),
                    ..ConflictInformation::default()
                });
                self.respond(entry.session, entry.exchange, Err(refusal));
            }
            self.end(now, &older, Status::AttackMitigationTerminated);
        }
    }
}

/// What the status upstream means here; `None` for those of a mitigation that is not in force.
fn progress(status: Status) -> Option<Progress> {
    match status {
        Status::AttackMitigationInProgress => Some(Progress::Starting),
        Status::AttackSuccessfullyMitigated => Some(Progress::Mitigating),
        Status::AttackStopped => Some(Progress::Stopped),
        Status::AttackExceededCapability => Some(Progress::Exceeded),
        _ => None,
    }
}
