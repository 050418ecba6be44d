//! What an interface has to advertise from: addresses, its MTU, its link-layer address.
//!
//! Who has nothing to say to hosts without PvDs speaks from an address that only moat has: see `pvd::router`. It follows from
//! the interface, so hosts know the router again after a restart. The interface does not get it: any program that looks for a link-local address
//! to advertise from, as radvd does, might take the newest one. The kernel answers for it to those who ask where it is
//! (proxy Neighbor Discovery, RFC 4389 §4.1), and forwards what comes, as it does for every router's address.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv6Addr;

use nix::ifaddrs::getifaddrs;
use openssl::sha::sha256;
use pvd::InterfaceName;
use pvd::bindings::router_advertisement::NdOption;
use pvd::router::{Domain, Link, Source};
use rtnetlink::Handle;
use rtnetlink::packet_route::AddressFamily as Family;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType};

use crate::config::{AdvertisedDomain, AdvertisingInterface};
use crate::discovery::inet6;

/// The Source Link-Layer Address option (RFC 4861 §4.6.1).
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// The least that a link of IPv6 carries (RFC 8200 §5).
const LEAST_MTU: usize = 1280;

/// An interface at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    index: u32,
    mtu: usize,
    link_layer: Option<[u8; 6]>,
    /// Its own address, which other programs advertise from, too.
    own: Option<Ipv6Addr>,
    /// Those that can be sent from.
    usable: Vec<Ipv6Addr>,
    /// Those that it has, usable or not yet.
    all: Vec<Ipv6Addr>,
    exclusive: Ipv6Addr,
}

