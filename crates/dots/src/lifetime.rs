//! How long a mitigation lasts (RFC 9132 §4.4.1.1).

use std::fmt;
use std::num::NonZeroU32;

use serde::{Serialize, Serializer};

const INDEFINITE: i64 = -1;

/// Why a number is not a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// A request that would end as it begins.
    #[error("a lifetime of 0 is invalid")]
    Zero,
    /// Neither -1 nor an unsigned 32-bit number of seconds.
    #[error("neither -1 nor a number of seconds up to 4294967295")]
    OutOfRange,
}

/// The lifetime that a client asks for or a server grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifetime {
    /// Seconds from the request or its last refresh.
    Seconds(NonZeroU32),
    /// Until withdrawn; -1 on the wire.
    Indefinite,
}

impl Lifetime {
    /// The lifetime that RFC 9132 §4.4.1.1 recommends, one hour.
    pub const RECOMMENDED: Self = match NonZeroU32::new(3600) {
        Some(seconds) => Self::Seconds(seconds),
        None => Self::Indefinite,
    };

    /// Reads the number of the `lifetime` attribute.
    pub fn from_number(number: i64) -> Result<Self, LifetimeError> {
        match RemainingLifetime::from_number(number)? {
            RemainingLifetime::Indefinite => Ok(Self::Indefinite),
            RemainingLifetime::Seconds(seconds) => NonZeroU32::new(seconds)
                .map(Self::Seconds)
                .ok_or(LifetimeError::Zero),
        }
    }

    /// The number of the `lifetime` attribute.
    pub fn to_number(self) -> i64 {
        RemainingLifetime::from(self).to_number()
    }
}

/// What is left of a lifetime, as a status message says it (RFC 9132 §4.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemainingLifetime {
    /// Seconds; 0 when the mitigation is just being removed.
    Seconds(u32),
    /// Until withdrawn; -1 on the wire.
    Indefinite,
}

impl RemainingLifetime {
    /// Reads the number of the `lifetime` attribute.
    pub fn from_number(number: i64) -> Result<Self, LifetimeError> {
        if number == INDEFINITE {
            Ok(Self::Indefinite)
        } else {
            u32::try_from(number)
                .map(Self::Seconds)
                .map_err(|_| LifetimeError::OutOfRange)
        }
    }

    /// The number of the `lifetime` attribute.
    pub fn to_number(self) -> i64 {
        match self {
            Self::Seconds(seconds) => i64::from(seconds),
            Self::Indefinite => INDEFINITE,
        }
    }
}

impl From<Lifetime> for RemainingLifetime {
    fn from(lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Seconds(seconds) => Self::Seconds(seconds.get()),
            Lifetime::Indefinite => Self::Indefinite,
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RemainingLifetime::from(*self).fmt(f)
    }
}

impl fmt::Display for RemainingLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
            Self::Indefinite => f.write_str("indefinite"),
        }
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.to_number())
    }
}

impl Serialize for RemainingLifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.to_number())
    }
}
