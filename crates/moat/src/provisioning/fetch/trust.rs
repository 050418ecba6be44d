//! Whom fetches trust, and what they ask for.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use jose::{Anchors, UnsuitableKey, VerifyingKey};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslConnector, SslMethod, SslOptions, SslSessionCacheMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::verify::X509CheckFlags;
use pvd::PvdId;

use crate::provisioning::dane::DaneArgs;
use crate::provisioning::file;
use crate::resolver::{self, Assurance};

/// What is spoken, as ALPN has it (RFC 7301 §3.1): its length before its name.
const HTTP_1_1: &[u8] = b"\x08http/1.1";

/// Where systems keep the certification authorities that they trust; the first that is there is taken.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Longest file with a public key, in bytes.
const MAX_KEY_BYTES: usize = 64 * 1024;

/// Whom to trust.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TrustArgs {
    /// PEM file of certification authorities to trust; `watch` and `fetch` trust those of the system besides
    #[arg(long, value_name = "FILE")]
    pub(crate) authorities: Option<PathBuf>,
    /// Public key (PEM) that signs for a PvD, and then no other one does; may be given more than once
    #[arg(long = "pin", value_name = "ID=FILE")]
    pub(crate) pins: Vec<Pin>,
}

/// A key that is written down for a PvD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pvd: PvdId,
    file: PathBuf,
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
        let (pvd, file) = parts.ok_or("a PvD and a file, as in cafe.example=cafe.pub")?;
        Ok(Self {
            pvd: pvd
                .parse()
                .map_err(|error: pvd::IdentifierError| error.to_string())?,
            file: file.into(),
        })
    }
}

/// What all fetches of a node have in common.
pub(crate) struct Environment {
    connector: SslConnector,
    anchors: Arc<Anchors>,
    dane: Option<Assurance>,
    wants_signed: bool,
}

/// Why nothing can be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The authorities that somebody named.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Their file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No key that is pinned.
    #[error("{}: {source}", file.display())]
    Key {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        source: UnsuitableKey,
    },
    /// What DNSSEC has to lead to.
    #[error(transparent)]
    Dnssec(#[from] resolver::Error),
    /// There is no certificate in it.
    #[error("{}: there is no certificate in it ({error})", file.display())]
    NoCertificate {
        /// Their file.
        file: PathBuf,
        /// What the library said.
        error: ErrorStack,
    },
    /// The library refused.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] ErrorStack),
}

impl TrustArgs {
    /// Those that are named, without those of the system.
    ///
    /// # Errors
    /// [`TrustError`]
    pub(crate) fn anchors(&self) -> Result<Anchors, TrustError> {
        let authorities = self.authorities.as_deref().map(read).transpose()?;
        Ok(Anchors {
            authorities: authorities.unwrap_or_default(),
            pinned: pinned(&self.pins)?,
            ..Anchors::default()
        })
    }
}

impl Environment {
    /// Trusts the authorities of the system, and those of a file besides, for TLS as for signatures; for these pinned keys, and those of the DNS,
    /// too. `wants_signed`: a signed object is liked better.
    ///
    /// # Errors
    /// [`TrustError`]
    pub(crate) fn new(
        trust: &TrustArgs,
        dane: &DaneArgs,
        wants_signed: bool,
    ) -> Result<Self, TrustError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_alpn_protos(HTTP_1_1)?;
        // Who comes again is not to be recognised by it.
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_options(SslOptions::NO_TICKET);
        let mut anchors = trust.anchors()?;
        let mut system = SYSTEM_AUTHORITIES.iter().map(Path::new);
        if let Some(file) = system.find(|file| file.is_file()) {
            anchors.authorities.extend(read(file)?);
        }
        for authority in &anchors.authorities {
            builder.cert_store_mut().add_cert(authority.clone())?;
        }
        Ok(Self {
            connector: builder.build(),
            anchors: Arc::new(anchors),
            dane: dane.assurance()?,
            wants_signed,
        })
    }

    /// A session with a host, which must have a certificate with a DNS-ID equal to its name (RFC 8801 §4.1): no wildcard, and no
    /// common name.
    pub(super) fn session(&self, host: &PvdId) -> Result<Ssl, ErrorStack> {
        let mut ssl = self.connector.configure()?.into_ssl(host.as_str())?;
        let flags = X509CheckFlags::NO_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT;
        ssl.param_mut().set_hostflags(flags);
        Ok(ssl)
    }

    /// Whose signatures are believed.
    pub(crate) fn anchors(&self) -> &Arc<Anchors> {
        &self.anchors
    }

    /// How the DNS is asked for keys, if it is.
    pub(crate) fn dane(&self) -> Option<&Assurance> {
        self.dane.as_ref()
    }

    /// What is liked (RFC 9110 §12.5.1).
    pub(super) fn accept(&self) -> &'static str {
        match self.wants_signed {
            true => "application/jose, application/pvd+json;q=0.5",
            false => "application/pvd+json",
        }
    }
}

fn pinned(pins: &[Pin]) -> Result<BTreeMap<PvdId, Vec<VerifyingKey>>, TrustError> {
    let mut pinned = BTreeMap::<_, Vec<_>>::new();
    for Pin { pvd, file } in pins {
        let pem = file::read(file, MAX_KEY_BYTES).map_err(|source| TrustError::Unreadable {
            file: file.clone(),
            source,
        })?;
        let key = VerifyingKey::from_pem(&pem).map_err(|source| TrustError::Key {
            file: file.clone(),
            source,
        })?;
        pinned.entry(pvd.clone()).or_default().push(key);
    }
    Ok(pinned)
}

/// The certificates of a file.
fn read(file: &Path) -> Result<Vec<X509>, TrustError> {
    let pem = std::fs::read(file).map_err(|source| TrustError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    let found = X509::stack_from_pem(&pem);
    let found = found.and_then(|found| match found.is_empty() {
        true => Err(ErrorStack::get()),
        false => Ok(found),
    });
    found.map_err(|error| TrustError::NoCertificate {
        file: file.to_owned(),
        error,
    })
}
