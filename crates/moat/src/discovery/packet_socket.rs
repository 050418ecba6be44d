//! Speaks DHCP beside the system's DHCP client. That one holds the client's port, and a second socket there would take
//! datagrams from it; a packet socket sees copies, whoever else listens.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use discovery::dhcp::exchange::Version;
use discovery::dhcp::{frame, v4, v6};
use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::attachment::{Attachment, ETHERNET};

/// Longest packet taken: that of an Ethernet, with room to spare.
const LONGEST_PACKET: usize = 4096;

/// Where All_DHCP_Relay_Agents_and_Servers are on an Ethernet (RFC 2464 §7).
const SERVERS_ON_ETHERNET: [u8; 6] = [0x33, 0x33, 0, 1, 0, 2];
const ALL_ON_ETHERNET: [u8; 6] = [0xff; 6];

/// Sends DHCP messages to the servers of one link, and receives their answers.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: AsyncFd<Socket>,
    ends: Ends,
    servers: SockAddr,
}

/// From where messages are sent.
#[derive(Debug, Clone, Copy)]
enum Ends {
    V6(Ipv6Addr),
    V4(Ipv4Addr),
}

impl PacketSocket {
    /// A socket for the messages of `version`; `None` without an address to send them from.
    ///
    /// # Errors
    /// Those of the system, as without the capability CAP_NET_RAW.
    pub(crate) fn open(attachment: &Attachment, version: Version) -> io::Result<Option<Self>> {
        let ends = match (version, attachment.link_local) {
            (Version::V4(address), _) => Ends::V4(address),
            (Version::V6, Some(address)) => Ends::V6(address),
            (Version::V6, None) => return Ok(None),
        };
        let (protocol, filter, servers) = match ends {
            Ends::V6(_) => (libc::ETH_P_IPV6, to_port_v6(), SERVERS_ON_ETHERNET),
            Ends::V4(_) => (libc::ETH_P_IP, to_port_v4(), ALL_ON_ETHERNET),
        };
        // Without a protocol nothing arrives until the filter stands and the interface is chosen.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&filter)?;
        let protocol = u16::try_from(protocol).map_err(io::Error::other)?;
        let index = i32::try_from(attachment.interface.index.get()).map_err(io::Error::other)?;
        let servers = match attachment.link.hardware {
            ETHERNET => servers.as_slice(),
            _ => &[],
        };
        socket.bind(&link_layer(protocol, index, &[])?)?;
        Ok(Some(Self {
            // SAFETY: a `Socket` owns its descriptor and gives out no other, as long as it lives.
            socket: unsafe { AsyncFd::register(socket) }?,
            ends,
            servers: link_layer(protocol, index, servers)?,
        }))
    }

    /// Sends a message to all servers of the link. One that the system does not take, as when an attack has filled the uplink's
    /// queue, is lost as on the way.
    pub(crate) fn send(&self, message: &[u8]) {
        let packet = match self.ends {
            Ends::V6(source) => {
                let from = (source, v6::CLIENT_PORT);
                frame::wrap_v6(from, (v6::SERVERS, v6::SERVER_PORT), message)
            }
            Ends::V4(source) => {
                let from = (source, v4::CLIENT_PORT);
                frame::wrap_v4(from, (Ipv4Addr::BROADCAST, v4::SERVER_PORT), message)
            }
        };
        let packet = packet.unwrap_or_default();
        if let Err(error) = self.socket.get_ref().send_to(&packet, &self.servers) {
            tracing::debug!(ends = ?self.ends, %error, "a DHCP message is lost");
        }
    }

    /// The next message that may be an answer.
    pub(crate) async fn receive(&self) -> io::Result<Vec<u8>> {
        let own = match self.ends {
            Ends::V6(address) => IpAddr::V6(address),
            Ends::V4(address) => IpAddr::V4(address),
        };
        loop {
            let mut ready = self.socket.readable().await?;
            let mut buffer = vec![0; LONGEST_PACKET];
            let received =
                ready.try_io(|socket| io::Read::read(&mut socket.get_ref(), &mut buffer));
            if let Ok(length) = received {
                let packet = buffer.get(..length?).unwrap_or_default();
                if let Some(message) = frame::unwrap(packet, own) {
                    return Ok(message.to_vec());
                }
            }
        }
    }
}

/// An address of the link layer: packet(7).
fn link_layer(protocol: u16, index: i32, octets: &[u8]) -> io::Result<SockAddr> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` fits into the storage, is aligned in it, and all zeroes are a valid one.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index;
    address.sll_halen = u8::try_from(octets.len()).map_err(io::Error::other)?;
    for (octet, value) in address.sll_addr.iter_mut().zip(octets) {
        *octet = *value;
    }
    let length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
    // SAFETY: the first `length` bytes of the storage are the `sockaddr_ll` written above.
    Ok(unsafe { SockAddr::new(storage, length) })
}

// Instructions of a classic BPF program (Linux: Documentation/networking/filter.rst).
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_HALF_AT_X: u16 = 0x48;
const LOAD_X_HEADER_LENGTH: u16 = 0xb1;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
const ALL: u32 = u32::MAX;

/// UDP to the port of DHCPv6 clients, without extension headers.
fn to_port_v6() -> Vec<SockFilter> {
    vec![
        SockFilter::new(LOAD_BYTE, 0, 0, 6),
        SockFilter::new(JUMP_EQUAL, 0, 3, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 42),
        SockFilter::new(JUMP_EQUAL, 0, 1, u32::from(v6::CLIENT_PORT)),
        SockFilter::new(RETURN, 0, 0, ALL),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// UDP to the port of DHCPv4 clients, whole.
fn to_port_v4() -> Vec<SockFilter> {
    vec![
        SockFilter::new(LOAD_BYTE, 0, 0, 9),
        SockFilter::new(JUMP_EQUAL, 0, 6, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 6),
        SockFilter::new(JUMP_SET, 4, 0, 0x3fff),
        SockFilter::new(LOAD_X_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_HALF_AT_X, 0, 0, 2),
        SockFilter::new(JUMP_EQUAL, 0, 1, u32::from(v4::CLIENT_PORT)),
        SockFilter::new(RETURN, 0, 0, ALL),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
