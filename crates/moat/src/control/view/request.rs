//! How the requests of a client stand, and who is asked.

use std::time::Instant;

use agent::client::{End, PartReport, RequestId, RequestReport, SessionReport, State};
use agent::server_selection::{Asked, AssociationId, NotAsked, Selection, Unprotected};
use pvd::PvdSet;
use serde::{Deserialize, Serialize};

use super::Dropped;
use super::scope::{ports, protocols, targets};
use super::state::{conflict, seconds_until, status, waiting};

/// A request of the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestView {
    /// Its number.
    pub(crate) request: u64,
    /// What became of it at each server that was asked.
    pub(crate) requests: Vec<AskedView>,
    /// Who was not asked.
    pub(crate) not_asked: Vec<NotAskedView>,
    /// What nobody protects.
    pub(crate) unprotected: Vec<UnprotectedView>,
    /// Older requests whose place it took, because they name a common address (RFC 9132 §4.4.1.3).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) replaces: Vec<ReplacedView>,
    /// Of a gateway: the mitigations inside that it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) relayed_for: Vec<String>,
    /// What was said on the command line and changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// A request that a newer one took the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplacedView {
    /// Its number.
    pub(crate) request: u64,
    /// What it protected.
    pub(crate) targets: Vec<String>,
    /// Only these ports and ranges; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<String>,
    /// Only these protocols; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) protocols: Vec<String>,
}

/// A server that is asked, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AskedView {
    /// Its PvD.
    pub(crate) pvd: String,
    /// Its name.
    pub(crate) server: String,
    /// How the server was found; in an explanation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) learned: Option<String>,
    /// The server that it redirected to, where the request goes now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirected_to: Option<String>,
    /// The server that is asked instead of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved_to: Option<String>,
    /// The number of the request there; absent in an explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mid: Option<u32>,
    /// What it is asked to protect.
    pub(crate) targets: Vec<String>,
    /// Only these ports and ranges; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<String>,
    /// Only these protocols; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) protocols: Vec<String>,
    /// How far it has come; absent in an explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// Why it is asked; where it refused: its answer.
    pub(crate) reason: String,
    /// Where that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) section: Option<String>,
    /// What it waits for; absent when it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<String>,
    /// What the server says it conflicts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) conflict: Option<String>,
    /// Whether it is to start only when the session is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) preconfigured: bool,
    /// Seconds that the server grants without a refresh; absent: nothing granted, or without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lifetime: Option<u64>,
    /// Seconds for which it is wanted; absent: until it is withdrawn, or over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<u64>,
    /// What the server says it dropped.
    #[serde(flatten)]
    pub(crate) dropped: Dropped,
    /// Whether the server accepted; absent in an explanation and while it has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accepted: Option<bool>,
    /// Whether the server still has, or is to have, something to do with it.
    #[serde(skip)]
    goes_on: bool,
}

/// A server that is not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotAskedView {
    /// Its PvD.
    pub(crate) pvd: String,
    /// Its name, if the PvD has a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// Why not.
    pub(crate) reason: String,
    /// Where that is written.
    pub(crate) section: String,
}

/// A target that nobody protects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnprotectedView {
    /// The target.
    pub(crate) target: String,
    /// Why nobody is asked.
    pub(crate) reason: String,
}

/// A decision that was not acted upon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SelectionView {
    /// Who would be asked.
    pub(crate) asked: Vec<AskedView>,
    /// Who would not.
    pub(crate) not_asked: Vec<NotAskedView>,
    /// What nobody would protect.
    pub(crate) unprotected: Vec<UnprotectedView>,
    /// What was said on the command line and changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl RequestView {
    /// How a request stands, with the reason for each server.
    pub(crate) fn new(report: &RequestReport, now: Instant) -> Self {
        let selection = SelectionView::new(&report.selection);
        let reason_for = |part: &PartReport| {
            let mut asked = report.selection.asked.iter().map(AskedView::of_asked);
            let AssociationId { pvd, server } = &part.association;
            let found = asked.find(|asked| asked.pvd == pvd.as_str() && asked.server == *server);
            found.map(|asked| (asked.reason, asked.section))
        };
        Self {
            request: report.id.0,
            requests: report
                .parts
                .iter()
                .map(|part| AskedView::of_part(part, reason_for(part), now))
                .collect(),
            not_asked: selection.not_asked,
            unprotected: selection.unprotected,
            replaces: Vec::new(),
            relayed_for: Vec::new(),
            note: None,
        }
    }

    /// Notes where its servers have redirected to, for what still goes on there.
    pub(crate) fn follow(&mut self, sessions: &[SessionReport]) {
        for asked in self.requests.iter_mut().filter(|asked| asked.goes_on) {
            let named = |session: &&SessionReport| {
                let AssociationId { pvd, server } = &session.association;
                asked.pvd == pvd.as_str() && asked.server == *server
            };
            let redirect = sessions.iter().find(named);
            let redirect = redirect.and_then(|session| session.redirect.as_ref());
            asked.redirected_to = redirect.map(|redirect| redirect.to.clone());
        }
    }

    /// Notes which of all requests it took the place of.
    pub(crate) fn replace(&mut self, all: &[RequestReport]) {
        let by = RequestId(self.request);
        let replaced = |part: &&PartReport| part.state == State::Ended(End::Replaced { by });
        for older in all {
            for part in older.parts.iter().filter(replaced) {
                let view = ReplacedView {
                    request: older.id.0,
                    targets: targets(&part.target),
                    ports: ports(&part.target),
                    protocols: protocols(&part.target),
                };
                // Several servers may have been asked to protect the same.
                if !self.replaces.contains(&view) {
                    self.replaces.push(view);
                }
            }
        }
    }
}

