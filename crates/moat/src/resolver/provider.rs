//! The sockets of a resolver: those of its network.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{
    RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use pvd::{InterfaceName, OwnAddress, source_address};
use socket2::{Protocol, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::link;

/// How long a connection may take when the library does not say.
const CONNECTING: Duration = Duration::from_secs(5);

/// Where queries leave; the system chooses what is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// The interface.
    pub(crate) interface: Option<InterfaceName>,
    /// Own addresses, of which RFC 6724 chooses the source.
    pub(crate) addresses: Vec<OwnAddress>,
}

impl Link {
    fn source(&self, remote: SocketAddr) -> Option<IpAddr> {
        source_address::select(&self.addresses, remote.ip())
    }

    fn socket(&self, kind: (Type, Protocol), remote: SocketAddr) -> io::Result<socket2::Socket> {
        link::socket(kind, self.interface.as_ref(), self.source(remote), remote)
    }

    fn datagrams(&self, remote: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.socket((Type::DGRAM, Protocol::UDP), remote)?;
        if self.source(remote).is_none() {
            let any: IpAddr = match remote {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            socket.bind(&SocketAddr::new(any, 0).into())?;
        }
        UdpSocket::from_std(socket.into())
    }
}

/// Opens the sockets that the library asks for.
#[derive(Clone)]
pub(super) struct Provider {
    tokio: TokioRuntimeProvider,
    link: Link,
}

impl Provider {
    pub(super) fn new(link: Link) -> Self {
        Self {
            tokio: TokioRuntimeProvider::default(),
            link,
        }
    }
}

type Opening<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for Provider {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        remote: SocketAddr,
        _: Option<SocketAddr>,
        within: Option<Duration>,
    ) -> Opening<Self::Tcp> {
        let socket = self.link.socket((Type::STREAM, Protocol::TCP), remote);
        Box::pin(async move {
            let connecting = TcpSocket::from_std_stream(socket?.into()).connect(remote);
            let stream = tokio::time::timeout(within.unwrap_or(CONNECTING), connecting).await??;
            Ok(AsyncIoTokioAsStd(stream))
        })
    }

    fn bind_udp(&self, _: SocketAddr, remote: SocketAddr) -> Opening<Self::Udp> {
        let socket = self.link.datagrams(remote);
        Box::pin(async move { socket })
    }
}
