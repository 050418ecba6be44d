//! DOTS agents in the DNS: questions and answers as values, whoever carries them (RFC 8973 §6, §7).
//!
//! * [`naptr`]: S-NAPTR records and the tags of DOTS (RFC 3958).
//! * [`srv`]: which of several hosts comes first (RFC 2782).
//! * [`dns_sd`]: names of DNS-based service discovery (RFC 6763).
//! * [`resolution`]: the walk from a domain to addresses and ports.

pub mod dns_sd;
pub mod naptr;
pub mod resolution;
pub mod srv;

use std::net::IpAddr;
use std::time::Duration;

pub use self::naptr::{ApplicationProtocol, ApplicationService, Naptr};
pub use self::resolution::{Candidate, Outcome, Resolution};
pub use self::srv::Srv;
use pvd::DomainName;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// About this name, which is complete: no search list applies.
    pub name: DomainName,
    /// Which records.
    pub kind: RecordKind,
}

/// The records that discovery asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// Where a service of a domain is found (RFC 3403).
    Naptr,
    /// Hosts and ports of a service (RFC 2782).
    Srv,
    /// Instances of a service (RFC 6763 §4.1).
    Ptr,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Where a service of a domain is found.
    Naptr(Naptr),
    /// A host of a service.
    Srv(Srv),
    /// An instance of a service.
    Ptr(DomainName),
    /// An address.
    Address(IpAddr),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The records of the kind that was asked for, aliases followed.
    pub records: Vec<Record>,
    /// For how long they hold.
    pub ttl: Duration,
}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such name, or it has no such records, for as long as the zone says, if it says so (RFC 2308 §5).
    NoRecords(Option<Duration>),
    /// Nobody answered, or not so that it can be believed.
    Unavailable,
}

impl Failure {
    /// Of two, the one that says less. Of two clear answers the one that is sooner over counts.
    pub(crate) fn worse(known: Option<Self>, other: Self) -> Self {
        match (known, other) {
            (None, other) => other,
            (Some(Self::Unavailable), _) | (_, Self::Unavailable) => Self::Unavailable,
            (Some(Self::NoRecords(one)), Self::NoRecords(other)) => {
                Self::NoRecords(one.into_iter().chain(other).min())
            }
        }
    }
}
