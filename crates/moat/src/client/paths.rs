//! The sockets of the client: one for each session, bound to the interface and the address of
//! its PvD (RFC 9284 §5.1).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use agent::client::PathId;
use pvd::InterfaceName;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Largest datagram taken; a DTLS record is never longer than 2^14 bytes and some.
const MAX_DATAGRAM: usize = 64 * 1024;

/// What a socket gives.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A datagram.
    Datagram(PathId, Vec<u8>),
    /// The socket is of no use, as when the peer's port is closed.
    Failed(PathId, io::Error),
}

/// All sockets that are open.
#[derive(Debug)]
pub(super) struct Paths {
    open: BTreeMap<PathId, (Arc<UdpSocket>, JoinHandle<()>)>,
    incoming: mpsc::Sender<Incoming>,
}

impl Paths {
    pub(super) fn new(incoming: mpsc::Sender<Incoming>) -> Self {
        Self {
            open: BTreeMap::new(),
            incoming,
        }
    }

    /// Opens a socket and begins to read from it.
    pub(super) fn open(
        &mut self,
        path: PathId,
        interface: Option<&InterfaceName>,
        source: Option<IpAddr>,
        remote: SocketAddr,
    ) -> io::Result<()> {
        let socket = Arc::new(connect(interface, source, remote)?);
        let reader =
            tokio::task::spawn_local(read(path, Arc::clone(&socket), self.incoming.clone()));
        self.open.insert(path, (socket, reader));
        Ok(())
    }

    /// Sends a datagram. One that the system has no room for is lost, as on the way; an error
    /// means that the path cannot be used. The kernel is asked directly: before its first event,
    /// the runtime takes a socket for one that cannot be written to.
    pub(super) fn send(&self, path: PathId, datagram: &[u8]) -> io::Result<()> {
        let Some((socket, _)) = self.open.get(&path) else {
            return Ok(());
        };
        match SockRef::from(&**socket).send(datagram) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn close(&mut self, path: PathId) {
        if let Some((_, reader)) = self.open.remove(&path) {
            reader.abort();
        }
    }
}

fn connect(
    interface: Option<&InterfaceName>,
    source: Option<IpAddr>,
    remote: SocketAddr,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = interface {
        socket.bind_device(Some(interface.as_str().as_bytes()))?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect(&remote.into())?;
    UdpSocket::from_std(socket.into())
}

async fn read(path: PathId, socket: Arc<UdpSocket>, incoming: mpsc::Sender<Incoming>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let received = match socket.recv(&mut buffer).await {
            Ok(length) => {
                let datagram = buffer.get(..length).unwrap_or_default().to_vec();
                Incoming::Datagram(path, datagram)
            }
            Err(error) => Incoming::Failed(path, error),
        };
        // An error is reported and reading goes on: an ICMP error does not close a socket.
        if incoming.send(received).await.is_err() {
            return;
        }
    }
}