impl Ground {
    /// Looks at an interface.
    ///
    /// # Errors
    /// Those of the system, as without such an interface.
    pub(super) fn look(name: &InterfaceName, interface: &AdvertisingInterface) -> io::Result<Self> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let index = name_to_index(socket, name.as_str())?;
        let link_layer = getifaddrs()?
            .filter(|entry| entry.interface_name == name.as_str())
            .find_map(|entry| entry.address?.as_link_addr()?.addr());
        let mtu = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/mtu"));
        let mtu = mtu.ok().and_then(|text| text.trim().parse().ok());
        let exclusive = exclusive(name, link_layer);
        let entries = inet6::of(name.as_str())?;
        let entries = entries
            .iter()
            .filter(|entry| entry.address.is_unicast_link_local());
        let mut all: Vec<_> = entries.clone().map(|entry| entry.address).collect();
        let usable = entries.filter(|entry| entry.usable().is_some());
        let mut usable: Vec<_> = usable.map(|entry| entry.address).collect();
        all.sort();
        usable.sort();
        let is_written = |it: &Ipv6Addr| {
            let mut domains = interface.domains.iter();
            domains.any(|domain| domain.source == Some(*it))
        };
        let made = link_layer.map(from_link_layer);
        let own = usable.iter().copied();
        let own = own.min_by_key(|it| (Some(*it) != made, is_written(it)));
        Ok(Self {
            index,
            mtu: mtu.unwrap_or(LEAST_MTU),
            link_layer,
            own,
            usable,
            all,
            exclusive,
        })
    }

    /// One that has all that is needed, for a look at the configuration alone.
    pub(super) fn imagined() -> Self {
        Self {
            index: 0,
            mtu: 1500,
            link_layer: Some([0; 6]),
            own: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)),
            usable: Vec::new(),
            all: Vec::new(),
            exclusive: Ipv6Addr::new(0xfe80, 0, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff),
        }
    }

    /// From where a domain is advertised: what is written; or else the address of the interface, unless hosts without PvDs are told
    /// that there is no default router; `None`: it has none yet.
    fn source(&self, domain: &AdvertisedDomain) -> Option<Source> {
        let address = match (domain.source, domain.is_silent()) {
            (Some(written), _) => written,
            (None, true) => self.exclusive,
            (None, false) => self.own?,
        };
        Some(Source {
            address,
            is_exclusive: address == self.exclusive,
        })
    }

    fn sources(&self, interface: &AdvertisingInterface) -> impl Iterator<Item = Option<Ipv6Addr>> {
        let sources = interface.domains.iter().map(|domain| self.source(domain));
        sources.map(|source| source.map(|source| source.address))
    }

    /// The addresses that are not the interface's: the kernel must answer for them.
    pub(super) fn foreign(&self, interface: &AdvertisingInterface) -> BTreeSet<Ipv6Addr> {
        let sources = self.sources(interface).flatten();
        sources.filter(|it| !self.all.contains(it)).collect()
    }

    /// Whether all that is said can be sent.
    pub(super) fn is_ready(&self, interface: &AdvertisingInterface) -> bool {
        let can_send = |it: Ipv6Addr| self.usable.contains(&it) || !self.all.contains(&it);
        self.sources(interface).all(|it| it.is_some_and(can_send))
    }

    /// Whether a domain takes a default route away from hosts without PvDs, if somebody else gives one from its address.
    pub(super) fn may_harm(&self, domain: &AdvertisedDomain) -> bool {
        let written = domain.source.filter(|_| domain.is_silent());
        written.is_some_and(|written| self.all.contains(&written))
    }

    /// What is to be advertised here.
    pub(super) fn advertised(&self, interface: &AdvertisingInterface) -> (Link, Vec<Domain>) {
        let address = self.link_layer.map(|octets| NdOption::Other {
            kind: SOURCE_LINK_LAYER_ADDRESS,
            body: octets.to_vec(),
        });
        let mtu = interface.mtu.map(NdOption::Mtu);
        let told = interface.mtu.and_then(|mtu| usize::try_from(mtu).ok());
        let link = Link {
            mtu: self.mtu.min(told.unwrap_or(self.mtu)).max(LEAST_MTU),
            intervals: interface.intervals,
            options: address.into_iter().chain(mtu).collect(),
        };
        let domains = interface.domains.iter().filter_map(|domain| {
            Some(Domain {
                source: self.source(domain)?,
                advertisement: domain.advertisement.clone(),
            })
        });
        (link, domains.collect())
    }

    /// Has the kernel answer for an address.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) async fn answer_for(&self, address: Ipv6Addr, kernel: &Handle) -> io::Result<()> {
        let request = kernel.neighbours().add(self.index, address.into());
        let request = request.flags(NeighbourFlags::Proxy | NeighbourFlags::Router);
        let request = request.replace().execute();
        request.await.map_err(io::Error::other)
    }

    /// Has it answer no more.
    pub(super) async fn leave(&self, address: Ipv6Addr, kernel: &Handle) {
        let mut message = NeighbourMessage::default();
        message.header.family = Family::Inet6;
        message.header.ifindex = self.index;
        message.header.flags = NeighbourFlags::Proxy;
        let destination = NeighbourAddress::Inet6(address);
        let destination = NeighbourAttribute::Destination(destination);
        message.attributes.push(destination);
        if let Err(error) = kernel.neighbours().del(message).execute().await {
            tracing::debug!(%address, %error, "it is answered for no more");
        }
    }
}

/// Whether the kernel answers for what it is told to on this interface; then it does.
///
/// # Errors
/// Those of the system.
pub(super) fn let_answer(name: &InterfaceName, does: bool) -> io::Result<bool> {
    let file = format!("/proc/sys/net/ipv6/conf/{name}/proxy_ndp");
    let was = fs::read_to_string(&file)?.trim() != "0";
    if was != does {
        fs::write(&file, if does { "1" } else { "0" })?;
    }
    Ok(was)
}

/// The address that only moat has on this interface: fe80::/64 and 64 bits that look random (RFC 7217 does the same).
fn exclusive(name: &InterfaceName, link_layer: Option<[u8; 6]>) -> Ipv6Addr {
    let octets = link_layer.unwrap_or_default();
    let seed = [
        b"moat pvd advertise ".as_slice(),
        &octets,
        name.as_str().as_bytes(),
    ]
    .concat();
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xfe, 0x80]);
    address[8..].copy_from_slice(&sha256(&seed)[..8]);
    Ipv6Addr::from(address)
}

/// The link-local address that the kernel makes of that of the link layer (RFC 4291, Appendix A).
fn from_link_layer([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let identifier = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xfe, 0x80]);
    address[8..].copy_from_slice(&identifier);
    Ipv6Addr::from(address)
}
