//! OpenSSL contexts: the policy that all sessions of one configuration and transport share.

use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslContextRef, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVersion, select_next_proto,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::{ConfigError, PemCredentials};
use crate::certificate::{read_anchors, read_chain, read_key};
use crate::{Role, SessionSettings, Transport};

/// Authenticated encryption with ephemeral keys only (RFC 9132 §8): what RFC 7525 §4.2 recommends. The `record` module
/// relies on AES-GCM and ChaCha20. TLS 1.3 has no others (RFC 8446 §9.1).
const CERTIFICATE_SUITES: &str = "ECDHE+AESGCM";
/// The same with pre-shared keys (RFC 7905, RFC 5487); OpenSSL has no AES-GCM with ECDHE and PSK.
const PSK_SUITES: &str =
    "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256";
/// A pre-shared key without further agreement goes with SHA-256 (RFC 8446 §4.2.11), so a suite with SHA-384 must not be
/// preferred where there are keys, and not be there with nothing else.
const MIXED_TLS13_SUITES: &str =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
const PSK_TLS13_SUITES: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
/// The ALPN of CoAP over TLS (RFC 8323 §8.2), and a list of it alone (RFC 7301 §3.1).
pub(crate) const ALPN: &[u8] = b"coap";
const ALPN_LIST: &[u8] = b"\x04coap";

/// What [`PemCredentials`] hold, read.
pub(super) struct Certified {
    leaf: X509,
    chain: Vec<X509>,
    key: PKey<Private>,
    pub(super) anchors: Vec<X509>,
}

impl Certified {
    pub(super) fn read(credentials: PemCredentials<'_>) -> Result<Self, ConfigError> {
        let (leaf, chain) = read_chain(credentials.certificate_chain)?;
        let key = read_key(credentials.private_key)?;
        if !leaf.public_key().is_ok_and(|public| public.public_eq(&key)) {
            return Err(ConfigError::KeyMismatch);
        }
        Ok(Self {
            leaf,
            chain,
            key,
            anchors: read_anchors(credentials.trust_anchors)?,
        })
    }

    pub(super) fn install(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        context.set_certificate(&self.leaf)?;
        for certificate in &self.chain {
            context.add_extra_chain_cert(certificate.clone())?;
        }
        context.set_private_key(&self.key)?;
        let mut store = X509StoreBuilder::new()?;
        for anchor in &self.anchors {
            store.add_cert(anchor.clone())?;
        }
        context.set_cert_store(store.build());
        Ok(())
    }
}

/// The policy, without credentials.
pub(super) fn builder(role: Role, transport: Transport) -> Result<SslContextBuilder, ErrorStack> {
    let (method, oldest) = match (transport, role) {
        (Transport::Datagram, Role::Client) => (SslMethod::dtls_client(), SslVersion::DTLS1_2),
        (Transport::Datagram, Role::Server) => (SslMethod::dtls_server(), SslVersion::DTLS1_2),
        (Transport::Stream, Role::Client) => (SslMethod::tls_client(), SslVersion::TLS1_2),
        (Transport::Stream, Role::Server) => (SslMethod::tls_server(), SslVersion::TLS1_2),
    };
    let mut context = SslContext::builder(method)?;
    context.set_min_proto_version(Some(oldest))?;
    context.set_options(
        SslOptions::NO_QUERY_MTU | SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION,
    );
    // Most sessions are idle most of the time.
    context.set_mode(SslMode::RELEASE_BUFFERS);
    // Tickets keep the state with the client (RFC 9132 §7.1); a cache would keep it here.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    if transport == Transport::Stream {
        match role {
            Role::Client => context.set_alpn_protos(ALPN_LIST)?,
            Role::Server => {
                // A client that offers no ALPN at all is judged when the handshake is over.
                context.set_alpn_select_callback(|_, offered| {
                    select_next_proto(ALPN_LIST, offered).ok_or(AlpnError::ALERT_FATAL)
                });
                context.set_num_tickets(1)?;
            }
        }
    }
    Ok(context)
}

/// The cipher suites for the kinds of credentials there are.
pub(super) fn set_suites(
    context: &mut SslContextBuilder,
    certificates: bool,
    psks: bool,
) -> Result<(), ErrorStack> {
    match (certificates, psks) {
        (true, false) => context.set_cipher_list(CERTIFICATE_SUITES),
        (true, true) => {
            // Whoever offers a suite with PSK has a key, but perhaps no certificate.
            context.set_cipher_list(&format!("{PSK_SUITES}:{CERTIFICATE_SUITES}"))?;
            context.set_ciphersuites(MIXED_TLS13_SUITES)
        }
        (false, _) => {
            context.set_cipher_list(PSK_SUITES)?;
            context.set_ciphersuites(PSK_TLS13_SUITES)
        }
    }
}

/// The group for DHE with PSK: 2048 bits of RFC 3526 §3.
pub(super) fn set_group(context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    let group = Dh::from_pqg(
        BigNum::get_rfc3526_prime_2048()?,
        None,
        BigNum::from_u32(2)?,
    )?;
    context.set_tmp_dh(&group)
}

pub(super) fn new_ssl(
    context: &SslContextRef,
    transport: Transport,
    settings: SessionSettings,
) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    if transport == Transport::Datagram {
        ssl.set_mtu(u32::try_from(settings.path_mtu.datagram_limit()).unwrap_or(u32::MAX))?;
    }
    Ok(ssl)
}
