//! How sessions stand.

use std::time::Instant;

use agent::client::{SessionReport, SessionState};
use serde::{Deserialize, Serialize};

use super::state::seconds_until;

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

impl SessionView {
    /// How the session with a server stands.
    pub(crate) fn new(report: &SessionReport, now: Instant) -> Self {
        let (mut remote, mut established, mut retry) = (None, None, None);
        let (state, reason) = match &report.state {
            SessionState::Established { remote: at, since } => {
                remote = Some(*at);
                established = Some(now.saturating_duration_since(*since).as_secs());
                ("established", report.trouble.clone())
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
            round_trip_ms: report
                .round_trip
                .map(|round_trip| (round_trip.as_secs_f64() * 1e6).round() / 1e3),
            established,
            retry,
            reason,
        }
    }
}
