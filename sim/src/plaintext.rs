//! A session without encryption, so that a run depends on nothing but its seed.
//!
//! ```text
//! client                server
//!   | HELLO               |   repeated every second until answered
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
    is_client: bool,
    peer: Peer,
    outputs: VecDeque<Output>,
}

impl PlaintextSession {
    /// The client's end; `peer` is who the server will turn out to be.
    pub fn client(now: Instant, peer: Peer) -> Self {
        Self {
            state: State::Greeting {
                deadline: now + DEADLINE,
                next: now + RETRANSMISSION,
            },
            is_client: true,
            peer,
            outputs: VecDeque::from([Output::Transmit(vec![HELLO])]),
        }
    }

    /// The server's end, for a peer whose HELLO has come.
    pub fn server(now: Instant, peer: Peer) -> Self {
        let mut session = Self {
            is_client: false,
            ..Self::client(now, peer)
        };
        session.outputs.clear();
        session.handle_datagram(now, &[HELLO]);
        session
    }

    /// Whether a datagram begins a session.
    pub fn is_hello(datagram: &[u8]) -> bool {
        datagram.first() == Some(&HELLO)
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
        match (*kind, self.is_client) {
            (HELLO, false) => {
                self.outputs.push_back(Output::Transmit(vec![WELCOME]));
                self.establish();
            }
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
                self.outputs.push_back(Output::Transmit(vec![HELLO]));
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
