//! Sessions without secrecy, for a client whose servers the test plays.

use std::time::Instant;

use agent::client::{Connection, Connector};
use agent::server_selection::AssociationId;
use agent::session::SessionParameters;
use dots::identifiers::Cuid;
use dtls::Transport;

use crate::world::{self, ClearSession};

pub(crate) struct Clear(SessionParameters);

impl Clear {
    pub(crate) fn new(parameters: SessionParameters) -> Self {
        Self(parameters)
    }
}

impl Connector for Clear {
    type Session = ClearSession;

    fn connect(
        &mut self,
        now: Instant,
        _: &AssociationId,
        connection: Connection<'_>,
        _: Option<&()>,
    ) -> Result<Self::Session, dtls::ConfigError> {
        let peer = world::peer(connection.server_name, 9);
        Ok(match connection.transport {
            Transport::Datagram => ClearSession::new(now, peer),
            Transport::Stream => ClearSession::over_stream(now, peer),
        })
    }

    fn cuid(&self, association: &AssociationId) -> Cuid {
        association.pvd.to_string().parse().unwrap()
    }

    fn parameters(&self) -> &SessionParameters {
        &self.0
    }
}
