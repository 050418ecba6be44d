//! What the host asks for, and what it is told.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::next_hops::NextHops;
use super::shelf::Provenance;
use crate::domain::InterfaceName;
use crate::evidence::DataEvidence;
use crate::identifier::PvdId;

/// Characters of a reason that are kept.
const LONGEST_REASON: usize = 200;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The clock that never goes back; all lifetimes run on it.
    pub instant: Instant,
    /// The wall clock, by which additional information says when it expires. It decides nothing of security (RFC 8801 §6).
    pub system: SystemTime,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for the additional information of a PvD, and tell the host what came of it.
    Fetch(FetchOrder),
    /// What this order asked for is not needed any more; nothing is to be told.
    Abandon(OrderNumber),
    /// Ask the routers of the link to advertise at once (RFC 4861 §6.3.7).
    Solicit(InterfaceName),
    /// Keep this compact JWS of a PvD, to bring it again when the program starts anew ([`super::Host::handle_object`]).
    Keep {
        /// Whose object it is.
        pvd: PvdId,
        /// The compact JWS.
        signed: Arc<str>,
        /// Who brought it.
        provenance: Provenance,
    },
    /// What [`super::Host::domains`] says may be different.
    Changed,
    /// The same holds for longer.
    Renewed,
}

/// Tells one order from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderNumber(pub(super) u64);

/// Additional information to be fetched from `https://{pvd}/.well-known/pvd`, inside that PvD only (RFC 8801 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOrder {
    /// Of this order.
    pub number: OrderNumber,
    /// Whose information.
    pub pvd: PvdId,
    /// The interface that all of it leaves by.
    pub interface: InterfaceName,
    /// The PvD's resolvers, at least one; nobody else is asked for a name.
    pub resolvers: Vec<IpAddr>,
    /// This node's addresses in the PvD, at least one; a temporary one comes first, which says the least of the node.
    pub sources: Vec<IpAddr>,
    /// By whom it may leave.
    pub next_hops: NextHops,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// An object.
    Object {
        /// It, as JSON.
        bytes: Vec<u8>,
        /// What was proved of it.
        data: DataEvidence,
        /// The compact JWS that it came in.
        signed: Option<Arc<str>>,
    },
    /// Nothing.
    Failed(Failure),
}

/// Why there is no additional information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub kind: FailureKind,
    reason: String,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The handshake, or the certificate is not for the PvD.
    Tls,
    /// The server says that there is none, or redirects where nobody may be sent.
    Http,
    /// What it gave is not the additional information of this PvD.
    Object,
    /// The server's name was not resolved, or nobody answered there.
    Unreachable,
}

impl Failure {
    /// With a reason for people, of which the beginning is kept.
    pub fn new(kind: FailureKind, reason: &dyn fmt::Display) -> Self {
        let reason = reason.to_string().chars().take(LONGEST_REASON).collect();
        Self { kind, reason }
    }

    /// Whether the PvD is never asked again during the attachment (RFC 8801 §4.1).
    pub fn is_final(&self) -> bool {
        self.kind != FailureKind::Unreachable
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FailureKind::Tls => "TLS failed",
            FailureKind::Http => "the server gave none",
            FailureKind::Object => "what the server gave is not it",
            FailureKind::Unreachable => "the server cannot be reached",
        };
        write!(formatter, "{kind}: {}", self.reason)
    }
}
