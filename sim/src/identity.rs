//! Who is who: names stand for certificates.
//!
//! The agent's own tests have a connector that looks alike and tells other things apart: PvDs by their cuid, UDP from TCP, for
//! servers that the test plays itself. Here servers must know their clients by name, so the two share no more than the trait.

use std::time::Instant;

use agent::client::{Connection, Connector};
use agent::server_selection::AssociationId;
use agent::session::{Negotiation, SessionParameters};
use dots::identifiers::Cuid;
use dtls::{Credential, Peer};

use crate::plaintext::PlaintextSession;

fn fingerprint(name: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().rev().zip(name.bytes().rev()) {
        *place = byte;
    }
    digest
}

/// The holder of the certificate for `name`.
pub(crate) fn peer(name: &str) -> Peer {
    Peer {
        credential: Credential::Certificate {
            spki_sha256: fingerprint(name),
            subject: format!("CN={name}"),
            common_name: Some(name.to_owned()),
            dns_names: vec![name.to_owned()],
        },
        resumed: false,
    }
}

/// What the client of this name calls itself.
pub(crate) fn cuid(name: &str) -> Cuid {
    let mut digest = fingerprint(name);
    // The identifier is made of the first half.
    digest.reverse();
    Cuid::from_spki_sha256(&digest)
}

/// Opens plaintext sessions as the client of this name.
#[derive(Debug)]
pub struct PlaintextConnector {
    name: String,
    parameters: SessionParameters,
}

impl PlaintextConnector {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            parameters: SessionParameters {
                negotiation: Negotiation::Client(None),
                ..SessionParameters::default()
            },
        }
    }
}

impl Connector for PlaintextConnector {
    type Session = PlaintextSession;

    fn connect(
        &mut self,
        now: Instant,
        _: &AssociationId,
        connection: Connection<'_>,
        _: Option<&()>,
    ) -> Result<PlaintextSession, dtls::ConfigError> {
        let server = peer(connection.server_name);
        Ok(PlaintextSession::client(now, &self.name, server))
    }

    fn cuid(&self, _: &AssociationId) -> Cuid {
        cuid(&self.name)
    }

    fn parameters(&self) -> &SessionParameters {
        &self.parameters
    }
}
