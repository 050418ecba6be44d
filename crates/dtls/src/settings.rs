//! What a session is told besides credentials.

use std::time::Duration;

use crate::ConfigError;
use crate::record::{AEAD_EXPANSION, HEADER};

/// An IPv6 header (40) and a UDP header (8). An IPv4 path has 20 octets to spare.
const IP_AND_UDP: usize = 48;

/// The size in octets of the largest IP packet that the path is assumed to carry (RFC 9132 §7.3), 576 to 4096.
///
/// OpenSSL assembles handshake datagrams in a buffer of 4096 octets and would cut records in two beyond that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathMtu(u16);

impl PathMtu {
    /// What RFC 9132 §7.3 assumes when the path MTU is not known: 1280.
    pub const DEFAULT: Self = Self(1280);

    /// # Errors
    /// [`ConfigError::PathMtu`] if `octets` is outside 576 to 4096.
    pub const fn new(octets: u16) -> Result<Self, ConfigError> {
        match octets {
            576..=4096 => Ok(Self(octets)),
            _ => Err(ConfigError::PathMtu { octets }),
        }
    }

    /// The most octets of a UDP payload.
    #[must_use]
    pub const fn datagram_limit(self) -> usize {
        self.0 as usize - IP_AND_UDP
    }

    /// The most octets that [`crate::Session::send`] takes.
    #[must_use]
    pub const fn data_limit(self) -> usize {
        self.datagram_limit() - HEADER - AEAD_EXPANSION
    }
}

impl Default for PathMtu {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The parameters of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// The path MTU to assume.
    pub path_mtu: PathMtu,
    /// How long a handshake may take before the session closes with [`crate::CloseReason::HandshakeTimedOut`].
    pub handshake_deadline: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            path_mtu: PathMtu::DEFAULT,
            handshake_deadline: Duration::from_secs(60),
        }
    }
}
