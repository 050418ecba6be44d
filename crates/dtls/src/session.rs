//! The narrow interface that the agents use, whatever secures the datagrams (RFC 9132 §7).

use std::time::Instant;

use crate::CloseReason;

/// A secured datagram session.
///
/// After each call that takes `now`, drain [`Session::poll_output`] until it returns `None`, then ask
/// [`Session::poll_timeout`] when to call [`Session::handle_timeout`] at the latest.
pub trait Session {
    /// Takes a datagram from the peer's address. Whatever does not belong to the session is counted and dropped.
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]);

    /// Retransmits or gives up, if that is due at `now`. Calling it too early does no harm.
    fn handle_timeout(&mut self, now: Instant);

    /// Protects `data` and queues it as one datagram.
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
}

/// What a session wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the peer.
    Transmit(Vec<u8>),
    /// The handshake has finished and the peer is authenticated.
    Established(Peer),
    /// The peer sent this; one value for each record.
    Data(Vec<u8>),
    /// The session is over. Nothing follows.
    Closed(CloseReason),
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
}

/// Why data was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The handshake has not finished.
    #[error("the session is not established yet")]
    NotEstablished,
    /// The data does not fit a datagram of the path MTU (RFC 9132 §7.3).
    #[error("the data does not fit one datagram: the limit is {limit} octets")]
    TooLarge {
        /// The most octets that fit.
        limit: usize,
    },
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}
