//! The way to a server: by the interface, resolvers and addresses of one PvD (RFC 8801 §4.1, RFC 7556 §5.2), and to no
//! address that is this node's or its neighbour's (P-048 is about being sent there by somebody else).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use pvd::host::NextHops;
use pvd::{InterfaceName, OwnAddress, PvdId, source_address};
use socket2::{Protocol, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Error;
use crate::link;
use crate::provisioning::next_hop;
use crate::resolver::{self, Assurance, Link, Resolver};

/// How long the resolvers may take.
const RESOLVING: Duration = Duration::from_secs(6);
/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;
/// The well-known prefix of translators, behind which there is an IPv4 address (RFC 6052 §2.1).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// What belongs to the PvD in which something is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The interface that all of it leaves by.
    pub(crate) interface: InterfaceName,
    /// Who is asked for names, and nobody else.
    pub(crate) resolvers: Vec<IpAddr>,
    /// Own addresses, the one to use first first.
    pub(crate) sources: Vec<IpAddr>,
    /// By whom it may leave; `None`: the kernel chooses.
    pub(crate) next_hops: Option<NextHops>,
}

impl Place {
    /// The same with those sources alone that can be had, since one may have gone, or not be usable yet; and with those resolvers
    /// alone that are asked inside the PvD.
    ///
    /// # Errors
    /// [`Error::OtherWay`], where that is none of them.
    pub(crate) async fn usable(&self) -> Result<Self, Error> {
        let can_be_had = |source: &IpAddr| {
            let kind = (Type::DGRAM, Protocol::UDP);
            let remote = SocketAddr::new(*source, 0);
            link::socket(kind, Some(&self.interface), Some(*source), remote).is_ok()
        };
        let sources = self.sources.iter().copied().filter(can_be_had);
        let sources: Vec<_> = sources.collect();
        let own: Vec<_> = sources.iter().copied().map(OwnAddress::from).collect();
        let (mut resolvers, mut refused) = (Vec::new(), None);
        for resolver in &self.resolvers {
            let checked = match source_address::select(&own, *resolver) {
                Some(source) => self.check(source, *resolver).await,
                None => Ok(()),
            };
            match checked {
                Ok(()) => resolvers.push(*resolver),
                Err(error) => refused = Some(error),
            }
        }
        match refused.filter(|_| resolvers.is_empty()) {
            Some(refused) => Err(refused),
            None => Ok(Self {
                resolvers,
                sources,
                ..self.clone()
            }),
        }
    }

    /// Whether what is sent from this address stays in the PvD.
    async fn check(&self, source: IpAddr, remote: IpAddr) -> Result<(), Error> {
        let Some(next_hops) = &self.next_hops else {
            return Ok(());
        };
        let checked = next_hop::check(next_hops, &self.interface, source, remote).await;
        checked.map_err(|why| Error::OtherWay { remote, why })
    }

    /// Asks the PvD's resolvers, and nobody else.
    ///
    /// # Errors
    /// [`resolver::Error`]
    pub(crate) fn resolver(&self, assurance: &Assurance) -> Result<Resolver, resolver::Error> {
        let port = assurance.port();
        let servers = self.resolvers.iter();
        let servers: Vec<_> = servers.map(|ip| SocketAddr::new(*ip, port)).collect();
        let sources = self.sources.iter().copied();
        let link = Link {
            interface: Some(self.interface.clone()),
            addresses: sources.map(OwnAddress::from).collect(),
        };
        Resolver::new(&servers, assurance, link)
    }
}

