//! Pre-shared keys with ephemeral Diffie-Hellman: how a customer without certificates authenticates (RFC 9132 §7.1, §8).
//!
//! A server answers an identity that it does not know as if it knew it and the client had the wrong key (RFC 4279 §2):
//! with a key that nobody has. Nobody can find out by trying which identities there are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::sha::sha256;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef};

use crate::ConfigError;
use crate::certificate::is_showable;

/// The longest identity in octets: what RFC 4279 §5.3 asks to support. In TLS 1.3 tickets and identities come in one
/// list, and OpenSSL's tickets are longer than this.
const MAX_IDENTITY: usize = 128;
/// The shortest key in octets: guessing at one takes 128 bits of luck (RFC 9257 §6).
const MIN_KEY: usize = 16;
/// The longest key in octets; RFC 4279 §5.3 asks to support 64.
const MAX_KEY: usize = 256;
/// The length of the key that stands in for that of an unknown identity.
const DECOY: usize = 32;

/// The name of a pre-shared key: 1 to 128 octets of UTF-8 that can be shown (RFC 4279 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PskIdentity(String);

impl PskIdentity {
    /// # Errors
    /// [`ConfigError::PskIdentity`] if `identity` is empty, too long, or has control or formatting characters.
    pub fn new(identity: impl Into<String>) -> Result<Self, ConfigError> {
        let identity = identity.into();
        if (1..=MAX_IDENTITY).contains(&identity.len()) && identity.chars().all(is_showable) {
            Ok(Self(identity))
        } else {
            Err(ConfigError::PskIdentity { identity })
        }
    }

    /// The identity as it goes over the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 over the identity: what a client makes its cuid of (RFC 9132 §4.4.1.1).
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        Self::new(str::from_utf8(octets).ok()?).ok()
    }
}

impl fmt::Display for PskIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pre-shared key of 16 to 256 octets.
#[derive(Clone)]
pub struct PskKey(Vec<u8>);

impl PskKey {
    /// # Errors
    /// [`ConfigError::PskKey`] if `key` is too short or too long.
    pub fn new(key: &[u8]) -> Result<Self, ConfigError> {
        if (MIN_KEY..=MAX_KEY).contains(&key.len()) {
            Ok(Self(key.to_vec()))
        } else {
            Err(ConfigError::PskKey { octets: key.len() })
        }
    }
}

/// The key is left out.
impl fmt::Debug for PskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskKey").finish_non_exhaustive()
    }
}

/// What a client named in its handshake.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Known(PskIdentity),
    Unknown(PskIdentity),
    Malformed,
}

/// Has the client's sessions authenticate with this key.
pub(crate) fn offer(context: &mut SslContextBuilder, identity: PskIdentity, key: PskKey) {
    context.set_psk_client_callback(move |_, _hint, name, secret| {
        // OpenSSL reads the name up to its NUL.
        let fits = copy(identity.0.as_bytes(), name)
            .and_then(|end| name.get_mut(end))
            .map(|end| *end = 0);
        Ok(fits.and_then(|()| copy(&key.0, secret)).unwrap_or(0))
    });
}

/// Has the server's sessions accept these keys.
pub(crate) fn serve(
    context: &mut SslContextBuilder,
    keys: BTreeMap<PskIdentity, PskKey>,
) -> Result<(), ErrorStack> {
    let slot = slot()?;
    context.set_psk_server_callback(move |ssl, name, secret| {
        let name = name.unwrap_or_default();
        if name.len() > MAX_IDENTITY {
            return Ok(0); // a ticket
        }
        let decoy = secret.get_mut(..DECOY).unwrap_or_default();
        openssl::rand::rand_bytes(decoy)?;
        let mut length = decoy.len();
        let named = match PskIdentity::parse(name) {
            Some(identity) => match keys.get(&identity) {
                Some(key) => {
                    length = copy(&key.0, secret).unwrap_or(0);
                    Named::Known(identity)
                }
                None => Named::Unknown(identity),
            },
            None => Named::Malformed,
        };
        // In TLS 1.3 a ticket saves nothing against the key itself, and would not say whose it is.
        ssl.set_num_tickets(0)?;
        ssl.set_ex_data(slot, named);
        Ok(length)
    });
    Ok(())
}

/// What the client of this handshake has named; `None` in a resumed one.
pub(crate) fn named(ssl: &SslRef) -> Option<&Named> {
    ssl.ex_data(slot().ok()?)
}

/// Whose key the client of a finished handshake without certificate holds.
pub(crate) fn proven(ssl: &SslRef) -> Option<PskIdentity> {
    match named(ssl) {
        Some(Named::Known(identity)) => Some(identity.clone()),
        Some(Named::Unknown(_) | Named::Malformed) => None,
        // A ticket of TLS 1.2 keeps the identity.
        None => PskIdentity::parse(ssl.psk_identity()?),
    }
}

fn slot() -> Result<Index<Ssl, Named>, ErrorStack> {
    static SLOT: OnceLock<Index<Ssl, Named>> = OnceLock::new();
    if let Some(slot) = SLOT.get() {
        return Ok(*slot);
    }
    let slot = Ssl::new_ex_index()?;
    Ok(*SLOT.get_or_init(|| slot))
}

/// The length of `from`, if it fits.
fn copy(from: &[u8], to: &mut [u8]) -> Option<usize> {
    to.get_mut(..from.len())?.copy_from_slice(from);
    Some(from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_short_readable_text() {
        let longest = "x".repeat(MAX_IDENTITY);
        for good in ["client-1", "näme", longest.as_str()] {
            assert_eq!(PskIdentity::new(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(MAX_IDENTITY + 1);
        for bad in ["", "two\nlines", "nul\0", too_long.as_str()] {
            assert!(
                matches!(PskIdentity::new(bad), Err(ConfigError::PskIdentity { identity }) if identity == bad)
            );
        }
        assert_eq!(PskIdentity::parse(b"\xff"), None);
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        for (octets, good) in [(15, false), (16, true), (256, true), (257, false)] {
            assert_eq!(PskKey::new(&vec![7; octets]).is_ok(), good, "{octets}");
        }
    }

    #[test]
    fn no_key_shows_in_debug_output() {
        assert_eq!(
            format!("{:?}", PskKey::new(b"secret-secret-secret").unwrap()),
            "PskKey { .. }"
        );
    }
}
