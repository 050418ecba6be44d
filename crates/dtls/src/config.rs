//! Credentials and policy, checked once and shared by the sessions made with them.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSession, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509CheckFlags;

use crate::certificate::{has_expired, read_anchors, read_chain, read_key};
use crate::wire::Wire;
use crate::{OpensslSession, Role, SessionSettings, ffi};

/// Authenticated encryption with ephemeral keys only (RFC 9132 §8): what RFC 7525 §4.2 recommends. The `record` module
/// relies on AES-GCM.
const CIPHERS: &str = "ECDHE+AESGCM";
/// The longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
/// Binds session tickets to this application (RFC 5077 leaves the contents to the server).
const SESSION_ID_CONTEXT: &[u8] = b"dots";

/// What one side authenticates with and whom it trusts, in PEM.
#[derive(Clone, Copy)]
pub struct PemCredentials<'a> {
    /// The certificate, then those that lead from it towards its authority.
    pub certificate_chain: &'a [u8],
    /// The certificate's private key, not encrypted.
    pub private_key: &'a [u8],
    /// The self-signed authorities that the peer's certificate has to lead to. The system's are not used.
    pub trust_anchors: &'a [u8],
}

/// What a client authenticates with, and whose server certificates it accepts.
pub type ClientCredentials<'a> = PemCredentials<'a>;
/// What a server authenticates with, and whose client certificates it accepts.
pub type ServerCredentials<'a> = PemCredentials<'a>;

