//! Our own keys, in `vendor-moat` (RFC 8801 §4.3).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use crate::domain::{DotsAgent, Transport};
use crate::name::HostName;

use super::fields::{Fields, Ignored, Unreadable, list, text, written};
use super::json::Json;
use super::registry::Dictionary;

/// The port of the signal channel (RFC 9132 §3).
pub const DOTS_PORT: u16 = 4646;

/// What RFC 8801 has no keys for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// What `prefixes` is to IPv6, for the addresses that a PvD shares with IPv4 (the L flag, RFC 8801 §3.1).
    pub ipv4_prefixes: Vec<Ipv4Net>,
    /// Who protects the prefixes, in order of preference.
    pub dots_servers: Vec<DotsServerEntry>,
    /// Who answers there. `None`: nothing is said, which means the network's own server.
    pub dots_agent: Option<DotsAgent>,
    /// The tunnel that leads into this PvD.
    pub vpn: Option<VpnConnection>,
    /// With what a device gets into networks, encrypted for it.
    pub networks: Option<Sealed>,
}

/// A DOTS server of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DotsServerEntry {
    /// The name that its certificate carries.
    pub name: HostName,
    /// Where it listens. Empty: the DNS of this PvD knows.
    pub addresses: Vec<SocketAddr>,
    /// Over what. Empty: over UDP and TCP.
    pub transports: Vec<Transport>,
}

/// An IKEv2 connection, described so that both ends of it can be checked against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpnConnection {
    /// Where the responder is.
    pub gateway: Gateway,
    /// Who it must prove to be (IDr, RFC 7296 §3.5).
    pub identity: HostName,
    /// What is reached through it. Empty: everything.
    pub prefixes: Vec<IpNet>,
}

/// Where a tunnel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// To an address.
    Address(IpAddr),
    /// To what a name stands for.
    Name(HostName),
}

/// A compact JWE (RFC 7516 §7.1), which nobody has opened yet.
///
/// There is no way to have credentials in the clear in an object: whoever fetches it could read them.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// The five parts with their dots.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no compact JWE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a compact JWE has five parts of base64url with dots between them")]
pub struct NotSealed;

impl FromStr for Sealed {
    type Err = NotSealed;

    fn from_str(text: &str) -> Result<Self, NotSealed> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let parts = text.split('.').count();
        // With a key that was agreed directly the second part is empty.
        let is_whole = text
            .split('.')
            .enumerate()
            .all(|(index, part)| index == 1 || !part.is_empty());
        match parts == 5 && is_whole && text.bytes().all(plain) {
            true => Ok(Self(text.to_owned())),
            false => Err(NotSealed),
        }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a JWE of {} octets", self.0.len())
    }
}

impl FromStr for Gateway {
    type Err = crate::name::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

pub(super) fn extension(
    value: Json,
    place: &str,
    ignored: &mut Ignored,
) -> Result<Extension, Unreadable> {
    let mut fields = Fields::open(Dictionary::Moat, place, value, ignored)?;
    let prefix = |value, place: &str, _: &mut Ignored| ipv4_prefix(value, place);
    let ipv4_prefixes = fields.each("ipv4Prefixes", ignored, prefix);
    let dots_servers = fields.each("dotsServers", ignored, dots_server);
    let dots_agent = ignored.unless(fields.optional("dotsAgent", dots_agent));
    let connection = fields.optional("vpn", |value, place| vpn(value, place, ignored));
    let vpn = ignored.unless(connection);
    let networks = ignored.unless(fields.optional("networks", written("is no compact JWE")));
    Ok(Extension {
        ipv4_prefixes,
        dots_servers,
        dots_agent: dots_agent.flatten(),
        vpn: vpn.flatten(),
        networks: networks.flatten(),
    })
}

fn ipv4_prefix(value: Json, place: &str) -> Result<Ipv4Net, Unreadable> {
    let fault = "is no IPv4 prefix, or has bits behind its length";
    let prefix: Ipv4Net = written(fault)(value, place)?;
    match prefix.addr() == prefix.network() {
        true => Ok(prefix),
        false => Err(Unreadable::new(place, fault)),
    }
}

fn dots_server(
    value: Json,
    place: &str,
    ignored: &mut Ignored,
) -> Result<DotsServerEntry, Unreadable> {
    let mut fields = Fields::open(Dictionary::DotsServer, place, value, ignored)?;
    let addresses = fields.optional("addresses", list(server_address))?;
    let transports = fields.optional("transports", list(transport))?;
    Ok(DotsServerEntry {
        name: fields.mandatory("name", written("is no host name"))?,
        addresses: addresses.unwrap_or_default(),
        transports: transports.unwrap_or_default(),
    })
}

/// An address that is the same server from wherever it is asked, with a port or without.
fn server_address(value: Json, place: &str) -> Result<SocketAddr, Unreadable> {
    let text = text(value, place)?;
    let plain = text.parse::<IpAddr>().ok();
    let address = plain
        .map(|address| SocketAddr::new(address, DOTS_PORT))
        .or_else(|| text.parse().ok())
        .ok_or_else(|| Unreadable::new(place, "is no address"))?;
    let is_local = match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let ip = address.ip().to_canonical();
    if is_local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
        return Err(Unreadable::new(place, "is no address of one server"));
    }
    match address.port() {
        0 => Err(Unreadable::new(place, "has no port")),
        // Without the zone that an IPv6 address may carry, which means something to one host alone.
        port => Ok(SocketAddr::new(address.ip(), port)),
    }
}

fn transport(value: Json, place: &str) -> Result<Transport, Unreadable> {
    match text(value, place)?.as_str() {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        _ => Err(Unreadable::new(place, "is neither \"udp\" nor \"tcp\"")),
    }
}

fn dots_agent(value: Json, place: &str) -> Result<DotsAgent, Unreadable> {
    match text(value, place)?.as_str() {
        "server" => Ok(DotsAgent::Server),
        "client-domain-gateway" => Ok(DotsAgent::ClientDomainGateway),
        _ => Err(Unreadable::new(place, "is no DOTS agent that is known")),
    }
}

fn vpn(value: Json, place: &str, ignored: &mut Ignored) -> Result<VpnConnection, Unreadable> {
    let mut fields = Fields::open(Dictionary::Vpn, place, value, ignored)?;
    let prefixes = fields.optional("prefixes", list(prefix))?;
    Ok(VpnConnection {
        gateway: fields.mandatory("gateway", written("is neither host name nor address"))?,
        identity: fields.mandatory("identity", written("is no host name"))?,
        prefixes: prefixes.unwrap_or_default(),
    })
}

fn prefix(value: Json, place: &str) -> Result<IpNet, Unreadable> {
    let fault = "is no prefix, or has bits behind its length";
    let prefix: IpNet = written(fault)(value, place)?;
    match prefix.addr() == prefix.network() {
        true => Ok(prefix),
        false => Err(Unreadable::new(place, fault)),
    }
}
