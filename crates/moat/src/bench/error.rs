//! Why there are no numbers.

use std::io;
use std::net::SocketAddr;

use coap::Code;

use crate::control::CallError;
use crate::enclosure;
use crate::pki::PkiError;

/// Why a benchmark could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call or file operation failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no place to run in.
    #[error(transparent)]
    Enclosure(#[from] enclosure::Error),
    /// A program did not do what it has to.
    #[error("{name} {problem}; its output ends with:\n{tail}")]
    Process {
        /// Which.
        name: &'static str,
        /// What is wrong.
        problem: &'static str,
        /// The end of what it wrote.
        tail: String,
    },
    /// A text that has to be understood is not as expected.
    #[error("{what} cannot be understood: {text:?}")]
    Text {
        /// Which text.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The server's control socket gives no answer.
    #[error(transparent)]
    Control(#[from] CallError),
    /// The run's certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The run's certificates cannot be used.
    #[error("the benchmark's credentials: {0}")]
    Credentials(#[from] dtls::ConfigError),
    /// The bare library refused something.
    #[error("the bare OpenSSL library: {0}")]
    Openssl(#[from] openssl::error::ErrorStack),
    /// The report cannot be written as JSON.
    #[error("the report is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A handshake with the bare library did not come to its end.
    #[error("the bare OpenSSL library did not finish a handshake: {0}")]
    Handshake(#[from] openssl::ssl::Error),
    /// A handshake with the bare library goes on and on.
    #[error("a handshake with the bare OpenSSL library does not end")]
    Endless,
    /// A session of the generator ended.
    #[error("the session with {remote} ended: {reason}")]
    SessionEnded {
        /// With whom.
        remote: SocketAddr,
        /// Why.
        reason: dtls::CloseReason,
    },
    /// A handshake was resumed or not, against the intention.
    #[error("{who} does not resume sessions, or resumes those that were to be new")]
    NotResumed {
        /// Who.
        who: String,
    },
    /// A message could not be sent in a session.
    #[error("a message to {remote} was not sent: {source}")]
    NotSent {
        /// To whom.
        remote: SocketAddr,
        /// Why.
        source: dtls::SendError,
    },
    /// A server refused a request that it has to accept.
    #[error("{remote} refused a request: {code} {text}")]
    Refused {
        /// Who.
        remote: SocketAddr,
        /// With which code.
        code: Code,
        /// The diagnostic payload.
        text: String,
    },
    /// A server left a request unanswered that has to be answered before anything can be measured.
    #[error("{remote} left a request unanswered")]
    Unanswered {
        /// Who.
        remote: SocketAddr,
    },
}

impl Error {
    /// For `map_err`: a failed system call with what was being done.
    pub(super) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
        let what = what.into();
        move |source| Error::System {
            what,
            source: source.into(),
        }
    }
}
