//! What the kernel knows of an interface.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use discovery::Interface;
use discovery::dhcp::LinkAddress;
use ipnet::{IpNet, Ipv4Net};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::if_nametoindex;
use pvd::{InterfaceName, OwnAddress};

use super::inet6::{self, Entry};
use super::router;

/// Ethernet, as RFC 826 and the kernel number it.
pub(super) const ETHERNET: u8 = 1;

/// An interface and its addresses at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) interface: Interface,
    pub(crate) link: LinkAddress,
    /// Own addresses that others can send to, and that can be sent from.
    pub(crate) addresses: Vec<OwnAddress>,
    /// Where DHCPv6 is spoken from.
    pub(crate) link_local: Option<Ipv6Addr>,
    /// How often the carrier came or went, if the link has one.
    carrier_changes: Option<u64>,
    /// The link-layer address of the router, as far as it is known, and looked for only where the networks are private ones.
    router: Option<String>,
}

/// Whether an interface is in the network that it was in before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Same,
    /// It has a network of the same private prefix, and the router is not known yet.
    Unclear,
    Other,
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
        // One without link-layer addresses, such as a tunnel, has no entry of its own.
        let found = entries.iter().find_map(link).or_else(|| without_link(name));
        let Some((index, link)) = found else {
            return Ok(None);
        };
        let inet6 = inet6::of(name.as_str())?;
        let inet4 = entries.iter().filter_map(own_inet4);
        let reachable = inet6.iter().copied();
        let reachable = reachable.filter(|entry| !entry.address.is_unicast_link_local());
        let mut addresses = inet6.iter().map(|entry| entry.address);
        let mut attachment = Self {
            interface: Interface {
                name: name.clone(),
                index,
            },
            link,
            link_local: addresses.find(Ipv6Addr::is_unicast_link_local),
            addresses: inet4.chain(reachable.filter_map(Entry::usable)).collect(),
            carrier_changes: fs::read_to_string(format!("/sys/class/net/{name}/carrier_changes"))
                .ok()
                .and_then(|number| number.trim().parse().ok()),
            router: None,
        };
        if !attachment.networks().any(|network| is_unique(&network)) {
            attachment.router = router::link_layer_address(name);
        }
        Ok(Some(attachment))
    }

    /// The networks that the addresses are in.
    pub(crate) fn networks(&self) -> impl Iterator<Item = IpNet> {
        let nets = self.addresses.iter();
        let nets = nets.filter_map(|own| IpNet::new(own.address, own.prefix_length).ok());
        nets.map(|net| net.trunc())
    }

    /// Whether nothing has happened to the interface.
    pub(super) fn is_unchanged(&self, later: &Self) -> bool {
        self.interface == later.interface
            && self.link == later.link
            && self.addresses == later.addresses
            && self.link_local == later.link_local
            && self.carrier_changes == later.carrier_changes
    }

    /// The router may have been found out only now.
    pub(super) fn learn_router(&mut self, later: &Self) {
        if later.router.is_some() {
            self.router.clone_from(&later.router);
        }
    }

    /// Where the interface is `later`. Half of all homes have the same private prefixes, so one of these counts only while the
    /// carrier stays, or with the same router (RFC 8973 §8: servers of another network must not be contacted).
    pub(super) fn place(&self, later: &Self) -> Place {
        let is_shared = |network: &IpNet| self.networks().any(|own| own == *network);
        let shared: Vec<_> = later.networks().filter(is_shared).collect();
        let stayed = self.interface.index == later.interface.index
            && self.carrier_changes == later.carrier_changes;
        if shared.is_empty() {
            Place::Other
        } else if stayed || shared.iter().any(is_unique) {
            Place::Same
        } else {
            match (&self.router, &later.router) {
                (Some(before), Some(now)) if before == now => Place::Same,
                (Some(_), None) => Place::Unclear,
                _ => Place::Other,
            }
        }
    }

    /// Where DHCPv4 is spoken from.
    pub(crate) fn ipv4(&self) -> Option<Ipv4Addr> {
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

fn without_link(name: &InterfaceName) -> Option<(NonZeroU32, LinkAddress)> {
    let index = NonZeroU32::new(if_nametoindex(name.as_str()).ok()?)?;
    let link = LinkAddress {
        hardware: 0,
        octets: Vec::new(),
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

/// Whether no other network has this prefix: not one for private use, for a provider's own use, or of the link alone.
fn is_unique(network: &IpNet) -> bool {
    match network.addr() {
        IpAddr::V4(address) => {
            let is_of_provider = matches!(address.octets(), [100, 64..128, ..]);
            !address.is_private() && !address.is_link_local() && !is_of_provider
        }
        // Unique local ones should be by chance (RFC 4193 §3.2); common home routers all take fd00::/64.
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(network: &str) -> OwnAddress {
        let network: IpNet = network.parse().unwrap();
        OwnAddress {
            prefix_length: network.prefix_len(),
            ..network.addr().into()
        }
    }

    fn attachment(networks: &[&str], carrier_changes: u64, router: Option<&str>) -> Attachment {
        Attachment {
            interface: Interface {
                name: "fixed0".parse().unwrap(),
                index: NonZeroU32::new(7).unwrap(),
            },
            link: LinkAddress {
                hardware: ETHERNET,
                octets: vec![2, 0, 0, 0, 0, 1],
            },
            addresses: networks.iter().map(|text| own(text)).collect(),
            link_local: None,
            carrier_changes: Some(carrier_changes),
            router: router.map(str::to_owned),
        }
    }

    /// Covers: Y-017
    #[test]
    fn a_private_prefix_alone_does_not_make_a_network_the_same() {
        let before = attachment(&["192.168.1.7/24", "fd00::7/64"], 1, Some("a"));
        let place = |networks: &[&str], carrier_changes, router| {
            before.place(&attachment(networks, carrier_changes, router))
        };
        let private = ["192.168.1.9/24", "fd00::9/64"];
        assert_eq!(place(&private, 1, None), Place::Same);
        assert_eq!(place(&private, 3, Some("a")), Place::Same);
        assert_eq!(place(&private, 3, Some("b")), Place::Other);
        assert_eq!(place(&private, 3, None), Place::Unclear);
        assert_eq!(place(&["192.168.2.9/24"], 1, Some("a")), Place::Other);

        for unique in ["203.0.113.7/24", "2001:db8:f::7/64"] {
            let before = attachment(&[unique, "192.168.1.7/24"], 1, None);
            let later = attachment(&[unique], 3, None);
            assert_eq!(before.place(&later), Place::Same);
            let later = attachment(&["192.168.1.7/24"], 3, None);
            assert_eq!(before.place(&later), Place::Other);
        }
    }
}
