//! What the kernel knows of an interface.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use discovery::Interface;
use discovery::dhcp::LinkAddress;
use ipnet::{IpNet, Ipv4Net};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use pvd::{InterfaceName, OwnAddress};

use super::inet6::{self, Entry};

/// Ethernet, as RFC 826 and the kernel number it.
pub(super) const ETHERNET: u8 = 1;

/// An interface and its addresses at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) interface: Interface,
    pub(crate) link: LinkAddress,
    /// Own addresses that others can send to, and that can be sent from.
    pub(crate) addresses: Vec<OwnAddress>,
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
        let inet6 = inet6::of(name.as_str())?;
        let inet4 = entries.iter().filter_map(own_inet4);
        let reachable = inet6.iter().copied();
        let reachable = reachable.filter(|entry| !entry.address.is_unicast_link_local());
        let mut addresses = inet6.iter().map(|entry| entry.address);
        Ok(Some(Self {
            interface: Interface {
                name: name.clone(),
                index,
            },
            link,
            link_local: addresses.find(Ipv6Addr::is_unicast_link_local),
            addresses: inet4.chain(reachable.filter_map(Entry::usable)).collect(),
        }))
    }

    /// The networks that the addresses are in.
    pub(crate) fn networks(&self) -> impl Iterator<Item = IpNet> {
        let nets = self.addresses.iter();
        let nets = nets.filter_map(|own| IpNet::new(own.address, own.prefix_length).ok());
        nets.map(|net| net.trunc())
    }

    /// Whether some network is the same as before.
    pub(crate) fn is_same_network(&self, other: &Self) -> bool {
        let mut networks = other.networks();
        networks.any(|network| self.networks().any(|own| own == network))
    }

    /// Where DHCPv4 is spoken from.
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|own| match own.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
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

fn own_inet4(entry: &InterfaceAddress) -> Option<OwnAddress> {
    let address = entry.address.as_ref()?.as_sockaddr_in()?.ip();
    let mask = entry.netmask.as_ref()?.as_sockaddr_in()?.ip();
    let network = Ipv4Net::with_netmask(address, mask).ok()?;
    Some(OwnAddress {
        prefix_length: network.prefix_len(),
        ..IpAddr::V4(address).into()
    })
}
