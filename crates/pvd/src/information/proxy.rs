//! Proxies, and which destinations are reached through which (draft-ietf-intarea-proxy-config).
//!
//! Whatever narrows the use of a proxy narrows it or takes it away: a dictionary with something wrong in it counts for nothing as a
//! whole, because without that part it would say more than was meant.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

use crate::name::{DomainName, HostName};

use super::fields::{Fields, Ignored, Unreadable, list, shown, text, written};
use super::json::Json;
use super::registry::Dictionary;

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// What is spoken with it.
    pub protocol: ProxyProtocol,
    /// Where it is: host and port, or a URI template, as the protocol has it.
    pub location: String,
    /// The keys that one must understand to use it. Those read are understood.
    pub mandatory: Vec<String>,
    /// What it is likely to speak (RFC 7301).
    pub alpn: Vec<String>,
    /// What [`ProxyMatch`] calls it. With a name it serves what the rules say and nothing else, without one everything.
    pub identifier: Option<String>,
}

/// What is spoken with a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// RFC 1928
    Socks5,
    /// CONNECT over HTTP in the clear (RFC 9110 §9.3.6).
    HttpConnect,
    /// CONNECT over HTTPS (RFC 9110 §9.3.6).
    HttpsConnect,
    /// RFC 9298
    ConnectUdp,
    /// RFC 9484
    ConnectIp,
    /// Templated CONNECT for TCP.
    ConnectTcp,
    /// Another one.
    Other(String),
}

/// A rule: what goes to any of these destinations goes through these proxies. The first rule that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyMatch {
    /// Identifiers of [`Proxy`], the preferred one first. Empty: through none of them.
    pub proxies: Vec<String>,
    /// Empty: whatever the name.
    pub domains: Vec<DomainPattern>,
    /// Empty: whatever the address.
    pub subnets: Vec<IpNet>,
    /// Empty: whatever the port.
    pub ports: Vec<Ports>,
}

/// Names of destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPattern {
    /// This name.
    Exactly(DomainName),
    /// This name and all below it: `*.` before it.
    Within(DomainName),
}

/// Ports of UDP and TCP, from the lower to the higher one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(RangeInclusive<u16>);

/// A text that stands for none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not well formed")]
pub struct Malformed;

impl ProxyProtocol {
    /// The name in the registry.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Socks5 => "socks5",
            Self::HttpConnect => "http-connect",
            Self::HttpsConnect => "https-connect",
            Self::ConnectUdp => "connect-udp",
            Self::ConnectIp => "connect-ip",
            Self::ConnectTcp => "connect-tcp",
            Self::Other(name) => name,
        }
    }

    /// Whether a proxy of this protocol can be there.
    fn takes(&self, location: &str) -> bool {
        match self {
            Self::Socks5 | Self::HttpConnect | Self::HttpsConnect => is_host_and_port(location),
            Self::ConnectUdp | Self::ConnectIp | Self::ConnectTcp => {
                let behind = location.strip_prefix("https://").unwrap_or_default();
                !behind.is_empty() && behind.chars().all(|character| character.is_ascii_graphic())
            }
            Self::Other(_) => true,
        }
    }
}

fn is_host_and_port(location: &str) -> bool {
    let Some((host, port)) = location.rsplit_once(':') else {
        return false;
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<HostName>().is_ok(),
    };
    is_host && port_number(port).is_some_and(|port| port > 0)
}

/// Digits and nothing else, which `parse` alone would not insist on.
fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl From<String> for ProxyProtocol {
    fn from(name: String) -> Self {
        match name.as_str() {
            "socks5" => Self::Socks5,
            "http-connect" => Self::HttpConnect,
            "https-connect" => Self::HttpsConnect,
            "connect-udp" => Self::ConnectUdp,
            "connect-ip" => Self::ConnectIp,
            "connect-tcp" => Self::ConnectTcp,
            _ => Self::Other(name),
        }
    }
}

impl Ports {
    /// These and all between, if the first is not above the last.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self(first..=last))
    }

    /// The ports.
    pub fn range(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }
}

impl FromStr for Ports {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let [first, last] = [first, last].map(port_number);
        first
            .zip(last)
            .and_then(|(first, last)| Self::new(first, last))
            .ok_or(Malformed)
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.start(), self.0.end()) {
            (first, last) if first == last => write!(formatter, "{first}"),
            (first, last) => write!(formatter, "{first}-{last}"),
        }
    }
}

impl FromStr for DomainPattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let read = match text.strip_prefix("*.") {
            Some(name) => name.parse().map(Self::Within),
            None => text.parse().map(Self::Exactly),
        };
        read.map_err(|_| Malformed)
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => name.fmt(formatter),
            Self::Within(name) => write!(formatter, "*.{name}"),
        }
    }
}

pub(super) fn proxy(value: Json, place: &str, ignored: &mut Ignored) -> Result<Proxy, Unreadable> {
    let mut fields = Fields::open(Dictionary::Proxy, place, value, ignored)?;
    let mandatory = |value: Json, place: &str| list(shown)(value, place);
    let mandatory = fields.optional("mandatory", mandatory)?.unwrap_or_default();
    // Of an unknown key nothing is left by now; one that is not even there is against the rules.
    let is_understood = |key: &String| key == "mandatory" || fields.has(key);
    if !mandatory.iter().all(is_understood) {
        let fault = "cannot be used without a key that is not known or not there";
        return Err(Unreadable::new(place, fault));
    }
    let protocol: ProxyProtocol = fields.mandatory("protocol", shown)?.into();
    let location = fields.mandatory("proxy", |value, place| match shown(value, place)? {
        location if protocol.takes(&location) => Ok(location),
        _ => Err(Unreadable::new(place, "is no place for its protocol")),
    })?;
    Ok(Proxy {
        location,
        mandatory,
        alpn: fields.optional("alpn", list(shown))?.unwrap_or_default(),
        identifier: fields.optional("identifier", shown)?,
        protocol,
    })
}

pub(super) fn rule(value: Json, place: &str) -> Result<ProxyMatch, Unreadable> {
    let mut fields = Fields::open_known(Dictionary::ProxyMatch, place, value)?;
    let domains = some(written("is no domain name, with or without \"*.\""));
    let ports = some(written("is neither a port nor a range of ports"));
    Ok(ProxyMatch {
        proxies: fields.mandatory("proxies", list(shown))?,
        domains: fields.optional("domains", domains)?.unwrap_or_default(),
        subnets: fields
            .optional("subnets", some(subnet))?
            .unwrap_or_default(),
        ports: fields.optional("ports", ports)?.unwrap_or_default(),
    })
}

/// An address or a prefix.
fn subnet(value: Json, place: &str) -> Result<IpNet, Unreadable> {
    let text = text(value, place)?;
    let address = text.parse::<IpAddr>().ok().map(IpNet::from);
    let subnet = address.or_else(|| text.parse().ok());
    subnet
        .filter(|subnet: &IpNet| subnet.addr() == subnet.network())
        .ok_or_else(|| Unreadable::new(place, "is neither an address nor a prefix"))
}

/// A list with something in it.
fn some<T>(
    read: impl Fn(Json, &str) -> Result<T, Unreadable>,
) -> impl Fn(Json, &str) -> Result<Vec<T>, Unreadable> {
    let list = list(read);
    move |value, place| match list(value, place)? {
        values if values.is_empty() => Err(Unreadable::new(place, "is empty")),
        values => Ok(values),
    }
}
