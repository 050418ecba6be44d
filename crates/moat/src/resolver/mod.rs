//! Looks up addresses of names, in private and with proof where the configuration asks for it
//! (RFC 9132 §11: DNS over TLS, RFC 7858; DNSSEC, RFC 4035).

mod provider;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::ResolverBuilder;
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
use crate::config::Resolver as Configuration;

/// How long one resolver may take before the next is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why names cannot be looked up as configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The certification authorities that the resolver's certificate must lead to.
    #[error("[dns] trust_anchors {}: {error}", .file.display())]
    TrustAnchors {
        /// Their file.
        file: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The keys that answers must lead to.
    #[error("[dns] dnssec_trust_anchors {}: {error}", .file.display())]
    DnssecTrustAnchors {
        /// Their file.
        file: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The library refused.
    #[error("[dns]: {0}")]
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

/// Looks up names with the resolvers of one network.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<hickory_resolver::Resolver<Provider>>);

impl Resolver {
    /// Asks as configured, as long as somebody waits who waits so long; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error`], for files that are not what they should be.
    pub(crate) fn new(configuration: &Configuration, patience: Duration) -> Result<Self, Error> {
        let name_servers = configuration
            .servers
            .iter()
            .map(|server| name_server(*server, configuration))
            .collect();
        let mut builder = builder(name_servers, Link::default());
        let options = builder.options_mut();
        options.validate = configuration.dnssec;
        options.attempts = usize::try_from(patience.as_secs() / PATIENCE.as_secs()).unwrap_or(0);
        if configuration.tls_name.is_some() {
            builder = builder.with_tls_config(tls(&configuration.trust_anchors)?);
        }
        // The library takes anchors for the wish to validate.
        if configuration.dnssec
            && let Some(file) = &configuration.dnssec_trust_anchors
        {
            builder = builder.with_trust_anchor(Arc::new(anchors(file)?));
        }
        build(builder)
    }

    /// Asks the resolvers that the network of a PvD gave, over that network alone (RFC 7556 §5.2). Who is found
    /// there authenticates itself by name, so answers need no proof.
    ///
    /// # Errors
    /// [`Error::Refused`]
    pub(crate) fn of_pvd(servers: &[SocketAddr], link: Link) -> Result<Self, Error> {
        let name_servers = servers.iter().map(|server| plain(*server)).collect();
        build(builder(name_servers, link))
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

fn builder(name_servers: Vec<NameServerConfig>, link: Link) -> ResolverBuilder<Provider> {
    let config = ResolverConfig::from_name_servers(name_servers);
    let provider = Provider::new(link);
    let mut builder = hickory_resolver::Resolver::builder_with_config(config, provider);
    let options = builder.options_mut();
    options.timeout = PATIENCE;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // A name means what it means to everybody.
    options.use_hosts_file = ResolveHosts::Never;
    builder
}

fn build(builder: ResolverBuilder<Provider>) -> Result<Resolver, Error> {
    let built = builder
        .build()
        .map_err(|error| Error::Refused(io::Error::other(error.to_string())))?;
    Ok(Resolver(Arc::new(built)))
}

fn plain(server: SocketAddr) -> NameServerConfig {
    at(
        server,
        vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
    )
}

fn name_server(server: SocketAddr, configuration: &Configuration) -> NameServerConfig {
    match &configuration.tls_name {
        Some(name) => at(
            server,
            vec![ConnectionConfig::tls(Arc::from(name.to_string()))],
        ),
        None => plain(server),
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

impl std::fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Resolver").finish_non_exhaustive()
    }
}
