//! The file of `moat server`: where it listens, who may ask, for what, and how much.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use agent::server::{Policy, Relaying};
use dtls::{PskIdentity, PskKey, Transport};
use mitigator::nftables::NftablesConfig;

use super::conduct::{self, Conduct};
use super::credentials::{self, CertificateCredentials, Role};
use super::customer::{self, Customer};
use super::error::Problem;
use super::limits::Limits;
use super::listen;
use super::machine;
use super::mitigation;
use super::reader::{Diagnostics, Table};
use super::resolver::{self, Resolver};
use super::transport::{self, Transports};
use super::trusted_gateway::{self, Draft, TrustedGateway};
use super::value;
use super::{Heartbeat, heartbeat, state_and_control, values};

/// The keys that only a server's file has.
pub(super) const OWN_KEYS: &[&str] = &[
    "listen",
    "certificate",
    "private_key",
    "trust_anchors",
    "transports",
    "max_lifetime",
    "on_conflict",
    "terminating",
    "attack_stopped_after",
    "lost_after",
    "dns",
    "customer",
    "gateway",
    "limits",
    "mitigator",
];

/// What `moat server` is started with.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    /// Where it listens, at least one, no two alike (RFC 9132 §3).
    pub(crate) listen: Vec<SocketAddr>,
    /// What it listens for at each of these addresses.
    pub(crate) transports: Transports,
    /// What it proves itself with, and the authorities of its customers' certificates. Only left out when every
    /// customer has a pre-shared key.
    pub(crate) certificate: Option<CertificateCredentials>,
    /// The database of the mitigations it promised.
    pub(crate) state: PathBuf,
    /// The socket at which `moat sessions` and the like reach it.
    pub(crate) control: PathBuf,
    /// How it treats requests.
    pub(crate) conduct: Conduct,
    /// Whom it looks names up with. `None`: nobody, so requests that name hosts are refused.
    pub(crate) resolver: Option<Resolver>,
    /// Who may ask. No two of the same name.
    pub(crate) customers: Vec<Customer>,
    /// Who is trusted to say for which customer it asks.
    pub(crate) gateways: Vec<TrustedGateway>,
    /// What the network may make it hold.
    pub(crate) limits: Limits,
    /// How it drops packets; of no use to a gateway.
    pub(crate) nftables: NftablesConfig,
    /// How a gateway relays.
    pub(crate) relaying: Option<Relaying>,
    /// `None` when heartbeats are off.
    pub(crate) heartbeat: Option<Heartbeat>,
    /// What is wrong or questionable in the file and did not keep the server from starting: to be logged.
    pub(crate) warnings: Vec<Problem>,
}

impl ServerConfig {
    /// Each address with each transport: a socket each.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (SocketAddr, Transport)> {
        self.listen.iter().flat_map(|address| {
            let transports = self.transports.iter();
            transports.map(|transport| (*address, *transport))
        })
    }

    /// What the operator decided.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            max_lifetime: self.conduct.max_lifetime,
            on_conflict: self.conduct.on_conflict,
            terminating: self.conduct.terminating,
            attack_stopped_after: self.conduct.attack_stopped_after,
            lost_after: self.conduct.lost_after,
            relaying: self.relaying.clone(),
            ..self.limits.policy()
        }
    }

    /// The keys of all customers and gateways that have one.
    pub(crate) fn pre_shared_keys(&self) -> BTreeMap<PskIdentity, PskKey> {
        let customers = self.customers.iter().map(|it| &it.pre_shared_key);
        let gateways = self.gateways.iter().map(|it| &it.pre_shared_key);
        let keys = customers.chain(gateways).flatten().cloned();
        keys.map(|pair| (pair.identity, pair.key)).collect()
    }
}

pub(super) fn read(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ServerConfig> {
    let defaults = ["/var/lib/moat/server.db", "/run/moat/server.sock"];
    let inside = read_inside(&mut table, (defaults, true), folder, diagnostics);
    let nftables = mitigation::read(&mut table, folder, diagnostics);
    table.finish(diagnostics);
    Some(ServerConfig {
        nftables: nftables?,
        ..inside?
    })
}

/// What a server's file has in common with a gateway's, which does not mitigate; `defaults` are those
/// of `state` and `control`.
pub(super) fn read_inside(
    table: &mut Table<'_>,
    (defaults, mitigates): ([&str; 2], bool),
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ServerConfig> {
    let examples = [
        "a list, like [\"[::]:4646\"]",
        "address, like \"[::]:4646\"",
        "an address in quotes, like \"[::]:4646\"",
    ];
    let listen = listen::read(table, value::SIGNAL_PORT, examples, diagnostics);
    let transports = transport::read(table, diagnostics);
    if let (Some(transports), true) = (&transports, diagnostics.is_with_machine()) {
        machine::note_listen(&listen, transports, diagnostics);
    }
    let certificate = credentials::certificate(table, Role::Server, folder, diagnostics);
    let files = state_and_control(table, defaults, folder, diagnostics);
    let conduct = conduct::read(table, mitigates, diagnostics);
    let resolver = resolver::read(table, folder, diagnostics);
    let limits = Limits::read(table, diagnostics);
    let has_certificate = !matches!(certificate, Some(None));
    let gateways = trusted_gateway::read(table, has_certificate, folder, diagnostics);
    let customers = customer::read(
        table,
        limits.unwrap_or_default(),
        (has_certificate, gateways.as_deref().unwrap_or_default()),
        folder,
        diagnostics,
    );
    let heartbeat = heartbeat(table, diagnostics);

    let (state, control) = files?;
    let certificate = certificate?;
    Some(ServerConfig {
        listen: values(listen),
        transports: transports?,
        certificate,
        state,
        control,
        conduct: conduct?,
        resolver: resolver?,
        customers: customers?,
        gateways: gateways?
            .into_iter()
            .map(Draft::gateway)
            .collect::<Option<_>>()?,
        limits: limits?,
        nftables: NftablesConfig::default(),
        relaying: None,
        heartbeat: heartbeat?,
        warnings: Vec::new(),
    })
}