impl AskedView {
    fn of_part(part: &PartReport, why: Option<(String, Option<String>)>, now: Instant) -> Self {
        let is_over = matches!(part.state, State::Ended(_) | State::Refused { .. });
        let left = |until: Option<Instant>| {
            let until = until.filter(|_| !is_over)?;
            Some(seconds_until(until, now))
        };
        let (reason, section) = why.unwrap_or_else(|| ("asked before a restart".to_owned(), None));
        let (reason, section) = match &part.state {
            // Its own words, which no section stands behind.
            State::Refused { code, diagnostic } => {
                (format!("the server refused: {code} {diagnostic}"), None)
            }
            _ => (reason, section),
        };
        Self {
            pvd: part.association.pvd.to_string(),
            server: part.association.server.clone(),
            learned: None,
            redirected_to: None,
            moved_to: part.moved_to.as_ref().map(|to| to.server.clone()),
            goes_on: !is_over,
            mid: Some(part.mid.0),
            targets: targets(&part.target),
            ports: ports(&part.target),
            protocols: protocols(&part.target),
            status: Some(status(&part.state)),
            reason,
            section,
            waiting: waiting(part, now),
            conflict: part.conflict.as_ref().map(conflict),
            preconfigured: !part.trigger_mitigation,
            lifetime: left(part.expires),
            wanted: left(part.wanted_until),
            dropped: part.dropped.into(),
            accepted: match part.state {
                State::Accepted(_) => Some(true),
                State::Refused { .. } | State::Postponed { .. } | State::Deactivated { .. } => {
                    Some(false)
                }
                _ => None,
            },
        }
    }

    fn of_asked(asked: &Asked) -> Self {
        let reasons: Vec<String> = asked.reasons.iter().map(ToString::to_string).collect();
        Self {
            pvd: asked.association.pvd.to_string(),
            server: asked.association.server.clone(),
            learned: None,
            redirected_to: None,
            moved_to: None,
            goes_on: false,
            mid: None,
            targets: targets(&asked.target),
            ports: ports(&asked.target),
            protocols: protocols(&asked.target),
            status: None,
            reason: reasons.join("; "),
            section: asked
                .reasons
                .first()
                .map(|reason| reason.section().to_owned()),
            waiting: None,
            conflict: None,
            preconfigured: false,
            lifetime: None,
            wanted: None,
            dropped: Dropped::default(),
            accepted: None,
        }
    }
}

impl SelectionView {
    /// A decision as it is shown.
    pub(crate) fn new(selection: &Selection) -> Self {
        Self {
            asked: selection.asked.iter().map(AskedView::of_asked).collect(),
            not_asked: selection.not_asked.iter().map(not_asked).collect(),
            unprotected: selection.unprotected.iter().map(unprotected).collect(),
            note: None,
        }
    }

    /// The same, with how each server was found.
    pub(crate) fn explained(selection: &Selection, pvds: &PvdSet) -> Self {
        let mut view = Self::new(selection);
        for (shown, asked) in view.asked.iter_mut().zip(&selection.asked) {
            let domain = pvds.get(&asked.association.pvd);
            shown.learned = domain.map(|domain| domain.learned.to_string());
        }
        view
    }
}

fn not_asked(entry: &NotAsked) -> NotAskedView {
    NotAskedView {
        pvd: entry.pvd.to_string(),
        server: entry.server.clone(),
        reason: entry.reason.to_string(),
        section: entry.reason.section().to_owned(),
    }
}

fn unprotected(entry: &Unprotected) -> UnprotectedView {
    UnprotectedView {
        target: entry.prefix.to_string(),
        reason: entry.reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dots::identifiers::Mid;
    use dots::mitigation::DroppedCounters;
    use dots::target::Target;

    use super::*;

    fn report(id: u64, server: &str, state: State) -> RequestReport {
        let part = PartReport {
            association: AssociationId {
                pvd: "fixed.example".parse().unwrap(),
                server: server.to_owned(),
            },
            mid: Mid(1),
            target: Target {
                prefixes: vec!["203.0.113.7".parse().unwrap()],
                ..Target::default()
            },
            trigger_mitigation: true,
            state,
            moved_to: None,
            waiting: None,
            is_granted: true,
            shortened_to: None,
            expires: None,
            wanted_until: None,
            conflict: None,
            dropped: DroppedCounters::default(),
        };
        RequestReport {
            id: RequestId(id),
            is_outdone: false,
            parts: vec![part],
            selection: Selection::default(),
        }
    }

    /// Covers: S-029. Only what it took the place of itself, and once.
    #[test]
    fn a_request_knows_which_ones_it_replaced() {
        let ended = |by| State::Ended(End::Replaced { by: RequestId(by) });
        let mut twice = report(2, "one.fixed.example", ended(3));
        twice
            .parts
            .extend(report(2, "two.fixed.example", ended(3)).parts);
        let all = [
            report(1, "one.fixed.example", ended(2)),
            twice,
            report(3, "one.fixed.example", State::Asking),
        ];
        let mut view = RequestView::new(&all[2], Instant::now());
        view.replace(&all);
        let replaced = ReplacedView {
            request: 2,
            targets: vec!["203.0.113.7/32".to_owned()],
            ports: Vec::new(),
            protocols: Vec::new(),
        };
        assert_eq!(view.replaces, [replaced]);
    }
}
