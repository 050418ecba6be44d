//! The algorithms of signatures, over OpenSSL.

use std::fmt;

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Private, Public};
use openssl::sign::{Signer, Verifier};

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037 §3.1).
    EdDsa,
}

/// Octets of each half of an ECDSA signature with P-256.
const HALF: usize = 32;

impl Algorithm {
    /// The name in a header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// Signs; the key must be one of this algorithm.
    pub(crate) fn sign(self, key: &PKeyRef<Private>, input: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        match self {
            Self::EdDsa => Signer::new_without_digest(key)?.sign_oneshot_to_vec(input),
            Self::Es256 => {
                let mut signer = Signer::new(MessageDigest::sha256(), key)?;
                let der = signer.sign_oneshot_to_vec(input)?;
                let signature = EcdsaSig::from_der(&der)?;
                let half = i32::try_from(HALF).unwrap_or_default();
                let mut octets = signature.r().to_vec_padded(half)?;
                octets.extend(signature.s().to_vec_padded(half)?);
                Ok(octets)
            }
        }
    }

    /// Whether the signature is one of this key, which must be one of this algorithm. What OpenSSL cannot even read is none.
    pub(crate) fn verify(self, key: &PKeyRef<Public>, input: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::EdDsa => Verifier::new_without_digest(key)
                .and_then(|mut verifier| verifier.verify_oneshot(signature, input)),
            Self::Es256 => ecdsa_der(signature).and_then(|der| {
                Verifier::new(MessageDigest::sha256(), key)?.verify_oneshot(&der, input)
            }),
        };
        verified.unwrap_or(false)
    }
}

/// What OpenSSL reads in place of the two halves side by side; anything of another length becomes a signature of nothing.
fn ecdsa_der(signature: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let (r, s) = match signature.split_at_checked(HALF) {
        Some(halves) if signature.len() == 2 * HALF => halves,
        _ => return Ok(Vec::new()),
    };
    let [r, s] = [r, s].map(BigNum::from_slice);
    EcdsaSig::from_private_components(r?, s?)?.to_der()
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
