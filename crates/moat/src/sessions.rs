//! How sessions behave, as the configuration says; the same for client and server.

use std::time::Duration;

use agent::session::{HeartbeatParameters, SessionParameters};

use crate::config::Heartbeat;

/// The parameters of a session.
pub(crate) fn parameters(heartbeat: Option<Heartbeat>) -> SessionParameters {
    let heartbeat = match heartbeat {
        Some(heartbeat) => HeartbeatParameters {
            interval: heartbeat.interval,
            missing_allowed: heartbeat.missing_allowed.into(),
        },
        // An interval of zero turns heartbeats off (RFC 9132 §4.5.2).
        None => HeartbeatParameters {
            interval: Duration::ZERO,
            ..HeartbeatParameters::default()
        },
    };
    SessionParameters {
        heartbeat,
        ..SessionParameters::default()
    }
}