/// The private key is left out.
impl fmt::Debug for PemCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemCredentials").finish_non_exhaustive()
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The certificate chain is not PEM, or not X.509.
    #[error("the certificate chain cannot be read: {0}")]
    CertificateChain(#[source] ErrorStack),
    /// The certificate chain is empty.
    #[error("the certificate chain holds no certificate")]
    NoCertificate,
    /// The private key is not PEM, of no known kind, or encrypted.
    #[error("the private key cannot be read (an encrypted key is not supported): {0}")]
    PrivateKey(#[source] ErrorStack),
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The trust anchors are not PEM, or not X.509.
    #[error("the trust anchors cannot be read: {0}")]
    TrustAnchors(#[source] ErrorStack),
    /// There are no trust anchors.
    #[error("the trust anchors hold no certificate")]
    NoTrustAnchor,
    /// The name is neither an IP address nor a host name.
    #[error("{name:?} is neither a host name nor an IP address")]
    ServerName {
        /// The name as given.
        name: String,
    },
    /// The path MTU is out of range.
    #[error("a path MTU of {octets} octets is out of range: 576 to 4096 is possible")]
    PathMtu {
        /// The value as given.
        octets: u16,
    },
    /// OpenSSL refused the certificate (for instance a key that is too short) or ran out of memory.
    #[error("OpenSSL refuses the credentials: {0}")]
    Refused(#[source] ErrorStack),
}

/// What a client opens its sessions with. Clones share credentials.
#[derive(Clone)]
pub struct ClientConfig {
    context: SslContext,
    settings: SessionSettings,
}

/// What a server accepts sessions with. Clones share credentials and the keys of session tickets.
#[derive(Clone)]
pub struct ServerConfig {
    context: SslContext,
    settings: SessionSettings,
}

/// What a client keeps of a session to resume it with the same configuration and server name (RFC 5077).
#[derive(Clone)]
pub struct ResumptionState {
    pub(crate) context: SslContext,
    pub(crate) session: SslSession,
    pub(crate) server_certificate: X509,
    pub(crate) server_name: String,
}

impl ClientConfig {
    /// # Errors
    /// [`ConfigError`] says which of the inputs cannot be used.
    pub fn new(
        credentials: ClientCredentials<'_>,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        let mut context = context(SslMethod::dtls_client(), credentials)?;
        context.set_verify(SslVerifyMode::PEER);
        Ok(Self {
            context: context.build(),
            settings,
        })
    }

    /// Opens a session with the server whose certificate has to be valid for `server_name` (RFC 9132 §7.1): a host name,
    /// with or without the final dot, is matched with the DNS-IDs of the certificate and sent as SNI; an IP address is
    /// matched with its iPAddress entries. The common name is never looked at.
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
        let name = ServerName::parse(server_name)?;
        let mut ssl = self.prepare(&name).map_err(ConfigError::Refused)?;
        if let Some(state) = resumption.filter(|state| self.may_resume(state, &name)) {
            ffi::resume(&mut ssl, &state.context, &state.session);
        }
        let stream = SslStream::new(ssl, Wire::default()).map_err(ConfigError::Refused)?;
        Ok(OpensslSession::start(
            stream,
            Role::Server,
            name.text,
            self.settings,
            0,
            now,
        ))
    }

    /// A resumed handshake shows no certificates, so after one has expired only a full one says what is wrong.
    fn may_resume(&self, state: &ResumptionState, name: &ServerName) -> bool {
        state.server_name == name.text
            && !has_expired(&state.server_certificate)
            && !self.context.certificate().is_some_and(has_expired)
    }

    fn prepare(&self, name: &ServerName) -> Result<Ssl, ErrorStack> {
        let mut ssl = new_ssl(&self.context, self.settings)?;
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

impl ServerConfig {
    /// Clients have to present a certificate that leads to one of the trust anchors.
    ///
    /// # Errors
    /// [`ConfigError`] says which of the inputs cannot be used.
    pub fn new(
        credentials: ServerCredentials<'_>,
        settings: SessionSettings,
    ) -> Result<Self, ConfigError> {
        let mut context = context(SslMethod::dtls_server(), credentials)?;
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
        // The cookie door has verified the cookie by the time that OpenSSL sees it.
        context.set_cookie_verify_cb(|_, _| true);
        context
            .set_session_id_context(SESSION_ID_CONTEXT)
            .map_err(ConfigError::Refused)?;
        for anchor in read_anchors(credentials.trust_anchors)? {
            context
                .add_client_ca(&anchor)
                .map_err(ConfigError::Refused)?;
        }
        Ok(Self {
            context: context.build(),
            settings,
        })
    }

    /// A session that begins with a ClientHello whose cookie was verified.
    pub(crate) fn accept(&self, now: Instant, client_hello: &[u8]) -> Option<OpensslSession> {
        let mut ssl = new_ssl(&self.context, self.settings).ok()?;
        ssl.set_accept_state();
        let mut stream = SslStream::new(ssl, Wire::default()).ok()?;
        stream.get_mut().deliver(client_hello);
        // The ServerHello takes the record sequence number of the ClientHello (RFC 6347 §4.2.1). OpenSSL always gives it
        // 1, which a client whose first hello was lost takes for a replay of the HelloVerifyRequest.
        let sequence = client_hello
            .get(5..11)?
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte));
        ffi::listen(&mut stream).then(|| {
            let (name, shift) = (String::new(), sequence.saturating_sub(1));
            OpensslSession::start(stream, Role::Client, name, self.settings, shift, now)
        })
    }
}

fn context(
    method: SslMethod,
    credentials: PemCredentials<'_>,
) -> Result<SslContextBuilder, ConfigError> {
    let (leaf, chain) = read_chain(credentials.certificate_chain)?;
    let key = read_key(credentials.private_key)?;
    if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
        return Err(ConfigError::KeyMismatch);
    }
    let anchors = read_anchors(credentials.trust_anchors)?;

    let build = || {
        let mut context = SslContext::builder(method)?;
        context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        context.set_cipher_list(CIPHERS)?;
        context.set_options(
            SslOptions::NO_QUERY_MTU | SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION,
        );
        // Tickets keep the state with the client (RFC 9132 §7.1); a cache would keep it here.
        context.set_session_cache_mode(SslSessionCacheMode::OFF);

        context.set_certificate(&leaf)?;
        for certificate in chain {
            context.add_extra_chain_cert(certificate)?;
        }
        context.set_private_key(&key)?;

        let mut store = X509StoreBuilder::new()?;
        for anchor in anchors {
            store.add_cert(anchor)?;
        }
        context.set_cert_store(store.build());
        Ok(context)
    };
    build().map_err(ConfigError::Refused)
}

fn new_ssl(context: &SslContext, settings: SessionSettings) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    ssl.set_mtu(u32::try_from(settings.path_mtu.datagram_limit()).unwrap_or(u32::MAX))?;
    Ok(ssl)
}

struct ServerName {
    text: String,
    address: Option<IpAddr>,
}

impl ServerName {
    fn parse(given: &str) -> Result<Self, ConfigError> {
        if let Ok(address) = given.parse::<IpAddr>() {
            return Ok(Self {
                text: address.to_string(),
                address: Some(address),
            });
        }
        let name = given.strip_suffix('.').unwrap_or(given);
        let fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
        };
        if name.len() <= MAX_NAME && name.split('.').all(fits) {
            Ok(Self {
                text: name.to_ascii_lowercase(),
                address: None,
            })
        } else {
            Err(ConfigError::ServerName {
                name: given.to_owned(),
            })
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
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
