//! TLSA records (RFC 6698): which certificate, or which key, is the one of a name.

use openssl::sha::{sha256, sha512};
use openssl::x509::X509Ref;

/// One record, as the DNS has it. Whether it is genuine is up to whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsaRecord {
    /// Certificate usage (RFC 6698 §2.1.1). Only 2 (DANE-TA) and 3 (DANE-EE) bind by themselves; 0 and 1 narrow what the public
    /// authorities say, and are never matched here.
    pub usage: u8,
    /// What of the certificate is compared: 0 all of it, 1 its key (RFC 6698 §2.1.2).
    pub selector: u8,
    /// How: 0 as it is, 1 as SHA-256, 2 as SHA-512 (RFC 6698 §2.1.3).
    pub matching: u8,
    /// What it is compared with.
    pub data: Vec<u8>,
}

/// Usage of a record that speaks of an authority.
pub(crate) const DANE_TA: u8 = 2;
/// Usage of a record that speaks of the certificate itself.
pub(crate) const DANE_EE: u8 = 3;

impl TlsaRecord {
    /// Whether the record speaks of this certificate. What is registered since, nothing matches.
    pub fn matches(&self, certificate: &X509Ref) -> bool {
        if ![DANE_TA, DANE_EE].contains(&self.usage) {
            return false;
        }
        let selected = match self.selector {
            0 => certificate.to_der(),
            1 => certificate
                .public_key()
                .and_then(|key| key.public_key_to_der()),
            _ => return false,
        };
        let Ok(selected) = selected else {
            return false;
        };
        match self.matching {
            0 => self.data == selected,
            1 => self.data == sha256(&selected),
            2 => self.data == sha512(&selected),
            _ => false,
        }
    }
}
