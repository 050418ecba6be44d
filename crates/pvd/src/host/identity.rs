//! By what a host tells PvDs apart.

use std::fmt;
use std::net::Ipv6Addr;

use crate::identifier::PvdId;

/// What a PvD is on one interface.
///
/// The interface belongs to it: the same name on two of them is two PvDs, since anybody can advertise any name (RFC 7556 §7.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// It has a name.
    Explicit(PvdId),
    /// It is what this router advertises without one, told by its link-local address (RFC 8801 §3.4).
    Implicit(Ipv6Addr),
    /// It is the interface's IPv4, which no router's PvD has: nobody advertises there, or nobody claims what DHCPv4 brings. RFC 8801
    /// has no name for it; RFC 7556 §2.2 has an interface without explicit PvDs make an implicit one.
    Legacy,
}

impl Identity {
    /// The name of an explicit PvD.
    pub fn id(&self) -> Option<&PvdId> {
        match self {
            Self::Explicit(id) => Some(id),
            Self::Implicit(_) | Self::Legacy => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explicit(id) => id.fmt(formatter),
            Self::Implicit(router) => write!(formatter, "implicit, of {router}"),
            Self::Legacy => formatter.write_str("implicit, of IPv4"),
        }
    }
}
