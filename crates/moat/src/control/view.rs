//! What the control API shows, in the names that design and documentation use.

use agent::client::{End, PartReport, RequestReport, SessionReport, SessionState, State};
use agent::server::MitigationKey;
use agent::server_selection::{Asked, NotAsked, Selection, Unprotected};
use dots::lifetime::RemainingLifetime;
use dots::mitigation::MitigationStatus;
use dots::target::Target;
use serde::{Deserialize, Serialize};

use crate::words;

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
}

/// A server that is asked, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AskedView {
    /// Its PvD.
    pub(crate) pvd: String,
    /// Its name.
    pub(crate) server: String,
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
    /// Packets it says it dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packets_dropped: Option<u64>,
    /// Whether the server accepted; absent in an explanation and while it has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accepted: Option<bool>,
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
}

/// The client's session with a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionView {
    /// Its PvD.
    pub(crate) pvd: String,
    /// Its name.
    pub(crate) server: String,
    /// `established`, `connecting` or `down`.
    pub(crate) state: String,
    /// With which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote: Option<String>,
    /// The client's identifier there.
    pub(crate) cuid: String,
    /// The smoothed round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round_trip_ms: Option<f64>,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A client's session at a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerSessionView {
    /// Its number.
    pub(crate) session: u64,
    /// The customer; absent for somebody unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<String>,
}

/// A mitigation at a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MitigationView {
    /// Whose.
    pub(crate) customer: String,
    /// Which of its clients asked.
    pub(crate) cuid: String,
    /// The client's number.
    pub(crate) mid: u32,
    /// What is protected.
    pub(crate) targets: Vec<String>,
    /// Only these ports and ranges; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<String>,
    /// Only these protocols; every one when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) protocols: Vec<String>,
    /// How far it has come.
    pub(crate) status: String,
    /// Seconds that are left; absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lifetime: Option<u32>,
    /// Packets dropped so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packets_dropped: Option<u64>,
}

impl RequestView {
    /// How a request stands, with the reason for each server.
    pub(crate) fn new(report: &RequestReport) -> Self {
        let selection = SelectionView::new(&report.selection);
        let reason_for = |part: &PartReport| {
            let name = part.association.server.as_str();
            let found = selection.asked.iter().find(|asked| asked.server == name);
            found.map(|asked| (asked.reason.clone(), asked.section.clone()))
        };
        Self {
            request: report.id.0,
            requests: report
                .parts
                .iter()
                .map(|part| AskedView::of_part(part, reason_for(part)))
                .collect(),
            not_asked: selection.not_asked,
            unprotected: selection.unprotected,
        }
    }
}

/// Everything that a target names: prefixes, names, URIs, aliases.
fn targets(target: &Target) -> Vec<String> {
    let prefixes = target.prefixes.iter().map(ToString::to_string);
    let fqdns = target.fqdns.iter().map(ToString::to_string);
    let uris = target.uris.iter().map(ToString::to_string);
    let aliases = target.aliases.iter().map(ToString::to_string);
    prefixes.chain(fqdns).chain(uris).chain(aliases).collect()
}

fn ports(target: &Target) -> Vec<String> {
    target.port_ranges.iter().map(ToString::to_string).collect()
}

fn protocols(target: &Target) -> Vec<String> {
    let names = target.protocols.iter().copied();
    names.map(words::name_of).collect()
}

/// How a request came to its end at each server; `None` while it goes on at one of them.
pub(crate) fn end(report: &RequestReport) -> Option<String> {
    let is_over = |part: &PartReport| matches!(part.state, State::Ended(_) | State::Refused { .. });
    let at = |part: &PartReport| format!("{}: {}", part.association.server, status(&part.state));
    let ends: Vec<String> = report.parts.iter().map(at).collect();
    report.parts.iter().all(is_over).then(|| ends.join(", "))
}

impl AskedView {
    fn of_part(part: &PartReport, why: Option<(String, Option<String>)>) -> Self {
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
            mid: Some(part.mid.0),
            targets: targets(&part.target),
            ports: ports(&part.target),
            protocols: protocols(&part.target),
            status: Some(status(&part.state)),
            reason,
            section,
            packets_dropped: part.dropped.pkts,
            accepted: match part.state {
                State::Accepted(_) => Some(true),
                State::Refused { .. } => Some(false),
                _ => None,
            },
        }
    }

    fn of_asked(asked: &Asked) -> Self {
        let reasons: Vec<String> = asked.reasons.iter().map(ToString::to_string).collect();
        Self {
            pvd: asked.association.pvd.to_string(),
            server: asked.association.server.clone(),
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
            packets_dropped: None,
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
        }
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

/// How far a part has come, in words.
pub(crate) fn status(state: &State) -> String {
    match state {
        State::Asking => "asking".to_owned(),
        State::Accepted(status) => status.to_string(),
        State::Refused { .. } => "refused".to_owned(),
        State::Deactivated { .. } => "deactivated by a conflict".to_owned(),
        State::Withdrawing => "withdrawing".to_owned(),
        State::Ended(End::Withdrawn) => "withdrawn".to_owned(),
        State::Ended(End::Expired) => "expired".to_owned(),
        State::Ended(End::Replaced { by }) => format!("replaced by request {by}"),
        State::Ended(End::Moved { to }) => format!("moved to {to}"),
        State::Ended(End::ByServer(status)) => format!("ended by the server: {status}"),
    }
}

impl SessionView {
    /// How the session with a server stands.
    pub(crate) fn new(report: &SessionReport) -> Self {
        let (state, remote, reason) = match &report.state {
            SessionState::Established { remote, .. } => {
                ("established", Some(*remote), report.trouble.clone())
            }
            SessionState::Connecting { remote } => ("connecting", Some(*remote), None),
            SessionState::Down { reason, .. } => ("down", None, reason.clone()),
        };
        Self {
            pvd: report.association.pvd.to_string(),
            server: report.association.server.clone(),
            state: state.to_owned(),
            remote: remote.map(|remote| remote.to_string()),
            cuid: report.cuid.to_string(),
            round_trip_ms: report
                .round_trip
                .map(|round_trip| (round_trip.as_secs_f64() * 1e6).round() / 1e3),
            reason,
        }
    }
}

impl MitigationView {
    /// How a mitigation at the server stands.
    pub(crate) fn new(key: &MitigationKey, status: &MitigationStatus) -> Self {
        Self {
            customer: key.customer.clone(),
            cuid: key.cuid.to_string(),
            mid: key.mid.0,
            targets: targets(&status.target),
            ports: ports(&status.target),
            protocols: protocols(&status.target),
            status: status.status.to_string(),
            lifetime: match status.lifetime {
                RemainingLifetime::Seconds(seconds) => Some(seconds),
                RemainingLifetime::Indefinite => None,
            },
            packets_dropped: status.counters.pkts,
        }
    }
}
