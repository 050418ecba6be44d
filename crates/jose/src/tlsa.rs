//! TLSA records (RFC 6698): which certificate, or which key, is the one of a name.

use openssl::sha::{sha256, sha512};
use openssl::x509::X509Ref;

/// One record, as the DNS has it. Whether it is genuine is up to whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsaRecord {
    /// Certificate usage (RFC 6698 §2.1.1): 2 (DANE-TA) and 3 (DANE-EE) bind by themselves; 0 (PKIX-TA) and 1 (PKIX-EE) narrow what the
    /// authorities say that are believed anyway.
    pub usage: u8,
    /// What of the certificate is compared: 0 all of it, 1 its key (RFC 6698 §2.1.2).
    pub selector: u8,
    /// How: 0 as it is, 1 as SHA-256, 2 as SHA-512 (RFC 6698 §2.1.3).
    pub matching: u8,
    /// What it is compared with.
    pub data: Vec<u8>,
}

/// Usage of a record that speaks of a certificate which a known authority must have issued.
pub(crate) const PKIX_EE: u8 = 1;
/// Usage of a record that speaks of an authority.
pub(crate) const DANE_TA: u8 = 2;
/// Usage of a record that speaks of the certificate itself.
pub(crate) const DANE_EE: u8 = 3;

impl TlsaRecord {
    /// Whether it can be compared with anything here; what cannot counts as if it were not there (RFC 7671 §4.1).
    pub fn is_usable(&self) -> bool {
        let is_whole = match self.matching {
            0 => !self.data.is_empty(),
            1 => self.data.len() == 32,
            2 => self.data.len() == 64,
            _ => false,
        };
        self.usage <= DANE_EE && self.selector <= 1 && is_whole
    }

    /// Whether the record speaks of this certificate. What is registered since, nothing matches.
    pub fn matches(&self, certificate: &X509Ref) -> bool {
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
