//! A client and a server joined by a network in memory.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use dtls::{
    Accept, Acceptor, ClientConfig, CloseReason, OpensslSession, Output, Peer, ResumptionState,
    ServerConfig, Session,
};

use super::pki::{self, Identity};
use super::{real_now, wait_until};

pub const SEED: [u8; 32] = [7; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// What one end has put out, apart from datagrams.
#[derive(Debug, Default)]
pub struct Seen {
    pub peer: Option<Peer>,
    pub data: Vec<Vec<u8>>,
    pub closed: Option<CloseReason>,
}

pub struct Pair {
    pub now: Instant,
    pub client: OpensslSession,
    pub acceptor: Acceptor,
    pub server: Option<OpensslSession>,
    pub client_saw: Seen,
    pub server_saw: Seen,
    /// Every datagram sent, delivered or not.
    pub trace: Vec<(Direction, Vec<u8>)>,
    /// The places in the trace of the datagrams that the network loses.
    pub lose: Vec<usize>,
    in_flight: VecDeque<(Direction, Vec<u8>)>,
}

pub fn client_address() -> SocketAddr {
    "192.0.2.1:40000".parse().unwrap()
}

impl Pair {
    pub fn good() -> Self {
        let (server, client) = pki::server_and_client();
        Self::of(&server, &client)
    }

    pub fn of(server: &Identity, client: &Identity) -> Self {
        Self::with(
            server.server_config(),
            &client.client_config(),
            pki::SERVER_NAME,
            None,
        )
    }

    pub fn with(
        server: ServerConfig,
        client: &ClientConfig,
        name: &str,
        state: Option<&ResumptionState>,
    ) -> Self {
        let now = real_now();
        Self {
            now,
            client: client.connect(now, name, state).unwrap(),
            acceptor: Acceptor::new(server, &SEED, now),
            server: None,
            client_saw: Seen::default(),
            server_saw: Seen::default(),
            trace: Vec::new(),
            lose: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// Delivers datagrams until none is under way.
    pub fn settle(&mut self) -> &mut Self {
        loop {
            self.drain();
            let Some((direction, datagram)) = self.in_flight.pop_front() else {
                return self;
            };
            self.deliver(direction, &datagram);
        }
    }

    pub fn deliver(&mut self, direction: Direction, datagram: &[u8]) {
        match (direction, &mut self.server) {
            (Direction::ToClient, _) => self.client.handle_datagram(self.now, datagram),
            (Direction::ToServer, Some(server)) => server.handle_datagram(self.now, datagram),
            (Direction::ToServer, None) => {
                match self
                    .acceptor
                    .handle_datagram(self.now, client_address(), datagram)
                {
                    Accept::Dropped(_) => {}
                    Accept::Reply(reply) => {
                        let reply = reply.to_vec();
                        self.transmit(Direction::ToClient, reply);
                    }
                    Accept::Session(session) => self.server = Some(*session),
                }
            }
        }
    }

    /// Waits for the earliest timer of either end until one sends something, and settles. OpenSSL starts its own clock a
    /// little after ours.
    pub fn wait_for_timer(&mut self) {
        let sent = self.trace.len();
        while self.trace.len() == sent {
            let server = self.server.as_ref().and_then(Session::poll_timeout);
            let Some(due) = self.client.poll_timeout().into_iter().chain(server).min() else {
                return;
            };
            wait_until(due);
            self.now = due;
            self.client.handle_timeout(due);
            if let Some(server) = &mut self.server {
                server.handle_timeout(due);
            }
            self.settle();
        }
    }

    pub fn established(&self) -> bool {
        self.client_saw.peer.is_some() && self.server_saw.peer.is_some()
    }

    pub fn server(&mut self) -> &mut OpensslSession {
        self.server.as_mut().unwrap()
    }

    fn drain(&mut self) {
        let outputs: Vec<_> = std::iter::from_fn(|| self.client.poll_output()).collect();
        for output in outputs {
            if let Some(datagram) = self.client_saw.note(output) {
                self.transmit(Direction::ToServer, datagram);
            }
        }
        let Some(server) = &mut self.server else {
            return;
        };
        let outputs: Vec<_> = std::iter::from_fn(|| server.poll_output()).collect();
        for output in outputs {
            if let Some(datagram) = self.server_saw.note(output) {
                self.transmit(Direction::ToClient, datagram);
            }
        }
    }

    fn transmit(&mut self, direction: Direction, datagram: Vec<u8>) {
        if !self.lose.contains(&self.trace.len()) {
            self.in_flight.push_back((direction, datagram.clone()));
        }
        self.trace.push((direction, datagram));
    }
}

impl Seen {
    pub fn note(&mut self, output: Output) -> Option<Vec<u8>> {
        assert_eq!(
            self.closed, None,
            "nothing may follow Closed, but {output:?} does"
        );
        match output {
            Output::Transmit(datagram) => return Some(datagram),
            Output::Established(peer) => assert_eq!(self.peer.replace(peer), None),
            Output::Data(data) => self.data.push(data),
            Output::Closed(reason) => self.closed = Some(reason),
        }
        None
    }
}
