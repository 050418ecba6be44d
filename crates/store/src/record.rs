//! What is kept. Times are seconds of the Unix epoch, because an `Instant` does not survive a
//! restart.

use std::collections::BTreeMap;

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::{MitigationRequest, Status};

/// Names one mitigation of a server. A 'mid' is unique per client (RFC 9132 §4.4.1.1), and a 'cuid'
/// per customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MitigationKey {
    /// The customer, as the server's configuration names it.
    pub customer: String,
    /// The DOTS client of that customer.
    pub cuid: Cuid,
    /// The client's number for the mitigation.
    pub mid: Mid,
}

/// When a mitigation ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At this second of the Unix epoch.
    At(u64),
    /// Not before it is withdrawn: an indefinite lifetime.
    Never,
}

/// A mitigation that a server has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MitigationRecord {
    /// Which mitigation.
    pub key: MitigationKey,
    /// What the client asked for.
    pub request: MitigationRequest,
    /// How far it is.
    pub status: Status,
    /// When it was first accepted, in seconds of the Unix epoch.
    pub created_unix_seconds: u64,
    /// 'mitigation-start', in seconds of the Unix epoch; `None` until enforcement began.
    pub mitigation_start: Option<u64>,
    /// When it ends by itself.
    pub expires: Expiry,
}

/// A 'cuid' belongs to the credential that used it first; any other credential collides (RFC 9132
/// §4.4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CuidBinding {
    /// The customer, as the server's configuration names it.
    pub customer: String,
    /// The identifier that is bound.
    pub cuid: Cuid,
    /// SHA-256 of the SubjectPublicKeyInfo of the client's certificate, in DER.
    pub spki_sha256: [u8; 32],
}

/// Names one request of a client: a person's request has one number and one part per association.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientRequestKey {
    /// The number that people use, as in `moat withdraw 7`.
    pub id: u64,
    /// Names the mid space: PvD and server.
    pub association: String,
}

/// A mitigation request that a client follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequestRecord {
    /// Which request.
    pub key: ClientRequestKey,
    /// The 'mid' it has at that server.
    pub mid: Mid,
    /// What is asked for.
    pub request: MitigationRequest,
    /// False once it is withdrawn, while the server may still hold it.
    pub wanted: bool,
}

/// The state of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSnapshot {
    /// In the order of their keys.
    pub mitigations: Vec<MitigationRecord>,
    /// In the order of customer and 'cuid'.
    pub cuids: Vec<CuidBinding>,
}

/// The state of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSnapshot {
    /// The lowest free 'mid' of each association.
    pub next_mids: BTreeMap<String, Mid>,
    /// In the order of their keys.
    pub requests: Vec<ClientRequestRecord>,
}
