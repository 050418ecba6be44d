//! Mitigations of a gateway: what its servers upstream say decides (RFC 8811 §2.2.3, RFC 9284 §5.2).
//!
//! ```text
//! PUT --recorded--> held --Accepted, and all have answered--> 2.01, with the shortest lifetime
//!                    |   \--Refused by all, or Deactivated--> what they said, and forgotten
//!                    '--patience over--> 2.01 if one has accepted, else 5.03; it stays wanted
//! promised --Accepted-----> their status   --Pending, Postponed--> 1, and the next PUT is held
//!          --Deactivated--> 7 with their conflict, until it comes back
//!          --Refused: nobody takes just this any more--> over (6)
//! ```
//!
//! A request is recorded before it is relayed, and relayed before it is promised.

use std::num::NonZeroU32;
use std::time::Duration;

use coap::{Code, Request, Response};
use dots::identifiers::Cdid;
use dots::lifetime::Lifetime;
use dots::mitigation::{
    ConflictCause, ConflictInformation, DroppedCounters, Granted, MitigationRequest, Status,
};

use super::lapse::Deactivation;
use super::lifecycle::Expiry;
use super::mitigation::Progress;
use super::outcome::Outcome;
use super::record::{MitigationKey, MitigationRecord};
use super::request::{Answer, conflict};
use super::{Action, Server};
use crate::content;
use crate::relay::{Relay, Relayed};
use crate::time::Now;

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
    /// Nobody mitigates any more, and somebody may yet: an answer is awaited, or a network is away.
    Pending,
    /// Nobody mitigates, since requests of other clients are in force instead. It comes back by itself.
    Deactivated(Deactivation),
    /// All that were asked have refused or ended it, and one of them may take it yet: it is asked again by itself. This
    /// is what the client is told.
    Postponed(Response),
    /// All that were asked refuse just this, or nobody can be asked; and this is what the client is told.
    Refused(Response),
}

/// What those say together that have accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// The best of their statuses.
    pub status: Status,
    /// The shortest lifetime, in seconds, that one has granted in place of the one that it was asked for; `None`: all
    /// grant what they are asked for.
    pub lifetime: Option<NonZeroU32>,
    /// What they have dropped together.
    pub dropped: DroppedCounters,
    /// Whether all that were asked have answered.
    pub is_complete: bool,
}

/// What is known here of a mitigation that is relayed.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) said: Said,
    /// Whether the client has been told that it is accepted. What was restored may have been.
    is_promised: bool,
    /// Whether it is kept for longer since it is out of force, so that its client can ask again.
    pub(super) is_extended: bool,
}

