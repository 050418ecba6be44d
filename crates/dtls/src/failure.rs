//! What OpenSSL's errors mean.

use openssl::error::{Error, ErrorStack};
use openssl::ssl::{SslAlert, SslRef};
use openssl::x509::X509VerifyResult;

use crate::openssl_session::Side;
use crate::psk::{Named, named};
use crate::{
    AlertCode, CertificateFault, CertificateProblem, CloseReason, ProtocolError, PskProblem,
    X509Code,
};

const VERIFY_FAILED: i32 = 134;
const NO_PEER_CERTIFICATE: i32 = 199;
const NO_APPLICATION_PROTOCOL: i32 = 235;
const BINDER_DOES_NOT_VERIFY: i32 = 253;
const DECRYPTION_FAILED: i32 = 281;
const READ_TIMED_OUT: i32 = 312;

/// Why a session ended with these errors.
pub(crate) fn close_reason(
    ssl: &SslRef,
    side: &Side,
    handshaking: bool,
    errors: &[Error],
) -> CloseReason {
    let peer = side.peer();
    let any = |wanted: &[i32]| {
        errors
            .iter()
            .any(|error| wanted.contains(&error.reason_code()))
    };
    let alert = errors
        .iter()
        .find_map(|error| received_alert(error.reason_code()));
    if let Some(alert) = alert {
        return CloseReason::Alert { peer, alert };
    }
    if any(&[NO_PEER_CERTIFICATE]) {
        let fault = CertificateFault::Missing;
        return CertificateProblem { peer, fault }.into();
    }
    if any(&[NO_APPLICATION_PROTOCOL]) {
        return CloseReason::NoAlpn { peer };
    }
    let verdict = ssl.verify_result();
    if verdict != X509VerifyResult::OK && any(&[VERIFY_FAILED]) {
        let code = X509Code(verdict.as_raw());
        let server_name = match side {
            Side::Client { server_name, .. } => server_name,
            Side::Server { .. } => "",
        };
        let fault = CertificateFault::new(code, verdict.error_string(), server_name);
        return CertificateProblem { peer, fault }.into();
    }
    if handshaking
        && any(&[BINDER_DOES_NOT_VERIFY, DECRYPTION_FAILED])
        && let Some(problem) = unproven_psk(ssl)
    {
        return problem.into();
    }
    // OpenSSL has repeated its flight for the last time, before the deadline.
    if handshaking && any(&[READ_TIMED_OUT]) {
        return timed_out(ssl);
    }
    let cause = errors.first();
    ProtocolError {
        peer,
        reason: cause.map_or(0, Error::reason_code),
        text: cause.and_then(Error::reason).unwrap_or("no reason given"),
    }
    .into()
}

/// Why a handshake ended that the peer did not go on with. Over datagrams a wrong key shows in nothing else.
pub(crate) fn timed_out(ssl: &SslRef) -> CloseReason {
    unproven_psk(ssl).map_or(CloseReason::HandshakeTimedOut, CloseReason::from)
}

/// What is wrong with the key that the client named, if its handshake ends after that.
fn unproven_psk(ssl: &SslRef) -> Option<PskProblem> {
    Some(match named(ssl)?.clone() {
        Named::Known(identity) => PskProblem::WrongKey { identity },
        Named::Unknown(identity) => PskProblem::UnknownIdentity { identity },
        Named::Malformed => PskProblem::MalformedIdentity,
    })
}

/// OpenSSL judges a call by the thread's error queue, which other calls may have left filled.
pub(crate) fn clear_errors() {
    drop(ErrorStack::get());
}

fn received_alert(reason: i32) -> Option<AlertCode> {
    let alert = SslAlert::from_reason_code(reason)?;
    let base = SslAlert::CLOSE_NOTIFY.reason_code();
    u8::try_from(alert.reason_code() - base).ok().map(AlertCode)
}
