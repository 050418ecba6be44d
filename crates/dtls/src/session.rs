//! The narrow interface that the agents use, whatever secures the datagrams or the stream (RFC 9132 §7).

use std::fmt;
use std::time::Instant;

use crate::{CloseReason, PskIdentity};

/// What carries a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// DTLS over UDP: datagrams, which may be lost and keep their bounds.
    Datagram,
    /// TLS over TCP: a stream of octets, cut anywhere.
    Stream,
}

/// A secured session over datagrams or a stream.
///
/// After each call that takes `now`, drain [`Session::poll_output`] until it returns `None`, then ask
/// [`Session::poll_timeout`] when to call [`Session::handle_timeout`] at the latest. Of a stream, [`Output::Transmit`] and
/// [`Output::Data`] are chunks whose bounds mean nothing. What cannot be written to the connection yet may wait in the
/// session: with too much waiting, [`Session::send`] refuses.
pub trait Session {
    /// What a client keeps of this session to resume it later.
    type Resumption: fmt::Debug;

    /// Takes a datagram from the peer's address; whatever does not belong to the session is counted and dropped. Of a
    /// stream, takes what was read from the connection: a chunk of any size, or nothing if the connection has ended.
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]);

    /// Retransmits or gives up, if that is due at `now`. Calling it too early does no harm.
    fn handle_timeout(&mut self, now: Instant);

    /// Protects `data` and queues it: as one datagram, or as the next octets of the stream.
    ///
    /// # Errors
    /// See [`SendError`]; nothing is queued then.
    fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), SendError>;

    /// Ends the session: queues close_notify if the session was established, then
    /// [`Output::Closed`] with [`CloseReason::Local`].
    fn close(&mut self, now: Instant);

    /// The next effect, in the order in which they have to take place.
    fn poll_output(&mut self) -> Option<Output>;

    /// When [`Session::handle_timeout`] has to be called next; `None` if nothing is waited for.
    fn poll_timeout(&self) -> Option<Instant>;

    /// What carries the session.
    fn transport(&self) -> Transport;

    /// The most octets that [`Session::send`] takes: of datagrams, what fits one of the path MTU (RFC 9132 §7.3).
    fn data_limit(&self) -> usize;

    /// What resumes this session later, at a client, once the server has said how; also when the session is over. The
    /// later it is asked for, the fresher it is.
    fn resumption(&self) -> Option<Self::Resumption>;
}

/// What a session wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the peer, or write this to the connection.
    Transmit(Vec<u8>),
    /// The handshake has finished and the peer is authenticated. The server may still refuse the client: with TLS 1.3 it
    /// sees the client's certificate only now.
    Established(Peer),
    /// The peer sent this; one value for each record, except on a stream.
    Data(Vec<u8>),
    /// The session is over. Nothing follows.
    Closed(CloseReason),
}

impl Output {
    pub(crate) fn octets(&self) -> usize {
        match self {
            Self::Transmit(octets) | Self::Data(octets) => octets.len(),
            Self::Established(_) | Self::Closed(_) => 0,
        }
    }
}

/// The authenticated peer of an established session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What the peer proved to hold.
    pub credential: Credential,
    /// Whether an earlier session was resumed (RFC 5077) instead of a full handshake.
    pub resumed: bool,
}

/// What a peer proved to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An X.509 certificate whose path was validated.
    Certificate {
        /// SHA-256 over the DER SubjectPublicKeyInfo: the source of the cuid (RFC 9132 §4.4.1.1).
        spki_sha256: [u8; 32],
        /// The subject for people and logs, as in `CN=client-1, O=Example`.
        subject: String,
        /// The common name of the subject.
        common_name: Option<String>,
        /// The dNSName entries of subjectAltName.
        dns_names: Vec<String>,
    },
    /// A pre-shared key. Client and server hold the same; the identity is the client's.
    Psk {
        /// The name of the key.
        identity: PskIdentity,
    },
}

impl Credential {
    /// What the cuid is made of (RFC 9132 §4.4.1.1): SHA-256 over the DER SubjectPublicKeyInfo, or over the PSK identity.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        match self {
            Self::Certificate { spki_sha256, .. } => *spki_sha256,
            Self::Psk { identity } => identity.fingerprint(),
        }
    }
}

/// For people and logs.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { subject, .. } => f.write_str(subject),
            Self::Psk { identity } => write!(f, "PSK identity {identity}"),
        }
    }
}

/// Why data was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The handshake has not finished.
    #[error("the session is not established yet")]
    NotEstablished,
    /// The data does not fit a datagram of the path MTU (RFC 9132 §7.3), or what may ever wait for a connection.
    #[error("the data is too long to be sent at once: the limit is {limit} octets")]
    TooLarge {
        /// The most octets that fit.
        limit: usize,
    },
    /// The connection does not take what was sent before; try again when outputs have been taken.
    #[error("too much waits for the connection already")]
    Backlog,
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}
