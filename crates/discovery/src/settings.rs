//! What discovery is told, and what it tells.

use std::time::Duration;

use crate::dhcp::LinkAddress;
use crate::dhcp::exchange::Version;
use crate::dns::{ApplicationService, Query};
use crate::finding::{Agent, Family, Finding, Interface};
use crate::peer::ReferenceIdentifier;
use crate::trust::TrustedNames;
use pvd::DomainName;

/// How long DHCP may take before the DNS is asked as well. Three messages have gone by then, two over IPv4.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// What was found in the DNS is asked for again after this time at the earliest, however short its TTL is.
pub const SHORTEST_TTL: Duration = Duration::from_secs(60);
/// A name that does not exist is asked for again after this time at the earliest, and at the latest.
pub const NO_RECORDS_WAIT: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3600));
/// The wait behind the first question that nobody answered; each further one doubles it.
pub const UNAVAILABLE_WAIT: Duration = Duration::from_secs(5);
/// The longest of these waits.
pub const LONGEST_UNAVAILABLE_WAIT: Duration = Duration::from_secs(900);

/// Whom to look for, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interface.
    pub interface: Interface,
    /// Its link-layer address.
    pub link: LinkAddress,
    /// The protocol of DHCP, and with it the address family.
    pub version: Version,
    /// A DOTS server, or a Call Home DOTS client: the procedure is the same (RFC 8973 §4).
    pub service: ApplicationService,
    /// Agents that the administrator wrote down. They come before everything that a network says.
    pub configured: Vec<Agent>,
    /// Whose names are believed.
    pub trusted: TrustedNames,
    /// The domain to look in when DHCP names none.
    pub domain: Option<DomainName>,
    /// What is in use already, as an earlier procedure on the same network found it. It serves until somebody says otherwise.
    pub in_use: Option<Finding>,
}

impl Settings {
    pub(crate) fn family(&self) -> Family {
        match self.version {
            Version::V6 => Family::V6,
            Version::V4(_) => Family::V4,
        }
    }
}

/// Why it is all done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An agent in use is of no use any more: its certificate has expired, or it does not answer. Another one may be offered
    /// by now.
    AgentUnusable,
    /// The interface is attached to another network, where nothing of the old one counts.
    Attached,
}

/// What the caller does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to the DHCP servers of the link.
    Transmit(Vec<u8>),
    /// Ask the resolvers of the network, and give the answer to [`Procedure::handle_answer`](crate::Procedure::handle_answer).
    Ask(Query),
    /// Use these agents, and none that were found before.
    Found(Finding),
    /// There are none.
    Nothing,
    /// The network named an agent that is not on the list of trusted names, or not by name.
    Refused(ReferenceIdentifier),
}
