//! TLS over the TCP connections of one listener (RFC 8323 §8.2).
//!
//! ```text
//! accept --> Connection --chunk--> session of that connection
//!    \-> closed at once, where a limit is met
//! ```

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use agent::server::{Flow, SessionId};
use dtls::ServerConfig;
use socket2::{Protocol, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{Outgoing, Shard};
use crate::client::sleep_until;
use crate::clock;
use crate::connection::{Connection, Incoming};
use crate::server::message::ToShard;

/// Connections that the kernel holds until they are taken.
const BACKLOG: i32 = 1024;
/// Chunks that wait for the sessions; the connections wait behind them.
const QUEUE: usize = 256;
/// How long to wait when the system has no room for one more connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The sessions of one TCP listener.
pub(in crate::server) struct StreamShard {
    shard: Shard,
    credentials: ServerConfig,
    connections: BTreeMap<SessionId, Connection>,
}

/// Listens on an address.
///
/// # Errors
/// Those of the system, as when another program has the address.
pub(super) fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let socket = super::bound(address, (Type::STREAM, Protocol::TCP))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl StreamShard {
    /// No connection yet.
    pub(in crate::server) fn new(shard: Shard, credentials: ServerConfig) -> Self {
        Self {
            shard,
            credentials,
            connections: BTreeMap::new(),
        }
    }

    /// Runs until the server stops.
    pub(in crate::server) fn run(
        mut self,
        listener: StdListener,
        messages: UnboundedReceiver<ToShard>,
    ) {
        let inputs = self.shard.inputs.clone();
        super::run(&inputs, self.serve(listener, messages));
    }

    async fn serve(
        &mut self,
        listener: StdListener,
        mut messages: UnboundedReceiver<ToShard>,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let (chunks, mut incoming) = mpsc::channel(QUEUE);
        let mut full_until = None;
        loop {
            self.transmit();
            tokio::select! {
                accepted = listener.accept(), if full_until.is_none() => match accepted {
                    Ok((stream, remote)) => self.on_connection(stream, remote, &chunks),
                    Err(error) if is_of_one_peer(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "no connection is accepted for a while");
                        full_until = Some(clock::now().monotonic + NO_ROOM);
                    }
                },
                () = sleep_until(full_until), if full_until.is_some() => full_until = None,
                Some((id, received)) = incoming.recv() => self.on_incoming(id, received),
                message = messages.recv() => match message {
                    Some(message) => self.shard.on_message(message),
                    None => return Ok(()),
                },
                () = sleep_until(self.shard.sessions.poll_timeout()) => self.shard.on_timeout(),
            }
        }
    }

    fn on_connection(
        &mut self,
        stream: TcpStream,
        remote: SocketAddr,
        chunks: &mpsc::Sender<(SessionId, Incoming)>,
    ) {
        // Messages are small and wait for no others.
        let _slower = stream.set_nodelay(true);
        let now = clock::now().monotonic;
        let session = match self.credentials.accept_stream(now) {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(%error, "a session could not be begun");
                return;
            }
        };
        let flow = Flow {
            remote,
            local: stream.local_addr().ok().map(|address| address.ip()),
        };
        match self.shard.sessions.insert(now, flow, session, &[]) {
            Ok(id) => {
                self.shard.counters.handshakes_begun += 1;
                let opened = async move { Ok(stream) };
                let connection = Connection::spawn(opened, chunks.clone(), move |it| (id, it));
                self.connections.insert(id, connection);
            }
            Err(error) => self.shard.refused(&error),
        }
    }

    fn on_incoming(&mut self, id: SessionId, incoming: Incoming) {
        // To the session a broken connection is one that has ended.
        let (chunk, _turn) = match incoming {
            Incoming::Chunk(chunk, turn) => (chunk, Some(turn)),
            Incoming::Failed(_) => (Vec::new(), None),
        };
        let now = clock::now().monotonic;
        self.shard.sessions.handle_chunk(now, id, &chunk);
    }

    /// Sends what the sessions have to say, and ends the connections of those that are over.
    fn transmit(&mut self) {
        while let Some(outgoing) = self.shard.poll_outgoing() {
            match outgoing {
                Outgoing::Transmit(id, flow, chunk) => self.send(id, flow, chunk),
                Outgoing::Closed(id) => drop(self.connections.remove(&id)),
            }
        }
    }

    fn send(&mut self, id: SessionId, flow: Flow, chunk: Vec<u8>) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if let Err(error) = connection.send(chunk) {
            tracing::debug!(remote = %flow.remote, %error, "a session is given up");
            // It is broken and not closed: its client, perhaps under attack, has not said that it goes.
            let now = clock::now().monotonic;
            self.shard.sessions.handle_chunk(now, id, &[]);
        }
    }
}

/// Whether an error of `accept` concerns the connection that was to be accepted alone.
fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NetworkDown};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | NetworkDown
    )
}
