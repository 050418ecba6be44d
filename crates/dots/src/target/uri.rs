//! `target-uri` (RFC 9132 §4.4.1.1; RFC 3986 §3).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use super::{DomainName, Protocol, TargetError, TargetPrefix};
use crate::decimal;
use crate::identifiers::serde_as_text;
use crate::limits;

/// The host of a URI, from which the target prefix follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UriHost {
    /// An address, as a prefix of full length.
    Address(TargetPrefix),
    /// A name to resolve.
    Name(DomainName),
}

impl fmt::Display for UriHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(prefix) => match prefix.net() {
                IpNet::V4(net) => net.addr().fmt(f),
                IpNet::V6(net) => write!(f, "[{}]", net.addr()),
            },
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A URI with a scheme and a host, such as `https://www.example.com/shop`.
///
/// Scheme and host are in lower case. User information is refused: it identifies no resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetUri {
    scheme: String,
    host: UriHost,
    port: Option<u16>,
    rest: String,
}

impl TargetUri {
    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host.
    pub fn host(&self) -> &UriHost {
        &self.host
    }

    /// The port of the URI, or else the default port of its scheme where that is known
    /// (RFC 9132 §4.4.1.1).
    pub fn port(&self) -> Option<u16> {
        self.port.or(match self.scheme.as_str() {
            "ftp" => Some(21),
            "ssh" | "sftp" => Some(22),
            "dns" => Some(53),
            "http" | "ws" => Some(80),
            "ldap" => Some(389),
            "https" | "wss" => Some(443),
            "rtsp" => Some(554),
            "ldaps" => Some(636),
            "sip" => Some(5060),
            "sips" => Some(5061),
            "coap" | "coap+tcp" => Some(5683),
            "coaps" | "coaps+tcp" => Some(5684),
            _ => None,
        })
    }
}

impl TargetUri {
    /// The protocols that its scheme runs over, where the scheme is known (RFC 9132 §4.4.1.1).
    pub fn protocols(&self) -> &'static [Protocol] {
        match self.scheme.as_str() {
            "ftp" | "ssh" | "sftp" | "http" | "https" | "ws" | "wss" | "ldap" | "ldaps"
            | "sips" | "coap+tcp" | "coaps+tcp" => &[Protocol::TCP],
            "coap" | "coaps" => &[Protocol::UDP],
            "dns" | "rtsp" | "sip" => &[Protocol::TCP, Protocol::UDP],
            _ => &[],
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The characters of RFC 3986 §2, and the percent sign.
fn is_uri_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

fn parse_host(text: &str) -> Result<UriHost, TargetError> {
    let address = match text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
    {
        Some(inner) => Some(IpAddr::V6(
            inner
                .parse::<Ipv6Addr>()
                .map_err(|_| TargetError::NotAUri)?,
        )),
        None => text.parse().ok().map(IpAddr::V4),
    };
    match address {
        Some(address) => TargetPrefix::try_from(address).map(UriHost::Address),
        None => text.parse().map(UriHost::Name),
    }
}

impl FromStr for TargetUri {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.len() > limits::TEXT_BYTES || !text.bytes().all(is_uri_character) {
            return Err(TargetError::NotAUri);
        }
        let (scheme, after_scheme) = text.split_once("://").ok_or(TargetError::NotAUri)?;
        if !is_scheme(scheme) {
            return Err(TargetError::NotAUri);
        }
        let end = after_scheme
            .find(['/', '?', '#'])
            .unwrap_or(after_scheme.len());
        let (authority, rest) = after_scheme.split_at(end);
        if authority.contains('@') {
            return Err(TargetError::UriUserInformation);
        }
        // A colon within brackets belongs to the address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        let port = match port {
            "" => None,
            port => Some(decimal::parse(port).ok_or(TargetError::UriPort)?),
        };
        let uri = Self {
            scheme: scheme.to_ascii_lowercase(),
            host: parse_host(host)?,
            port,
            rest: rest.to_owned(),
        };
        // An address can be written shorter than we write it, and a peer must be able to read what we write.
        if uri.to_string().len() > limits::TEXT_BYTES {
            return Err(TargetError::NotAUri);
        }
        Ok(uri)
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.rest)
    }
}

serde_as_text!(TargetUri);
