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

use pvd::PvdId;

use super::Error;
use crate::config::{self, ClientConfig, PreSharedKey};
use crate::sessions;

/// What is held for one server, and never offered to another.
struct Identity {
    credentials: Credentials,
    cuid: Cuid,
}

/// Opens DTLS sessions.
pub(crate) struct OpensslConnector {
    identities: BTreeMap<AssociationId, Identity>,
    /// For servers that are found in a PvD.
    discovered: BTreeMap<PvdId, Identity>,
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
fn identity(configured: &config::Credentials) -> Result<Identity, dtls::ConfigError> {
    let settings = SessionSettings::default();
    Ok(match configured {
        config::Credentials::Certificate(certificate) => {
            let pem = certificate.pem();
            let digest = dtls::spki_sha256(pem.certificate_chain)?;
            Identity {
                credentials: Credentials::new(pem, settings)?,
                cuid: Cuid::from_spki_sha256(&digest),
            }
        }
        config::Credentials::PreSharedKey(PreSharedKey { identity, key, .. }) => Identity {
            credentials: Credentials::with_psk(identity, key, settings)?,
            cuid: Cuid::from_spki_sha256(&identity.fingerprint()),
        },
    })
}

impl OpensslConnector {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, Error> {
        let mut identities = BTreeMap::new();
        let mut discovered = BTreeMap::new();
        for pvd in &config.pvds {
            if let Some(discover) = &pvd.discover {
                let identity = identity(&discover.credentials).map_err(|error| {
                    let server = format!("servers that are found in {}", pvd.id);
                    Error::Credentials { server, error }
                })?;
                discovered.insert(pvd.id.clone(), identity);
            }
            for server in &pvd.dots {
                let name = server.name.to_string();
                let refused = |error| Error::Credentials {
                    server: name.clone(),
                    error,
                };
                let identity = identity(&server.credentials).map_err(refused)?;
                let association = AssociationId {
                    pvd: pvd.id.clone(),
                    server: name.clone(),
                };
                identities.insert(association, identity);
            }
        }
        Ok(Self {
            identities,
            discovered,
            parameters: sessions::of_client(config.heartbeat),
        })
    }
}

impl OpensslConnector {
    fn identity(&self, association: &AssociationId) -> Option<&Identity> {
        let written = self.identities.get(association);
        written.or_else(|| self.discovered.get(&association.pvd))
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
        let identity = self
            .identity(association)
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
        let Some(identity) = self.identity(association) else {
            return Cuid::from_spki_sha256(&[0; 32]);
        };
        // One server for several PvDs would take equal mids for one request (RFC 9132 §4.4.1.1).
        let mut others = self.identities.iter();
        let is_shared = others.any(|(other, its)| {
            other.server == association.server
                && other.pvd < association.pvd
                && its.cuid == identity.cuid
        });
        if is_shared {
            let name = format!("{} {}", identity.cuid, association.pvd);
            return Cuid::from_spki_sha256(&openssl::sha::sha256(name.as_bytes()));
        }
        identity.cuid.clone()
    }

    fn parameters(&self) -> &SessionParameters {
        &self.parameters
    }
}
