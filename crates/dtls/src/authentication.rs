//! Who the peer is, at the end of the handshake.

use openssl::ssl::{SslRef, SslVersion};

use crate::certificate::{credential, has_expired};
use crate::config::ALPN;
use crate::openssl_session::Side;
use crate::{
    CertificateFault, CertificateProblem, CloseReason, Credential, Peer, Role, Transport, X509Code,
    psk,
};

/// The peer, if it has proven who it is and speaks CoAP.
pub(crate) fn authenticate(
    ssl: &SslRef,
    transport: Transport,
    side: &Side,
) -> Result<Peer, CloseReason> {
    let peer = side.peer();
    let authenticated = match certified(ssl, peer)? {
        Some(certified) => certified,
        None => keyed(ssl, side)?,
    };
    if transport == Transport::Stream && !has_alpn(ssl, peer, &authenticated.credential) {
        return Err(CloseReason::NoAlpn { peer });
    }
    Ok(authenticated)
}

pub(crate) fn is_tls13(ssl: &SslRef) -> bool {
    ssl.version2() == Some(SslVersion::TLS1_3)
}

fn certified(ssl: &SslRef, peer: Role) -> Result<Option<Peer>, CloseReason> {
    let Some(certificate) = ssl.peer_certificate() else {
        return Ok(None);
    };
    let resumed = ssl.session_reused();
    // A resumed session repeats neither the certificate nor its validation.
    if resumed && has_expired(&certificate) {
        return Err(refused(peer, CertificateFault::Expired(X509Code::EXPIRED)));
    }
    match credential(&certificate) {
        Some(credential) => Ok(Some(Peer {
            credential,
            resumed,
        })),
        None => Err(refused(peer, CertificateFault::Missing)),
    }
}

fn keyed(ssl: &SslRef, side: &Side) -> Result<Peer, CloseReason> {
    let identity = match side {
        Side::Client { psk, .. } => psk.clone(),
        Side::Server { .. } => psk::proven(ssl),
    };
    match identity {
        Some(identity) => Ok(Peer {
            credential: Credential::Psk { identity },
            // TLS 1.3 calls every pre-shared key a resumption.
            resumed: ssl.session_reused() && !is_tls13(ssl),
        }),
        None => Err(refused(side.peer(), CertificateFault::Missing)),
    }
}

fn refused(peer: Role, fault: CertificateFault) -> CloseReason {
    CertificateProblem { peer, fault }.into()
}

/// Whether both mean CoAP (RFC 8323 §8.2).
fn has_alpn(ssl: &SslRef, peer: Role, credential: &Credential) -> bool {
    match ssl.selected_alpn_protocol() {
        Some(protocol) => protocol == ALPN,
        // libcoap's clients leave ALPN out with a pre-shared key. A key is for nothing but DOTS, unlike a certificate,
        // which another service could be shown too.
        None => peer == Role::Client && matches!(credential, Credential::Psk { .. }),
    }
}
