//! The sessions of one socket, on a thread of its own: what UDP and TCP have in common.
//!
//! ```text
//! peer --datagram, chunk--> Sessions --events--> authority
//!      <-------Outgoing------  ^---ToShard---------'
//! ```

mod datagram;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use agent::server::{Customers, Flow, Input, SessionId, SessionOutput, Sessions};
use agent::session::{Event, Output};
use dtls::{CloseReason, OpensslSession, Transport};
use socket2::{Domain, Protocol, Socket, Type};

pub(super) use self::datagram::DatagramShard;
pub(super) use self::stream::StreamShard;
use super::counters::{ShardCounters, ShardReport};
use super::inputs::{Inputs, Source};
use super::log;
use super::log_limit::LogLimits;
use super::message::{ToAuthority, ToShard};
use crate::clock;

/// A socket that is listened on.
#[derive(Debug)]
pub(super) enum Bound {
    Datagram(std::net::UdpSocket),
    Stream(std::net::TcpListener),
}

impl Bound {
    /// # Errors
    /// Those of the system, as when another program has the address.
    pub(super) fn new(address: SocketAddr, transport: Transport) -> io::Result<Self> {
        Ok(match transport {
            Transport::Datagram => Self::Datagram(datagram::bind(address)?),
            Transport::Stream => Self::Stream(stream::listen(address)?),
        })
    }
}

/// The sessions of one socket, the way to the authority, and what was counted.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) sessions: Sessions<OpensslSession>,
    pub(super) inputs: Inputs,
    pub(super) counters: ShardCounters,
    pub(super) lines: LogLimits,
    pub(super) customers: Arc<Customers>,
    /// Whose each session is that is established.
    pub(super) sources: BTreeMap<SessionId, Source>,
}

/// What leaves the sessions towards their peers.
enum Outgoing {
    Transmit(SessionId, Flow, Vec<u8>),
    Closed(SessionId),
}

impl Shard {
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
            ToShard::Report(answer) => {
                let faults = self.sessions.message_faults();
                let counters = ShardCounters {
                    malformed_messages: faults.malformed,
                    unsendable_answers: faults.unsendable,
                    ..self.counters
                };
                let peers = self.sessions.peers();
                let peers = peers.map(|(id, remote, transport)| (id, (remote, transport)));
                // A caller that has gone away needs no answer.
                let _gone = answer.send(ShardReport {
                    counters,
                    peers: peers.collect(),
                });
            }
        }
    }

    fn on_timeout(&mut self) {
        self.sessions.handle_timeout(clock::now().monotonic);
    }

    /// What is to be sent next. On the way, the authority is told what the sessions learnt.
    fn poll_outgoing(&mut self) -> Option<Outgoing> {
        while let Some(SessionOutput {
            session,
            flow,
            output,
        }) = self.sessions.poll_output()
        {
            let event = match output {
                Output::Transmit(octets) => {
                    return Some(Outgoing::Transmit(session, flow, octets));
                }
                Output::Event(event) => event,
            };
            let source = self.source_of(session, &event);
            if log::is_of_session(&event)
                && self.lines.allows(clock::now().monotonic, source.customer())
            {
                log::session(session, flow.remote, &event);
            }
            self.count(&event);
            let is_closed = matches!(event, Event::Closed(_));
            if let Some(input) = Input::from_event(session, event)
                && self.inputs.send_from(source, input).is_err()
            {
                self.counters.requests_dropped += 1;
            }
            if is_closed {
                return Some(Outgoing::Closed(session));
            }
        }
        None
    }

    /// Whose session it is, which its last event is the end of.
    fn source_of(&mut self, session: SessionId, event: &Event) -> Source {
        if let Event::Established(peer) = event {
            let source = Source::of(self.customers.identify(peer));
            self.sources.insert(session, source);
        }
        let source = match event {
            Event::Closed(_) => self.sources.remove(&session),
            _ => self.sources.get(&session).cloned(),
        };
        source.unwrap_or(Source::Strangers)
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Established(_) => self.counters.sessions_established += 1,
            event if is_failure(event) => self.counters.sessions_failed += 1,
            _ => {}
        }
    }

    fn refused(&mut self, error: &agent::server::TooManySessions) {
        self.counters.sessions_refused += 1;
        tracing::debug!(%error, "a session was refused");
    }
}

/// Whether a session ended over a fault.
fn is_failure(event: &Event) -> bool {
    matches!(event, Event::Closed(reason)
        if !matches!(reason, CloseReason::Local | CloseReason::PeerClosed | CloseReason::Superseded))
}

/// Runs a shard until the server stops, which it does if the shard cannot go on.
fn run(inputs: &Inputs, serve: impl Future<Output = io::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let local = tokio::task::LocalSet::new();
    if let Err(error) = runtime.and_then(|runtime| local.block_on(&runtime, serve)) {
        inputs.send(ToAuthority::SocketFailed(error));
    }
}

/// A socket bound to an address. One for `[::]` takes IPv4 as well.
fn bound(address: SocketAddr, (kind, protocol): (Type, Protocol)) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // Connections that have ended keep nobody from listening again after a restart.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
