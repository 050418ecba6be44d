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
use crate::tlsa::{DANE_EE, DANE_TA};

/// Why a chain binds nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The certificate is for somebody else.
    #[error("its certificate is not for {0}")]
    OtherName(PvdId),
    /// It leads to no authority that is believed, is out of date, or made for something else.
    #[error("its certificate is not valid: {0}")]
    Invalid(&'static str),
    /// OpenSSL failed.
    #[error("its certificate cannot be checked")]
    Unchecked,
}

/// What binds the key of the first certificate to the name, the strongest first.
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
    let pinned = anchors.pinned.get(identifier).into_iter().flatten();
    if pinned.into_iter().any(|pinned| pinned.is(key)) {
        return Ok(KeyBinding::Pinned);
    }
    let records = anchors.dane.get(identifier).into_iter().flatten();
    for record in records {
        // The record alone binds: neither names nor dates of the certificate count (RFC 7671 §5.1).
        if record.usage == DANE_EE && record.matches(leaf) {
            return Ok(KeyBinding::Dane);
        }
        // An authority of this name alone, so the rest of the chain counts (RFC 7671 §5.2).
        let authority = intermediates
            .iter()
            .find(|authority| record.usage == DANE_TA && record.matches(authority));
        if let Some(authority) = authority {
            let authority = std::slice::from_ref(authority);
            if path(leaf, intermediates, authority, identifier, now).is_ok() {
                return Ok(KeyBinding::Dane);
            }
        }
    }
    path(leaf, intermediates, &anchors.authorities, identifier, now)?;
    Ok(KeyBinding::Certificate)
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
