//! The DOTS server as a daemon.
//!
//! ```text
//! socket --> shard (thread): door, DTLS, CoAP, heartbeats       one for each address listened on
//!              |  requests                    ^  responses
//!              v                              |
//!            authority (thread): agent::Server, then one commit for the whole batch of promises
//!              |  scopes                      ^  enforced
//!              v                              |
//!            enforcer (thread): nft                names (task): resolver
//! control socket --> authority
//! ```
//!
//! What belongs to one session stays in its shard; what must be global is in the authority, behind
//! a queue that it empties in batches.

mod authority;
mod counters;
mod enforcer;
mod inputs;
mod log;
mod log_limit;
mod message;
mod names;
mod shard;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use agent::server::{Customer, Customers, SessionLimits};
use dtls::{SessionSettings, Transport};
use mitigator::nftables::Nftables;
use store::{SqliteStore, StoreError};
use tokio::sync::mpsc;

use self::authority::Authority;
use self::counters::{AuthorityCounters, ShardCounters};
use self::enforcer::Enforcer;
use self::inputs::{Inputs, Waiting};
use self::log_limit::LogLimits;
use self::message::{ToAuthority, ToShard};
use self::names::Lookup;
use self::shard::{Bound, DatagramShard, Shard, StreamShard};
use crate::clock;
use crate::config::{self, CertificateCredentials, ConfigError, ServerConfig};
use crate::control;
use crate::descriptors;
use crate::resolver::{self, Resolver};
use crate::sessions;
use crate::shutdown;
use crate::words;

