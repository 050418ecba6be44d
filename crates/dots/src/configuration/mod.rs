//! Session configuration: how often heartbeats and repetitions are sent (RFC 9132 §4.5).
//!
//! ```text
//! client                                              server
//!   GET .../config                              ->
//!                         <- 2.05  ConfigurationReport: acceptable and current values
//!   PUT .../config/sid=..  ConfigurationRequest ->
//!                         <- 2.01, 2.04
//!                         <- 4.22  AcceptableConfiguration::check found a value outside
//!   GET .../config/sid=..  (Observe)            ->  before Max-Age is over
//!                         <- 2.05  ConfigurationReport, again at each change
//!   DELETE .../config[/sid=..]                  ->
//!                         <- 2.02, and the defaults hold
//! ```
//!
//! Both ends hold a [`SessionConfiguration`]: the server's default with what was
//! [requested](ConfigurationRequest::over), or what the server [reports](ConfigurationReport::current).

mod acceptable;
mod decimal;
mod frame;
mod parameter;
mod report;
mod request;

pub use acceptable::{AcceptableConfiguration, AcceptableSet, NotAcceptable};
pub use decimal::Decimal;
pub use parameter::{
    AckRandomFactor, AckTimeout, HeartbeatInterval, MaxRetransmit, MissingHbAllowed, ProbingRate,
    Range, RangeReversed, ValueError,
};
pub use report::{ConfigurationReport, Reported, ReportedSet};
pub use request::{ConfigurationRequest, NoParameter, RequestedSet};

/// What the agents of a session go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionConfiguration {
    /// While a mitigation is active.
    pub mitigating: ConfigurationSet,
    /// While none is.
    pub idle: ConfigurationSet,
}

/// A value for each parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigurationSet {
    /// `heartbeat-interval`
    pub heartbeat_interval: HeartbeatInterval,
    /// `missing-hb-allowed`
    pub missing_hb_allowed: MissingHbAllowed,
    /// `max-retransmit`
    pub max_retransmit: MaxRetransmit,
    /// `ack-timeout`
    pub ack_timeout: AckTimeout,
    /// `ack-random-factor`
    pub ack_random_factor: AckRandomFactor,
    /// `probing-rate`
    pub probing_rate: ProbingRate,
}

/// The values of RFC 9132 Appendix C.
impl Default for ConfigurationSet {
    fn default() -> Self {
        Self {
            heartbeat_interval: HeartbeatInterval::DEFAULT,
            missing_hb_allowed: MissingHbAllowed::DEFAULT,
            max_retransmit: MaxRetransmit::DEFAULT,
            ack_timeout: AckTimeout::DEFAULT,
            ack_random_factor: AckRandomFactor::DEFAULT,
            probing_rate: ProbingRate::DEFAULT,
        }
    }
}
