//! The six parameters of a session and the values that each may have (RFC 9132 §4.5.1, §4.5.2).

use std::time::Duration;

use serde::Serialize;

use super::Decimal;
use crate::cbor::{MapWriter, Reader};
use crate::error::DecodeError;
use crate::key::Key;

/// Why a number is not a value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Heartbeats more frequent than RFC 8085 allows, or rarer than RFC 9132 §4.5.2 recommends.
    #[error("neither 0 nor from 15 to 240 seconds")]
    HeartbeatInterval,
    /// A session that is lost before its first heartbeat.
    #[error("not from 1 to 65535")]
    MissingHbAllowed,
    /// More repetitions than any session survives.
    #[error("not from 0 to 15")]
    MaxRetransmit,
    /// A wait that RFC 7252 §4.8.1 forbids, or one of minutes.
    #[error("not from 1.00 to 300.00 seconds")]
    AckTimeout,
    /// A factor that RFC 7252 §4.8.1 forbids, or one that makes waits endless.
    #[error("not from 1.00 to 10.00")]
    AckRandomFactor,
    /// An agent that may send nothing at all.
    #[error("not from 1 to 65535 bytes per second")]
    ProbingRate,
}

/// The least value that a peer accepts is greater than the greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the minimum is greater than the maximum")]
pub struct RangeReversed;

/// Values from the minimum to the maximum, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range<T> {
    min: T,
    max: T,
}

impl<T: Copy + Ord> Range<T> {
    /// The range, unless it is upside down.
    pub fn new(min: T, max: T) -> Result<Self, RangeReversed> {
        if min <= max {
            Ok(Self { min, max })
        } else {
            Err(RangeReversed)
        }
    }

    /// The range of which these are the ends, in either order.
    pub(super) fn between(one: T, other: T) -> Self {
        Self {
            min: one.min(other),
            max: one.max(other),
        }
    }

    /// `min-value`
    pub fn min(&self) -> T {
        self.min
    }

    /// `max-value`
    pub fn max(&self) -> T {
        self.max
    }

    /// The value in the range that is closest.
    pub(super) fn nearest(&self, value: T) -> T {
        value.clamp(self.min, self.max)
    }
}

/// A form of values on the wire, with the keys under which they stand (RFC 9132 §6, Table 5).
///
/// IANA's registry has each pair of maximum and minimum the other way round; deployed agents follow the RFC.
pub(super) trait Wire: Copy + Serialize {
    const MAX: Key;
    const MIN: Key;
    const CURRENT: Key;

    fn write(self, map: &mut MapWriter, key: Key);
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

impl Wire for u16 {
    const MAX: Key = Key::MAX_VALUE;
    const MIN: Key = Key::MIN_VALUE;
    const CURRENT: Key = Key::CURRENT_VALUE;

    fn write(self, map: &mut MapWriter, key: Key) {
        map.unsigned(key, self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.unsigned16()
    }
}

impl Wire for Decimal {
    const MAX: Key = Key::MAX_VALUE_DECIMAL;
    const MIN: Key = Key::MIN_VALUE_DECIMAL;
    const CURRENT: Key = Key::CURRENT_VALUE_DECIMAL;

    fn write(self, map: &mut MapWriter, key: Key) {
        map.decimal(key, self.hundredths());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(reader)
    }
}

/// What messages need to know of a parameter.
pub(super) trait Parameter: Copy + Ord {
    type Wire: Wire;
    const KEY: Key;
    const DEFAULT: Self;
    /// A value that no range of a server excludes.
    const ALWAYS_ACCEPTABLE: Option<Self>;

