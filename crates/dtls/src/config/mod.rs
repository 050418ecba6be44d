//! Credentials and policy, checked once and shared by the sessions made with them.

mod client;
mod context;
mod error;
mod server;
mod server_name;

use std::fmt;

pub use self::client::{ClientConfig, ResumptionState};
pub(crate) use self::context::ALPN;
pub use self::error::ConfigError;
pub use self::server::ServerConfig;

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
