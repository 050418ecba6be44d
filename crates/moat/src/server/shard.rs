//! One socket and the sessions on it, on a thread of its own.
//!
//! ```text
//! datagram --> session of that peer --> events --> authority
//!          \-> door --cookie--> peer    (no state before the cookie comes back)
//!                   \--verified--> new session
//! ```

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use agent::server::{Flow, Input, SessionOutput, Sessions};
use agent::session::Event;
use dtls::{Accept, Acceptor, CloseReason, OpensslSession};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;

use super::counters::ShardCounters;
use super::inputs::Inputs;
use super::message::{ToAuthority, ToShard};
use crate::client::sleep_until;
use crate::clock;

/// Datagrams taken with one system call.
const BATCH: usize = 32;
/// Room for one datagram, or for a run of them that the kernel has put together.
const BUFFER: usize = 64 * 1024;
/// Room in the kernel for a burst of datagrams, in bytes.
const SOCKET_BUFFER: usize = 4 << 20;
/// Bytes of a DTLS record before its message; those differ when the message is repeated.
const RECORD_HEADER: usize = 13;

/// The sessions of one socket.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) acceptor: Acceptor,
    pub(super) sessions: Sessions<OpensslSession>,
    pub(super) inputs: Inputs,
    pub(super) counters: ShardCounters,
}

/// Binds a socket. One for `[::]` takes IPv4 as well.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    // The kernel grants what it may; less only means more loss in a burst.
    let _granted = socket.set_recv_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl Shard {
    /// Runs until the server stops.
    pub(super) fn run(mut self, socket: std::net::UdpSocket, messages: UnboundedReceiver<ToShard>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let result = runtime.and_then(|runtime| runtime.block_on(self.serve(socket, messages)));
        if let Err(error) = result {
            tracing::error!(%error, "a socket of the server has stopped");
        }
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
                    Some(message) => self.on_message(message),
                    None => return Ok(()),
                },
                () = sleep_until(self.sessions.poll_timeout()) => {
                    self.sessions.handle_timeout(clock::now().monotonic);
                }
            }
        }
    }

    fn receive(&mut self, socket: &UdpSocket, state: &UdpSocketState, buffers: &mut [Vec<u8>]) {
        let mut meta = [RecvMeta::default(); BATCH];
        let received = {
            let mut slices: Vec<IoSliceMut<'_>> = buffers
                .iter_mut()
                .map(|buffer| IoSliceMut::new(buffer))
                .collect();
            socket.try_io(Interest::READABLE, || {
                state.recv(socket.into(), &mut slices, &mut meta)
            })
        };
        let Ok(count) = received else {
            // Nothing there after all, or an ICMP error that concerns one peer.
            return;
        };
        for (meta, buffer) in meta.iter().zip(buffers.iter()).take(count) {
            let filled = buffer.get(..meta.len).unwrap_or_default();
            let flow = Flow {
                remote: meta.addr,
                local: meta.dst_ip,
            };
            for datagram in filled.chunks(meta.stride.max(1)) {
                self.on_datagram(socket, state, flow, datagram);
            }
        }
    }

    fn on_datagram(
        &mut self,
        socket: &UdpSocket,
        state: &UdpSocketState,
        flow: Flow,
        datagram: &[u8],
    ) {
        let now = clock::now().monotonic;
        let remote = flow.remote;
        // A peer that restarted begins anew from the address of its old session, which stays
        // until the newcomer is established: it may be a replay (RFC 6347 §4.2.8).
        let opening = datagram.get(RECORD_HEADER..).unwrap_or_default();
        let begins = dtls::is_initial_client_hello(datagram)
            && self.sessions.is_new_opening(remote, opening);
        if self.sessions.has_remote(remote) && !begins {
            self.sessions.handle_datagram(now, remote, datagram);
            return;
        }
        match self.acceptor.handle_datagram(now, flow.remote, datagram) {
            Accept::Dropped(_) => {}
            Accept::Reply(reply) => send(socket, state, flow, reply),
            Accept::Session(session) => {
                if let Err(error) = self.sessions.insert(now, flow, *session, opening) {
                    self.counters.sessions_refused += 1;
                    tracing::debug!(%error, "a session was refused");
                }
            }
        }
    }

    fn on_message(&mut self, message: ToShard) {
        let now = clock::now().monotonic;
        match message {
            ToShard::Respond(session, exchange, response) => {
                self.sessions.respond(now, session, exchange, response);
            }
            ToShard::Ignore(session, exchange) => self.sessions.ignore(now, session, exchange),
            ToShard::Notify(session, token, response) => {
                self.sessions.notify(now, session, &token, response);
            }
            ToShard::SetMitigating(session, is_mitigating) => {
                self.sessions.set_mitigating(now, session, is_mitigating);
            }
            ToShard::Close(session) => self.sessions.close(now, session),
            ToShard::Count(answer) => {
                let counters = self.counters.with_door(self.acceptor.counters());
                // A caller that has gone away needs no answer.
                let _gone = answer.send(counters);
            }
        }
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Established(_) => self.counters.sessions_established += 1,
            Event::Closed(CloseReason::Local | CloseReason::PeerClosed) => {}
            Event::Closed(_) => self.counters.sessions_failed += 1,
            _ => {}
        }
    }

    /// Sends what the sessions have to say, and tells the authority what they learnt.
    fn transmit(&mut self, socket: &UdpSocket, state: &UdpSocketState) {
        while let Some(output) = self.sessions.poll_output() {
            match output {
                SessionOutput::Transmit(flow, datagram) => send(socket, state, flow, &datagram),
                SessionOutput::Event(session, event) => {
                    super::log::session(session, &event);
                    self.count(&event);
                    let Some(input) = Input::from_event(session, event) else {
                        continue;
                    };
                    if self.inputs.send(ToAuthority::Input(input)).is_err() {
                        self.counters.requests_dropped += 1;
                    }
                }
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