    fn new(value: Self::Wire) -> Result<Self, ValueError>;
    fn nearest(value: Self::Wire) -> Self;
    fn get(self) -> Self::Wire;
}

macro_rules! parameter {
    (
        $(#[$doc:meta])*
        $name:ident($wire:ty), $key:ident: $least:expr, $most:expr, besides $besides:expr;
        default $default:expr; acceptable $acceptable_min:expr, $acceptable_max:expr;
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($wire);

        impl $name {
            /// What holds unless something else is negotiated (RFC 9132 Appendix C).
            pub const DEFAULT: Self = Self($default);

            /// The acceptable values of the example in RFC 9132 §4.5.1, Figure 20.
            pub const ACCEPTABLE: Range<Self> = Range {
                min: Self($acceptable_min),
                max: Self($acceptable_max),
            };

            /// Refuses what can be no value of the parameter, whatever a peer accepts.
            pub fn new(value: $wire) -> Result<Self, ValueError> {
                if Self::nearest(value) == Self(value) {
                    Ok(Self(value))
                } else {
                    Err(ValueError::$name)
                }
            }

            /// The value that is closest to a number.
            pub fn nearest(value: $wire) -> Self {
                let besides: Option<Self> = $besides;
                match besides {
                    Some(besides) if besides.0 == value => besides,
                    _ => Self(value.clamp($least, $most)),
                }
            }

            /// The number on the wire.
            pub fn get(self) -> $wire {
                self.0
            }
        }

        impl Parameter for $name {
            type Wire = $wire;
            const KEY: Key = Key::$key;
            const DEFAULT: Self = Self::DEFAULT;
            const ALWAYS_ACCEPTABLE: Option<Self> = $besides;

            fn new(value: $wire) -> Result<Self, ValueError> {
                Self::new(value)
            }

            fn nearest(value: $wire) -> Self {
                Self::nearest(value)
            }

            fn get(self) -> $wire {
                self.0
            }
        }
    };
}

const fn hundredths(number: i64) -> Decimal {
    Decimal::from_hundredths(number)
}

parameter! {
    /// Seconds between two heartbeats, 15 to 240; 0 for no heartbeats.
    ///
    /// No range excludes 0: the client of Figure 23 asks for it although the server of Figure 20 has a
    /// minimum of 15.
    HeartbeatInterval(u16), HEARTBEAT_INTERVAL: 15, 240, besides Some(Self::DISABLED);
    default 30; acceptable 15, 240;
}

impl HeartbeatInterval {
    /// No heartbeats.
    pub const DISABLED: Self = Self(0);

    /// The time between two heartbeats, if there are any.
    pub fn duration(self) -> Option<Duration> {
        (self != Self::DISABLED).then(|| Duration::from_secs(self.0.into()))
    }
}

parameter! {
    /// How many heartbeats in a row may stay unanswered before the session counts as lost, at least 1.
    MissingHbAllowed(u16), MISSING_HB_ALLOWED: 1, u16::MAX, besides None;
    default 15; acceptable 3, 20;
}

parameter! {
    /// How often a Confirmable message is sent again, at most 15 times: MAX_RETRANSMIT of RFC 7252 §4.8.
    MaxRetransmit(u16), MAX_RETRANSMIT: 0, 15, besides None;
    default 3; acceptable 2, 15;
}

parameter! {
    /// Seconds before a Confirmable message is sent again for the first time, 1.00 to 300.00: ACK_TIMEOUT
    /// of RFC 7252 §4.8.
    AckTimeout(Decimal), ACK_TIMEOUT: hundredths(100), hundredths(30_000), besides None;
    default hundredths(200); acceptable hundredths(100), hundredths(3_000);
}

impl AckTimeout {
    /// The wait as a time.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0.hundredths().unsigned_abs() * 10)
    }
}

parameter! {
    /// By how much that wait may be longer, 1.00 to 10.00 times: ACK_RANDOM_FACTOR of RFC 7252 §4.8.
    AckRandomFactor(Decimal), ACK_RANDOM_FACTOR: hundredths(100), hundredths(1_000), besides None;
    default hundredths(150); acceptable hundredths(110), hundredths(400);
}

impl AckRandomFactor {
    /// The factor.
    pub fn factor(self) -> f64 {
        self.0.hundredths() as f64 / 100.0
    }
}

parameter! {
    /// Bytes per second that may be sent to a peer that does not answer, at least 1: PROBING_RATE of
    /// RFC 7252 §4.7.
    ProbingRate(u16), PROBING_RATE: 1, u16::MAX, besides None;
    default 5; acceptable 5, 20;
}
