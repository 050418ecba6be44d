//! Who keeps the routes of a network namespace: one moat.
//!
//! It holds an abstract name of a Unix socket, which belongs to the namespace, as rules and routes do, and goes with its
//! holder. Every local user can take such a name; so it counts only where root or the user of this process holds it.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use rustix::process::{Uid, geteuid};
use tokio::task::JoinHandle;

const NAME: &str = "moat routes";

/// The name is ours, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(JoinHandle<()>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who has the name.
#[derive(Debug)]
pub(super) enum Holder {
    /// This process.
    This(Lock),
    /// Another moat.
    Another,
    /// Somebody who may not change a route; the user, where it could be found out.
    Stranger(Option<u32>),
}

/// Takes the name, or says who has it. It works in a [`LocalSet`](tokio::task::LocalSet).
pub(super) fn take() -> io::Result<Holder> {
    let name = SocketAddr::from_abstract_name(NAME)?;
    let listener = match UnixListener::bind_addr(&name) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(holder(peer()?)),
        Err(error) => return Err(error),
    };
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    // Who asks is let in, or the next one would find a full queue and could not tell whose it is.
    let task = tokio::task::spawn_local(async move { while listener.accept().await.is_ok() {} });
    Ok(Holder::This(Lock(task)))
}

/// The user who holds the name; `None`: nobody answers there.
fn peer() -> io::Result<Option<Uid>> {
    let kind = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, kind, None)?;
    let name = SocketAddrUnix::new_abstract_name(NAME.as_bytes())?;
    match connect(&socket, &name) {
        Ok(()) => Ok(Some(sockopt::socket_peercred(&socket)?.uid)),
        // It is bound and does not listen, or lets nobody in.
        Err(Errno::CONNREFUSED | Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn holder(user: Option<Uid>) -> Holder {
    match user {
        Some(user) if user.is_root() || user == geteuid() => Holder::Another,
        user => Holder::Stranger(user.map(Uid::as_raw)),
    }
}
