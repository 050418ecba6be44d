//! What is under attack (RFC 9132 §4.4.1.1).

mod domain_name;
mod port_range;
mod prefix;
mod uri;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use domain_name::DomainName;
pub use port_range::PortRange;
pub use prefix::TargetPrefix;
pub use uri::{TargetUri, UriHost};

use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::{DecodeError, InvalidValue};
use crate::identifiers::text_identifier;
use crate::key::Key;
use crate::limits;

/// Why a value is not a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither an IPv4 nor an IPv6 prefix.
    #[error("not an IP prefix")]
    NotAPrefix,
    /// More bits than the address has.
    #[error("prefix length is not a number from 0 to {limit}")]
    PrefixLength {
        /// 32 or 128.
        limit: u8,
    },
    /// Contains loopback addresses (RFC 9132 §4.4.1.1).
    #[error("contains loopback addresses")]
    Loopback,
    /// Contains multicast addresses (RFC 9132 §4.4.1.1).
    #[error("contains multicast addresses")]
    Multicast,
    /// Contains the broadcast address (RFC 9132 §4.4.1.1).
    #[error("contains the broadcast address")]
    Broadcast,
    /// IPv4 in disguise, which would pass by the checks made on IPv4.
    #[error("contains IPv4-mapped addresses: write them as IPv4")]
    Ipv4Mapped,
    /// A range that ends before it begins.
    #[error("upper port {upper} is below lower port {lower}")]
    PortRangeReversed {
        /// First port.
        lower: u16,
        /// Last port.
        upper: u16,
    },
    /// Not a fully qualified domain name.
    #[error("not a domain name")]
    NotADomainName,
    /// Looks like a name, but is read as an address by resolvers.
    #[error("an IP address, not a domain name")]
    AddressAsDomainName,
    /// Not `scheme://host[:port]` with an optional path.
    #[error("not a URI with scheme and host")]
    NotAUri,
    /// User name or password in a URI.
    #[error("URI with user information")]
    UriUserInformation,
    /// The port of a URI is not one.
    #[error("URI port is not a number from 0 to 65535")]
    UriPort,
}

/// An IP protocol number (IANA protocol numbers), such as 6 for TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP
    pub const ICMP: Self = Self(1);
    /// TCP
    pub const TCP: Self = Self(6);
    /// UDP
    pub const UDP: Self = Self(17);
    /// DCCP
    pub const DCCP: Self = Self(33);
    /// ICMP for IPv6
    pub const ICMPV6: Self = Self(58);
    /// SCTP
    pub const SCTP: Self = Self(132);
}

impl From<Protocol> for u64 {
    fn from(protocol: Protocol) -> Self {
        Self::from(protocol.0)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_identifier! {
    /// Name of an alias that the client made on the data channel (RFC 8783 §6.1); at most 255 bytes.
    AliasName, 255
}

/// What is under attack: the union of everything named, on these ports and protocols.
///
/// No port range means every port, no protocol every protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// `target-prefix`
    #[serde(rename = "target-prefix", skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<TargetPrefix>,
    /// `target-port-range`
    #[serde(rename = "target-port-range", skip_serializing_if = "Vec::is_empty")]
    pub port_ranges: Vec<PortRange>,
    /// `target-protocol`
    #[serde(rename = "target-protocol", skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<Protocol>,
    /// `target-fqdn`
    #[serde(rename = "target-fqdn", skip_serializing_if = "Vec::is_empty")]
    pub fqdns: Vec<DomainName>,
    /// `target-uri`
    #[serde(rename = "target-uri", skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<TargetUri>,
    /// `alias-name`
    #[serde(rename = "alias-name", skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AliasName>,
}

impl Target {
    /// Whether a prefix, FQDN, URI or alias is named; ports and protocols alone name nothing
    /// (RFC 9132 §4.4.1.1).
    pub fn is_resource_named(&self) -> bool {
        !(self.prefixes.is_empty()
            && self.fqdns.is_empty()
            && self.uris.is_empty()
            && self.aliases.is_empty())
    }

    /// Whether both name a common address, prefix, FQDN, URI or alias (RFC 9132 §4.4.1.3).
    ///
    /// Ports and protocols do not matter. A URI counts as its host, because that is what it stands for
    /// (RFC 9132 §4.4.1.1). Names are compared as names: what they resolve to is not known here.
    pub fn overlaps(&self, other: &Self) -> bool {
        let theirs: Vec<_> = other.addressed().collect();
        self.addressed()
            .any(|ours| theirs.iter().any(|prefix| ours.overlaps(prefix)))
            || !self.names().is_disjoint(&other.names())
            || self
                .aliases
                .iter()
                .any(|alias| other.aliases.contains(alias))
    }

    /// How many entries the longest of the lists has.
    pub fn longest_list(&self) -> usize {
        let lengths = [
            self.prefixes.len(),
            self.port_ranges.len(),
            self.protocols.len(),
            self.fqdns.len(),
            self.uris.len(),
            self.aliases.len(),
        ];
        lengths.into_iter().max().unwrap_or(0)
    }

    fn addressed(&self) -> impl Iterator<Item = TargetPrefix> {
        let hosts = self.uris.iter().filter_map(|uri| match uri.host() {
            UriHost::Address(address) => Some(*address),
            UriHost::Name(_) => None,
        });
        self.prefixes.iter().copied().chain(hosts)
    }

    fn names(&self) -> BTreeSet<&DomainName> {
        let hosts = self.uris.iter().filter_map(|uri| match uri.host() {
            UriHost::Address(_) => None,
            UriHost::Name(name) => Some(name),
        });
        self.fqdns.iter().chain(hosts).collect()
    }

    pub(crate) fn write(&self, map: &mut MapWriter) {
        map.texts(Key::TARGET_PREFIX, &self.prefixes);
        map.maps(Key::TARGET_PORT_RANGE, &self.port_ranges, PortRange::write);
        map.numbers(Key::TARGET_PROTOCOL, &self.protocols);
        map.texts(Key::TARGET_FQDN, &self.fqdns);
        map.texts(Key::TARGET_URI, &self.uris);
        map.texts(Key::ALIAS_NAME, &self.aliases);
    }

    /// Reads the value of `key` if it is one of a target's.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, key: Key) -> Result<Entry, DecodeError> {
        match key {
            Key::TARGET_PREFIX => self.prefixes = texts(reader)?,
            Key::TARGET_PORT_RANGE => self.port_ranges = list(reader, PortRange::read)?,
            Key::TARGET_PROTOCOL => self.protocols = list(reader, |r| r.unsigned8().map(Protocol))?,
            Key::TARGET_FQDN => self.fqdns = texts(reader)?,
            Key::TARGET_URI => self.uris = texts(reader)?,
            Key::ALIAS_NAME => self.aliases = texts(reader)?,
            _ => return Ok(Entry::Unknown),
        }
        Ok(Entry::Taken)
    }
}

fn list<T>(
    reader: &mut Reader<'_>,
    entry: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    reader.list(limits::LIST_ENTRIES, entry)
}

fn texts<T: FromStr<Err: Into<InvalidValue>>>(
    reader: &mut Reader<'_>,
) -> Result<Vec<T>, DecodeError> {
    list(reader, |reader| reader.text())
}
