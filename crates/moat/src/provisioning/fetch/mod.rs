//! Fetches the additional information of a PvD, inside that PvD only (RFC 8801 §4.1).
//!
//! ```text
//! location     https://PVD/.well-known/pvd
//!  |  way      resolve at the PvD's resolvers; connect by its interface and routers, from its address
//!  |  exchange TLS, with a certificate for the host; GET
//!  +<- 3xx     at most 5 times, to a named host over TLS
//!  2xx         JSON, or a compact JWS with the JSON in it
//! ```
//!
//! What came over redirects counts without a signature only where administrators of the PvD have written it
//! ([`location::Location::is_authoritative_for`]).

mod exchange;
mod location;
mod once;
mod trust;
mod way;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use openssl::error::ErrorStack;
use openssl::x509::X509VerifyResult;
use pvd::{DataEvidence, PvdId};
use tokio::time::timeout;

use super::dane;

use self::exchange::Answer;
use self::location::{Astray, Location};
use super::next_hop;

pub(crate) use self::once::{FetchArgs, OnceError, fetch_once, in_order};
pub(crate) use self::trust::{Environment, TrustArgs, TrustError};
pub(crate) use self::way::Place;

/// How long it may all take.
const TOTAL: Duration = Duration::from_secs(30);
/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The object, as JSON that nobody has looked at.
    pub(crate) object: Vec<u8>,
    /// The compact JWS that it came in.
    pub(crate) signed: Option<String>,
    /// Why its signature proves nothing, where it does not.
    pub(crate) forged: Option<Unproved>,
    /// What is proved of it: by its signature, or else by the way it came.
    pub(crate) data: DataEvidence,
    /// Where it was in the end.
    pub(crate) from: String,
}

