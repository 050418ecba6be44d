//! Router Solicitations and Router Advertisements of one link (RFC 4861 §4.1, §4.2), over a raw socket.
//!
//! ```text
//! link -> kernel: checksum, ICMP6_FILTER -> `receive`: whole, hop limit 255, code 0, source (RFC 4861 §6.1) -> Message
//!                                             `-> Dropped, counted
//! ```
//! The kernel answers and believes these messages as before; the socket has copies.
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use pvd::InterfaceName;
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

/// All nodes of a link.
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of a link.
pub(crate) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// What has this hop limit was not forwarded by any router (RFC 4861 §6.1).
const HOP_LIMIT: u8 = 255;

/// Longest message taken: without a jumbogram there is none longer.
const LONGEST_MESSAGE: usize = 65_535;

/// Which messages are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Router Advertisements.
    Host,
    /// Router Solicitations, and the Router Advertisements of other routers.
    Router,
}

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 133
    RouterSolicitation,
    /// 134
    RouterAdvertisement,
}

impl Side {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Host => &[Kind::RouterAdvertisement],
            Self::Router => &[Kind::RouterSolicitation, Kind::RouterAdvertisement],
        }
    }

    fn groups(self) -> &'static [Ipv6Addr] {
        match self {
            Self::Host => &[ALL_NODES],
            Self::Router => &[ALL_NODES, ALL_ROUTERS],
        }
    }
}

impl Kind {
    fn from_wire(kind: u8) -> Option<Self> {
        match kind {
            133 => Some(Self::RouterSolicitation),
            134 => Some(Self::RouterAdvertisement),
            _ => None,
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            Self::RouterSolicitation => 133,
            Self::RouterAdvertisement => 134,
        }
    }

    /// Octets of the message without options (RFC 4861 §4.1, §4.2).
    fn least_length(self) -> usize {
        match self {
            Self::RouterSolicitation => 8,
            Self::RouterAdvertisement => 16,
        }
    }
}

/// A message that came over the link and from a node of it. What is in it, nobody has looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Which one.
    pub(crate) kind: Kind,
    /// Link-local for an advertisement; perhaps `::` for a solicitation.
    pub(crate) source: Ipv6Addr,
    /// A group, or an address of this node.
    pub(crate) destination: Ipv6Addr,
    /// From the type on.
    pub(crate) octets: Vec<u8>,
}

/// Why a message does not count (RFC 4861 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Fragmented,
    HopLimit,
    Code,
    Source,
    Length,
}

/// How many messages were dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// They came in fragments, which gets forged ones past a switch that looks at the first packet (RFC 6980 §5).
    pub(crate) by_fragments: u64,
    /// A router has forwarded them.
    pub(crate) by_hop_limit: u64,
    /// Their code is not 0.
    pub(crate) by_code: u64,
    /// Their source is not link-local, or for a solicitation no unicast address and not `::`.
    pub(crate) by_source: u64,
    /// Shorter than their header, or longer than anything that is not forged.
    pub(crate) by_length: u64,
}

impl Dropped {
    fn count(&mut self, fault: Fault) {
        let counter = match fault {
            Fault::Fragmented => &mut self.by_fragments,
            Fault::HopLimit => &mut self.by_hop_limit,
            Fault::Code => &mut self.by_code,
            Fault::Source => &mut self.by_source,
            Fault::Length => &mut self.by_length,
        };
        *counter = counter.saturating_add(1);
    }
}

/// Sends and receives on one interface.
#[derive(Debug)]
pub(crate) struct Icmpv6Socket {
    socket: AsyncFd<Socket>,
    interface: NonZeroU32,
    side: Side,
    buffer: Vec<u8>,
    dropped: Dropped,
}

