//! Which values a server accepts (RFC 9132 §4.5.1, §4.5.2).

use super::parameter::Parameter;
use super::{
    AckRandomFactor, AckTimeout, ConfigurationRequest, HeartbeatInterval, MaxRetransmit,
    MissingHbAllowed, ProbingRate, Range, RequestedSet,
};
use crate::key::Key;

/// What a server accepts in each set. The default is the example of RFC 9132 §4.5.1, Figure 20.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AcceptableConfiguration {
    /// While a mitigation is active.
    pub mitigating: AcceptableSet,
    /// While none is.
    pub idle: AcceptableSet,
}

/// What a server accepts for each parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcceptableSet {
    /// `heartbeat-interval`; [`HeartbeatInterval::DISABLED`] is acceptable besides.
    pub heartbeat_interval: Range<HeartbeatInterval>,
    /// `missing-hb-allowed`
    pub missing_hb_allowed: Range<MissingHbAllowed>,
    /// `max-retransmit`
    pub max_retransmit: Range<MaxRetransmit>,
    /// `ack-timeout`
    pub ack_timeout: Range<AckTimeout>,
    /// `ack-random-factor`
    pub ack_random_factor: Range<AckRandomFactor>,
    /// `probing-rate`
    pub probing_rate: Range<ProbingRate>,
}

impl Default for AcceptableSet {
    fn default() -> Self {
        Self {
            heartbeat_interval: HeartbeatInterval::ACCEPTABLE,
            missing_hb_allowed: MissingHbAllowed::ACCEPTABLE,
            max_retransmit: MaxRetransmit::ACCEPTABLE,
            ack_timeout: AckTimeout::ACCEPTABLE,
            ack_random_factor: AckRandomFactor::ACCEPTABLE,
            probing_rate: ProbingRate::ACCEPTABLE,
        }
    }
}

/// A request asks for a value that the server does not accept; answered with 4.22 and this as diagnostic
/// payload (RFC 9132 §4.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{set}.{parameter} is outside of the acceptable range")]
pub struct NotAcceptable {
    /// `mitigating-config` or `idle-config`
    pub set: Key,
    /// Which parameter.
    pub parameter: Key,
}

/// The value that a server with this range accepts and that is closest.
pub(super) fn nearest<T: Parameter>(range: &Range<T>, value: T) -> T {
    if T::ALWAYS_ACCEPTABLE == Some(value) {
        value
    } else {
        range.nearest(value)
    }
}

fn outside<T: Parameter>(range: &Range<T>, value: Option<T>) -> Option<Key> {
    value
        .filter(|value| nearest(range, *value) != *value)
        .map(|_| T::KEY)
}

impl AcceptableConfiguration {
    /// Whether everything that is asked for is acceptable.
    pub fn check(&self, request: &ConfigurationRequest) -> Result<(), NotAcceptable> {
        let sets = [
            (
                Key::MITIGATING_CONFIG,
                &self.mitigating,
                &request.mitigating,
            ),
            (Key::IDLE_CONFIG, &self.idle, &request.idle),
        ];
        for (set, acceptable, requested) in sets {
            if let Some(parameter) = acceptable.first_outside(requested) {
                return Err(NotAcceptable { set, parameter });
            }
        }
        Ok(())
    }
}

impl AcceptableSet {
    fn first_outside(&self, asked: &RequestedSet) -> Option<Key> {
        let outside = [
            outside(&self.heartbeat_interval, asked.heartbeat_interval),
            outside(&self.missing_hb_allowed, asked.missing_hb_allowed),
            outside(&self.max_retransmit, asked.max_retransmit),
            outside(&self.ack_timeout, asked.ack_timeout),
            outside(&self.ack_random_factor, asked.ack_random_factor),
            outside(&self.probing_rate, asked.probing_rate),
        ];
        outside.into_iter().flatten().next()
    }
}
