//! A session without encryption, so that a run depends on nothing but its seed.
//!
//! ```text
//! client                server
//!   | HELLO, name         |   repeated every second until answered
//!   |-------------------->|
//!   |             WELCOME |
//!   |<--------------------|
//!   | DATA ... DATA ... BYE
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dtls::{CloseReason, Output, Peer, SendError, Session, Transport};

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const DATA: u8 = 3;
const BYE: u8 = 4;

/// How long a HELLO waits for its WELCOME.
const RETRANSMISSION: Duration = Duration::from_secs(1);
/// How long the handshake may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest payload, as that of a DTLS session on a path of 1280 bytes.
const LIMIT: usize = 1152;

#[derive(Debug, PartialEq, Eq)]
enum State {
    Greeting { deadline: Instant, next: Instant },
    Established,
    Closed,
}

/// One end of a plaintext session.
#[derive(Debug)]
pub struct PlaintextSession {
    state: State,
    /// What it greets with; only a client greets.
    hello: Option<Vec<u8>>,
    peer: Peer,
    outputs: VecDeque<Output>,
}

impl PlaintextSession {
    /// The end of the client called `name`; `peer` is who the server will turn out to be.
    pub fn client(now: Instant, name: &str, peer: Peer) -> Self {
        let hello: Vec<u8> = std::iter::once(HELLO).chain(name.bytes()).collect();
        Self {
            state: State::Greeting {
                deadline: now + DEADLINE,
                next: now + RETRANSMISSION,
            },
            peer,
            outputs: VecDeque::from([Output::Transmit(hello.clone())]),
            hello: Some(hello),
        }
    }

    /// The server's end, for a client whose HELLO has come.
    pub fn server(peer: Peer) -> Self {
        Self {
            state: State::Established,
            outputs: VecDeque::from([
                Output::Transmit(vec![WELCOME]),
                Output::Established(peer.clone()),
            ]),
            peer,
            hello: None,
        }
    }

    /// The name of the client, if a datagram begins a session.
    pub fn caller(datagram: &[u8]) -> Option<&str> {
        let (kind, name) = datagram.split_first()?;
        std::str::from_utf8(name).ok().filter(|_| *kind == HELLO)
    }

    /// Whether a datagram tells a client that its session is up.
    pub fn is_welcome(datagram: &[u8]) -> bool {
        datagram == [WELCOME]
    }

    /// What a datagram carries for the layer above.
    pub fn data(datagram: &[u8]) -> Option<&[u8]> {
        let (kind, data) = datagram.split_first()?;
        (*kind == DATA).then_some(data)
    }

    fn establish(&mut self) {
        if matches!(self.state, State::Greeting { .. }) {
            self.state = State::Established;
            self.outputs
                .push_back(Output::Established(self.peer.clone()));
        }
    }

    fn end(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.outputs.push_back(Output::Closed(reason));
        }
    }
}

impl Session for PlaintextSession {
    type Resumption = ();

    fn handle_datagram(&mut self, _: Instant, datagram: &[u8]) {
        let Some((kind, data)) = datagram.split_first() else {
            return;
        };
        match (*kind, self.hello.is_some()) {
            (HELLO, false) => self.outputs.push_back(Output::Transmit(vec![WELCOME])),
            (WELCOME, true) => self.establish(),
            (DATA, _) if self.state == State::Established => {
                self.outputs.push_back(Output::Data(data.to_vec()));
            }
            (BYE, _) => self.end(CloseReason::PeerClosed),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let State::Greeting { deadline, next } = &mut self.state {
            if now >= *deadline {
                return self.end(CloseReason::HandshakeTimedOut);
            }
            if now >= *next {
                *next = now + RETRANSMISSION;
                self.outputs
                    .extend(self.hello.clone().map(Output::Transmit));
            }
        }
    }

    fn send(&mut self, _: Instant, data: &[u8]) -> Result<(), SendError> {
        match self.state {
            State::Greeting { .. } => Err(SendError::NotEstablished),
            State::Closed => Err(SendError::Closed),
            State::Established if data.len() > LIMIT => Err(SendError::TooLarge { limit: LIMIT }),
            State::Established => {
                let datagram = std::iter::once(DATA).chain(data.iter().copied()).collect();
                self.outputs.push_back(Output::Transmit(datagram));
                Ok(())
            }
        }
    }

    fn close(&mut self, _: Instant) {
        if self.state == State::Established {
            self.outputs.push_back(Output::Transmit(vec![BYE]));
        }
        self.end(CloseReason::Local);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Greeting { deadline, next } => Some(deadline.min(next)),
            _ => None,
        }
    }

    fn transport(&self) -> Transport {
        Transport::Datagram
    }

    fn data_limit(&self) -> usize {
        LIMIT
    }

    fn resumption(&self) -> Option<()> {
        None
    }
}
