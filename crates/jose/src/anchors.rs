//! What binds a key to the name of a PvD, as the administrator and DNSSEC say.

use std::collections::BTreeMap;

use openssl::x509::X509;
use pvd::PvdId;

use crate::key::VerifyingKey;
use crate::tlsa::TlsaRecord;

/// Whom a host believes. Empty: nobody.
#[derive(Clone, Default)]
pub struct Anchors {
    /// Authorities whose certificates for a name are believed, whatever the name.
    pub authorities: Vec<X509>,
    /// Keys that the administrator wrote down for a PvD: then no others count for it.
    pub pinned: BTreeMap<PvdId, Vec<VerifyingKey>>,
    /// The TLSA records at a PvD's name: where one of them can be used, nothing else binds. DNSSEC must have validated them already:
    /// nothing here can tell.
    pub dane: BTreeMap<PvdId, Vec<TlsaRecord>>,
}
