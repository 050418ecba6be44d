//! The TLS of the server: 1.2 and 1.3, and of several PvDs the certificate of the one that the client names
//! (RFC 6066 §3). Nothing is resumed: a host comes once in hours.

use std::collections::BTreeMap;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, NameType, SniError, SslAcceptor, SslAcceptorBuilder, SslAlert, SslContext,
    SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode, SslVersion,
};
use openssl::x509::X509;
use pvd::PvdId;

/// What is spoken, as ALPN has it (RFC 7301 §3.1, §6): lengths before names.
const PROTOCOLS: &[u8] = b"\x08http/1.1\x08http/1.0";

/// With what the server proves that it is the host of a PvD.
pub(super) struct Identity {
    /// The certificate, and any intermediate ones.
    pub(super) chain: Vec<X509>,
    /// The key of the first.
    pub(super) key: PKey<Private>,
}

/// What connections begin with: the certificate of the PvD that they name, of `first` if they name none, and an alert if
/// there is none of that name.
///
/// # Errors
/// Those of the library.
pub(super) fn front<'a>(
    first: &Identity,
    all: impl Iterator<Item = (&'a PvdId, &'a Identity)>,
) -> Result<SslContext, ErrorStack> {
    let mut contexts = BTreeMap::new();
    for (id, identity) in all {
        contexts.insert(id.clone(), identity.acceptor()?.build().into_context());
    }
    let mut front = first.acceptor()?;
    front.set_servername_callback(move |ssl, alert| {
        if ssl.servername(NameType::HOST_NAME).is_none() {
            return Ok(());
        }
        let Some(context) = named(ssl).and_then(|id| contexts.get(&id)) else {
            *alert = SslAlert::UNRECOGNIZED_NAME;
            return Err(SniError::ALERT_FATAL);
        };
        ssl.set_ssl_context(context)
            .map_err(|_| SniError::ALERT_FATAL)
    });
    Ok(front.build().into_context())
}

/// The PvD that the client named.
pub(super) fn named(ssl: &SslRef) -> Option<PvdId> {
    ssl.servername(NameType::HOST_NAME)?.parse().ok()
}

impl Identity {
    /// Refuses a key that is not the certificate's.
    ///
    /// # Errors
    /// Those of the library.
    pub(super) fn acceptor(&self) -> Result<SslAcceptorBuilder, ErrorStack> {
        // Its choice of suites (Mozilla's "intermediate") has forward secrecy throughout (RFC 9325 §4.2).
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        acceptor.set_max_proto_version(Some(SslVersion::TLS1_3))?;
        acceptor.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
        acceptor.set_num_tickets(0)?;
        acceptor.set_session_cache_mode(SslSessionCacheMode::OFF);
        acceptor.set_mode(SslMode::RELEASE_BUFFERS);
        acceptor.set_alpn_select_callback(|_, offered| {
            openssl::ssl::select_next_proto(PROTOCOLS, offered).ok_or(AlpnError::ALERT_FATAL)
        });
        let mut chain = self.chain.iter();
        if let Some(own) = chain.next() {
            acceptor.set_certificate(own)?;
        }
        for intermediate in chain {
            acceptor.add_extra_chain_cert(intermediate.clone())?;
        }
        acceptor.set_private_key(&self.key)?;
        acceptor.check_private_key()?;
        Ok(acceptor)
    }
}
