//! The clients' side: sockets, each from an address of its own, with a session on it or without.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coap::{Message, Token};
use dtls::{ClientConfig, CloseReason, OpensslSession, Output, Peer, ResumptionState, Session};

use super::error::Error;
use super::site::SERVER_NAME;

/// How long a station waits for a datagram at a time; then a flight of its handshake is repeated that is due.
const WAIT: Duration = Duration::from_millis(100);
/// Most answers that a station keeps for whoever asks for them later; the oldest go first.
const MOST_KEPT: usize = 1000;
/// Room for a datagram.
const DATAGRAM: usize = 2048;
/// The first source address: 127.16.0.0.
const FIRST_SOURCE: u32 = 0x7f10_0000;
/// How many source addresses there are, up to 127.127.255.255.
const SOURCES: u32 = 0x0070_0000;
/// Handshakes under way at a time.
const IN_FLIGHT: usize = 16;

/// Makes stations.
#[derive(Debug)]
pub(super) struct Generator {
    config: ClientConfig,
    next: u32,
}

impl Generator {
    pub(super) fn new(config: ClientConfig) -> Self {
        Generator { config, next: 0 }
    }

    /// A socket towards `remote` from an address that no other socket of this run has: no two clients of a DOTS server share one.
    pub(super) fn socket(&mut self, remote: SocketAddr) -> Result<UdpSocket, Error> {
        let source = Ipv4Addr::from_bits(FIRST_SOURCE + self.next % SOURCES);
        self.next = self.next.wrapping_add(1);
        let failed = || Error::system(format!("make a socket from {source} to {remote}"));
        let socket = UdpSocket::bind((source, 0)).map_err(failed())?;
        socket.connect(remote).map_err(failed())?;
        socket.set_read_timeout(Some(WAIT)).map_err(failed())?;
        Ok(socket)
    }

    /// Stations without a session.
    pub(super) fn plain(&mut self, remote: SocketAddr, count: u32) -> Result<Vec<Station>, Error> {
        let station = |_| Ok(Station::new(remote, self.socket(remote)?, None));
        (0..count).map(station).collect()
    }

    /// Stations with an established session each.
    pub(super) fn sessions(
        &mut self,
        remote: SocketAddr,
        count: u32,
    ) -> Result<Vec<Station>, Error> {
        let mut stations = Vec::new();
        self.open(
            remote,
            None,
            |begun| begun < count,
            |station| {
                stations.push(station);
                Ok(())
            },
        )?;
        Ok(stations)
    }

    /// Opens sessions, a few at a time, as long as `more` says so when it is told how many have begun; `established` takes each.
    pub(super) fn open(
        &mut self,
        remote: SocketAddr,
        resumption: Option<&ResumptionState>,
        more: impl Fn(u32) -> bool,
        mut established: impl FnMut(Station) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut begun = 0;
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < IN_FLIGHT && more(begun) {
                under_way.push_back(self.begin(remote, resumption)?);
                begun += 1;
            }
            let Some(mut station) = under_way.pop_front() else {
                return Ok(());
            };
            station.step()?;
            if station.peer.is_some() {
                established(station)?;
            } else {
                under_way.push_back(station);
            }
        }
    }

    fn begin(
        &mut self,
        remote: SocketAddr,
        resumption: Option<&ResumptionState>,
    ) -> Result<Station, Error> {
        let socket = self.socket(remote)?;
        let session = self
            .config
            .connect(Instant::now(), SERVER_NAME, resumption)?;
        let mut station = Station::new(remote, socket, Some(Box::new(session)));
        station.flush()?;
        Ok(station)
    }
}

/// One client.
#[derive(Debug)]
pub(super) struct Station {
    remote: SocketAddr,
    socket: UdpSocket,
    /// `None`: what it sends goes as it is.
    session: Option<Box<OpensslSession>>,
    /// Who the server is, once the session is established.
    peer: Option<Peer>,
    received: VecDeque<Vec<u8>>,
    /// Messages that came while another one was waited for, and when each was read.
    passed_over: BTreeMap<Token, (Message, Instant)>,
}