/// Why a signature proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproved {
    /// By itself.
    #[error(transparent)]
    Forged(#[from] jose::Forged),
    /// Its key is not known.
    #[error(transparent)]
    Unknown(#[from] dane::Unknown),
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such name, or nothing under it that can be reached from here.
    #[error("{0} has no address that can be reached from an address of the PvD")]
    NoAddress(PvdId),
    /// The resolvers do not say.
    #[error("the address of {host} cannot be learned: {why}")]
    Unresolved {
        /// Of which host.
        host: PvdId,
        /// What they said instead.
        why: String,
    },
    /// It leads back to this node or its link.
    #[error("{host} is at {address}, a {what} address, where no server is asked")]
    Forbidden {
        /// The host.
        host: PvdId,
        /// Where it is said to be.
        address: IpAddr,
        /// What is wrong with that.
        what: &'static str,
    },
    /// Nobody is there.
    #[error("{remote} cannot be reached: {error}")]
    Unreachable {
        /// Where.
        remote: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// It would not stay in the PvD.
    #[error("{remote} is not asked: {why}")]
    OtherWay {
        /// Who would be asked.
        remote: IpAddr,
        /// Why not.
        why: next_hop::Refused,
    },
    /// It took too long.
    #[error("{0} took too long")]
    Slow(&'static str),
    /// The connection broke in the handshake.
    #[error("the connection broke: {0}")]
    Broken(openssl::ssl::Error),
    /// The server is not who it should be, or speaks no TLS that is good enough.
    #[error("{}", tls_reason(.error, *.verified))]
    Tls {
        /// What the library said.
        error: openssl::ssl::Error,
        /// What became of the certificate.
        verified: X509VerifyResult,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Library(ErrorStack),
    /// No HTTP, or not to its end.
    #[error("the exchange failed: {}", with_cause(.0))]
    Http(hyper::Error),
    /// The server refuses.
    #[error("the server says {0}")]
    Status(StatusCode),
    /// It leads where nobody goes.
    #[error("it is redirected to {to:?}: {why}")]
    Astray {
        /// Where.
        to: String,
        /// Why not.
        why: Astray,
    },
    /// It leads on and on.
    #[error("it is redirected more than {MAX_REDIRECTS} times")]
    Redirects,
    /// The location cannot be put into a request.
    #[error("its location cannot be asked for")]
    Unspeakable,
    /// It is something else.
    #[error("it is {0:?}, and not application/pvd+json or application/jose")]
    MediaType(String),
    /// It was not asked for like that.
    #[error("it is encoded as {0:?}")]
    Encoded(String),
    /// It is too long.
    #[error("it is longer than {0} bytes")]
    TooLarge(usize),
    /// It is said to be signed.
    #[error("it is no compact JWS")]
    NotCompact,
}

/// Fetches the additional information of a PvD.
///
/// # Errors
/// [`Error`]
pub(crate) async fn fetch(
    pvd: &PvdId,
    place: &Place,
    environment: &Environment,
) -> Result<Fetched, Error> {
    let fetching = timeout(TOTAL, follow(pvd, place, environment)).await;
    fetching.map_err(|_| Error::Slow("all of it"))?
}

async fn follow(pvd: &PvdId, place: &Place, environment: &Environment) -> Result<Fetched, Error> {
    let astray = |to: &str| {
        let to = to.chars().take(MAX_SHOWN).collect();
        move |why| Error::Astray { to, why }
    };
    let place = &place.usable().await?;
    if place.sources.is_empty() {
        return Err(Error::NoAddress(pvd.clone()));
    }
    let mut location = Location::of(pvd).map_err(astray(pvd.as_str()))?;
    for _ in 0..=MAX_REDIRECTS {
        let stream = way::connect(place, location.host(), location.port()).await?;
        let answer = exchange::ask(stream, &location, environment).await?;
        let data = match location.is_authoritative_for(pvd) {
            true => DataEvidence::Tls,
            false => DataEvidence::Absent,
        };
        let from = location.to_string();
        match answer {
            Answer::Elsewhere(to) => location = location.redirected(&to).map_err(astray(&to))?,
            Answer::Plain(object) => {
                return Ok(Fetched {
                    object,
                    signed: None,
                    forged: None,
                    data,
                    from,
                });
            }
            Answer::Signed(file) => {
                return verified(pvd, (&file, from), data, place, environment).await;
            }
        }
    }
    Err(Error::Redirects)
}

/// What was signed. A signature that proves nothing takes nothing from what TLS proves: without it the object would be as good.
async fn verified(
    pvd: &PvdId,
    (file, from): (&[u8], String),
    otherwise: DataEvidence,
    place: &Place,
    environment: &Environment,
) -> Result<Fetched, Error> {
    let compact = std::str::from_utf8(file).map_err(|_| Error::NotCompact)?;
    let compact = compact.trim_ascii();
    let object = jose::payload_unverified(compact).map_err(|_| Error::NotCompact)?;
    let proof = prove(pvd, compact, place, environment).await;
    let (data, forged) = match proof {
        Ok(verified) if verified.read.information.identifier == *pvd => {
            (DataEvidence::Signed(verified.binding), None)
        }
        // Whoever reads it sees whose it is.
        Ok(_) => (otherwise, None),
        Err(forged) => (otherwise, Some(forged)),
    };
    Ok(Fetched {
        object,
        signed: Some(compact.to_owned()),
        forged,
        data,
        from,
    })
}

/// What the signature proves, by keys that are known or that the DNS of the PvD has.
async fn prove(
    pvd: &PvdId,
    compact: &str,
    place: &Place,
    environment: &Environment,
) -> Result<jose::Verified, Unproved> {
    let known = environment.anchors();
    let now = SystemTime::now();
    let Some(assurance) = environment.dane() else {
        return Ok(jose::verify(compact, known, now)?);
    };
    let anchors = dane::extended(known, pvd, place.resolver(assurance)).await?;
    Ok(jose::verify(compact, &anchors, now)?)
}

/// Characters of a redirect that are shown.
const MAX_SHOWN: usize = 100;

/// A certificate that is refused says more than that the handshake failed.
fn tls_reason(error: &openssl::ssl::Error, verified: X509VerifyResult) -> String {
    match verified {
        X509VerifyResult::OK => format!("the handshake failed: {error}"),
        refused => format!("the certificate is refused: {}", refused.error_string()),
    }
}

/// The library tells its causes apart.
fn with_cause(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
