//! What a client is shown of its mitigations, asked or not (RFC 9132 §4.4.2).

use coap::{Code, OptionNumber, Response};
use dots::identifiers::Mid;
use dots::mitigation::{MitigationReport, MitigationStatus};
use dots::target::Target;

use super::mitigation::{Identity, Mitigations};
use super::observation::ObserverId;
use super::{Action, Server};
use crate::content;
use crate::time::Now;

impl Server {
    /// Tells an observer how what it looks at stands, and for the last time what `ended`. When
    /// nothing is left to look at, or it cannot be shown any more, the observation is over
    /// (RFC 7641 §4.2).
    pub(super) fn notify(
        &mut self,
        now: Now,
        observer: ObserverId,
        ended: Option<&MitigationStatus>,
    ) {
        let Some(observation) = self.observations.get_mut(observer) else {
            return;
        };
        let mut found = statuses(&self.mitigations, now, &observation.client, observation.mid);
        let mut is_over = found.is_empty();
        found.extend(ended.cloned());
        let notification = match represent(found, self.policy.max_body) {
            Ok(mut response) => {
                let sequence = observation.advance();
                response.options.push_uint(OptionNumber::OBSERVE, sequence);
                response
            }
            Err(refusal) => {
                is_over = true;
                refusal
            }
        };
        if is_over {
            self.observations.deregister(observer);
        }
        let (session, token) = observer;
        self.actions
            .push_back(Action::Notify(session, token, notification));
    }

    /// RFC 9132 §4.4.2.1: observers are told from time to time, since datagrams get lost.
    pub(super) fn notify_all(&mut self, now: Now) {
        self.next_notification = Some(now.monotonic + self.policy.notification_interval);
        for observer in self.observations.all() {
            self.notify(now, observer, None);
        }
    }
}

/// How the mitigations of a client stand, or the one of this `mid`.
pub(super) fn statuses(
    mitigations: &Mitigations,
    now: Now,
    client: &Identity,
    mid: Option<Mid>,
) -> Vec<MitigationStatus> {
    mitigations
        .of_client(client)
        .filter(|mitigation| mid.is_none_or(|only| only == mitigation.record.key.mid))
        .map(|mitigation| mitigation.status(now))
        .collect()
}

/// The answer to a GET, and the body of a notification. Where it does not fit one datagram, the
/// status goes without the scope, which the client knows.
pub(super) fn represent(
    mut found: Vec<MitigationStatus>,
    max_body: usize,
) -> Result<Response, Response> {
    if found.is_empty() {
        return Err(content::diagnostic(
            Code::NOT_FOUND,
            "there is no such mitigation of this client",
        ));
    }
    let mut payload = MitigationReport(found.clone()).encode();
    if payload.len() > max_body {
        for status in &mut found {
            status.target = Target::default();
        }
        payload = MitigationReport(found).encode();
    }
    if payload.len() > max_body {
        return Err(content::diagnostic(
            Code::INTERNAL_SERVER_ERROR,
            "the answer does not fit one datagram; ask for each mid",
        ));
    }
    Ok(content::body(Code::CONTENT, payload))
}
