//! Why a session ended, and who is at fault.

use std::fmt;

use crate::PskIdentity;

/// Which end of the session the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The end that opens sessions.
    Client,
    /// The end that accepts them.
    Server,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// [`crate::Session::close`] was called.
    #[error("closed by this side")]
    Local,
    /// Another session took its place at the peer's address. The peer, which may be somebody else by
    /// now, was not told.
    #[error("another session took its place")]
    Superseded,
    /// The peer sent close_notify.
    #[error("closed by the peer")]
    PeerClosed,
    /// The peer did not finish the handshake before the deadline; it may never have answered.
    #[error("the handshake did not finish in time")]
    HandshakeTimedOut,
    /// This side refused the peer's certificate.
    #[error(transparent)]
    PeerCertificate(#[from] CertificateProblem),
    /// The client did not prove to hold the pre-shared key that it named.
    #[error(transparent)]
    PeerPsk(#[from] PskProblem),
    /// The peer did not agree to the application protocol "coap" (RFC 8323 §8.2).
    #[error("the {peer} does not agree to the application protocol \"coap\" (ALPN)")]
    NoAlpn {
        /// Who did not.
        peer: Role,
    },
    /// The peer refused this side, or found fault with it.
    #[error("the {peer} ended the session: {alert}")]
    Alert {
        /// Who sent the alert.
        peer: Role,
        /// What it said.
        alert: AlertCode,
    },
    /// The connection ended without close_notify, so that the end may be missing of what the peer sent.
    #[error("the connection with the {peer} ended without close_notify")]
    StreamEnded {
        /// Whom the connection was with.
        peer: Role,
    },
    /// More came over the stream than was taken from [`crate::Session::poll_output`].
    #[error("what the session put out was not taken in time")]
    Overrun,
    /// The two sides do not agree on a protocol, or what the peer sent makes no sense.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// What OpenSSL found wrong with the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session with the {peer} failed: {text} (OpenSSL reason {reason})")]
pub struct ProtocolError {
    /// Whom the session was with.
    pub peer: Role,
    /// OpenSSL's reason code, 0 if it gave none.
    pub reason: i32,
    /// OpenSSL's words for it.
    pub text: &'static str,
}

/// What is wrong with the pre-shared key that a client named. The client is not told which of these it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PskProblem {
    /// Nobody has that name.
    #[error("the client names the unknown PSK identity {identity}")]
    UnknownIdentity {
        /// The name.
        identity: PskIdentity,
    },
    /// Somebody has that name, and the client did not prove to be that one.
    #[error("the client names the PSK identity {identity} and does not prove to hold its key")]
    WrongKey {
        /// The name.
        identity: PskIdentity,
    },
    /// That cannot be anybody's name.
    #[error("the client names something that is no PSK identity")]
    MalformedIdentity,
}

/// What is wrong with the peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {peer}'s certificate {fault}")]
pub struct CertificateProblem {
    /// Whose certificate it is.
    pub peer: Role,
    /// What is wrong with it.
    pub fault: CertificateFault,
}

/// What made this side refuse a certificate (RFC 5280 §6.1, RFC 6125).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFault {
    /// The peer sent none.
    Missing,
    /// No path leads from it to a trust anchor.
    NotTrusted(X509Code),
    /// It, or one on its path, is not valid yet.
    NotYetValid(X509Code),
    /// It, or one on its path, has expired.
    Expired(X509Code),
    /// Its extended key usage does not allow what the peer uses it for.
    WrongPurpose(X509Code),
    /// None of its names is the one that was asked for.
    WrongName {
        /// The name that was asked for.
        expected: String,
        /// OpenSSL's code: 62 for a host name, 64 for an address.
        code: X509Code,
    },
    /// Anything else.
    Other {
        /// OpenSSL's code.
        code: X509Code,
        /// OpenSSL's words for it.
        text: &'static str,
    },
}