/// The connection to a host: to the first of its addresses that answers, from the first of our own.
///
/// # Errors
/// [`Error`]
pub(super) async fn connect(place: &Place, host: &PvdId, port: u16) -> Result<TcpStream, Error> {
    let mut failed = Error::NoAddress(host.clone());
    for address in resolve(place, host).await? {
        match reach(place, SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Addresses of a host that may be asked.
async fn resolve(place: &Place, host: &PvdId) -> Result<Vec<IpAddr>, Error> {
    let unresolved = |why: String| Error::Unresolved {
        host: host.clone(),
        why,
    };
    let resolver = place.resolver(&Assurance::default());
    let resolver = resolver.map_err(|error| unresolved(error.to_string()))?;
    let found = match timeout(RESOLVING, resolver.resolve(host.as_str())).await {
        Ok(Ok(found)) => found,
        Ok(Err(resolver::Failure::NoAddress)) => return Err(Error::NoAddress(host.clone())),
        Ok(Err(resolver::Failure::Unavailable(why))) => return Err(unresolved(why)),
        Err(_) => return Err(unresolved("nobody answered in time".to_owned())),
    };
    let mut forbidden = None;
    let mut addresses = found.addresses;
    addresses.retain(|address| {
        let what = special(*address);
        forbidden = forbidden.or(what.map(|what| (*address, what)));
        what.is_none()
    });
    if let (true, Some((address, what))) = (addresses.is_empty(), forbidden) {
        let host = host.clone();
        return Err(Error::Forbidden {
            host,
            address,
            what,
        });
    }
    addresses.retain(|address| place.sources.iter().any(|own| is_like(*own, *address)));
    // What the sources prefer is tried first: IPv6 unless the PvD has IPv4 alone.
    addresses.sort_by_key(|address| address.is_ipv4());
    addresses.truncate(MAX_ADDRESSES);
    Ok(addresses)
}

fn is_like(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

async fn reach(place: &Place, remote: SocketAddr) -> Result<TcpStream, Error> {
    let unreachable = |error: io::Error| Error::Unreachable { remote, error };
    let mut sources = place.sources.iter().copied();
    let source = sources.find(|source| is_like(*source, remote.ip()));
    let source = source.ok_or_else(|| unreachable(io::ErrorKind::AddrNotAvailable.into()))?;
    place.check(source, remote.ip()).await?;
    let kind = (Type::STREAM, Protocol::TCP);
    let socket = link::socket(kind, Some(&place.interface), Some(source), remote);
    let socket = TcpSocket::from_std_stream(socket.map_err(unreachable)?.into());
    let connected = timeout(CONNECTING, socket.connect(remote)).await;
    let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(unreachable)
}

/// What makes an address one that no server of another network has; `None` for all others.
fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [first, ..] = address.octets();
    match address {
        _ if address.is_loopback() => Some("loopback"),
        _ if address.is_link_local() => Some("link-local"),
        _ if first == 0 => Some("unspecified"),
        _ if address.is_multicast() => Some("multicast"),
        _ if address.is_broadcast() => Some("broadcast"),
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = || {
        let [high, low] = [g, h].map(u16::to_be_bytes);
        Ipv4Addr::new(high[0], high[1], low[0], low[1])
    };
    match address {
        _ if address.is_loopback() => Some("loopback"),
        _ if address.is_unicast_link_local() => Some("link-local"),
        _ if address.is_multicast() => Some("multicast"),
        // Also what once was "IPv4-compatible" (RFC 4291 §2.5.5.1), which nobody has.
        _ if [a, b, c, d, e, f] == [0; 6] => Some("unspecified"),
        _ if [a, b, c, d, e, f] == TRANSLATED => special_v4(embedded()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: P-048
    #[test]
    fn nobody_is_sent_to_this_node_or_its_link() {
        for (address, what) in [
            ("127.0.0.1", Some("loopback")),
            ("127.255.0.1", Some("loopback")),
            ("::1", Some("loopback")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("64:ff9b::127.0.0.1", Some("loopback")),
            ("169.254.169.254", Some("link-local")),
            ("::ffff:169.254.169.254", Some("link-local")),
            ("fe80::1", Some("link-local")),
            ("febf::1", Some("link-local")),
            ("0.0.0.0", Some("unspecified")),
            ("0.1.2.3", Some("unspecified")),
            ("::", Some("unspecified")),
            ("::7f00:1", Some("unspecified")),
            ("224.0.0.1", Some("multicast")),
            ("ff02::1", Some("multicast")),
            ("255.255.255.255", Some("broadcast")),
            ("192.0.2.1", None),
            ("10.0.0.1", None),
            ("64:ff9b::192.0.2.1", None),
            ("2001:db8::1", None),
            ("fd00::1", None),
        ] {
            assert_eq!(special(address.parse().unwrap()), what, "{address}");
        }
    }
}
