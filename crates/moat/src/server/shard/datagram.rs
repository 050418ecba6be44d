//! DTLS over one UDP socket.
//!
//! ```text
//! datagram --> session of that peer --> events --> authority
//!          \-> door --cookie--> peer    (no state before the cookie comes back)
//!                   \--verified--> new session
//! ```

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Instant;

use agent::server::Flow;
use dtls::{Accept, Acceptor};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Outgoing, Shard};
use crate::client::sleep_until;
use crate::clock;
use crate::server::message::ToShard;

/// Datagrams taken with one system call.
const BATCH: usize = 32;
/// Room for one datagram, or for a run of them that the kernel has put together.
const BUFFER: usize = 64 * 1024;
/// Room in the kernel for a burst of datagrams, in bytes.
const SOCKET_BUFFER: usize = 4 << 20;
/// Bytes of a DTLS record before its message; those differ when the message is repeated.
const RECORD_HEADER: usize = 13;

/// The sessions of one UDP socket.
#[derive(Debug)]
pub(in crate::server) struct DatagramShard {
    pub(in crate::server) shard: Shard,
    pub(in crate::server) acceptor: Acceptor,
}

/// Binds a socket.
///
/// # Errors
/// Those of the system, as when another program has the address.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = super::bound(address, (Type::DGRAM, Protocol::UDP))?;
    // The kernel grants what it may; less only means more loss in a burst.
    let _granted = socket.set_recv_buffer_size(SOCKET_BUFFER);
    Ok(socket.into())
}

impl DatagramShard {
    /// Runs until the server stops.
    pub(in crate::server) fn run(
        mut self,
        socket: std::net::UdpSocket,
        messages: UnboundedReceiver<ToShard>,
    ) {
        let inputs = self.shard.inputs.clone();
        super::run(&inputs, self.serve(socket, messages));
    }

    async fn serve(
        &mut self,
        socket: std::net::UdpSocket,
        mut messages: UnboundedReceiver<ToShard>,
    ) -> io::Result<()> {
        let socket = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new((&socket).into())?;
        let mut buffers = vec![vec![0; BUFFER]; BATCH];
        loop {
            self.transmit(&socket, &state);
            tokio::select! {
                ready = socket.readable() => {
                    ready?;
                    self.receive(&socket, &state, &mut buffers);
                }
                message = messages.recv() => match message {
                    Some(message) => {
                        self.shard.counters = self.shard.counters.with_door(self.acceptor.counters());
                        self.shard.on_message(message);
                    }
                    None => return Ok(()),
                },
                () = sleep_until(self.shard.sessions.poll_timeout()) => self.shard.on_timeout(),
            }
        }
    }

    fn receive(&mut self, socket: &UdpSocket, state: &UdpSocketState, buffers: &mut [Vec<u8>]) {
        let mut meta = [RecvMeta::default(); BATCH];
        let mut count = 0;
        let mut slices: Vec<IoSliceMut<'_>> = buffers
            .iter_mut()
            .map(|buffer| IoSliceMut::new(buffer))
            .collect();
        // An error is nothing there after all, or ICMP's word on one peer.
        let _error = socket.try_io(Interest::READABLE, || {
            count = state.recv(socket.into(), &mut slices, &mut meta)?;
            if count < BATCH {
                // The socket had no more: to ask it again would be a call for nothing.
                return Err(io::Error::from(io::ErrorKind::WouldBlock));
            }
            Ok(())
        });
        let now = clock::now().monotonic;
        for (meta, buffer) in meta.iter().zip(buffers.iter()).take(count) {
            let filled = buffer.get(..meta.len).unwrap_or_default();
            let flow = Flow {
                remote: meta.addr,
                local: meta.dst_ip,
            };
            for datagram in filled.chunks(meta.stride.max(1)) {
                self.on_datagram(now, (socket, state), flow, datagram);
            }
        }
    }

    fn on_datagram(
        &mut self,
        now: Instant,
        (socket, state): (&UdpSocket, &UdpSocketState),
        flow: Flow,
        datagram: &[u8],
    ) {
        // A peer that restarted begins anew from the address of its old session, which stays
        // until the newcomer is established: it may be a replay (RFC 6347 §4.2.8).
        let opening = datagram.get(RECORD_HEADER..).unwrap_or_default();
        let sessions = &mut self.shard.sessions;
        let begins =
            dtls::is_initial_client_hello(datagram) && sessions.is_new_opening(flow, opening);
        if !begins && sessions.handle_datagram(now, flow, datagram) {
            return;
        }
        match self.acceptor.handle_datagram(now, flow.remote, datagram) {
            Accept::Dropped(_) => {}
            Accept::Reply(reply) => send(socket, state, flow, reply),
            Accept::Session(session) => {
                let sessions = &mut self.shard.sessions;
                if let Err(error) = sessions.insert(now, flow, *session, opening) {
                    self.shard.refused(&error);
                }
            }
        }
    }

    /// Sends what the sessions have to say.
    fn transmit(&mut self, socket: &UdpSocket, state: &UdpSocketState) {
        while let Some(outgoing) = self.shard.poll_outgoing() {
            if let Outgoing::Transmit(_, flow, datagram) = outgoing {
                send(socket, state, flow, &datagram);
            }
        }
    }
}

/// Sends a datagram from the address that its peer speaks to. What the kernel has no room for is
/// lost as if on the way.
fn send(socket: &UdpSocket, state: &UdpSocketState, flow: Flow, datagram: &[u8]) {
    let transmit = Transmit {
        destination: flow.remote,
        ecn: None,
        contents: datagram,
        segment_size: None,
        src_ip: flow.local,
    };
    let sent = state.try_send(socket.into(), &transmit);
    if let Err(error) = sent {
        tracing::debug!(remote = %flow.remote, %error, "a datagram was not sent");
    }
}