impl CertificateFault {
    pub(crate) fn new(code: X509Code, text: &'static str, expected_name: &str) -> Self {
        match code.0 {
            2 | 7 | 18..=21 | 24 | 27 | 28 | 79 => Self::NotTrusted(code),
            9 => Self::NotYetValid(code),
            10 => Self::Expired(code),
            26 => Self::WrongPurpose(code),
            62 | 64 => Self::WrongName {
                expected: expected_name.to_owned(),
                code,
            },
            _ => Self::Other { code, text },
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is required, but none was sent"),
            Self::NotTrusted(code) => write!(f, "does not lead to a trust anchor ({code})"),
            Self::NotYetValid(code) => write!(f, "is not valid yet ({code})"),
            Self::Expired(code) => write!(f, "has expired ({code})"),
            Self::WrongPurpose(code) => write!(f, "is not meant for this purpose ({code})"),
            Self::WrongName { expected, .. } => write!(f, "is not valid for the name {expected}"),
            Self::Other { code, text } => write!(f, "was refused: {text} ({code})"),
        }
    }
}

/// OpenSSL's result of path validation (`X509_V_ERR_...`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct X509Code(pub i32);

impl X509Code {
    pub(crate) const EXPIRED: Self = Self(openssl_sys::X509_V_ERR_CERT_HAS_EXPIRED);
}

impl fmt::Display for X509Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X509 code {}", self.0)
    }
}

/// The description of an alert (RFC 5246 §7.2, RFC 8446 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertCode(pub u8);

impl AlertCode {
    /// The message was not expected at this point.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// A record of ours could not be read.
    pub const BAD_RECORD_MAC: Self = Self(20);
    /// No acceptable parameters; also the answer to a missing certificate.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The certificate was refused; also for a wrong name.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// The certificate is of the wrong kind or for another purpose.
    pub const UNSUPPORTED_CERTIFICATE: Self = Self(43);
    /// The certificate was revoked.
    pub const CERTIFICATE_REVOKED: Self = Self(44);
    /// The certificate has expired.
    pub const CERTIFICATE_EXPIRED: Self = Self(45);
    /// The certificate was refused for a reason that is not said.
    pub const CERTIFICATE_UNKNOWN: Self = Self(46);
    /// The certificate's authority is not trusted.
    pub const UNKNOWN_CA: Self = Self(48);
    /// The credential is valid, but access is not granted.
    pub const ACCESS_DENIED: Self = Self(49);
    /// A signature or a Finished message is wrong.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// No version in common.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// The parameters offered are too weak.
    pub const INSUFFICIENT_SECURITY: Self = Self(71);
    /// The peer has a problem of its own.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// The peer serves no such name.
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    /// A certificate is required.
    pub const CERTIFICATE_REQUIRED: Self = Self(116);
    /// None of the application protocols offered is spoken.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);
}

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::UNEXPECTED_MESSAGE => "it did not expect a message of ours",
            Self::BAD_RECORD_MAC => "it cannot read what we sent: do both have the same key?",
            Self::HANDSHAKE_FAILURE => {
                "no parameters acceptable to both, or a certificate is missing"
            }
            Self::BAD_CERTIFICATE => "it refuses our certificate",
            Self::UNSUPPORTED_CERTIFICATE => "our certificate is not meant for this purpose",
            Self::CERTIFICATE_REVOKED => "our certificate has been revoked",
            Self::CERTIFICATE_EXPIRED => "our certificate has expired",
            Self::CERTIFICATE_UNKNOWN => "it refuses our certificate without saying why",
            Self::UNKNOWN_CA => "it does not trust the authority that issued our certificate",
            Self::ACCESS_DENIED => "it does not grant us access",
            Self::DECRYPT_ERROR => {
                "a signature or check value of ours is wrong, or the pre-shared key"
            }
            Self::PROTOCOL_VERSION => "no protocol version in common",
            Self::INSUFFICIENT_SECURITY => "our parameters are too weak for it",
            Self::INTERNAL_ERROR => "it has an internal problem",
            Self::UNRECOGNIZED_NAME => "it does not serve that name",
            Self::CERTIFICATE_REQUIRED => "it requires a certificate of us",
            Self::NO_APPLICATION_PROTOCOL => "it does not speak CoAP over TLS",
            Self(code) => return write!(f, "alert {code}"),
        };
        write!(f, "{text} (alert {})", self.0)
    }
}
