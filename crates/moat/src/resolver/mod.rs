//! Looks up addresses of names, in private and with proof where the configuration asks for it
//! (RFC 9132 §11: DNS over TLS, RFC 7858; DNSSEC, RFC 4035).

mod provider;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{Name, RecordType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub(crate) use self::provider::Link;
use self::provider::Provider;
use crate::config::{DNS_OVER_TLS_PORT, DNS_PORT, Resolver as Configuration};

/// How long one resolver may take before the next is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why names cannot be looked up as configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The certification authorities that the resolver's certificate must lead to.
    #[error("dns: trust_anchors {}: {error}", .file.display())]
    TrustAnchors {
        /// Their file.
        file: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The keys that answers must lead to.
    #[error("dns: dnssec_trust_anchors {}: {error}", .file.display())]
    DnssecTrustAnchors {
        /// Their file.
        file: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The library refused.
    #[error("dns: {0}")]
    Refused(io::Error),
}

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The name has none, or does not exist.
    NoAddress,
    /// Nobody answered, or not so that it can be believed; it may be otherwise later.
    Unavailable(String),
}

/// What was found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// At least one.
    pub(crate) addresses: Vec<IpAddr>,
    /// For how long that is so.
    pub(crate) ttl: Duration,
}

/// What keeps questions private and answers authentic, whichever resolver of a network is asked.
#[derive(Clone, Default)]
pub(crate) struct Assurance {
    /// The name that a resolver's certificate must be for, and what it must lead to (RFC 7858).
    tls: Option<(Arc<str>, rustls::ClientConfig)>,
    /// Whether answers are validated (RFC 4035 §5).
    is_validating: bool,
    /// The keys that signatures must lead to; those of the root without.
    anchors: Option<Arc<TrustAnchors>>,
}

impl Assurance {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// [`Error`], for files that are not what they should be.
    pub(crate) fn new(configuration: &Configuration) -> Result<Self, Error> {
        let tls = match &configuration.tls_name {
            Some(name) => Some((
                Arc::from(name.to_string()),
                tls(&configuration.trust_anchors)?,
            )),
            None => None,
        };
        let file = configuration.dnssec_trust_anchors.as_deref();
        let anchors = file.filter(|_| configuration.dnssec).map(anchors);
        Ok(Self {
            tls,
            is_validating: configuration.dnssec,
            anchors: anchors.transpose()?.map(Arc::new),
        })
    }

    /// Answers are validated from the keys in a file, or from those of the root.
    ///
    /// # Errors
    /// [`Error`], for a file that is not what it should be.
    pub(crate) fn validating(file: Option<&Path>) -> Result<Self, Error> {
        Ok(Self {
            tls: None,
            is_validating: true,
            anchors: file.map(anchors).transpose()?.map(Arc::new),
        })
    }

    /// Port of a resolver of which only the address is known.
    pub(crate) fn port(&self) -> u16 {
        match &self.tls {
            Some(_) => DNS_OVER_TLS_PORT,
            None => DNS_PORT,
        }
    }

    fn connections(&self) -> Vec<ConnectionConfig> {
        match &self.tls {
            Some((name, _)) => vec![ConnectionConfig::tls(Arc::clone(name))],
            None => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
        }
    }
}

/// Looks up names with the resolvers of one network.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<hickory_resolver::Resolver<Provider>>);

impl Resolver {
    /// Asks `servers`, in their order, over the network of a PvD alone (RFC 7556 §5.2); nothing is sent yet. Who is
    /// found there authenticates himself by name, so that even answers without assurance do no more harm than none.
    ///
    /// # Errors
    /// [`Error::Refused`]
    pub(crate) fn new(
        servers: &[SocketAddr],
        assurance: &Assurance,
        link: Link,
    ) -> Result<Self, Error> {
        Self::with_attempts(servers, assurance, link, None)
    }

