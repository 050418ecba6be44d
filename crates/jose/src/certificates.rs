//! Whether a chain of certificates binds its key to the name of a PvD.

use std::time::{SystemTime, UNIX_EPOCH};

use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::{X509CheckFlags, X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext, X509VerifyResult};
use pvd::{KeyBinding, PvdId};

use crate::anchors::Anchors;
use crate::key::VerifyingKey;
use crate::tlsa::{DANE_EE, DANE_TA, PKIX_EE};

/// Why a chain binds nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The certificate is for somebody else.
    #[error("its certificate is not for {0}")]
    OtherName(PvdId),
    /// It leads to no authority that is believed, is out of date, or made for something else.
    #[error("its certificate is not valid: {0}")]
    Invalid(&'static str),
    /// The administrator wrote down other keys.
    #[error("its key is not the one that is pinned for {0}")]
    NotPinned(PvdId),
    /// DNSSEC says other keys.
    #[error("its key is none of those that the DNS has for {0}")]
    NotInDns(PvdId),
    /// OpenSSL failed.
    #[error("its certificate cannot be checked")]
    Unchecked,
}

/// What binds the key of the first certificate to the name: the pinned keys, without any the TLSA records, without these any authority.
pub(crate) fn binding(
    chain: &[X509],
    key: &VerifyingKey,
    identifier: &PvdId,
    anchors: &Anchors,
    now: SystemTime,
) -> Result<KeyBinding, ChainFault> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Err(ChainFault::Unchecked);
    };
    let pinned = anchors
        .pinned
        .get(identifier)
        .map_or(&[][..], Vec::as_slice);
    if !pinned.is_empty() {
        // Whoever wrote down which key it is wants no authority to say otherwise.
        let is_pinned = pinned.iter().any(|pinned| pinned.is(key));
        let binding = is_pinned.then_some(KeyBinding::Pinned);
        return binding.ok_or_else(|| ChainFault::NotPinned(identifier.clone()));
    }
    let records = anchors.dane.get(identifier).into_iter().flatten();
    let usable: Vec<_> = records.filter(|record| record.is_usable()).collect();
    let path_from = |authorities: &[X509]| path(leaf, intermediates, authorities, identifier, now);
    if usable.is_empty() {
        path_from(&anchors.authorities)?;
        return Ok(KeyBinding::Certificate);
    }
    // Of the records that can be used one must match, or the key is none of this name (RFC 7671 §4.1, §10.1).
    let is_bound = usable.iter().any(|record| match record.usage {
        // The record alone binds: neither names nor dates of the certificate count (RFC 7671 §5.1).
        DANE_EE => record.matches(leaf),
        // An authority of this name alone, so the rest of the chain counts (RFC 7671 §5.2).
        DANE_TA => intermediates
            .iter()
            .filter(|authority| record.matches(authority))
            .any(|authority| path_from(std::slice::from_ref(authority)).is_ok()),
        // These narrow what the authorities say (RFC 7671 §5.3, §5.4).
        PKIX_EE => record.matches(leaf) && path_from(&anchors.authorities).is_ok(),
        _ => intermediates
            .iter()
            .chain(&anchors.authorities)
            .filter(|authority| record.matches(authority))
            .any(|authority| {
                path_from(std::slice::from_ref(authority)).is_ok()
                    && path_from(&anchors.authorities).is_ok()
            }),
    });
    let binding = is_bound.then_some(KeyBinding::Dane);
    binding.ok_or_else(|| ChainFault::NotInDns(identifier.clone()))
}

/// Whether the certificate leads to one of the authorities, and is for the name.
fn path(
    leaf: &X509Ref,
    intermediates: &[X509],
    authorities: &[X509],
    identifier: &PvdId,
    now: SystemTime,
) -> Result<(), ChainFault> {
    let judged = validate(leaf, intermediates, authorities, identifier, now);
    // What OpenSSL noted on the way is not to be taken for an error of a connection of this thread.
    drop(ErrorStack::get());
    match judged {
        Ok(X509VerifyResult::OK) => Ok(()),
        Ok(fault) if fault.as_raw() == HOSTNAME_MISMATCH => {
            Err(ChainFault::OtherName(identifier.clone()))
        }
        Ok(fault) => Err(ChainFault::Invalid(fault.error_string())),
        Err(_) => Err(ChainFault::Unchecked),
    }
}

/// `X509_V_ERR_HOSTNAME_MISMATCH` of OpenSSL.
const HOSTNAME_MISMATCH: i32 = 62;

fn validate(
    leaf: &X509Ref,
    intermediates: &[X509],
    authorities: &[X509],
    identifier: &PvdId,
    now: SystemTime,
) -> Result<X509VerifyResult, ErrorStack> {
    let mut parameters = X509VerifyParam::new()?;
    // The certificate must be one that the PvD's server could show: for its very name, as a DNS-ID (RFC 8801 §4.1).
    parameters.set_purpose(X509PurposeId::SSL_SERVER)?;
    // 112 bits: neither SHA-1 nor RSA below 2048 bits.
    parameters.set_auth_level(2);
    parameters.set_hostflags(X509CheckFlags::NO_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT);
    parameters.set_host(identifier.as_str())?;
    // What is believed need not be the root of everything.
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    parameters.set_time(i64::try_from(seconds).unwrap_or(i64::MAX));
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        store.add_cert(authority.clone())?;
    }
    store.set_param(&parameters)?;
    let mut untrusted = Stack::new()?;
    for certificate in intermediates {
        untrusted.push(certificate.clone())?;
    }
    let mut context = X509StoreContext::new()?;
    context.init(&store.build(), leaf, &untrusted, |context| {
        // Errors are read from the context, whatever is returned.
        context.verify_cert().map(|_| context.error())
    })
}

/// Whether the certificate is for the name, of whose chain nothing is known yet.
pub(crate) fn is_for(leaf: &X509Ref, identifier: &PvdId) -> bool {
    let name = identifier.as_str();
    let alternatives = leaf.subject_alt_names();
    alternatives.is_some_and(|names| {
        let mut names = names.iter().filter_map(|name| name.dnsname());
        names.any(|dns| dns.eq_ignore_ascii_case(name))
    })
}
