//! What the suites share: the clock's origin, peers, CBOR by hand, a session without encryption.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dots::configuration::{
    ConfigurationSet, HeartbeatInterval, MissingHbAllowed, SessionConfiguration,
};
use dtls::{CloseReason, Credential, Output, Peer, SendError, Session, Transport};

/// 2026-01-01 00:00 UTC, where the wall clock starts.
pub(crate) const EPOCH: u64 = 1_767_225_600;

#[expect(
    clippy::disallowed_methods,
    reason = "any moment will do as the origin of a virtual clock"
)]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The holder of a certificate for `name`; `key` stands for its public key.
pub(crate) fn peer(name: &str, key: u8) -> Peer {
    Peer {
        credential: Credential::Certificate {
            spki_sha256: [key; 32],
            subject: format!("CN={name}"),
            common_name: None,
            dns_names: vec![name.to_owned()],
        },
        resumed: false,
    }
}

/// CBOR by hand, for bodies that the typed messages cannot express.
pub(crate) mod cbor {
    fn head(major: u8, argument: u64) -> Vec<u8> {
        let mut bytes = vec![major << 5 | 27];
        bytes.extend(argument.to_be_bytes());
        bytes
    }

    pub(crate) fn uint(number: u64) -> Vec<u8> {
        head(0, number)
    }

    /// -1 - `number`
    pub(crate) fn negative(number: u64) -> Vec<u8> {
        head(1, number)
    }

    pub(crate) fn text(text: &str) -> Vec<u8> {
        [head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
    }

    pub(crate) fn texts(texts: &[&str]) -> Vec<u8> {
        array(&texts.iter().map(|each| text(each)).collect::<Vec<_>>())
    }

    pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
        [head(4, items.len() as u64), items.concat()].concat()
    }

    pub(crate) fn map(entries: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let pairs = entries
            .iter()
            .flat_map(|(key, value)| [uint(*key), value.clone()].concat());
        head(5, entries.len() as u64)
            .into_iter()
            .chain(pairs)
            .collect()
    }

    pub(crate) fn boolean(value: bool) -> Vec<u8> {
        vec![if value { 0xf5 } else { 0xf4 }]
    }

    /// `{mitigation-scope: {scope: [...]}}`
    pub(crate) fn scopes(scopes: &[Vec<u8>]) -> Vec<u8> {
        map(&[(1, map(&[(2, array(scopes))]))])
    }

    pub(crate) fn scope(entries: &[(u64, Vec<u8>)]) -> Vec<u8> {
        scopes(&[map(entries)])
    }
}

pub(crate) const HELLO: u8 = 1;
pub(crate) const WELCOME: u8 = 2;
pub(crate) const DATA: u8 = 3;
pub(crate) const BYE: u8 = 4;
/// DATA and BYE in one.
pub(crate) const LAST: u8 = 5;

/// How long a handshake may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(30);

/// A session without encryption: HELLO, WELCOME, DATA..., BYE, one byte each and then the data.
#[derive(Debug)]
pub(crate) struct ClearSession {
    peer: Peer,
    transport: Transport,
    deadline: Option<Instant>,
    open: bool,
    over: bool,
    outputs: VecDeque<Output>,
}

impl ClearSession {
    pub(crate) fn new(now: Instant, peer: Peer) -> Self {
        Self {
            peer,
            transport: Transport::Datagram,
            deadline: Some(now + HANDSHAKE),
            open: false,
            over: false,
            outputs: VecDeque::from([Output::Transmit(vec![HELLO])]),
        }
    }

    /// The same over a connection whose chunks keep their bounds.
    pub(crate) fn over_stream(now: Instant, peer: Peer) -> Self {
        Self {
            transport: Transport::Stream,
            ..Self::new(now, peer)
        }
    }

    fn end(&mut self, reason: CloseReason) {
        if !self.over {
            (self.open, self.over, self.deadline) = (false, true, None);
            self.outputs.push_back(Output::Closed(reason));
        }
    }
}

impl Session for ClearSession {
    type Resumption = ();

    fn handle_datagram(&mut self, _: Instant, datagram: &[u8]) {
        match datagram.split_first() {
            Some((&WELCOME, _)) if !self.open && !self.over => {
                (self.open, self.deadline) = (true, None);
                self.outputs
                    .push_back(Output::Established(self.peer.clone()));
            }
            Some((&DATA, data)) if self.open => {
                self.outputs.push_back(Output::Data(data.to_vec()));
            }
            Some((&LAST, data)) if self.open => {
                self.outputs.push_back(Output::Data(data.to_vec()));
                self.end(CloseReason::PeerClosed);
            }
            Some((&BYE, _)) => self.end(CloseReason::PeerClosed),
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.end(CloseReason::HandshakeTimedOut);
        }
    }

    fn send(&mut self, _: Instant, data: &[u8]) -> Result<(), SendError> {
        if self.over {
            return Err(SendError::Closed);
        }
        if !self.open {
            return Err(SendError::NotEstablished);
        }
        self.outputs
            .push_back(Output::Transmit([&[DATA], data].concat()));
        Ok(())
    }

    fn close(&mut self, _: Instant) {
        if self.open {
            self.outputs.push_back(Output::Transmit(vec![BYE]));
        }
        self.end(CloseReason::Local);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn data_limit(&self) -> usize {
        1152
    }

    fn resumption(&self) -> Option<()> {
        None
    }
}

/// A session configuration with these heartbeats, with and without a mitigation.
pub(crate) fn configuration(interval: u16, missing_allowed: u16) -> SessionConfiguration {
    let set = ConfigurationSet {
        heartbeat_interval: HeartbeatInterval::new(interval).unwrap(),
        missing_hb_allowed: MissingHbAllowed::new(missing_allowed).unwrap(),
        ..ConfigurationSet::default()
    };
    SessionConfiguration {
        mitigating: set,
        idle: set,
    }
}