    /// The same over any network, as long as somebody waits who waits so long.
    ///
    /// # Errors
    /// [`Error::Refused`]
    pub(crate) fn patient(
        servers: &[SocketAddr],
        assurance: &Assurance,
        patience: Duration,
    ) -> Result<Self, Error> {
        let attempts = usize::try_from(patience.as_secs() / PATIENCE.as_secs()).unwrap_or(0);
        Self::with_attempts(servers, assurance, Link::default(), Some(attempts))
    }

    fn with_attempts(
        servers: &[SocketAddr],
        assurance: &Assurance,
        link: Link,
        attempts: Option<usize>,
    ) -> Result<Self, Error> {
        let name_servers = servers
            .iter()
            .map(|server| at(*server, assurance.connections()))
            .collect();
        let config = ResolverConfig::from_name_servers(name_servers);
        let mut builder =
            hickory_resolver::Resolver::builder_with_config(config, Provider::new(link));
        let options = builder.options_mut();
        options.timeout = PATIENCE;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // A name means what it means to everybody.
        options.use_hosts_file = ResolveHosts::Never;
        options.validate = assurance.is_validating;
        if let Some(attempts) = attempts {
            options.attempts = attempts;
        }
        if let Some((_, tls)) = &assurance.tls {
            builder = builder.with_tls_config(tls.clone());
        }
        // The library takes anchors for the wish to validate.
        if let Some(anchors) = &assurance.anchors {
            builder = builder.with_trust_anchor(Arc::clone(anchors));
        }
        let built = builder
            .build()
            .map_err(|error| Error::Refused(io::Error::other(error.to_string())))?;
        Ok(Self(Arc::new(built)))
    }

    /// The records of one kind, under a complete name.
    ///
    /// # Errors
    /// Those of the library.
    pub(crate) async fn lookup(&self, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        self.0.lookup(name, kind).await
    }

    /// The addresses of both families. An answer whose signatures do not hold is an error of the library.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) async fn resolve(&self, name: &str) -> Result<Found, Failure> {
        let mut absolute = Name::from_ascii(name).map_err(|_| Failure::NoAddress)?;
        // No search list: a name of a customer is complete.
        absolute.set_fqdn(true);
        let found = self.0.lookup_ip(absolute).await.map_err(|error| {
            match error.is_no_records_found() {
                true => Failure::NoAddress,
                false => Failure::Unavailable(error.to_string()),
            }
        })?;
        let records = found.as_lookup().answers().iter();
        let addresses: Vec<IpAddr> = records.filter_map(|record| record.data.ip_addr()).collect();
        if addresses.is_empty() {
            return Err(Failure::NoAddress);
        }
        Ok(Found {
            addresses,
            ttl: found
                .valid_until()
                .saturating_duration_since(Instant::now()),
        })
    }
}

fn at(server: SocketAddr, mut connections: Vec<ConnectionConfig>) -> NameServerConfig {
    for connection in &mut connections {
        connection.port = server.port();
    }
    NameServerConfig::new(server.ip(), true, connections)
}

fn tls(file: &Path) -> Result<rustls::ClientConfig, Error> {
    let wrong = |error| Error::TrustAnchors {
        file: file.to_owned(),
        error,
    };
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(io::Error::other(error)))?;
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(wrong(io::Error::other("there is no certificate in it")));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Refused(io::Error::other(error)))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn anchors(file: &Path) -> Result<TrustAnchors, Error> {
    let wrong = |error| Error::DnssecTrustAnchors {
        file: file.to_owned(),
        error,
    };
    let text = std::fs::read_to_string(file).map_err(wrong)?;
    if !text.contains("DNSKEY") {
        return Err(wrong(io::Error::other("there is no DNSKEY record in it")));
    }
    text.parse()
        .map_err(|error| wrong(io::Error::other(format!("{error}"))))
}

impl std::fmt::Debug for Assurance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Assurance");
        shown
            .field("tls_name", &self.tls.as_ref().map(|(name, _)| name))
            .field("is_validating", &self.is_validating)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Resolver").finish_non_exhaustive()
    }
}
