//! How sessions behave, as the configuration says.

use agent::session::{Negotiation, SessionParameters};
use dots::configuration::{
    AcceptableConfiguration, ConfigurationRequest, ConfigurationSet, HeartbeatInterval,
    MissingHbAllowed, RequestedSet, SessionConfiguration,
};

use crate::config::Heartbeat;

/// A server's: heartbeats as configured, and what clients may negotiate.
pub(crate) fn of_server(heartbeat: Option<Heartbeat>) -> SessionParameters {
    SessionParameters {
        configuration: configuration(heartbeat),
        negotiation: Negotiation::Server(AcceptableConfiguration::default()),
        ..SessionParameters::default()
    }
}

/// A client's, with so many requests: it takes what the server has, and asks for other heartbeats where
/// some are configured.
pub(crate) fn of_client(heartbeat: Option<Heartbeat>, requests: usize) -> SessionParameters {
    let set = set(heartbeat);
    let requested = RequestedSet {
        heartbeat_interval: Some(set.heartbeat_interval),
        missing_hb_allowed: Some(set.missing_hb_allowed),
        ..RequestedSet::default()
    };
    let wish = (set != ConfigurationSet::default())
        .then(|| ConfigurationRequest::new(requested, requested).ok())
        .flatten();
    SessionParameters {
        configuration: configuration(heartbeat),
        negotiation: Negotiation::Client(wish),
        ..SessionParameters::default()
    }
    .with_requests(requests)
}

fn configuration(heartbeat: Option<Heartbeat>) -> SessionConfiguration {
    let set = set(heartbeat);
    SessionConfiguration {
        mitigating: set,
        idle: set,
    }
}

fn set(heartbeat: Option<Heartbeat>) -> ConfigurationSet {
    let (interval, missing) = match heartbeat {
        Some(heartbeat) => (
            HeartbeatInterval::nearest(
                u16::try_from(heartbeat.interval.as_secs()).unwrap_or(u16::MAX),
            ),
            MissingHbAllowed::nearest(heartbeat.missing_allowed),
        ),
        None => (HeartbeatInterval::DISABLED, MissingHbAllowed::DEFAULT),
    };
    ConfigurationSet {
        heartbeat_interval: interval,
        missing_hb_allowed: missing,
        ..ConfigurationSet::default()
    }
}
