//! Sessions with servers that never answer: a client with these has everything still to ask.

use std::time::Instant;

use agent::client::{Connection, Connector};
use agent::server_selection::AssociationId;
use agent::session::{Negotiation, SessionParameters};
use dots::identifiers::Cuid;
use dtls::{ConfigError, Output, SendError, Session, Transport};

/// The most that a session would take, had it a peer.
const DATA_LIMIT: usize = 1152;

/// Begins sessions that lead nowhere.
#[derive(Debug)]
pub(super) struct SilentConnector {
    parameters: SessionParameters,
}

impl Default for SilentConnector {
    fn default() -> Self {
        Self {
            parameters: SessionParameters {
                negotiation: Negotiation::Client(None),
                ..SessionParameters::default()
            },
        }
    }
}

impl Connector for SilentConnector {
    type Session = SilentSession;

    fn connect(
        &mut self,
        _: Instant,
        _: &AssociationId,
        _: Connection<'_>,
        _: Option<&()>,
    ) -> Result<SilentSession, ConfigError> {
        Ok(SilentSession)
    }

    fn cuid(&self, _: &AssociationId) -> Cuid {
        Cuid::from_spki_sha256(&[0; 32])
    }

    fn parameters(&self) -> &SessionParameters {
        &self.parameters
    }
}

/// A handshake that never ends.
#[derive(Debug)]
pub(super) struct SilentSession;

impl Session for SilentSession {
    type Resumption = ();

    fn handle_datagram(&mut self, _: Instant, _: &[u8]) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn send(&mut self, _: Instant, _: &[u8]) -> Result<(), SendError> {
        Err(SendError::NotEstablished)
    }

    fn close(&mut self, _: Instant) {}

    fn poll_output(&mut self) -> Option<Output> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn transport(&self) -> Transport {
        Transport::Datagram
    }

    fn data_limit(&self) -> usize {
        DATA_LIMIT
    }

    fn resumption(&self) -> Option<()> {
        None
    }
}
