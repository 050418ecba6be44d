//! Reading certificates and keys.

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::x509::{X509, X509NameRef, X509Ref};

use crate::{ConfigError, Credential, ffi};

/// How many names of a peer's certificate are kept.
const MAX_DNS_NAMES: usize = 64;

/// SHA-256 over the DER SubjectPublicKeyInfo of the first certificate in `certificate_pem`: what a client makes its cuid
/// of (RFC 9132 §4.4.1.1).
///
/// # Errors
/// [`ConfigError::CertificateChain`] or [`ConfigError::NoCertificate`] if there is no certificate to read.
pub fn spki_sha256(certificate_pem: &[u8]) -> Result<[u8; 32], ConfigError> {
    let (leaf, _) = read_chain(certificate_pem)?;
    ffi::spki_der(&leaf)
        .map(|der| sha256(&der))
        .ok_or_else(|| ConfigError::CertificateChain(ErrorStack::get()))
}

/// The end-entity certificate and the rest of its chain.
pub(crate) fn read_chain(pem: &[u8]) -> Result<(X509, Vec<X509>), ConfigError> {
    let mut chain = X509::stack_from_pem(pem)
        .map_err(ConfigError::CertificateChain)?
        .into_iter();
    let leaf = chain.next().ok_or(ConfigError::NoCertificate)?;
    Ok((leaf, chain.collect()))
}

pub(crate) fn read_anchors(pem: &[u8]) -> Result<Vec<X509>, ConfigError> {
    let anchors = X509::stack_from_pem(pem).map_err(ConfigError::TrustAnchors)?;
    if anchors.is_empty() {
        Err(ConfigError::NoTrustAnchor)
    } else {
        Ok(anchors)
    }
}

/// An encrypted key is an error: OpenSSL would otherwise ask the terminal for a passphrase.
pub(crate) fn read_key(pem: &[u8]) -> Result<PKey<Private>, ConfigError> {
    PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(ConfigError::PrivateKey)
}

pub(crate) fn credential(certificate: &X509Ref) -> Option<Credential> {
    let names = certificate.subject_alt_names();
    Some(Credential::Certificate {
        spki_sha256: sha256(&ffi::spki_der(certificate)?),
        subject: subject(certificate.subject_name()),
        common_name: certificate
            .subject_name()
            .entries_by_nid(Nid::COMMONNAME)
            .find_map(|entry| entry.data().to_string().ok()),
        dns_names: names
            .iter()
            .flatten()
            .filter_map(|name| name.dnsname())
            .map(str::to_owned)
            .take(MAX_DNS_NAMES)
            .collect(),
    })
}

pub(crate) fn has_expired(certificate: &X509Ref) -> bool {
    Asn1Time::days_from_now(0).is_ok_and(|now| certificate.not_after() < now)
}

/// Control characters are replaced, because this goes to logs and terminals.
fn subject(name: &X509NameRef) -> String {
    let mut text = String::new();
    for entry in name.entries() {
        let Ok(value) = entry.data().to_string() else {
            continue;
        };
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(entry.object().nid().short_name().unwrap_or("?"));
        text.push('=');
        text.extend(value.chars().map(|char| {
            if is_showable(char) {
                char
            } else {
                char::REPLACEMENT_CHARACTER
            }
        }));
    }
    text
}

/// Whether a character of a name can be shown as it is: none that controls a terminal, is invisible,
/// or turns round the direction in which the text around it is shown.
pub(crate) fn is_showable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
