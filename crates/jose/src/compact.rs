//! The compact serialisation: parts of base64url with dots between them (RFC 7515 §7.1, RFC 7516 §7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Longest signed object that is read: the longest payload in base64url, and as much again for a chain of certificates.
pub const MAX_SIGNED_BYTES: usize = 3 * pvd::information::MAX_OBJECT_BYTES;

/// Why a text is no compact serialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCompact {
    /// Too few or too many dots. Who is fond of the JSON serialisation (RFC 7515 §7.2) gets here.
    #[error("it has not {0} parts with dots between them")]
    Parts(usize),
    /// Padding, white space, another alphabet, or bits that mean nothing (RFC 7515 §2).
    #[error("a part is not base64url")]
    NotBase64Url,
}

/// The parts, still encoded.
pub(crate) fn split<const PARTS: usize>(compact: &str) -> Result<[&str; PARTS], NotCompact> {
    // One more, or a text of dots alone would fill the memory.
    let parts: Vec<&str> = compact.splitn(PARTS + 1, '.').collect();
    parts.try_into().map_err(|_| NotCompact::Parts(PARTS))
}

/// The octets of a part.
pub(crate) fn decode(part: &str) -> Result<Vec<u8>, NotCompact> {
    let octets = URL_SAFE_NO_PAD.decode(part);
    octets.map_err(|_| NotCompact::NotBase64Url)
}

/// The part of these octets.
pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
