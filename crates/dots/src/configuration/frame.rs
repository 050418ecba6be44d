//! What request and report have in common: two sets of parameters in a container (RFC 9132 §4.5.1, §4.5.2).

use serde::{Serialize, Serializer};

use crate::cbor::{Entry, MapWriter, Reader, read_message};
use crate::error::DecodeError;
use crate::json;
use crate::key::Key;

/// A set of parameters in a message; the default is the one without any.
pub(super) trait MessageSet: Default + PartialEq + Serialize {
    fn write(&self, map: &mut MapWriter);
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A set in which each parameter may be absent, whether all may be, and how one is read and written.
macro_rules! message_set {
    (
        $(#[$doc:meta])*
        $name:ident of $form:ident, may be empty $may_be_empty:literal, read $read:path, write $write:path, json $json:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct $name {
            /// `heartbeat-interval`
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = $json)]
            pub heartbeat_interval: Option<$form<HeartbeatInterval>>,
            /// `missing-hb-allowed`
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = $json)]
            pub missing_hb_allowed: Option<$form<MissingHbAllowed>>,
            /// `max-retransmit`
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = $json)]
            pub max_retransmit: Option<$form<MaxRetransmit>>,
            /// `ack-timeout`
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = $json)]
            pub ack_timeout: Option<$form<AckTimeout>>,
            /// `ack-random-factor`
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = $json)]
            pub ack_random_factor: Option<$form<AckRandomFactor>>,
            /// `probing-rate`
            #[serde(skip_serializing_if = "Option::is_none", serialize_with = $json)]
            pub probing_rate: Option<$form<ProbingRate>>,
        }

        impl $name {
            /// Leaves out what a reliable transport does by itself (RFC 9132 §4.5).
            pub fn over_reliable_transport(self) -> Self {
                Self {
                    heartbeat_interval: self.heartbeat_interval,
                    probing_rate: self.probing_rate,
                    ..Self::default()
                }
            }
        }

        impl $crate::configuration::frame::MessageSet for $name {
            fn write(&self, map: &mut MapWriter) {
                $write(map, self.heartbeat_interval);
                $write(map, self.missing_hb_allowed);
                $write(map, self.max_retransmit);
                $write(map, self.ack_timeout);
                $write(map, self.ack_random_factor);
                $write(map, self.probing_rate);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let mut set = Self::default();
                let entries = reader.map(|reader, key| {
                    match key {
                        Key::HEARTBEAT_INTERVAL => set.heartbeat_interval = $read(reader)?,
                        Key::MISSING_HB_ALLOWED => set.missing_hb_allowed = $read(reader)?,
                        Key::MAX_RETRANSMIT => set.max_retransmit = $read(reader)?,
                        Key::ACK_TIMEOUT => set.ack_timeout = $read(reader)?,
                        Key::ACK_RANDOM_FACTOR => set.ack_random_factor = $read(reader)?,
                        Key::PROBING_RATE => set.probing_rate = $read(reader)?,
                        _ => return Ok(Entry::Unknown),
                    }
                    Ok(Entry::Taken)
                })?;
                if entries == 0 && !$may_be_empty {
                    return Err(reader.empty());
                }
                Ok(set)
            }
        }
    };
}
pub(super) use message_set;

fn present<T: MessageSet>(set: &T) -> Option<&T> {
    (*set != T::default()).then_some(set)
}

/// `{signal-config: {mitigating-config: {...}, idle-config: {...}}}`, without the sets that are empty.
pub(super) fn encode<T: MessageSet>(mitigating: &T, idle: &T) -> Vec<u8> {
    let mut configuration = MapWriter::new();
    for (key, set) in [
        (Key::MITIGATING_CONFIG, mitigating),
        (Key::IDLE_CONFIG, idle),
    ] {
        if let Some(set) = present(set) {
            let mut map = MapWriter::new();
            set.write(&mut map);
            configuration.map(key, map);
        }
    }
    let mut message = MapWriter::new();
    message.map(Key::SIGNAL_CONFIG, configuration);
    message.finish()
}

/// Reads both sets, of which `message` is made.
pub(super) fn decode<T: MessageSet, M>(
    bytes: &[u8],
    message: impl Fn(&Reader<'_>, T, T) -> Result<M, DecodeError>,
) -> Result<M, DecodeError> {
    read_message(bytes, Key::SIGNAL_CONFIG, |reader| {
        let (mut mitigating, mut idle) = (T::default(), T::default());
        reader.map(|reader, key| {
            match key {
                Key::MITIGATING_CONFIG => mitigating = T::read(reader)?,
                Key::IDLE_CONFIG => idle = T::read(reader)?,
                _ => return Ok(Entry::Unknown),
            }
            Ok(Entry::Taken)
        })?;
        message(reader, mitigating, idle)
    })
}

pub(super) fn json<T: MessageSet, S: Serializer>(
    mitigating: &T,
    idle: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Contents<'a, T> {
        #[serde(skip_serializing_if = "Option::is_none")]
        mitigating_config: Option<&'a T>,
        #[serde(skip_serializing_if = "Option::is_none")]
        idle_config: Option<&'a T>,
    }

    let contents = Contents {
        mitigating_config: present(mitigating),
        idle_config: present(idle),
    };
    json::message(contents, serializer)
}
