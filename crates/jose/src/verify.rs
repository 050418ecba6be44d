//! Verifies signed additional information, with a reason for whatever is no proof.

use std::time::SystemTime;

use pvd::KeyBinding;
use pvd::information::{AdditionalInformation, NotIJson, Refused};

use crate::algorithm::Algorithm;
use crate::anchors::Anchors;
use crate::certificates::{self, ChainFault};
use crate::compact::{MAX_SIGNED_BYTES, NotCompact, decode, split};
use crate::header::{Header, MAX_CERTIFICATES};
use crate::key::VerifyingKey;

/// What a signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The object, and what in it counted for nothing.
    pub read: pvd::information::Read,
    /// What binds the key to the PvD that the object says it is about.
    pub binding: KeyBinding,
}

/// Why a signed object proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// Longer than [`MAX_SIGNED_BYTES`].
    #[error("it has {0} octets, and at most {MAX_SIGNED_BYTES} are read")]
    TooLarge(usize),
    /// Not even of the form.
    #[error("it is no compact JWS: {0}")]
    NotCompact(#[from] NotCompact),
    /// The header is no object of which all understand the same.
    #[error("its header: {0}")]
    Header(NotIJson),
    /// `alg` is `none` (RFC 7515 §6).
    #[error("it says of itself that it is not signed")]
    Unsigned,
    /// An algorithm that is not taken here, quoted as it may be shown.
    #[error("its algorithm is \"{0}\", and only ES256 and EdDSA are taken")]
    Algorithm(String),
    /// It needs something that is not known here, which is nothing by now (RFC 7515 §4.1.11).
    #[error("it must not be read by who does not know an extension of it")]
    Critical,
    /// `cty` is not `pvd+json`.
    #[error("it is not signed as the object of a PvD")]
    ContentType,
    /// `x5c` is no list of one to [`MAX_CERTIFICATES`] certificates.
    #[error("x5c is no list of 1 to {MAX_CERTIFICATES} certificates")]
    Certificates,
    /// What is signed does not count as additional information.
    #[error("what is signed is refused: {0}")]
    Payload(#[from] Refused),
    /// The certificates bind the key to no name, or to another one than the object's.
    #[error(transparent)]
    Chain(#[from] ChainFault),
    /// Nothing binds a key to the name in the object.
    #[error("no key is known for {0}")]
    KeyNotBound(pvd::PvdId),
    /// A key that is bound to the name is not one of the algorithm.
    #[error("it says {0}, which is not the algorithm of its key")]
    OtherAlgorithm(Algorithm),
    /// Another key signed it, or something else was signed.
    #[error("the signature is not one of its key over this object")]
    Signature,
}

/// Verifies an object, wherever it comes from: nothing about the way it came makes a difference.
///
/// # Errors
/// [`Forged`]
pub fn verify(compact: &str, anchors: &Anchors, now: SystemTime) -> Result<Verified, Forged> {
    let [header, payload, signature] = parts(compact)?;
    let (signed, _) = compact.rsplit_once('.').unwrap_or_default();
    let Header {
        algorithm,
        certificates,
    } = Header::read(&decode(header)?)?;
    let read = AdditionalInformation::read(&decode(payload)?, now)?;
    let signature = decode(signature)?;
    let identifier = &read.information.identifier;

    let (keys, binding) = match certificates.first() {
        Some(own) => {
            let key = VerifyingKey::of(own).map_err(|_| Forged::OtherAlgorithm(algorithm))?;
            let binding = certificates::binding(&certificates, &key, identifier, anchors, now)?;
            (vec![key], binding)
        }
        None => {
            let pinned = anchors.pinned.get(identifier).cloned();
            (pinned.unwrap_or_default(), KeyBinding::Pinned)
        }
    };
    if keys.is_empty() {
        return Err(Forged::KeyNotBound(identifier.clone()));
    }
    // The key says which algorithm it is for; the header, which anybody can write, must only agree.
    let fitting = keys.iter().filter(|key| key.algorithm() == algorithm);
    let mut fitting = fitting.peekable();
    if fitting.peek().is_none() {
        return Err(Forged::OtherAlgorithm(algorithm));
    }
    match fitting.any(|key| key.verify(signed.as_bytes(), &signature)) {
        true => Ok(Verified { read, binding }),
        false => Err(Forged::Signature),
    }
}

/// What is in a signed object, of which nothing is proved: for a client that fetched it over TLS from the PvD's name and leaves the
/// signature to others. It is evidence of TLS and of nothing else ([`pvd::DataEvidence::Tls`]).
///
/// # Errors
/// [`Forged::TooLarge`], [`Forged::NotCompact`]
pub fn payload_unverified(compact: &str) -> Result<Vec<u8>, Forged> {
    let [_, payload, _] = parts(compact)?;
    Ok(decode(payload)?)
}

fn parts(compact: &str) -> Result<[&str; 3], Forged> {
    match compact.len() > MAX_SIGNED_BYTES {
        true => Err(Forged::TooLarge(compact.len())),
        false => Ok(split(compact)?),
    }
}
