//! Why a configuration cannot be used.

use openssl::error::ErrorStack;

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
    /// The PSK identity is not 1 to 128 octets of UTF-8 without control characters.
    #[error("{identity:?} is no PSK identity: 1 to 128 octets without control characters are")]
    PskIdentity {
        /// The identity as given.
        identity: String,
    },
    /// The pre-shared key is too short to be safe, or too long.
    #[error("a pre-shared key of {octets} octets is out of range: 16 to 256 are possible")]
    PskKey {
        /// The length of the key.
        octets: usize,
    },
    /// Neither certificates nor pre-shared keys: nobody could open a session.
    #[error("there are neither certificates nor pre-shared keys to accept clients with")]
    NoCredentials,
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
    /// OpenSSL refused the credentials (for instance a key that is too short) or ran out of memory.
    #[error("OpenSSL refuses the credentials: {0}")]
    Refused(#[source] ErrorStack),
}
