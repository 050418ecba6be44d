//! How sessions stand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::client::{ConnectionReport, SessionReport, SessionState};
use agent::server::SessionId;
use dtls::Transport;
use serde::{Deserialize, Serialize};

use super::state::seconds_until;
use crate::words;

/// The state of a session that requests can be sent over.
const ESTABLISHED: &str = "established";

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
    /// Seconds since it was established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) established: Option<u64>,
    /// Seconds until it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<u64>,
    /// Why it is down, or what is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// How the server was found.
    pub(crate) learned: String,
    /// The server that it redirected to, where that is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redirected_to: Option<String>,
    /// Each session, and each attempt at one.
    pub(crate) connections: Vec<ConnectionView>,
}

/// One session with a server, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectionView {
    /// The name of the server.
    pub(crate) server: String,
    /// `udp` or `tcp`.
    pub(crate) transport: String,
    /// From which address; absent: the system chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// With which address.
    pub(crate) remote: String,
    /// Seconds since it was established; absent: the handshake is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) established: Option<u64>,
    /// The smoothed round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) round_trip_ms: Option<f64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// How many heartbeats in a row went unanswered.
    #[serde(default)]
    pub(crate) unanswered_heartbeats: u32,
}

/// Whether a server of each PvD has a session.
pub(crate) fn are_reached(views: &[SessionView]) -> bool {
    let reached = |pvd: &str| {
        let mut of_pvd = views.iter().filter(|view| view.pvd == pvd);
        of_pvd.any(|view| view.state == ESTABLISHED)
    };
    views.iter().all(|view| reached(&view.pvd))
}

/// A client's session at a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerSessionView {
    /// Its number.
    pub(crate) session: u64,
    /// The customer; absent for somebody unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<String>,
    /// `udp` or `tcp`; absent if the session ends just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transport: Option<String>,
    /// With which address; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remote: Option<String>,
}

impl ServerSessionView {
    /// A session, and its peer.
    pub(crate) fn new(
        session: SessionId,
        customer: Option<&str>,
        peer: Option<(SocketAddr, Transport)>,
    ) -> Self {
        Self {
            session: session.0,
            customer: customer.map(str::to_owned),
            transport: peer.map(|(_, transport)| words::of_transport(transport).to_owned()),
            remote: peer.map(|(remote, _)| remote.to_string()),
        }
    }
}

impl SessionView {
    /// How the session with a server stands.
    pub(crate) fn new(report: &SessionReport, now: Instant) -> Self {
        let (mut remote, mut established, mut retry) = (None, None, None);
        let (state, reason) = match &report.state {
            SessionState::Established { remote: at, since } => {
                remote = Some(*at);
                established = Some(now.saturating_duration_since(*since).as_secs());
                (ESTABLISHED, report.trouble.clone())
            }
            SessionState::Connecting { remote: at } => {
                remote = Some(*at);
                ("connecting", None)
            }
            SessionState::Down { retry: at, reason } => {
                retry = at.map(|at| seconds_until(at, now));
                ("down", reason.clone())
            }
        };
        Self {
            pvd: report.association.pvd.to_string(),
            server: report.association.server.clone(),
            state: state.to_owned(),
            remote: remote.map(|remote| remote.to_string()),
            cuid: report.cuid.to_string(),
            round_trip_ms: report.round_trip.map(milliseconds),
            established,
            retry,
            reason,
            learned: report.learned.to_string(),
            redirected_to: report.redirect.as_ref().map(|there| there.to.clone()),
            connections: report
                .connections
                .iter()
                .map(|connection| ConnectionView::new(connection, now))
                .collect(),
        }
    }
}

impl ConnectionView {
    fn new(report: &ConnectionReport, now: Instant) -> Self {
        Self {
            server: report.server_name.clone(),
            transport: words::of_transport(report.transport).to_owned(),
            source: report.source.map(|source| source.to_string()),
            remote: report.remote.to_string(),
            established: report
                .since
                .map(|since| now.saturating_duration_since(since).as_secs()),
            round_trip_ms: report.round_trip.map(milliseconds),
            reason: report.trouble.clone(),
            unanswered_heartbeats: report.unanswered_heartbeats,
        }
    }
}

/// Milliseconds with three digits behind the point.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pvd_is_reached_when_one_of_its_servers_is() {
        let views = |states: &[(&str, &str)]| -> Vec<SessionView> {
            let view = |(pvd, state): &(&str, &str)| {
                let view = json!({
                    "pvd": pvd, "server": "dots", "state": state, "cuid": "c", "learned": "static",
                    "connections": [],
                });
                serde_json::from_value(view).unwrap()
            };
            states.iter().map(view).collect()
        };
        let cases: [(&[(&str, &str)], bool); 4] = [
            (&[], true),
            (&[("fixed", "established"), ("mobile", "connecting")], false),
            (&[("fixed", "down"), ("fixed", "established")], true),
            (&[("fixed", "down")], false),
        ];
        for (states, wanted) in cases {
            assert_eq!(are_reached(&views(states)), wanted, "{states:?}");
        }
    }
}
