//! What a server accepts sessions with.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::ssl::{SslContext, SslOptions, SslStream, SslVerifyMode};

use super::context::{self, Certified};
use super::{ConfigError, ServerCredentials};
use crate::openssl_session::Side;
use crate::psk::{self, PskIdentity, PskKey};
use crate::wire::Wire;
use crate::{OpensslSession, Role, SessionSettings, Transport, ffi};

/// Binds session tickets to this application (RFC 5077 leaves the contents to the server).
const SESSION_ID_CONTEXT: &[u8] = b"dots";

/// What a server accepts sessions with. Clones share credentials and the keys of session tickets.
#[derive(Clone)]
pub struct ServerConfig {
    datagram: SslContext,
    stream: SslContext,
    settings: SessionSettings,
}

impl ServerConfig {
    /// Clients have to present a certificate that leads to one of the trust anchors.
    ///
    /// # Errors
    /// [`ConfigError`] says which of the inputs cannot be used.
    pub fn new(
        credentials: ServerCredentials<'_>,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        Self::build(Some(credentials), &BTreeMap::new(), settings)
    }

    /// Clients have to prove that they hold one of the keys; with `credentials` also those are accepted that present a
    /// certificate.
    ///
    /// # Errors
    /// [`ConfigError`] says which of the inputs cannot be used; [`ConfigError::NoCredentials`] if there are none.
    pub fn with_psks(
        credentials: Option<ServerCredentials<'_>>,
        keys: &BTreeMap<PskIdentity, PskKey>,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        if credentials.is_none() && keys.is_empty() {
            return Err(ConfigError::NoCredentials);
        }
        Self::build(credentials, keys, settings)
    }

    fn build(
        credentials: Option<ServerCredentials<'_>>,
        keys: &BTreeMap<PskIdentity, PskKey>,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        let certified = credentials.map(Certified::read).transpose()?;
        let build = |transport| build(transport, certified.as_ref(), keys);
        Ok(Self {
            datagram: build(Transport::Datagram).map_err(ConfigError::Refused)?,
            stream: build(Transport::Stream).map_err(ConfigError::Refused)?,
            settings,
        })
    }

    /// A session over a TCP connection that a client has just opened (RFC 8323 §8.2). The client has to offer the ALPN
    /// "coap", or no ALPN and a pre-shared key.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] if OpenSSL runs out of memory.
    pub fn accept_stream(&self, now: Instant) -> Result<OpensslSession, ConfigError> {
        let stream = self.open(Transport::Stream).map_err(ConfigError::Refused)?;
        let side = Side::Server {
            unprotected_shift: 0,
        };
        Ok(OpensslSession::start(
            stream,
            Transport::Stream,
            side,
            self.settings,
            now,
        ))
    }

    /// A session that begins with a ClientHello whose cookie was verified.
    pub(crate) fn accept(&self, now: Instant, client_hello: &[u8]) -> Option<OpensslSession> {
        let mut stream = self.open(Transport::Datagram).ok()?;
        stream.get_mut().deliver(client_hello);
        // The ServerHello takes the record sequence number of the ClientHello (RFC 6347 §4.2.1). OpenSSL always gives it
        // 1, which a client whose first hello was lost takes for a replay of the HelloVerifyRequest.
        let sequence = client_hello
            .get(5..11)?
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte));
        ffi::listen(&mut stream).then(|| {
            let side = Side::Server {
                unprotected_shift: sequence.saturating_sub(1),
            };
            OpensslSession::start(stream, Transport::Datagram, side, self.settings, now)
        })
    }

    fn open(&self, transport: Transport) -> Result<SslStream<Wire>, ErrorStack> {
        let context = match transport {
            Transport::Datagram => &self.datagram,
            Transport::Stream => &self.stream,
        };
        let mut ssl = context::new_ssl(context, transport, self.settings)?;
        ssl.set_accept_state();
        SslStream::new(ssl, Wire::new(transport))
    }
}

fn build(
    transport: Transport,
    certified: Option<&Certified>,
    keys: &BTreeMap<PskIdentity, PskKey>,
) -> Result<SslContext, ErrorStack> {
    let mut context = context::builder(Role::Server, transport)?;
    context::set_suites(&mut context, certified.is_some(), !keys.is_empty())?;
    context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    // The cookie door has verified the cookie by the time that OpenSSL sees it.
    context.set_cookie_verify_cb(|_, _| true);
    context.set_session_id_context(SESSION_ID_CONTEXT)?;
    if let Some(certified) = certified {
        certified.install(&mut context)?;
        for anchor in &certified.anchors {
            context.add_client_ca(anchor)?;
        }
    }
    if !keys.is_empty() {
        context::set_group(&mut context)?;
        psk::serve(&mut context, keys.clone())?;
    }
    Ok(context.build())
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