impl Icmpv6Socket {
    /// A socket on this interface.
    ///
    /// # Errors
    /// Those of the system, as without such an interface or without the capability CAP_NET_RAW.
    pub(crate) fn open(interface: &InterfaceName, side: Side) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_nonblocking(true)?;
        let index = name_to_index(&socket, interface.as_str())?;
        filter(&socket, side)?;
        let on: libc::c_int = 1;
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE, &on)?;
        socket.bind_device(Some(interface.as_str().as_bytes()))?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_if_v6(index)?;
        // A router may speak for an address that the kernel only answers for.
        socket.set_freebind_v6(side == Side::Router)?;
        // Who hears itself takes itself for another router.
        socket.set_multicast_loop_v6(false)?;
        for group in side.groups() {
            socket.join_multicast_v6(group, index)?;
        }
        let interface = NonZeroU32::new(index).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            // SAFETY: a `Socket` owns its descriptor and gives out no other, as long as it lives.
            socket: unsafe { AsyncFd::register(socket) }?,
            interface,
            side,
            buffer: vec![0; LONGEST_MESSAGE],
            dropped: Dropped::default(),
        })
    }

    /// Sends a message, with hop limit 255 and its checksum; the system chooses a source that is `None`.
    ///
    /// # Errors
    /// Those of the system, as when the interface is down.
    pub(crate) fn send(
        &self,
        message: &[u8],
        source: Option<Ipv6Addr>,
        destination: Ipv6Addr,
    ) -> io::Result<()> {
        let scope = self.interface.get();
        let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, scope));
        let from = source.map(|source| libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: source.octets(),
            },
            ipi6_ifindex: scope,
        });
        let from: Vec<_> = from.iter().map(ControlMessage::Ipv6PacketInfo).collect();
        let descriptor = self.socket.get_ref().as_raw_fd();
        let octets = [IoSlice::new(message)];
        sendmsg(descriptor, &octets, &from, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// The next message that counts. Nothing is lost when it is not waited for to the end.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) async fn receive(&mut self) -> io::Result<Message> {
        loop {
            let mut ready = self.socket.readable().await?;
            let taken =
                ready.try_io(|socket| take(socket.get_ref(), self.interface, &mut self.buffer));
            let Ok(taken) = taken else { continue };
            let Some(datagram) = taken? else { continue };
            let octets = self.buffer.get(..datagram.length).unwrap_or_default();
            match admit(octets, &datagram, self.side) {
                Ok(kind) => {
                    return Ok(Message {
                        kind,
                        source: datagram.source,
                        destination: datagram.destination,
                        octets: octets.to_vec(),
                    });
                }
                Err(fault) => {
                    tracing::debug!(?fault, source = %datagram.source, "an ICMPv6 message does not count");
                    self.dropped.count(fault);
                }
            }
        }
    }

    /// What was dropped so far.
    pub(crate) fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// What the kernel says of a message.
#[derive(Debug, Clone, Copy)]
struct Datagram {
    length: usize,
    is_truncated: bool,
    was_fragmented: bool,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: i32,
}

/// Takes a message from the queue; `None` if it came by another interface, before the socket was bound to its own.
fn take(socket: &Socket, interface: NonZeroU32, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
    let mut control = cmsg_space!(libc::in6_pktinfo, libc::c_int, libc::c_int);
    let mut octets = [IoSliceMut::new(buffer)];
    let (descriptor, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let received = recvmsg::<SockaddrIn6>(descriptor, &mut octets, Some(&mut control), flags)?;
    let (mut arrival, mut hop_limit, mut was_fragmented) = (None, None, false);
    for message in received.cmsgs()? {
        match message {
            ControlMessageOwned::Ipv6PacketInfo(info) => arrival = Some(info),
            ControlMessageOwned::Ipv6HopLimit(hops) => hop_limit = Some(hops),
            // Only the size of the largest fragment, which comes if there were any.
            ControlMessageOwned::Unknown(_) => was_fragmented = true,
            _ => {}
        }
    }
    let arrival = arrival.filter(|arrival| arrival.ipi6_ifindex == interface.get());
    Ok(arrival.and_then(|arrival| {
        Some(Datagram {
            length: received.bytes,
            is_truncated: received.flags.contains(MsgFlags::MSG_TRUNC),
            was_fragmented,
            source: received.address?.ip(),
            destination: Ipv6Addr::from(arrival.ipi6_addr.s6_addr),
            hop_limit: hop_limit?,
        })
    }))
}

/// Whether a message counts (RFC 4861 §6.1.1, §6.1.2). A node may solicit from any address that it has; a router
/// advertises from a link-local one.
fn admit(octets: &[u8], datagram: &Datagram, side: Side) -> Result<Kind, Fault> {
    let &[kind, code, ..] = octets else {
        return Err(Fault::Length);
    };
    let kind = Kind::from_wire(kind).filter(|kind| side.kinds().contains(kind));
    let kind = kind.ok_or(Fault::Code)?;
    let source = datagram.source;
    let may_send = match kind {
        Kind::RouterSolicitation => !source.is_multicast(),
        Kind::RouterAdvertisement => source.is_unicast_link_local(),
    };
    if datagram.was_fragmented {
        Err(Fault::Fragmented)
    } else if datagram.hop_limit != i32::from(HOP_LIMIT) {
        Err(Fault::HopLimit)
    } else if code != 0 {
        Err(Fault::Code)
    } else if !may_send {
        Err(Fault::Source)
    } else if datagram.is_truncated || octets.len() < kind.least_length() {
        Err(Fault::Length)
    } else {
        Ok(kind)
    }
}

/// Has the kernel pass on only what is of interest (RFC 3542 §3.2).
fn filter(socket: &Socket, side: Side) -> io::Result<()> {
    /// `ICMPV6_FILTER` of linux/icmpv6.h.
    const ICMPV6_FILTER: libc::c_int = 1;
    // A bit for each type; those that are set are blocked.
    let mut blocked = [u32::MAX; 8];
    for kind in side.kinds() {
        let kind = kind.to_wire();
        if let Some(word) = blocked.get_mut(usize::from(kind / 32)) {
            *word &= !(1 << (kind % 32));
        }
    }
    set(socket, libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &blocked)
}

/// Sets an option whose value is as C has it.
fn set<T: Copy>(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: `value` points to `length` octets that live as long as the call, which only reads them.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests;
