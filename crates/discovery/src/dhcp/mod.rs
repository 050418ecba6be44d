//! DHCP, as far as a DOTS agent needs it: questions that take no lease, beside any DHCP client of the system
//! (RFC 8415 §6.1, RFC 2131 §3.4).
//!
//! * [`exchange`]: asks, repeats, and knows when to ask again.
//! * [`v6`]: Information-request and its Reply.
//! * [`v4`]: DHCPINFORM and its DHCPACK.
//! * [`frame`]: the IP and UDP headers around both, for a socket that sees whole packets.

pub mod exchange;
pub mod frame;
mod retransmission;
mod search_list;
pub mod v4;
pub mod v6;

use std::net::IpAddr;
use std::time::Duration;

pub use self::exchange::Exchange;
use crate::peer::PeerAgent;
use pvd::DomainName;

/// For how long an answer holds that does not say so (RFC 8415 §7.6, IRT_DEFAULT). DHCPv4 gives an answer to
/// DHCPINFORM no time at all (RFC 2131 §4.3.5), so it gets this one.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(86_400);
/// The shortest time after which a server may have itself asked again (RFC 8415 §7.6, IRT_MINIMUM).
pub const SHORTEST_REFRESH: Duration = Duration::from_secs(600);

/// How many resolvers of an answer are used.
pub const MOST_RESOLVERS: usize = 8;
/// How many domains of an answer are used.
pub const MOST_DOMAINS: usize = 4;

/// Who asks: an interface as its link layer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The hardware type, as RFC 826 numbers them; 1 is Ethernet.
    pub hardware: u8,
    /// At most 16 octets; none on a link that has no addresses, such as PPP.
    pub octets: Vec<u8>,
}

/// What a DHCP server says of its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Information {
    /// The DOTS agent, if the server names one.
    pub peer: Option<PeerAgent>,
    /// Whom names are looked up with there.
    pub resolvers: Vec<IpAddr>,
    /// The domains that this node is in.
    pub domains: Vec<DomainName>,
    /// The domains in which short names are looked up there.
    pub search: Vec<DomainName>,
    /// For how long all this holds; `None` is until the network changes.
    pub refresh: Option<Duration>,
}

/// Why a datagram is no answer to the question; it is dropped, and the next one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It ends within a header or an option.
    #[error("the message is cut short")]
    Truncated,
    /// Another kind of message.
    #[error("the message is no answer to a request for information")]
    Kind,
    /// An answer to somebody else, or to an earlier question.
    #[error("the message belongs to another transaction")]
    Transaction,
    /// It does not repeat who asked, or names another client.
    #[error("the message is for another client")]
    Client,
    /// It does not say which server it is from.
    #[error("the message does not name its server")]
    Server,
    /// Nothing is asked at present.
    #[error("nothing was asked")]
    Unasked,
}
