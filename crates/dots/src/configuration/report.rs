//! What a server says about the configuration (RFC 9132 §4.5.1).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::acceptable::nearest;
use super::frame::{self, message_set};
use super::parameter::{Parameter, Wire};
use super::{
    AcceptableConfiguration, AcceptableSet, AckRandomFactor, AckTimeout, ConfigurationRequest,
    ConfigurationSet, HeartbeatInterval, MaxRetransmit, MissingHbAllowed, ProbingRate, Range,
    RequestedSet, SessionConfiguration,
};
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::DecodeError;
use crate::key::Key;

/// The body of a 2.05 response to a GET on `config`, and of each notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigurationReport {
    /// While a mitigation is active.
    pub mitigating: ReportedSet,
    /// While none is.
    pub idle: ReportedSet,
}

/// What is said about one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reported<T> {
    /// The acceptable values, `max-value` and `min-value`; moat's server always names them.
    pub range: Option<Range<T>>,
    /// `current-value`; its default where a server leaves it out.
    pub current: T,
}

message_set! {
    /// What is said about each parameter.
    ReportedSet of Reported, may be empty true, read read, write write, json "json"
}

fn write<T: Parameter>(set: &mut MapWriter, reported: Option<Reported<T>>) {
    let Some(Reported { range, current }) = reported else {
        return;
    };
    let mut map = MapWriter::new();
    if let Some(range) = range {
        range.max().get().write(&mut map, T::Wire::MAX);
        range.min().get().write(&mut map, T::Wire::MIN);
    }
    current.get().write(&mut map, T::Wire::CURRENT);
    set.map(T::KEY, map);
}

/// A number that the parameter cannot have becomes the nearest one, so that a client has a configuration
/// with any server. A maximum below its minimum comes from a server that has these two keys as IANA's
/// registry has them: they change places.
fn read<T: Parameter>(reader: &mut Reader<'_>) -> Result<Option<Reported<T>>, DecodeError> {
    let (mut max, mut min, mut current) = (None, None, None);
    reader.map(|reader, key| {
        let value = match key {
            key if key == T::Wire::MAX => &mut max,
            key if key == T::Wire::MIN => &mut min,
            key if key == T::Wire::CURRENT => &mut current,
            _ => return Ok(Entry::Unknown),
        };
        *value = Some(T::nearest(T::Wire::read(reader)?));
        Ok(Entry::Taken)
    })?;
    let range = match (max, min) {
        (Some(max), Some(min)) => Some(Range::between(max, min)),
        (None, None) => None,
        (Some(_), None) => return Err(reader.missing(T::Wire::MIN)),
        (None, Some(_)) => return Err(reader.missing(T::Wire::MAX)),
    };
    Ok(Some(Reported {
        range,
        current: current.unwrap_or(T::DEFAULT),
    }))
}

fn json<T: Parameter, S: Serializer>(
    reported: &Option<Reported<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(Reported { range, current }) = reported {
        if let Some(range) = range {
            map.serialize_entry(&T::Wire::MAX.to_string(), &range.max().get())?;
            map.serialize_entry(&T::Wire::MIN.to_string(), &range.min().get())?;
        }
        map.serialize_entry(&T::Wire::CURRENT.to_string(), &current.get())?;
    }
    map.end()
}

impl Serialize for ConfigurationReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::json(&self.mitigating, &self.idle, serializer)
    }
}

impl ConfigurationReport {
    /// What a server with these limits says about a session with this configuration.
    pub fn new(current: &SessionConfiguration, acceptable: &AcceptableConfiguration) -> Self {
        Self {
            mitigating: ReportedSet::new(&current.mitigating, &acceptable.mitigating),
            idle: ReportedSet::new(&current.idle, &acceptable.idle),
        }
    }

    /// What of it is said over TCP: leaves out what a reliable transport does by itself (RFC 9132 §4.5).
    pub fn over_reliable_transport(&self) -> Self {
        let [mitigating, idle] =
            [self.mitigating, self.idle].map(ReportedSet::over_reliable_transport);
        Self { mitigating, idle }
    }

    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        frame::encode(&self.mitigating, &self.idle)
    }

    /// Reads a CBOR body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        frame::decode(bytes, |_, mitigating, idle| Ok(Self { mitigating, idle }))
    }

    /// The configuration of the session. What the server says nothing about is the default (RFC 9132
    /// §4.5.2).
    pub fn current(&self) -> SessionConfiguration {
        SessionConfiguration {
            mitigating: self.mitigating.current(),
            idle: self.idle.current(),
        }
    }

    /// The request that comes closest to `request` and that this server accepts: what to send after a 4.22
    /// (RFC 9132 §4.5.2).
    pub fn nearest(&self, request: &ConfigurationRequest) -> ConfigurationRequest {
        ConfigurationRequest {
            mitigating: self.mitigating.nearest(&request.mitigating),
            idle: self.idle.nearest(&request.idle),
        }
    }
}

fn report<T>(current: T, range: Range<T>) -> Option<Reported<T>> {
    let range = Some(range);
    Some(Reported { range, current })
}

fn current<T: Parameter>(reported: Option<Reported<T>>) -> T {
    reported.map_or(T::DEFAULT, |reported| reported.current)
}

fn nearest_to<T: Parameter>(reported: Option<Reported<T>>, asked: Option<T>) -> Option<T> {
    match reported.and_then(|reported| reported.range) {
        Some(range) => asked.map(|value| nearest(&range, value)),
        None => asked,
    }
}

impl ReportedSet {
    fn new(set: &ConfigurationSet, acceptable: &AcceptableSet) -> Self {
        Self {
            heartbeat_interval: report(set.heartbeat_interval, acceptable.heartbeat_interval),
            missing_hb_allowed: report(set.missing_hb_allowed, acceptable.missing_hb_allowed),
            max_retransmit: report(set.max_retransmit, acceptable.max_retransmit),
            ack_timeout: report(set.ack_timeout, acceptable.ack_timeout),
            ack_random_factor: report(set.ack_random_factor, acceptable.ack_random_factor),
            probing_rate: report(set.probing_rate, acceptable.probing_rate),
        }
    }

    fn current(&self) -> ConfigurationSet {
        ConfigurationSet {
            heartbeat_interval: current(self.heartbeat_interval),
            missing_hb_allowed: current(self.missing_hb_allowed),
            max_retransmit: current(self.max_retransmit),
            ack_timeout: current(self.ack_timeout),
            ack_random_factor: current(self.ack_random_factor),
            probing_rate: current(self.probing_rate),
        }
    }

    fn nearest(&self, asked: &RequestedSet) -> RequestedSet {
        RequestedSet {
            heartbeat_interval: nearest_to(self.heartbeat_interval, asked.heartbeat_interval),
            missing_hb_allowed: nearest_to(self.missing_hb_allowed, asked.missing_hb_allowed),
            max_retransmit: nearest_to(self.max_retransmit, asked.max_retransmit),
            ack_timeout: nearest_to(self.ack_timeout, asked.ack_timeout),
            ack_random_factor: nearest_to(self.ack_random_factor, asked.ack_random_factor),
            probing_rate: nearest_to(self.probing_rate, asked.probing_rate),
        }
    }
}
