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
//!              or, of a gateway, its client
//! control socket --> authority
//! ```
//!
//! What belongs to one session stays in its shard; what must be global is in the authority, behind
//! a queue that it empties in batches.

mod authority;
mod behind;
mod counters;
mod enforcer;
mod inputs;
mod log;
mod log_limit;
mod message;
mod names;
mod running;
mod scopes;
mod shard;

use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::Path;
use std::thread;

use dtls::Transport;
use mitigator::nftables::Nftables;
use store::StoreError;
use tokio::sync::mpsc;

pub(crate) use self::behind::{Behind, Committed};
use self::enforcer::Enforcer;
use self::inputs::Inputs;
pub(crate) use self::running::Inside;
use self::shard::Bound;
use crate::clock::{self, Clock};
use crate::config::{self, ConfigError, ServerConfig};
use crate::control;
use crate::daemon::{self, SystemError, system};
use crate::resolver;
use crate::shutdown;

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
    #[error(transparent)]
    Control(#[from] control::BindError),
    /// The system refused something that every daemon needs.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Runs the server until it is told to stop. Before it listens, everything that the store holds
/// is in force.
///
/// # Errors
/// [`Error`], when it cannot start, or can no longer keep what it would promise.
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let config = config::load_server(file)?;
    daemon::run(&config.warnings, serve(&config))
}

async fn serve(config: &ServerConfig) -> Result<(), Error> {
    let listener = control::bind(&config.control)?;
    let (mut inside, _table) = Inside::start(config, Clock::new(None), |server, inputs| {
        // A second server with this table goes before it touches the filter.
        let table = lock_table(config)?;
        Ok((start_enforcer(config, server, inputs)?, table))
    })?;
    let (calls, mut incoming) = mpsc::channel(64);
    tokio::spawn(listener.serve(calls));
    let mut stop = shutdown::signals().map_err(system("listen for signals"))?;
    tracing::info!("moat server is ready");
    loop {
        tokio::select! {
            Some(call) = incoming.recv() => inside.call(call),
            result = inside.failure() => return result,
            () = stop.recv() => break,
        }
    }
    // The authority finishes its batch and goes; filters stay, as promised.
    let last = inside.stop(&mut stop).await;
    tracing::info!("moat server has stopped; what it promised stays in force");
    last
}

/// Listens on an address, and at once no more.
///
/// # Errors
/// Those of the system, as when another program has the address.
pub(crate) fn try_listen(address: SocketAddr, transport: Transport) -> std::io::Result<()> {
    Bound::new(address, transport).map(drop)
}

/// Keeps other servers of this network namespace, which is what a table belongs to, from the table as
/// long as it lives.
fn lock_table(config: &ServerConfig) -> Result<UnixListener, Error> {
    let table = config.nftables.table.to_string();
    let name = UnixAddress::from_abstract_name(format!("moat nft table {table}"));
    name.and_then(|name| UnixListener::bind_addr(&name))
        .map_err(|error| Error::Table { table, error })
}

/// Brings the filter to what the store holds, and keeps it there from now on.
fn start_enforcer(
    config: &ServerConfig,
    server: &agent::server::Server,
    inputs: &Inputs,
) -> Result<Behind, Error> {
    let mut enforcer = Enforcer::new(Nftables::new(config.nftables.clone()), inputs.clone());
    enforcer.reconcile(clock::now().monotonic, server.enforced_scopes())?;
    let enforced = server.enforced_scopes();
    let (scopes, untaken) = scopes::queue(enforced.map(|(enforcement, _)| enforcement));
    thread::Builder::new()
        .name("enforcer".to_owned())
        .spawn(move || enforcer.run(&untaken))
        .map_err(system("start a thread"))?;
    Ok(Behind::Mitigator(scopes))
}
