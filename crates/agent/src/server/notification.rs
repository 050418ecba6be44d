//! What a client is shown of its mitigations, asked or not (RFC 9132 §4.4.2).

use coap::{Code, OptionNumber, Response};
use dots::mitigation::{MitigationReport, MitigationStatus};
use dots::query::Content;

use super::mitigation::Mitigation;
use super::observation::View;
use super::{Action, Server};
use crate::content;
use crate::time::Now;

impl Server {
    /// Tells the observers whose turn it is how what they look at stands, and for the last time
    /// what is over. When nothing is left to look at, or it cannot be shown any more, their
    /// observation is over (RFC 7641 §4.2).
    pub(super) fn tell_observers(&mut self, now: Now) {
        let pause = self.policy.notification_pause;
        while let Some((topic, mut ended)) = self.observations.pop_due(now.monotonic, pause) {
            let (client, mid, content) = &topic;
            let found: Vec<_> = self.mitigations.of_client(client, *mid).collect();
            ended.retain(|over| found.iter().all(|here| here.record.key.mid != over.mid));
            let limit = self.policy.max_notification;
            let mut report = represent(now, *content, &found, &ended, limit);
            if report.is_err() && !found.is_empty() {
                report = represent(now, *content, &found, &[], limit);
            }
            let is_over = found.is_empty() || report.is_err();
            let announced = found.iter().filter(|each| each.announcement.is_some());
            let announced: Vec<_> = announced.map(|each| each.record.key.clone()).collect();
            for (observer, sequence) in self.observations.advance(&topic) {
                let notification = match &report {
                    Ok(report) => {
                        let mut report = report.clone();
                        report.options.push_uint(OptionNumber::OBSERVE, sequence);
                        report
                    }
                    Err(refusal) => refusal.clone(),
                };
                if is_over {
                    self.observations.deregister(observer);
                }
                let (session, token) = observer;
                self.actions
                    .push_back(Action::Notify(session, token, notification));
            }
            self.count_told(now, &announced, View::of(&topic));
        }
    }

    /// RFC 9132 §4.4.2.1: observers are told from time to time, since datagrams get lost.
    pub(super) fn remind_observers(&mut self, now: Now) {
        self.next_notification = Some(now.monotonic + self.policy.notification_interval);
        self.observations.mark_all(now.monotonic);
    }
}

/// The answer to a GET, and the body of a notification, of at most `max_body` bytes. Where it
/// would be longer, the status goes without the scope, which the client knows.
pub(super) fn represent(
    now: Now,
    content: Content,
    found: &[&Mitigation],
    ended: &[MitigationStatus],
    max_body: usize,
) -> Result<Response, Response> {
    if found.is_empty() && ended.is_empty() {
        return Err(content::diagnostic(
            Code::NOT_FOUND,
            "there is no such mitigation of this client",
        ));
    }
    // What does not fit is put together no further.
    let encode = |status: fn(&Mitigation, Now) -> MitigationStatus| {
        let found = found.iter().map(|each| status(each, now));
        let entries = found.chain(ended.iter().cloned());
        MitigationReport::encode_up_to(max_body, entries.map(|entry| content.of(entry)))
    };
    let with_scope = match content {
        Content::NonConfig => None,
        Content::Config | Content::All => encode(Mitigation::status),
    };
    match with_scope.or_else(|| encode(Mitigation::status_alone)) {
        Some(payload) => Ok(content::body(Code::CONTENT, payload)),
        None => Err(content::diagnostic(
            Code::INTERNAL_SERVER_ERROR,
            "the report is too long; ask for each mid",
        )),
    }
}
