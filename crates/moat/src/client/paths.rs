//! The sockets of the client: one for each session, bound to the interface and the address of
//! its PvD (RFC 9284 §5.1).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use agent::client::PathId;
use dtls::Transport;
use pvd::InterfaceName;
use socket2::{Protocol, SockRef, Type};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::connection::{self, Connection, Turn};
use crate::link;

/// Largest datagram taken; a DTLS record is never longer than 2^14 bytes and some.
const MAX_DATAGRAM: usize = 64 * 1024;
/// How long peers may take to take what was sent to them before the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a socket gives.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A datagram.
    Datagram(PathId, Vec<u8>),
    /// Octets of a connection; none where it has ended.
    Chunk(PathId, Vec<u8>, Turn),
    /// The socket is of no use, as when the peer's port is closed.
    Failed(PathId, io::Error),
}

#[derive(Debug)]
enum Path {
    Datagram(Arc<UdpSocket>, JoinHandle<()>),
    Stream(Connection),
}

impl Drop for Path {
    fn drop(&mut self) {
        if let Self::Datagram(_, reader) = self {
            reader.abort();
        }
    }
}

/// All sockets that are open.
#[derive(Debug)]
pub(super) struct Paths {
    open: BTreeMap<PathId, Path>,
    incoming: mpsc::Sender<Incoming>,
}

impl Paths {
    pub(super) fn new(incoming: mpsc::Sender<Incoming>) -> Self {
        Self {
            open: BTreeMap::new(),
            incoming,
        }
    }

    /// Opens a socket and begins to read from it. A connection is there later; what is sent before
    /// waits.
    pub(super) fn open(
        &mut self,
        path: PathId,
        transport: Transport,
        interface: Option<&InterfaceName>,
        source: Option<IpAddr>,
        remote: SocketAddr,
    ) -> io::Result<()> {
        let opened = match transport {
            Transport::Datagram => {
                let socket = link::socket((Type::DGRAM, Protocol::UDP), interface, source, remote)?;
                socket.connect(&remote.into())?;
                let socket = Arc::new(UdpSocket::from_std(socket.into())?);
                let reader = read(path, Arc::clone(&socket), self.incoming.clone());
                Path::Datagram(socket, tokio::task::spawn_local(reader))
            }
            Transport::Stream => {
                let socket =
                    link::socket((Type::STREAM, Protocol::TCP), interface, source, remote)?;
                let connecting = TcpSocket::from_std_stream(socket.into()).connect(remote);
                let into = move |incoming| match incoming {
                    connection::Incoming::Chunk(chunk, turn) => Incoming::Chunk(path, chunk, turn),
                    connection::Incoming::Failed(error) => Incoming::Failed(path, error),
                };
                Path::Stream(Connection::spawn(connecting, self.incoming.clone(), into))
            }
        };
        self.open.insert(path, opened);
        Ok(())
    }

    /// Sends a datagram, or the next chunk of a connection. A datagram that the system has no room
    /// for is lost, as on the way; an error means that the path cannot be used. The kernel is asked
    /// directly: before its first event, the runtime takes a socket for one that cannot be written to.
    pub(super) fn send(&self, path: PathId, octets: Vec<u8>) -> io::Result<()> {
        let socket = match self.open.get(&path) {
            Some(Path::Datagram(socket, _)) => socket,
            Some(Path::Stream(connection)) => {
                return connection.send(octets).map_err(io::Error::other);
            }
            None => return Ok(()),
        };
        match SockRef::from(&**socket).send(&octets) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn close(&mut self, path: PathId) {
        self.open.remove(&path);
    }

    /// Closes everything, and returns when what was sent is with the system, or a peer takes too long. A
    /// connection that just ends is to its server a client that was lost.
    pub(super) async fn finish(self, mut incoming: mpsc::Receiver<Incoming>) {
        drop(self);
        let all_gone = async { while incoming.recv().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all_gone).await.is_err() {
            tracing::warn!(
                "a server does not take the end of its session, and may hold it for lost"
            );
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn what_was_sent_over_a_connection_before_the_end_goes_out() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let mut peer = LocalSet::new().block_on(&runtime, async {
            let (datagrams, incoming) = mpsc::channel(8);
            let mut paths = Paths::new(datagrams);
            let path = PathId(1);
            paths
                .open(path, Transport::Stream, None, None, remote)
                .unwrap();
            let (peer, _) = tokio::task::spawn_blocking(move || listener.accept())
                .await
                .unwrap()
                .unwrap();
            // The connection is up on this side, too.
            tokio::time::sleep(Duration::from_millis(50)).await;
            paths.send(path, b"farewell".to_vec()).unwrap();
            paths.close(path);
            paths.finish(incoming).await;
            peer
        });
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"farewell");
    }
}
