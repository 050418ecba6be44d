//! What a client wants the configuration to be (RFC 9132 §4.5.2).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::frame::{self, message_set};
use super::parameter::{Parameter, Wire};
use super::{
    AckRandomFactor, AckTimeout, ConfigurationSet, HeartbeatInterval, MaxRetransmit,
    MissingHbAllowed, ProbingRate, SessionConfiguration,
};
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::DecodeError;
use crate::key::Key;

/// A request has to have one parameter at least (RFC 9132 §4.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session configuration needs a parameter")]
pub struct NoParameter;

/// The body of a PUT on `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConfigurationRequest {
    /// What to use while a mitigation is active.
    pub mitigating: RequestedSet,
    /// What to use while none is.
    pub idle: RequestedSet,
}

type Requested<T> = T;

message_set! {
    /// The values that are asked for; the defaults of the server hold for the others.
    RequestedSet of Requested, may be empty false, read read, write write, json "json"
}

fn write<T: Parameter>(set: &mut MapWriter, value: Option<T>) {
    if let Some(value) = value {
        let mut map = MapWriter::new();
        value.get().write(&mut map, T::Wire::CURRENT);
        set.map(T::KEY, map);
    }
}

fn read<T: Parameter>(reader: &mut Reader<'_>) -> Result<Option<T>, DecodeError> {
    let mut value = None;
    let entries = reader.map(|reader, key| {
        if key != T::Wire::CURRENT {
            return Ok(Entry::Unknown);
        }
        let number = T::Wire::read(reader)?;
        let at = reader.at();
        value = Some(T::new(number).map_err(|reason| DecodeError::Unacceptable { at, reason })?);
        Ok(Entry::Taken)
    })?;
    match value {
        Some(value) => Ok(Some(value)),
        // Deployed clients send this one without a value. An empty attribute is invalid otherwise.
        None if entries == 0 && T::KEY == Key::PROBING_RATE => Ok(None),
        None if entries == 0 => Err(reader.empty()),
        None => Err(reader.missing(T::Wire::CURRENT)),
    }
}

fn json<T: Parameter, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    if let Some(value) = value {
        map.serialize_entry(&T::Wire::CURRENT.to_string(), &value.get())?;
    }
    map.end()
}

impl Serialize for ConfigurationRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::json(&self.mitigating, &self.idle, serializer)
    }
}

impl ConfigurationRequest {
    /// Refuses a request that asks for nothing.
    pub fn new(mitigating: RequestedSet, idle: RequestedSet) -> Result<Self, NoParameter> {
        let nothing = RequestedSet::default();
        if mitigating == nothing && idle == nothing {
            Err(NoParameter)
        } else {
            Ok(Self { mitigating, idle })
        }
    }

    /// What of it is negotiated over TCP: leaves out what a reliable transport does by itself (RFC 9132
    /// §4.5). `None`: nothing is left.
    pub fn over_reliable_transport(&self) -> Option<Self> {
        let [mitigating, idle] =
            [self.mitigating, self.idle].map(RequestedSet::over_reliable_transport);
        Self::new(mitigating, idle).ok()
    }

    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        frame::encode(&self.mitigating, &self.idle)
    }

    /// Reads a CBOR body. [`DecodeError::Unacceptable`] is answered with 4.22, every other error with 4.00
    /// (RFC 9132 §4.5.2).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        frame::decode(bytes, |reader, mitigating, idle| {
            Self::new(mitigating, idle)
                .map_err(|NoParameter| DecodeError::NoParameter { at: reader.at() })
        })
    }

    /// The configuration once the request is accepted, over what the server has by default. Requests with
    /// a lower sid leave nothing behind (RFC 9132 §4.5.2).
    pub fn over(&self, default: &SessionConfiguration) -> SessionConfiguration {
        SessionConfiguration {
            mitigating: self.mitigating.over(&default.mitigating),
            idle: self.idle.over(&default.idle),
        }
    }
}

impl RequestedSet {
    fn over(&self, default: &ConfigurationSet) -> ConfigurationSet {
        ConfigurationSet {
            heartbeat_interval: self
                .heartbeat_interval
                .unwrap_or(default.heartbeat_interval),
            missing_hb_allowed: self
                .missing_hb_allowed
                .unwrap_or(default.missing_hb_allowed),
            max_retransmit: self.max_retransmit.unwrap_or(default.max_retransmit),
            ack_timeout: self.ack_timeout.unwrap_or(default.ack_timeout),
            ack_random_factor: self.ack_random_factor.unwrap_or(default.ack_random_factor),
            probing_rate: self.probing_rate.unwrap_or(default.probing_rate),
        }
    }
}
