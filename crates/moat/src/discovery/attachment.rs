//! What the kernel knows of an interface.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use discovery::Interface;
use discovery::dhcp::LinkAddress;
use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::SockaddrStorage;
use pvd::InterfaceName;

/// Ethernet, as RFC 826 and the kernel number it.
pub(super) const ETHERNET: u8 = 1;

/// An interface and its addresses at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) interface: Interface,
    pub(crate) link: LinkAddress,
    /// Own addresses that others can send to, with the networks that they are in.
    pub(crate) networks: Vec<IpNet>,
    /// Where DHCPv6 is spoken from.
    pub(super) link_local: Option<Ipv6Addr>,
}

impl Attachment {
    /// Looks at the interface; `None` if there is no such interface.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn of(name: &InterfaceName) -> io::Result<Option<Self>> {
        let entries: Vec<_> = getifaddrs()?
            .filter(|entry| entry.interface_name == name.as_str())
            .collect();
        let Some((index, link)) = entries.iter().find_map(link) else {
            return Ok(None);
        };
        let networks: Vec<_> = entries.iter().filter_map(network).collect();
        let link_local = |network: &IpNet| match network.addr() {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            _ => None,
        };
        Ok(Some(Self {
            interface: Interface {
                name: name.clone(),
                index,
            },
            link,
            link_local: networks.iter().find_map(link_local),
            networks: networks
                .into_iter()
                .filter(|network| link_local(network).is_none())
                .collect(),
        }))
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.networks.iter().map(IpNet::addr).collect()
    }

    /// Whether some network is the same as before.
    pub(crate) fn is_same_network(&self, other: &Self) -> bool {
        let networks = other.networks.iter().map(IpNet::trunc);
        let mut shared =
            networks.filter(|network| self.networks.iter().any(|own| own.trunc() == *network));
        shared.next().is_some()
    }

    /// Where DHCPv4 is spoken from.
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.networks.iter().find_map(|network| match network {
            IpNet::V4(network) => Some(network.addr()),
            IpNet::V6(_) => None,
        })
    }
}

fn link(entry: &InterfaceAddress) -> Option<(NonZeroU32, LinkAddress)> {
    let link = entry.address.as_ref()?.as_link_addr()?;
    let index = NonZeroU32::new(u32::try_from(link.ifindex()).ok()?)?;
    // Only an Ethernet address has a place in a DUID and in a DHCPv4 message here; all other links go without.
    let is_ethernet = link.hatype() == u16::from(ETHERNET) && link.halen() == 6;
    let octets = link.addr().filter(|_| is_ethernet);
    let link = LinkAddress {
        hardware: u8::try_from(link.hatype()).unwrap_or_default(),
        octets: octets.map(Vec::from).unwrap_or_default(),
    };
    Some((index, link))
}

fn network(entry: &InterfaceAddress) -> Option<IpNet> {
    let address = ip(entry.address.as_ref()?)?;
    let mask = ip(entry.netmask.as_ref()?)?;
    IpNet::with_netmask(address, mask).ok()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(address), _) => Some(address.ip().into()),
        (_, Some(address)) => Some(address.ip().into()),
        _ => None,
    }
}
