//! Names that DOTS agents give to themselves, their requests and their configuration.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Longest client identifier in bytes: what fits one Uri-Path option (255 bytes) after `cuid=`.
pub const MAX_CLIENT_IDENTIFIER_BYTES: usize = 250;

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Nothing there (RFC 9132 §4.4.1.1 calls the whole request invalid then).
    #[error("is empty")]
    Empty,
    /// More bytes than the identifier may have.
    #[error("is longer than {limit} bytes")]
    TooLong {
        /// Most bytes that the identifier may have.
        limit: usize,
    },
    /// A character that could not be shown in a log, or would change how the rest is shown.
    #[error("contains a control or formatting character")]
    ControlCharacter,
}

/// Whether a character can be shown as it is: none that controls a terminal, is invisible, or turns
/// round the direction in which the text around it is shown.
pub fn is_showable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

pub(crate) fn check_text(text: &str, limit: usize) -> Result<(), IdentifierError> {
    if text.is_empty() {
        Err(IdentifierError::Empty)
    } else if text.len() > limit {
        Err(IdentifierError::TooLong { limit })
    } else if !text.chars().all(is_showable) {
        Err(IdentifierError::ControlCharacter)
    } else {
        Ok(())
    }
}

/// Serde as the text of `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// A non-empty text of bounded length that can be shown.
macro_rules! text_identifier {
    ($(#[$doc:meta])* $name:ident, $limit:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text as it goes on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::identifiers::IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::identifiers::check_text(text, $limit)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        $crate::identifiers::serde_as_text!($name);
    };
}
pub(crate) use text_identifier;

text_identifier! {
    /// Client unique identifier: which DOTS client of a domain is asking (RFC 9132 §4.4.1.1).
    Cuid, MAX_CLIENT_IDENTIFIER_BYTES
}

impl Cuid {
    /// The recommended value: the first half of the SHA-256 digest of the certificate's
    /// SubjectPublicKeyInfo, base64url without padding, 22 characters (RFC 9132 §4.4.1.1).
    pub fn from_spki_sha256(digest: &[u8; 32]) -> Self {
        let (kept, _) = digest.split_at(16);
        Self(URL_SAFE_NO_PAD.encode(kept))
    }
}

text_identifier! {
    /// Client domain identifier, added by a server-domain gateway only (RFC 9132 §4.4.1.2).
    Cdid, MAX_CLIENT_IDENTIFIER_BYTES
}

impl Cdid {
    /// The value that a gateway gives the holder of this key or pre-shared key identity: computed as
    /// a cuid is (RFC 9132 §4.4.1.2).
    pub fn from_spki_sha256(digest: &[u8; 32]) -> Self {
        Self(Cuid::from_spki_sha256(digest).0)
    }
}

/// Mitigation identifier: which of a client's requests is meant; it grows with each new request
/// (RFC 9132 §4.4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mid(pub u32);

impl Mid {
    /// Three quarters of the number space: from here on a client in peacetime starts again at 0
    /// (RFC 9132 §4.4.1.1).
    pub const ROLLOVER: Self = Self(3_221_225_471);
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Session identifier: which session configuration is meant (RFC 9132 §4.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sid(pub u32);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
