//! Secured sessions for DOTS agents (RFC 9132 §7), over UDP and TCP, without I/O.
//!
//! A [`Session`] is fed what arrives and instants, and hands back [`Output`] values: what to transmit, data that arrived,
//! and why the session ended. The one backend so far is OpenSSL ([`OpensslSession`]): DTLS 1.2 over datagrams, TLS 1.3 or
//! 1.2 over a stream. Both ends authenticate, with X.509 certificates or with a pre-shared key and ephemeral
//! Diffie-Hellman.
//!
//! A client opens sessions with [`ClientConfig::connect`] and [`ClientConfig::connect_stream`]. A server hands every
//! datagram of an unknown source to an [`Acceptor`], whose stateless [`CookieDoor`] spends no memory on a source that has
//! not proven that it receives what is sent to it; TCP has proven that already, so [`ServerConfig::accept_stream`] begins
//! a session with each connection.
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
//! With a pre-shared key there are no certificates. With TLS 1.3 the client is done after one round trip, and tickets come
//! later: [`Session::resumption`] knows how a session is resumed only then. Nothing is sent in the first flight (0-RTT).
//!
//! OpenSSL times its retransmissions with its own clock. [`Session::poll_timeout`] translates the time that remains
//! into the caller's instants; everything else runs on the instants that the caller passes in.

mod acceptor;
mod authentication;
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