/// Files that are not sessions: the state, the control socket and its callers, nft.
const RESERVED_FILES: u64 = 256;

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The credentials cannot be used.
    #[error("the server's credentials: {0}")]
    Credentials(#[from] dtls::ConfigError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Names cannot be looked up as configured.
    #[error(transparent)]
    Resolver(#[from] resolver::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}, {transport}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// Another server of this host has the same table.
    #[error(
        "the nft table {table} belongs to another moat server that runs here: {error}; \
         give one of them another `table` in [mitigator.nftables]"
    )]
    Table {
        /// The table.
        table: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A part of the server has ended while it was needed.
    #[error("{0}")]
    Broken(&'static str),
    /// A socket cannot be used any more.
    #[error("a socket of the server has failed: {0}")]
    Socket(std::io::Error),
    /// The filter cannot be brought to what was promised.
    #[error("the promised mitigations cannot be enforced: {0}")]
    Mitigator(#[from] mitigator::MitigatorError),
    /// The control socket cannot be used.
    #[error("the control socket {path}: {error}")]
    Control {
        /// Where.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system refused something that every daemon needs.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::System { what, error }
}

/// Runs the server until it is told to stop. Before it listens, everything that the store holds
/// is in force.
///
/// # Errors
/// [`Error`], when it cannot start, or can no longer keep what it would promise.
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let config = config::load_server(file)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    runtime.block_on(serve(config))
}

async fn serve(config: ServerConfig) -> Result<(), Error> {
    let listener = control::bind(&config.control).map_err(|error| Error::Control {
        path: config.control.display().to_string(),
        error,
    })?;
    let (inputs, waiting) = inputs::queue();
    let (failed, mut failure) = mpsc::channel(1);
    let (shards, messages): (Vec<_>, Vec<_>) =
        config.sockets().map(|_| mpsc::unbounded_channel()).unzip();
    let patience = config.policy().resolution_limit;
    let resolver = config.resolver.as_ref();
    let resolver = resolver.map(|it| Resolver::new(it, patience)).transpose()?;
    let (names, wanted) = mpsc::unbounded_channel();
    let looking_up = names::look_up((resolver, patience), wanted, inputs.clone());
    tokio::spawn(looking_up);
    // A second server with these addresses or this table goes before it touches the filter.
    let sockets = bind_all(&config)?;
    let _table = lock_table(&config)?;
    let authority = start_authority(&config, waiting, &inputs, (shards.clone(), names))?;
    // Whoever is answered finds in force what was promised before.
    start_shards(&config, &inputs, sockets, messages)?;
    thread::Builder::new()
        .name("authority".to_owned())
        .spawn(move || {
            let result = authority.run();
            // Nobody listens once the server stops; then it has stopped for another reason.
            drop(failed.blocking_send(result));
        })
        .map_err(system("start a thread"))?;
    let (calls, mut incoming) = mpsc::channel(64);
    tokio::spawn(listener.serve(calls));
    let mut stop = shutdown::signals().map_err(system("listen for signals"))?;
    tracing::info!("moat server is ready");
    loop {
        tokio::select! {
            Some(call) = incoming.recv() => {
                let report = counters::report_for(&call.command, &shards).await;
                inputs.send(ToAuthority::Call(call, report));
            }
            Some(result) = failure.recv() => return result,
            () = stop.recv() => break,
        }
    }
    // The authority finishes its batch and goes; filters stay, as promised.
    inputs.send(ToAuthority::Stop);
    let last = tokio::select! {
        last = failure.recv() => last,
        // Who says it twice does not want to wait.
        () = stop.recv() => None,
    };
    tracing::info!("moat server has stopped; what it promised stays in force");
    last.unwrap_or(Ok(()))
}

/// Listens on an address, and at once no more.
///
/// # Errors
/// Those of the system, as when another program has the address.
pub(crate) fn try_listen(address: SocketAddr, transport: Transport) -> std::io::Result<()> {
    Bound::new(address, transport).map(drop)
}

/// Sockets for everything that is listened on.
fn bind_all(config: &ServerConfig) -> Result<Vec<Bound>, Error> {
    let bind = |(address, transport)| {
        Bound::new(address, transport).map_err(|error| Error::Listen {
            address,
            transport: words::protocol_of(transport),
            error,
        })
    };
    config.sockets().map(bind).collect()
}

/// Keeps other servers of this network namespace, which is what a table belongs to, from the table as
/// long as it lives.
fn lock_table(config: &ServerConfig) -> Result<UnixListener, Error> {
    let table = config.nftables.table.to_string();
    let name = UnixAddress::from_abstract_name(format!("moat nft table {table}"));
    name.and_then(|name| UnixListener::bind_addr(&name))
        .map_err(|error| Error::Table { table, error })
}

/// How many sessions a TCP socket may hold: as configured, but no more than there are files for.
fn stream_sessions(config: &ServerConfig) -> Result<usize, Error> {
    let files = descriptors::allow_all().map_err(system("allow many sockets"))?;
    let streams = config.sockets().filter(|(_, it)| *it == Transport::Stream);
    let each = files.saturating_sub(RESERVED_FILES) / (streams.count() as u64).max(1);
    let each = usize::try_from(each).unwrap_or(usize::MAX);
    let wanted = config.limits.session_limits().sessions;
    if each < wanted {
        tracing::warn!(
            "the system allows this process {files} open files: each TCP address takes {each} sessions, not {wanted}; \
             raise the limit (ulimit -Hn, LimitNOFILE=) or lower [limits] sessions"
        );
    }
    Ok(wanted.min(each))
}

fn start_shards(
    config: &ServerConfig,
    inputs: &Inputs,
    sockets: Vec<Bound>,
    messages: Vec<mpsc::UnboundedReceiver<ToShard>>,
) -> Result<(), Error> {
    let credentials = dtls::ServerConfig::with_psks(
        config.certificate.as_ref().map(CertificateCredentials::pem),
        &config.pre_shared_keys(),
        SessionSettings::default(),
    )?;
    let seed = clock::seed().map_err(|error| Error::System {
        what: "get randomness",
        error: error.into(),
    })?;
    let customers = Arc::new(customers_of(config));
    let limits = config.limits.session_limits();
    let parameters = sessions::of_server(config.heartbeat);
    let count = messages.len() as u64;
    let stream_sessions = stream_sessions(config)?;
    for (number, (socket, messages)) in (0..).zip(sockets.into_iter().zip(messages)) {
        let sessions = match socket {
            Bound::Datagram(_) => limits.sessions,
            Bound::Stream(_) => stream_sessions,
        };
        let shard = Shard {
            sessions: agent::server::Sessions::new(
                parameters.clone(),
                SessionLimits { sessions, ..limits },
                (number, count),
                clock::short_seed().map_err(|error| Error::System {
                    what: "get randomness",
                    error: error.into(),
                })?,
            ),
            inputs: inputs.clone(),
            counters: ShardCounters::default(),
            lines: LogLimits::default(),
            customers: Arc::clone(&customers),
            sources: BTreeMap::new(),
        };
        let credentials = credentials.clone();
        let thread = thread::Builder::new().name(format!("shard {number}"));
        let started = match socket {
            Bound::Datagram(socket) => {
                let acceptor = dtls::Acceptor::new(credentials, &seed, clock::now().monotonic);
                let shard = DatagramShard { shard, acceptor };
                thread.spawn(move || shard.run(socket, messages))
            }
            Bound::Stream(listener) => {
                thread.spawn(move || StreamShard::new(shard, credentials).run(listener, messages))
            }
        };
        started.map_err(system("start a thread"))?;
    }
    Ok(())
}

fn start_authority(
    config: &ServerConfig,
    waiting: Waiting,
    inputs: &Inputs,
    (shards, names): (
        Vec<mpsc::UnboundedSender<ToShard>>,
        mpsc::UnboundedSender<Lookup>,
    ),
) -> Result<Authority<SqliteStore>, Error> {
    let mut store = SqliteStore::open(&config.state)?;
    let snapshot = store::ServerStore::load(&mut store)?;
    let customers = customers_of(config);
    let server = agent::server::Server::new(clock::now(), customers, config.policy(), snapshot);
    let mut enforcer = Enforcer::new(Nftables::new(config.nftables.clone()), inputs.clone());
    enforcer.reconcile(&server)?;
    let (scopes, changes) = std::sync::mpsc::channel();
    thread::Builder::new()
        .name("enforcer".to_owned())
        .spawn(move || enforcer.run(&changes))
        .map_err(system("start a thread"))?;
    Ok(Authority {
        server,
        store,
        waiting,
        shards,
        scopes,
        names,
        counters: AuthorityCounters::default(),
        lines: LogLimits::default(),
    })
}

fn customers_of(config: &ServerConfig) -> Customers {
    config
        .customers
        .iter()
        .map(|customer| Customer {
            name: customer.name.clone(),
            psk_identity: customer
                .pre_shared_key
                .as_ref()
                .map(|key| key.identity.clone()),
            prefixes: customer.prefixes.clone(),
            max_mitigations: customer.max_mitigations,
            redirect: customer.redirect.clone(),
        })
        .collect()
}
