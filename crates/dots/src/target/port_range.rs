//! `target-port-range` (RFC 9132 §4.4.1.1).

use std::fmt;

use serde::Serialize;

use super::TargetError;
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::DecodeError;
use crate::key::Key;

/// Ports from the lower to the upper one, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PortRange {
    lower_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_port: Option<u16>,
}

impl PortRange {
    /// The range; without an upper port it is the lower one alone.
    pub fn new(lower: u16, upper: Option<u16>) -> Result<Self, TargetError> {
        match upper {
            Some(upper) if upper < lower => Err(TargetError::PortRangeReversed { lower, upper }),
            // One port has one form, so that a refresh equals the request whichever form it is in.
            Some(upper) if upper == lower => Ok(Self::single(lower)),
            _ => Ok(Self {
                lower_port: lower,
                upper_port: upper,
            }),
        }
    }

    /// One port.
    pub fn single(port: u16) -> Self {
        Self {
            lower_port: port,
            upper_port: None,
        }
    }

    /// First port.
    pub fn lower(&self) -> u16 {
        self.lower_port
    }

    /// Last port, which may be the first.
    pub fn upper(&self) -> u16 {
        self.upper_port.unwrap_or(self.lower_port)
    }

    pub(super) fn write(&self, map: &mut MapWriter) {
        map.unsigned(Key::LOWER_PORT, self.lower_port);
        map.optional_unsigned(Key::UPPER_PORT, self.upper_port);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut lower, mut upper) = (None, None);
        reader.map(|reader, key| {
            match key {
                Key::LOWER_PORT => lower = Some(reader.unsigned16()?),
                Key::UPPER_PORT => upper = Some(reader.unsigned16()?),
                _ => return Ok(Entry::Unknown),
            }
            Ok(Entry::Taken)
        })?;
        let lower = lower.ok_or_else(|| reader.missing(Key::LOWER_PORT))?;
        Self::new(lower, upper).map_err(|reason| reader.invalid(reason))
    }
}

/// `80` or `1024-65535`
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upper_port {
            Some(upper) => write!(f, "{}-{upper}", self.lower_port),
            None => self.lower_port.fmt(f),
        }
    }
}
