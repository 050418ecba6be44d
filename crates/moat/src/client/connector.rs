//! Sessions with the credentials of the right PvD (RFC 9284 §5.1).

use std::collections::BTreeMap;
use std::time::Instant;

use agent::client::{Connection, Connector};
use agent::server_selection::AssociationId;
use agent::session::SessionParameters;
use dots::identifiers::Cuid;
use dtls::{
    ClientConfig as Credentials, OpensslSession, ResumptionState, SessionSettings, Transport,
};

use super::Error;
use crate::config::{self, ClientConfig, PreSharedKey};
use crate::sessions;

/// What is held for one server, and never offered to another.
struct Identity {
    credentials: Credentials,
    cuid: Cuid,
}

/// Opens DTLS sessions.
pub(super) struct OpensslConnector {
    identities: BTreeMap<AssociationId, Identity>,
    parameters: SessionParameters,
}

impl std::fmt::Debug for OpensslConnector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Credentials are not for logs.
        formatter
            .debug_struct("OpensslConnector")
            .field("servers", &self.identities.keys())
            .finish_non_exhaustive()
    }
}

/// What opens sessions, and the cuid that follows from it (RFC 9132 §4.4.1.1).
fn identity(configured: &config::Credentials) -> Result<(Credentials, Cuid), dtls::ConfigError> {
    let settings = SessionSettings::default();
    Ok(match configured {
        config::Credentials::Certificate(certificate) => {
            let pem = certificate.pem();
            let digest = dtls::spki_sha256(pem.certificate_chain)?;
            (
                Credentials::new(pem, settings)?,
                Cuid::from_spki_sha256(&digest),
            )
        }
        config::Credentials::PreSharedKey(PreSharedKey { identity, key, .. }) => (
            Credentials::with_psk(identity, key, settings)?,
            Cuid::from_spki_sha256(&identity.fingerprint()),
        ),
    })
}

impl OpensslConnector {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, Error> {
        let mut identities = BTreeMap::new();
        for pvd in &config.pvds {
            for server in &pvd.dots {
                let name = server.name.to_string();
                let refused = |error| Error::Credentials {
                    server: name.clone(),
                    error,
                };
                let (credentials, cuid) = identity(&server.credentials).map_err(refused)?;
                let association = AssociationId {
                    pvd: pvd.id.clone(),
                    server: name.clone(),
                };
                identities.insert(association, Identity { credentials, cuid });
            }
        }
        Ok(Self {
            identities,
            parameters: sessions::of_client(config.heartbeat),
        })
    }
}

impl Connector for OpensslConnector {
    type Session = OpensslSession;

    fn connect(
        &mut self,
        now: Instant,
        association: &AssociationId,
        connection: Connection<'_>,
        resumption: Option<&ResumptionState>,
    ) -> Result<OpensslSession, dtls::ConfigError> {
        let identity =
            self.identities
                .get(association)
                .ok_or_else(|| dtls::ConfigError::ServerName {
                    name: association.server.clone(),
                })?;
        let name = connection.server_name;
        match connection.transport {
            Transport::Datagram => identity.credentials.connect(now, name, resumption),
            Transport::Stream => identity.credentials.connect_stream(now, name, resumption),
        }
    }

    fn cuid(&self, association: &AssociationId) -> Cuid {
        self.identities.get(association).map_or_else(
            || Cuid::from_spki_sha256(&[0; 32]),
            |identity| identity.cuid.clone(),
        )
    }

    fn parameters(&self) -> &SessionParameters {
        &self.parameters
    }
}
