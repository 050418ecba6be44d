//! The other end of a session: a socket, DTLS, and messages that the test makes itself.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use coap::{Message, MessageId, MessageType, Token};
use dtls::{CloseReason, OpensslSession, Output, PemCredentials, Session, SessionSettings};

use super::site::Identity;
use super::{Outcome, Outgoing, PATIENCE, SERVER_NAME};

/// The longest datagram.
const DATAGRAM: usize = 64 * 1024;
/// The shortest time that a socket can wait.
const INSTANT: Duration = Duration::from_millis(1);

/// After which time a request without a response is sent again.
const REPEAT: Duration = Duration::from_secs(1);

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct NoSession(pub(crate) Option<CloseReason>);

pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    session: OpensslSession,
    received: VecDeque<Vec<u8>>,
    established: bool,
    closed: Option<CloseReason>,
    next: u16,
}

impl Peer {
    /// Opens a session with the server at `remote`, which has to be up.
    pub(crate) fn connect(identity: &Identity, remote: &str) -> Outcome<Self> {
        Self::try_connect(identity, remote)?
            .map_err(|NoSession(reason)| format!("no session: {reason:?}").into())
    }

    /// Opens a session, or says why there is none.
    pub(crate) fn try_connect(
        identity: &Identity,
        remote: &str,
    ) -> Outcome<Result<Self, NoSession>> {
        let mut peer = Self::begin(identity, remote)?;
        let deadline = Instant::now() + PATIENCE;
        while !peer.established && peer.closed.is_none() && Instant::now() < deadline {
            peer.step(deadline)?;
        }
        Ok(if peer.established {
            Ok(peer)
        } else {
            Err(NoSession(peer.closed))
        })
    }

    /// Sends the first datagram of a handshake.
    pub(crate) fn begin(identity: &Identity, remote: &str) -> Outcome<Self> {
        let [certificate_chain, private_key, trust_anchors] = [
            &identity.certificate,
            &identity.private_key,
            &identity.trust_anchor,
        ]
        .map(std::fs::read);
        let credentials = PemCredentials {
            certificate_chain: &certificate_chain?,
            private_key: &private_key?,
            trust_anchors: &trust_anchors?,
        };
        let config = dtls::ClientConfig::new(credentials, SessionSettings::default())?;
        let local = if remote.starts_with('[') {
            "[::1]:0"
        } else {
            "127.0.0.1:0"
        };
        let socket = UdpSocket::bind(local)?;
        socket.connect(remote)?;
        let mut peer = Peer {
            socket,
            session: config.connect(Instant::now(), SERVER_NAME, None)?,
            received: VecDeque::new(),
            established: false,
            closed: None,
            next: 0,
        };
        peer.flush();
        Ok(peer)
    }

    /// Sends a Non-confirmable request and waits for its response.
    pub(crate) fn ask(&mut self, request: &Outgoing) -> Outcome<Message> {
        self.ask_as(MessageType::NonConfirmable, request)
    }

    /// Sends a request of this type, again and again as it may be lost, and waits for its response.
    pub(crate) fn ask_as(&mut self, kind: MessageType, request: &Outgoing) -> Outcome<Message> {
        let message = self.message(kind, request);
        let deadline = Instant::now() + PATIENCE;
        while self.closed.is_none() && Instant::now() < deadline {
            self.send(&message.encode())?;
            let again = Instant::now() + REPEAT;
            let left = || again.saturating_duration_since(Instant::now());
            while let Some(response) = self.receive(left())? {
                if response.token == message.token {
                    return Ok(response);
                }
            }
        }
        Err(format!("no response; the session: {:?}", self.closed).into())
    }

    /// The request with the next Message ID and token of this peer.
    pub(crate) fn message(&mut self, message_type: MessageType, request: &Outgoing) -> Message {
        self.next += 1;
        Message {
            message_type,
            code: request.method,
            message_id: MessageId(self.next),
            token: Token::new(&self.next.to_be_bytes()).unwrap_or(Token::EMPTY),
            options: request.options.clone(),
            payload: request.payload.clone(),
        }
    }

    /// Sends these bytes in the session.
    pub(crate) fn send(&mut self, data: &[u8]) -> Outcome {
        self.session.send(Instant::now(), data)?;
        self.flush();
        Ok(())
    }

    /// The next message from the server, if one comes.
    pub(crate) fn receive(&mut self, within: Duration) -> Outcome<Option<Message>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(data) = self.received.pop_front() {
                return Ok(Some(Message::decode(&data)?));
            }
            if self.closed.is_some() || !self.step(deadline)? {
                return Ok(None);
            }
        }
    }

    /// What the server had sent by the time it died.
    pub(crate) fn remains(&mut self) -> Outcome<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.receive(Duration::ZERO)? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Takes one datagram, or what the session's clock asks for. False: the deadline has come.
    fn step(&mut self, deadline: Instant) -> Outcome<bool> {
        let wake = self
            .session
            .poll_timeout()
            .map_or(deadline, |at| at.min(deadline));
        let wait = wake.saturating_duration_since(Instant::now()).max(INSTANT);
        self.socket.set_read_timeout(Some(wait))?;
        let mut datagram = vec![0; DATAGRAM];
        match self.socket.recv(&mut datagram) {
            Ok(length) => {
                let datagram = datagram.get(..length).unwrap_or_default();
                self.session.handle_datagram(Instant::now(), datagram);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if Instant::now() >= deadline {
                    return Ok(false);
                }
                self.session.handle_timeout(Instant::now());
            }
            // Nobody was there for something sent before; what was sent to us may still wait.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
        self.flush();
        Ok(true)
    }

    fn flush(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                // What cannot be sent is lost.
                Output::Transmit(datagram) => drop(self.socket.send(&datagram)),
                Output::Established(_) => self.established = true,
                Output::Data(data) => self.received.push_back(data),
                Output::Closed(reason) => self.closed = Some(reason),
            }
        }
    }
}
