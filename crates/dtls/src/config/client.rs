//! What a client opens its sessions with.

use std::fmt;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslSession, SslStream, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::verify::X509CheckFlags;

use super::context::{self, Certified};
use super::server_name::ServerName;
use super::{ClientCredentials, ConfigError};
use crate::certificate::has_expired;
use crate::openssl_session::Side;
use crate::psk::{self, PskIdentity, PskKey};
use crate::wire::Wire;
use crate::{OpensslSession, Role, SessionSettings, Transport, ffi};

/// What a client opens its sessions with. Clones share credentials.
#[derive(Clone)]
pub struct ClientConfig {
    datagram: SslContext,
    stream: SslContext,
    psk: Option<PskIdentity>,
    settings: SessionSettings,
}

/// What a client keeps of a session to resume it with the same configuration, transport and server name (RFC 5077,
/// RFC 8446 §2.2).
#[derive(Clone)]
pub struct ResumptionState {
    pub(crate) context: SslContext,
    pub(crate) session: SslSession,
    /// `None` with a pre-shared key.
    pub(crate) server_certificate: Option<X509>,
    pub(crate) server_name: String,
}

impl ClientConfig {
    /// A client that authenticates with a certificate, and accepts servers by theirs.
    ///
    /// # Errors
    /// [`ConfigError`] says which of the inputs cannot be used.
    pub fn new(
        credentials: ClientCredentials<'_>,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        let certified = Certified::read(credentials)?;
        Self::build(None, settings, |context| {
            context::set_suites(context, true, false)?;
            certified.install(context)
        })
    }

    /// A client that authenticates with a pre-shared key, as the server does (RFC 9132 §8). Certificates are not
    /// accepted.
    ///
    /// # Errors
    /// [`ConfigError::Refused`] if OpenSSL runs out of memory.
    pub fn with_psk(
        identity: &PskIdentity,
        key: &PskKey,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        Self::build(Some(identity.clone()), settings, |context| {
            context::set_suites(context, false, true)?;
            psk::offer(context, identity.clone(), key.clone());
            Ok(())
        })
    }

    fn build(
        psk: Option<PskIdentity>,
        settings: SessionSettings,
        authenticate: impl Fn(&mut SslContextBuilder) -> Result<(), ErrorStack>,
    ) -> Result<Self, ConfigError> {
        let build = |transport| {
            let mut context = context::builder(Role::Client, transport)?;
            authenticate(&mut context)?;
            context.set_verify(SslVerifyMode::PEER);
            Ok(context.build())
        };
        Ok(Self {
            datagram: build(Transport::Datagram).map_err(ConfigError::Refused)?,
            stream: build(Transport::Stream).map_err(ConfigError::Refused)?,
            psk,
            settings,
        })
    }

    /// Opens a session over UDP with the server whose certificate has to be valid for `server_name` (RFC 9132 §7.1): a
    /// host name, with or without the final dot, is matched with the DNS-IDs of the certificate and sent as SNI; an IP
    /// address is matched with its iPAddress entries. The common name is never looked at. With a pre-shared key the name
    /// is sent as SNI, and the key alone tells whether it is the server.
    ///
    /// An earlier session of another name or configuration is ignored, and so is one after a certificate has expired.
    ///
    /// # Errors
    /// [`ConfigError::ServerName`] if `server_name` is neither.
    pub fn connect(
        &self,
        now: Instant,
        server_name: &str,
        resumption: Option<&ResumptionState>,
    ) -> Result<OpensslSession, ConfigError> {
        self.open(now, Transport::Datagram, server_name, resumption)
    }

    /// The same over a TCP connection that has just been established (RFC 8323 §8.2). The server has to agree to the ALPN
    /// "coap".
    ///
    /// # Errors
    /// [`ConfigError::ServerName`] if `server_name` is neither a host name nor an address.
    pub fn connect_stream(
        &self,
        now: Instant,
        server_name: &str,
        resumption: Option<&ResumptionState>,
    ) -> Result<OpensslSession, ConfigError> {
        self.open(now, Transport::Stream, server_name, resumption)
    }

    fn open(
        &self,
        now: Instant,
        transport: Transport,
        server_name: &str,
        resumption: Option<&ResumptionState>,
    ) -> Result<OpensslSession, ConfigError> {
        let name = ServerName::parse(server_name)?;
        let context = match transport {
            Transport::Datagram => &self.datagram,
            Transport::Stream => &self.stream,
        };
        let mut ssl = self
            .prepare(context, transport, &name)
            .map_err(ConfigError::Refused)?;
        if let Some(state) = resumption.filter(|state| may_resume(context, state, &name)) {
            ffi::resume(&mut ssl, &state.context, &state.session);
        }
        let stream = SslStream::new(ssl, Wire::new(transport)).map_err(ConfigError::Refused)?;
        let side = Side::Client {
            server_name: name.text,
            psk: self.psk.clone(),
        };
        Ok(OpensslSession::start(
            stream,
            transport,
            side,
            self.settings,
            now,
        ))
    }

    fn prepare(
        &self,
        context: &SslContext,
        transport: Transport,
        name: &ServerName,
    ) -> Result<Ssl, ErrorStack> {
        let mut ssl = context::new_ssl(context, transport, self.settings)?;
        ssl.set_connect_state();
        let checks = ssl.param_mut();
        checks.set_hostflags(
            X509CheckFlags::NO_PARTIAL_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT,
        );
        match name.address {
            Some(address) => checks.set_ip(address)?,
            None => {
                checks.set_host(&name.text)?;
                ssl.set_hostname(&name.text)?;
            }
        }
        Ok(ssl)
    }
}

/// A resumed handshake shows no certificates, so after one has expired only a full one says what is wrong.
fn may_resume(context: &SslContext, state: &ResumptionState, name: &ServerName) -> bool {
    let expired = |certificate: &X509| has_expired(certificate);
    state.server_name == name.text
        && !state.server_certificate.as_ref().is_some_and(expired)
        && !context.certificate().is_some_and(has_expired)
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("psk", &self.psk)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ResumptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumptionState")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
