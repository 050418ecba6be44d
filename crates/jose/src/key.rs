//! Keys that sign and verify.

use std::fmt;

use openssl::ec::EcKeyRef;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::x509::X509Ref;

use crate::algorithm::Algorithm;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnsuitableKey {
    /// Another kind of key, another curve, or one that is encrypted.
    #[error("the key is neither one of P-256 nor of Ed25519")]
    Kind,
    /// No PEM, or nothing of the kind in it.
    #[error("there is no key in it: {0}")]
    Unreadable(#[from] ErrorStack),
}

/// A private key. It has no `Debug`.
pub struct SigningKey {
    key: PKey<Private>,
    algorithm: Algorithm,
}

/// A public key.
#[derive(Clone)]
pub struct VerifyingKey {
    key: PKey<Public>,
    algorithm: Algorithm,
}

impl SigningKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// [`UnsuitableKey`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, UnsuitableKey> {
        PKey::private_key_from_pem_callback(pem, |_| Ok(0))?.try_into()
    }

    /// The algorithm that goes with it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half.
    ///
    /// # Errors
    /// [`UnsuitableKey::Unreadable`], where OpenSSL fails.
    pub fn verifying(&self) -> Result<VerifyingKey, UnsuitableKey> {
        VerifyingKey::from_der(&self.key.public_key_to_der()?)
    }

    pub(crate) fn is_of(&self, certificate: &X509Ref) -> bool {
        certificate
            .public_key()
            .is_ok_and(|key| key.public_eq(&self.key))
    }

    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        self.algorithm.sign(&self.key, input)
    }
}

impl TryFrom<PKey<Private>> for SigningKey {
    type Error = UnsuitableKey;

    fn try_from(key: PKey<Private>) -> Result<Self, UnsuitableKey> {
        let algorithm = algorithm(&key)?;
        Ok(Self { key, algorithm })
    }
}

impl VerifyingKey {
    /// Reads a PEM file with a public key.
    ///
    /// # Errors
    /// [`UnsuitableKey`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, UnsuitableKey> {
        PKey::public_key_from_pem(pem)?.try_into()
    }

    fn from_der(spki: &[u8]) -> Result<Self, UnsuitableKey> {
        PKey::public_key_from_der(spki)?.try_into()
    }

    /// The key of a certificate.
    ///
    /// # Errors
    /// [`UnsuitableKey`]
    pub fn of(certificate: &X509Ref) -> Result<Self, UnsuitableKey> {
        certificate.public_key()?.try_into()
    }

    /// The algorithm that goes with it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.key.public_eq(&other.key)
    }

    pub(crate) fn verify(&self, input: &[u8], signature: &[u8]) -> bool {
        self.algorithm.verify(&self.key, input, signature)
    }
}

impl TryFrom<PKey<Public>> for VerifyingKey {
    type Error = UnsuitableKey;

    fn try_from(key: PKey<Public>) -> Result<Self, UnsuitableKey> {
        let algorithm = algorithm(&key)?;
        Ok(Self { key, algorithm })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a key for {}", self.algorithm)
    }
}

fn algorithm<T: HasPublic>(key: &PKeyRef<T>) -> Result<Algorithm, UnsuitableKey> {
    match key.id() {
        Id::ED25519 => Ok(Algorithm::EdDsa),
        Id::EC if is_p256(&*key.ec_key()?) => Ok(Algorithm::Es256),
        _ => Err(UnsuitableKey::Kind),
    }
}

/// Whether a key is on the curve P-256.
pub(crate) fn is_p256<T: HasPublic>(key: &EcKeyRef<T>) -> bool {
    key.group().curve_name() == Some(Nid::X9_62_PRIME256V1)
}