impl Station {
    pub(super) fn new(
        remote: SocketAddr,
        socket: UdpSocket,
        session: Option<Box<OpensslSession>>,
    ) -> Self {
        Station {
            remote,
            socket,
            session,
            peer: None,
            received: VecDeque::new(),
            passed_over: BTreeMap::new(),
        }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether an earlier session was resumed.
    pub(super) fn is_resumed(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.resumed)
    }

    /// What resumes its session later.
    pub(super) fn resumption(&self) -> Option<ResumptionState> {
        self.session
            .as_ref()
            .and_then(|session| session.resumption())
    }

    /// From now on [`Station::answer`] does not wait.
    pub(super) fn stop_waiting(&self) -> Result<(), Error> {
        let set = self.socket.set_nonblocking(true);
        set.map_err(Error::system("make a socket non-blocking"))
    }

    pub(super) fn send(&mut self, message: &Message) -> Result<(), Error> {
        let bytes = message.encode();
        let Some(session) = &mut self.session else {
            return self.transmit(&bytes);
        };
        let remote = self.remote;
        let sent = session.send(Instant::now(), &bytes);
        sent.map_err(|source| Error::NotSent { remote, source })?;
        self.flush()
    }

    /// The answer to the request with this token, and when it was read; `None` when nothing comes within [`WAIT`]. It must not be a
    /// refusal.
    pub(super) fn answer(&mut self, token: Token) -> Result<Option<(Message, Instant)>, Error> {
        loop {
            if let Some((message, read)) = self.passed_over.remove(&token) {
                if message.code.is_response() && !message.code.is_success() {
                    return Err(Error::Refused {
                        remote: self.remote,
                        code: message.code,
                        text: String::from_utf8_lossy(&message.payload).into_owned(),
                    });
                }
                return Ok(Some((message, read)));
            }
            let Some(message) = self.next_message()? else {
                return Ok(None);
            };
            let token = message.token;
            self.passed_over.insert(token, (message, Instant::now()));
            if self.passed_over.len() > MOST_KEPT {
                self.passed_over.pop_first();
            }
        }
    }

    /// The next message; `None` when none comes within [`WAIT`].
    fn next_message(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if let Some(data) = self.received.pop_front() {
                // What is no message is as good as lost.
                return Ok(Message::decode(&data).ok());
            }
            if !self.step()? {
                return Ok(None);
            }
        }
    }

    /// Tells the server that the session is over.
    pub(super) fn close(mut self) -> Result<(), Error> {
        if let Some(session) = &mut self.session {
            session.close(Instant::now());
        }
        while let Some(output) = self.poll() {
            if let Output::Transmit(datagram) = output {
                self.transmit(&datagram)?;
            }
        }
        Ok(())
    }

    /// Takes one datagram, or what the session's clock asks for. False: no datagram came.
    fn step(&mut self) -> Result<bool, Error> {
        let mut buffer = [0; DATAGRAM];
        let received = match self.socket.recv(&mut buffer) {
            Ok(length) => Some(buffer.get(..length).unwrap_or_default()),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                None
            }
            Err(error) => {
                return Err(Error::system(format!("hear from {}", self.remote))(error));
            }
        };
        match (&mut self.session, received) {
            (None, Some(datagram)) => self.received.push_back(datagram.to_vec()),
            (Some(session), Some(datagram)) => session.handle_datagram(Instant::now(), datagram),
            (Some(session), None) => session.handle_timeout(Instant::now()),
            (None, None) => {}
        }
        self.flush()?;
        Ok(received.is_some())
    }

    fn flush(&mut self) -> Result<(), Error> {
        while let Some(output) = self.poll() {
            match output {
                Output::Transmit(datagram) => self.transmit(&datagram)?,
                Output::Established(peer) => self.peer = Some(peer),
                Output::Data(data) => self.received.push_back(data),
                Output::Closed(reason) => return Err(self.ended(reason)),
            }
        }
        Ok(())
    }

    fn poll(&mut self) -> Option<Output> {
        self.session
            .as_mut()
            .and_then(|session| session.poll_output())
    }

    fn transmit(&self, datagram: &[u8]) -> Result<(), Error> {
        let sent = self.socket.send(datagram).map(drop);
        sent.map_err(Error::system(format!("send to {}", self.remote)))
    }

    fn ended(&self, reason: CloseReason) -> Error {
        Error::SessionEnded {
            remote: self.remote,
            reason,
        }
    }
}
