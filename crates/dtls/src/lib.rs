//! Secured datagram sessions for DOTS agents (RFC 9132 §7), without I/O.
//!
//! A [`Session`] is fed datagrams and instants and hands back [`Output`] values: datagrams to transmit, data that
//! arrived, and why the session ended. The one backend so far is OpenSSL's DTLS 1.2 with mutual X.509
//! ([`OpensslSession`]). A client opens sessions with [`ClientConfig::connect`]; a server hands every datagram of an
//! unknown source to an [`Acceptor`], whose stateless [`CookieDoor`] spends no memory on a source that has not proven
//! that it receives what is sent to it.
//!
//! ```text
//! client                                     server
//!   ClientHello              ->              CookieDoor: HMAC over address and hello, nothing kept
//!                            <-              HelloVerifyRequest (cookie)
//!   ClientHello (cookie)     ->              CookieDoor: cookie fits -> OpensslSession is created
//!                            <-              ServerHello, Certificate, .., CertificateRequest, ServerHelloDone
//!   Certificate, .., Finished ->
//!                            <-              NewSessionTicket, ChangeCipherSpec, Finished
//!   Output::Established                      Output::Established
//!   application data         <->             application data
//!   close_notify             <->             close_notify
//! ```
//!
//! OpenSSL times its retransmissions with its own clock. [`Session::poll_timeout`] translates the time that remains
//! into the caller's instants; everything else runs on the instants that the caller passes in.

mod acceptor;
mod certificate;
mod client_hello;
mod close;
mod config;
mod cookie;
mod failure;
mod ffi;
mod hmac;
mod openssl_session;
mod psk;
mod record;
mod session;
mod settings;
mod wire;

pub use acceptor::{Accept, Acceptor};
pub use certificate::spki_sha256;
pub use client_hello::{HelloError, is_initial_client_hello};
pub use close::{
    AlertCode, CertificateFault, CertificateProblem, CloseReason, ProtocolError, PskProblem, Role,
    X509Code,
};
pub use config::{
    ClientConfig, ClientCredentials, ConfigError, PemCredentials, ResumptionState, ServerConfig,
    ServerCredentials,
};
pub use cookie::{CookieDoor, DoorCounters, DropReason, Verdict};
pub use openssl_session::{OpensslSession, SessionCounters};
pub use psk::{PskIdentity, PskKey};
pub use session::{Credential, Output, Peer, SendError, Session, Transport};
pub use settings::{PathMtu, SessionSettings};