/// What the servers upstream say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Said {
    #[default]
    Nothing,
    Accepted(UpstreamStatus),
    Deactivated(Deactivation),
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
        self.status().map(|said| said.dropped).unwrap_or_default()
    }

    /// Why nobody mitigates.
    pub(super) fn conflict(&self, now: Now) -> Option<ConflictInformation> {
        match &self.said {
            Said::Deactivated(said) => Some(said.information(now)),
            _ => None,
        }
    }

    fn status(&self) -> Option<UpstreamStatus> {
        match self.said {
            Said::Accepted(status) => Some(status),
            _ => None,
        }
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
        known.is_some_and(|known| known.said == Said::Nothing)
    }

    /// Whether its client may count on it.
    pub(super) fn is_promised(&self, key: &MitigationKey) -> bool {
        let known = self.mitigations.get(key);
        let known = known.and_then(|mitigation| mitigation.upstream.as_ref());
        known.is_some_and(|known| known.is_promised)
    }

    /// Whether nobody upstream has ever accepted it, as far as its client could know.
    pub(super) fn was_never_accepted(&self, key: &MitigationKey) -> bool {
        self.awaits_upstream(key) && !self.is_promised(key)
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
        let is_copy = self.held.contains(&key);
        if let Some(mitigation) = self.mitigations.get_mut(&key) {
            if let Some(known) = &mut mitigation.upstream {
                known.is_extended = false;
            }
            let before = std::mem::replace(&mut mitigation.record.request.lifetime, asked.lifetime);
            // Its time begins when it is accepted.
            if !is_copy || before != asked.lifetime {
                let lifetime = self.grant(asked.lifetime);
                self.reschedule(&key, Expiry::after(now, lifetime));
            }
        }
        Answer::Hold(key)
    }

    pub(super) fn on_upstream(&mut self, now: Now, those: Vec<(Acceptance, Upstream)>) {
        for (acceptance, said) in those {
            let mitigation = self.mitigations.get(&acceptance.key);
            if mitigation.is_none_or(|it| it.record.accepted != acceptance.accepted) {
                continue;
            }
            match said {
                Upstream::Accepted(status) => self.on_accepted(now, &acceptance.key, status),
                Upstream::Pending => self.on_pending(now, &acceptance.key),
                Upstream::Deactivated(said) => self.on_deactivated(now, &acceptance.key, said),
                Upstream::Postponed(response) => self.on_postponed(now, &acceptance.key, response),
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
        known.is_extended = false;
        let before = std::mem::replace(&mut known.said, Said::Accepted(said));
        let is_news = before != known.said;
        let is_in_force = mitigation.is_in_force();
        let progress = progress(said.status).filter(|it| *it != mitigation.progress);
        if let Some(progress) = progress.filter(|_| is_in_force) {
            self.come_to(now, key, progress);
        }
        if before == Said::Nothing {
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
    pub(super) fn promise(&mut self, now: Now, key: &MitigationKey) {
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

    /// What policy grants, and no more than the servers upstream do.
    pub(super) fn grant_relayed(&self, key: &MitigationKey, asked: Lifetime) -> Lifetime {
        let own = self.grant(asked);
        let known = self.mitigations.get(key);
        let known = known.and_then(|mitigation| mitigation.upstream.as_ref());
        let granted = known.and_then(Known::status).and_then(|said| said.lifetime);
        match (own, granted) {
            (Lifetime::Seconds(own), Some(granted)) => Lifetime::Seconds(own.min(granted)),
            (Lifetime::Indefinite, Some(granted)) => Lifetime::Seconds(granted),
            (own, None) => own,
        }
    }

    /// Nobody takes it.
    pub(super) fn on_refused(&mut self, now: Now, key: &MitigationKey, response: Response) {
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

    /// An accepted mitigation takes the place of its client's older ones that share an address, and of preconfigured ones if
    /// it is immediate (RFC 9132 §4.4.1.3): not before, so that a refusal takes no protection away.
    fn end_replaced(&mut self, now: Now, key: &MitigationKey) {
        let Some(mitigation) = self.mitigations.get(key) else {
            return;
        };
        let request = &mitigation.record.request;
        let (asked, scope) = (&request.target, &mitigation.record.scope);
        let table = &self.mitigations;
        let same_kind = table.own_overlapping(key, request.trigger_mitigation, asked, scope);
        let preconfigured = match request.trigger_mitigation {
            true => table.own_overlapping(key, false, asked, scope),
            false => Default::default(),
        };
        let client = mitigation.client();
        for mid in same_kind.into_iter().filter(|mid| *mid < key.mid) {
            self.replace(now, &client.key(mid));
        }
        for mid in preconfigured {
            self.yield_to_immediate(now, &client.key(mid));
        }
    }

    /// A newer request of the same client takes the place of a mitigation.
    pub(super) fn replace(&mut self, now: Now, older: &MitigationKey) {
        let refusal = ConflictInformation {
            cause: Some(ConflictCause::OverlappingTargets),
            ..ConflictInformation::default()
        };
        self.refuse_held(older, conflict(refusal));
        self.end(now, older, Status::AttackMitigationTerminated);
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
