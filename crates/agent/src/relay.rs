//! How a gateway relays requests without endless loops (RFC 8768).
//!
//! ```text
//! client            gateway p1            gateway p2            server
//!   | Hop-Limit -      |                     |                     |
//!   |----------------->| Hop-Limit 2         |                     |
//!   |                  |-------------------->| Hop-Limit 1         |
//!   |                  |                     |-------------------->|
//!   |                  |
//!   | or, at p2 with Hop-Limit 1:
//!   |                  |         5.08 "p2"   |
//!   |    5.08 "p1 p2"  |<--------------------|
//!   |<-----------------|
//! ```
//!
//! Who sees his own name in a 5.08 that comes back is in the loop himself, and passes it on no more.

use std::num::NonZeroU8;
use std::str::FromStr;

use coap::{Code, HopLimitError, Options, Response};
use dots::identifiers::Cdid;

use crate::content;

/// The Hop-Limit that a request without one gets by default (RFC 8768 §3).
pub const DEFAULT_HOP_LIMIT: NonZeroU8 = match NonZeroU8::new(16) {
    Some(hops) => hops,
    None => NonZeroU8::MIN,
};

/// The most bytes of relays' names in a 5.08: what RFC 7252 §4.6 suggests for a payload where the path MTU is not known.
const LONGEST_PATH: usize = 1024;

/// How a request is relayed; nothing of that where it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relayed {
    /// What is left of its Hop-Limit (RFC 8768 §3).
    pub hop_limit: Option<NonZeroU8>,
    /// The domain of the client, as the first gateway of the servers' domain says (RFC 9132 §4.4.1.2).
    pub cdid: Option<Cdid>,
}

/// How a relay calls itself in a 5.08: its name, an alias or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayIdentifier(String);

/// Why a text cannot identify a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayIdentifierError {
    /// Nothing, or more than a small datagram has room for.
    #[error(
        "an identifier of a relay has 1 to {} characters",
        RelayIdentifier::MAX_LENGTH
    )]
    Length,
    /// A space would make two of it.
    #[error("an identifier of a relay has only visible ASCII characters, and no space")]
    Character,
}

impl RelayIdentifier {
    /// The longest identifier, in characters.
    pub const MAX_LENGTH: usize = 64;
}

impl FromStr for RelayIdentifier {
    type Err = RelayIdentifierError;

    fn from_str(text: &str) -> Result<Self, RelayIdentifierError> {
        if text.is_empty() || text.len() > Self::MAX_LENGTH {
            return Err(RelayIdentifierError::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RelayIdentifierError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a request is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForwarded {
    /// Its Hop-Limit is none: 4.00.
    #[error("{0}")]
    Invalid(HopLimitError),
    /// It has come too far, which most likely means in a circle: 5.08, and a line in the log.
    #[error("the hop limit is reached: the request may be in a loop")]
    Exhausted,
}

/// A 5.08 that names this relay already: it is in the loop. To be logged, and passed on to nobody
/// (RFC 8768 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request came back here: there is a loop")]
pub struct OwnLoop;

/// One relay.
#[derive(Clone, Debug)]
pub struct Relay {
    /// How it calls itself.
    pub identifier: RelayIdentifier,
    /// What a request without Hop-Limit gets.
    pub initial_hop_limit: NonZeroU8,
}

impl Relay {
    /// A relay with the Hop-Limit that RFC 8768 §3 recommends.
    pub fn new(identifier: RelayIdentifier) -> Self {
        Self {
            identifier,
            initial_hop_limit: DEFAULT_HOP_LIMIT,
        }
    }

    /// The Hop-Limit that the request goes on with.
    ///
    /// # Errors
    /// [`NotForwarded`]; [`Relay::refuse`] says what the client is told.
    pub fn forward(&self, received: &Options) -> Result<NonZeroU8, NotForwarded> {
        match received.hop_limit() {
            None => Ok(self.initial_hop_limit),
            Some(Err(error)) => Err(NotForwarded::Invalid(error)),
            Some(Ok(hops)) => NonZeroU8::new(hops.saturating_sub(1)).ok_or(NotForwarded::Exhausted),
        }
    }

    /// The answer to a request that is not forwarded.
    pub fn refuse(&self, reason: &NotForwarded) -> Response {
        match reason {
            NotForwarded::Invalid(error) => {
                content::diagnostic(Code::BAD_REQUEST, &error.to_string())
            }
            NotForwarded::Exhausted => {
                content::diagnostic(Code::HOP_LIMIT_REACHED, &self.identifier.0)
            }
        }
    }

    /// The 5.08 to pass on for one that came back with this diagnostic payload. This relay's name is left out where a
    /// datagram has no room for it (RFC 8768 §4).
    ///
    /// # Errors
    /// [`OwnLoop`]: it is not to be passed on.
    pub fn pass_back(&self, diagnostic: &[u8]) -> Result<Response, OwnLoop> {
        let own = self.identifier.0.as_bytes();
        let mut identifiers = diagnostic.split(|byte| *byte == b' ');
        if identifiers.any(|identifier| identifier == own) {
            return Err(OwnLoop);
        }
        let mut response = content::empty(Code::HOP_LIMIT_REACHED);
        response.payload = match diagnostic.is_empty() {
            true => own.to_vec(),
            false => [own, b" ", diagnostic].concat(),
        };
        if response.payload.len() > LONGEST_PATH {
            response.payload = diagnostic.to_vec();
        }
        Ok(response)
    }
}
