//! Signs additional information.

use std::time::SystemTime;

use openssl::error::ErrorStack;
use openssl::x509::X509;
use pvd::information::{AdditionalInformation, Refused};

use crate::certificates;
use crate::compact::encode;
use crate::header::{MAX_CERTIFICATES, Written};
use crate::key::SigningKey;

/// How those who verify find the key.
pub enum KeyReference<'a> {
    /// In this chain, the key's own certificate first, without the authority that everybody has.
    Certificates(&'a [X509]),
    /// They have it, and call it so.
    KeyId(&'a str),
}

/// Why nothing is signed. What nobody could verify is not worth a signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// No object that counts.
    #[error("the object is refused: {0}")]
    Payload(#[from] Refused),
    /// No certificate, or more than anybody reads.
    #[error("a chain has between 1 and {MAX_CERTIFICATES} certificates")]
    ChainLength,
    /// The first certificate is another key's.
    #[error("the first certificate is not the key's")]
    OtherKey,
    /// The first certificate is not for the PvD.
    #[error("the first certificate is not for {0}, whose object this is")]
    OtherName(pvd::PvdId),
    /// OpenSSL failed.
    #[error("OpenSSL cannot sign: {0}")]
    Signature(#[from] ErrorStack),
}

/// Signs the octets of an object as they are, and gives the compact serialisation (RFC 7515 §3.1).
///
/// # Errors
/// [`SignError`]
pub fn sign(
    payload: &[u8],
    key: &SigningKey,
    reference: &KeyReference<'_>,
    now: SystemTime,
) -> Result<String, SignError> {
    let information = AdditionalInformation::read(payload, now)?.information;
    let (key_id, chain) = match *reference {
        KeyReference::KeyId(id) => (Some(id), &[][..]),
        KeyReference::Certificates(chain) => {
            let own = chain.first().ok_or(SignError::ChainLength)?;
            if chain.len() > MAX_CERTIFICATES {
                return Err(SignError::ChainLength);
            }
            if !key.is_of(own) {
                return Err(SignError::OtherKey);
            }
            if !certificates::is_for(own, &information.identifier) {
                return Err(SignError::OtherName(information.identifier));
            }
            (None, chain)
        }
    };
    let chain: Result<Vec<_>, _> = chain
        .iter()
        .map(|certificate| certificate.to_der())
        .collect();
    let header = Written::new(key.algorithm(), key_id, &chain?);
    // A structure of texts, which cannot fail.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign(input.as_bytes())?;
    Ok(format!("{input}.{}", encode(signature)))
}
