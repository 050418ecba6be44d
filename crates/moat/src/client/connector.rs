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

/// What is held for one written server, or for those that are found in a PvD, and never offered to another.
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
            parameters: sessions::of_client(config.heartbeat, config.requests),
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
        // One server for several PvDs would take equal mids for one request (RFC 9132 §4.4.1.1). Servers of
        // different names may be one, or send their clients to one.
        let written = self.identities.iter().map(|(id, its)| (&id.pvd, its));
        let mut all = written.chain(&self.discovered);
        let is_shared = all.any(|(pvd, its)| *pvd < association.pvd && its.cuid == identity.cuid);
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

#[cfg(test)]
pub(super) mod tests {
    use dtls::{PskIdentity, PskKey};

    use super::*;

    fn named(name: &str) -> Identity {
        let name = PskIdentity::new(name).unwrap();
        let key = PskKey::new(&[7; 32]).unwrap();
        Identity {
            credentials: Credentials::with_psk(&name, &key, SessionSettings::default()).unwrap(),
            cuid: Cuid::from_spki_sha256(&name.fingerprint()),
        }
    }

    pub(in crate::client) fn server(pvd: &str, server: &str) -> AssociationId {
        AssociationId {
            pvd: pvd.parse().unwrap(),
            server: server.to_owned(),
        }
    }

    /// One that is written for each of these servers, and one for each of these PvDs.
    pub(in crate::client) fn connector(
        written: &[(&AssociationId, &str)],
        discovered: &[(&str, &str)],
    ) -> OpensslConnector {
        let written = written
            .iter()
            .map(|(id, name)| ((*id).clone(), named(name)));
        let discovered = discovered
            .iter()
            .map(|(pvd, name)| (pvd.parse().unwrap(), named(name)));
        OpensslConnector {
            identities: written.collect(),
            discovered: discovered.collect(),
            parameters: sessions::of_client(None, 100),
        }
    }

    /// Covers: S-013, M-002. It may be one server, under one name or several, or an alternate of two.
    #[test]
    fn pvds_with_the_same_credentials_have_a_cuid_each() {
        let (one, two) = (
            server("a.example", "dots.a.example"),
            server("b.example", "dots.b.example"),
        );
        let (found, other) = (
            server("c.example", "dots.isp.example"),
            server("d.example", "dots.isp.example"),
        );
        let connector = connector(
            &[(&one, "home"), (&two, "home")],
            &[
                ("c.example", "home"),
                ("d.example", "home"),
                ("e.example", "work"),
            ],
        );
        let cuids = [&one, &two, &found, &other].map(|it| connector.cuid(it));
        let distinct: std::collections::BTreeSet<_> = cuids.iter().collect();
        assert_eq!(distinct.len(), 4, "{cuids:?}");
        // Who shares nothing has the one that follows from the credentials alone.
        assert_eq!(cuids[0], named("home").cuid);
        let alone = server("e.example", "dots.isp.example");
        assert_eq!(connector.cuid(&alone), named("work").cuid);
        // Within a PvD it is one client, whatever server it asks.
        let sibling = server("c.example", "dots2.isp.example");
        assert_eq!(connector.cuid(&sibling), cuids[2]);
    }

    /// Covers: S-038
    #[test]
    fn as_many_requests_wait_for_an_answer_as_may_be_made() {
        let room = |requests| {
            let limits = sessions::of_client(None, requests).limits;
            (limits.outstanding_requests, limits.queued_datagrams)
        };
        let (default, queue) = room(0);
        assert_eq!(room(1000), (1000, queue + 1000 - default));
        assert_eq!(room(100_000).0, 1024);
    }
}
