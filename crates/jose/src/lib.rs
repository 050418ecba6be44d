//! Objects of provisioning domains that carry their own proof, or a secret, wherever they come from.
//!
//! * [`sign()`] and [`verify()`]: additional information as a compact JWS (RFC 7515). The payload is plain PvD JSON, so that whoever fetched
//!   it over TLS can take it as it is ([`payload_unverified`]); whoever verifies it need not know how it came.
//! * [`seal`] and [`open`]: credentials as a compact JWE (RFC 7516) for the key of one device.
//! * [`onboarding`]: a signed object as a text that fits into a QR code.
//! * [`tlsa`]: which certificates a TLSA record speaks of (RFC 6698).
//!
//! What is not needed is not there: two algorithms for signatures, one for agreement and one cipher; no JSON serialisation, no
//! detached payload, no compression, no key that an object brings along without a certificate.
//!
//! ```text
//! sign:    PvD JSON --> {alg, cty, x5c} . payload . signature
//! verify:  structure --> header --> payload is PvD JSON --> its identifier --> a key that is bound to it --> signature
//! ```

mod algorithm;
mod anchors;
mod certificates;
mod compact;
mod encrypt;
mod header;
mod key;
pub mod onboarding;
mod sign;
#[cfg(test)]
mod tests;
pub mod tlsa;
mod verify;

pub use algorithm::Algorithm;
pub use anchors::Anchors;
pub use certificates::ChainFault;
pub use compact::{MAX_SIGNED_BYTES, NotCompact};
pub use encrypt::{
    DeviceKey, DevicePublicKey, MAX_SEALED_BYTES, SealError, Unopened, WrongDeviceKey, open, seal,
};
pub use header::MAX_CERTIFICATES;
pub use key::{SigningKey, UnsuitableKey, VerifyingKey};
pub use sign::{KeyReference, SignError, sign};
pub use tlsa::TlsaRecord;
pub use verify::{Forged, Verified, payload_unverified, verify};
