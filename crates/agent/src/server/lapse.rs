//! Mitigations of a gateway that nobody upstream protects any more, or not for now.
//!
//! ```text
//! promised --Pending, Postponed--> wanted, and asked for again by itself: the next PUT is held
//!          --Deactivated---------> kept for retry-timer + 45 s, and for as long again each time that its client asks
//! ```

use std::time::Instant;

use coap::Response;
use dots::mitigation::{ConflictInformation, ConflictStatus};

use super::conflict::DEACTIVATED_GRACE;
use super::lifecycle::Expiry;
use super::mitigation::Progress;
use super::outcome::Outcome;
use super::record::MitigationKey;
use super::request::conflict;
use super::upstream::Said;
use super::{Action, Server};
use crate::time::Now;

/// What keeps a mitigation out of force upstream (RFC 9132 §4.4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deactivation {
    /// The conflict, as the client may see it.
    pub conflict: ConflictInformation,
    /// When it may be asked for again.
    pub retry: Instant,
}

impl Deactivation {
    pub(super) fn information(&self, now: Now) -> ConflictInformation {
        ConflictInformation {
            status: Some(ConflictStatus::RequestInactiveOtherActive),
            retry_timer: Some(now.seconds_until(self.retry)),
            ..self.conflict.clone()
        }
    }
}

impl Server {
    /// What was accepted is not in force any more.
    pub(super) fn on_pending(&mut self, now: Now, key: &MitigationKey) {
        self.lapse(now, key, Said::Nothing);
    }

    /// Requests of other clients are in force instead. What was never promised is refused; else it is kept for as long as
    /// its client needs to ask again (RFC 9132 §4.4.1.3).
    pub(super) fn on_deactivated(&mut self, now: Now, key: &MitigationKey, said: Deactivation) {
        let information = said.information(now);
        if !self.is_promised(key) {
            return self.on_refused(now, key, conflict(information));
        }
        let retry_timer = now.seconds_until(said.retry);
        self.lapse(now, key, Said::Deactivated(said));
        self.extend_deactivated_upstream(now, key);
        self.refuse_held(key, conflict(information));
        let key = key.clone();
        self.act(Action::Decided(Outcome::Deactivated { key, retry_timer }));
    }

    /// Keeps what is out of force until its client can have asked again (RFC 9132 §4.4.1.3): once, and once more each time
    /// that it does ask. That this gateway asks again keeps nothing. A preconfigured one is wanted because its client is lost,
    /// which cannot ask: it keeps its lifetime.
    fn extend_deactivated_upstream(&mut self, now: Now, key: &MitigationKey) {
        if let Some(mitigation) = self.mitigations.get_mut(key)
            && mitigation.record.request.trigger_mitigation
            && let Some(known) = &mut mitigation.upstream
            && let Said::Deactivated(said) = &known.said
            && !std::mem::replace(&mut known.is_extended, true)
        {
            let kept = now
                .seconds_until(said.retry)
                .saturating_add(DEACTIVATED_GRACE);
            self.reschedule(key, Expiry::in_seconds(now, kept));
        }
    }

    /// The client asks again for what is out of force.
    pub(super) fn refuse_deactivated(
        &mut self,
        now: Now,
        key: &MitigationKey,
        information: ConflictInformation,
    ) -> Response {
        if let Some(mitigation) = self.mitigations.get_mut(key)
            && let Some(known) = &mut mitigation.upstream
        {
            known.is_extended = false;
        }
        self.extend_deactivated_upstream(now, key);
        conflict(information)
    }

    /// Nobody takes it for now. What was promised is still wanted, and asked for again by itself.
    pub(super) fn on_postponed(&mut self, now: Now, key: &MitigationKey, response: Response) {
        if !self.is_promised(key) {
            return self.on_refused(now, key, response);
        }
        self.lapse(now, key, Said::Nothing);
        self.refuse_held(key, response);
    }

    pub(super) fn refuse_held(&mut self, key: &MitigationKey, response: Response) {
        if let Some(entry) = self.held.remove(key) {
            self.respond(entry.session, entry.exchange, Err(response));
        }
    }

    fn lapse(&mut self, now: Now, key: &MitigationKey, said: Said) {
        self.silence(key);
        if let Some(mitigation) = self.mitigations.get_mut(key)
            && let Some(known) = &mut mitigation.upstream
        {
            known.said = said;
            mitigation.progress = Progress::Starting;
        }
        self.mark(now, key);
    }
}
