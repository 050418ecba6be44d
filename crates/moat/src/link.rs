//! Sockets that leave by the interface of a PvD and from its address (RFC 9284 §5.1).

use std::io;
use std::net::{IpAddr, SocketAddr};

use pvd::InterfaceName;
use socket2::{Domain, Protocol, Socket, Type};

/// A socket towards `remote`, not connected yet; the system chooses what is `None`.
///
/// # Errors
/// Those of the system, as when there is no such interface, or the address is not ours.
pub(crate) fn socket(
    (kind, protocol): (Type, Protocol),
    interface: Option<&InterfaceName>,
    source: Option<IpAddr>,
    remote: SocketAddr,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(remote), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // Messages are small and wait for no others.
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(interface) = interface {
        socket.bind_device(Some(interface.as_str().as_bytes()))?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}
