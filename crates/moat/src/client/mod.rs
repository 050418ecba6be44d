//! The DOTS client as a daemon: one task that owns the agent and carries out its actions.
//!
//! ```text
//! sockets ---datagrams--> run --> agent::Client --actions--> sockets, resolvers, store, log
//! control ---commands---->   <-- when every server has answered, or after ten seconds
//! ```

mod boot;
mod commands;
mod connector;
mod log;
mod memory;
mod names;
mod networks;
mod paths;

use std::path::Path;
use std::time::{Duration, Instant};

use agent::client::{Action, Client, Note};
use agent::server_selection::SessionStates;
use store::{ClientStore, SqliteStore, StoreError};
use tokio::sync::mpsc;

use self::boot::Clock;
use self::commands::Commands;
use self::connector::OpensslConnector;
use self::log::Log;
use self::memory::Memory;
use self::names::{Found, Names};
use self::networks::Networks;
use self::paths::{Incoming, Paths};
use crate::clock;
use crate::config::{self, ClientConfig, ConfigError};
use crate::control::{self, Call};
use crate::resolver;
use crate::shutdown;

/// Datagrams and commands that wait for the agent; the kernel and the callers wait behind them.
const QUEUE: usize = 256;

/// Why the client could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Credentials cannot be used.
    #[error("the credentials for {server}: {error}")]
    Credentials {
        /// For which server.
        server: String,
        /// What is wrong.
        error: dtls::ConfigError,
    },
    /// Names cannot be looked up.
    #[error(transparent)]
    Resolver(#[from] resolver::Error),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
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

/// Runs the client until it is told to stop.
///
/// # Errors
/// [`Error`], when it cannot start.
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let config = config::load_client(file)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(config))
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::System { what, error }
}

async fn serve(config: ClientConfig) -> Result<(), Error> {
    let mut store = SqliteStore::open(&config.state)?;
    let connector = OpensslConnector::new(&config)?;
    let seed = clock::short_seed().map_err(|error| Error::System {
        what: "get randomness",
        error: error.into(),
    })?;
    let snapshot = ClientStore::load(&mut store)?;
    let network = (config.pvd_set(), config.policy.clone());
    let clock = Clock::new(store.last_written()?);
    let now = clock.now();
    let agent = Client::new(now, connector, network, snapshot, config.requests, seed);
    let listener = control::bind(&config.control).map_err(|error| Error::Control {
        path: config.control.display().to_string(),
        error,
    })?;
    let (calls, mut incoming_calls) = mpsc::channel(QUEUE);
    tokio::task::spawn_local(listener.serve(calls));
    let (datagrams, mut incoming) = mpsc::channel(QUEUE);
    let (found, mut found_names) = mpsc::channel(QUEUE);
    let (reports, mut network_reports) = mpsc::channel(QUEUE);
    let mut daemon = Daemon {
        agent,
        clock,
        memory: Memory::new(store, now),
        paths: Paths::new(datagrams),
        names: Names::new(&config, found)?,
        commands: Commands::new(config.lifetime),
        log: Log::default(),
        networks: Networks::new(&config, &reports),
    };
    let mut stop = shutdown::signals().map_err(system("listen for signals"))?;
    tracing::info!("moat client is ready");
    loop {
        daemon.carry_out();
        let wake = daemon.next_timeout();
        tokio::select! {
            Some(received) = incoming.recv() => daemon.on_incoming(received),
            Some(found) = found_names.recv() => daemon.on_found(found),
            Some(report) = network_reports.recv() => daemon.networks.learn(report),
            Some(call) = incoming_calls.recv() => daemon.on_call(call),
            () = sleep_until(wake) => daemon.on_timeout(),
            () = stop.recv() => break,
        }
    }
    daemon.agent.close(clock.now());
    daemon.carry_out();
    daemon.memory.write_now(clock.now());
    daemon.paths.finish(incoming).await;
    tracing::info!("moat client has stopped; what it asked for stays in force until it expires");
    Ok(())
}

/// Sleeps until `wake`, for ever without one.
pub(crate) async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[derive(Debug)]
struct Daemon {
    agent: Client<OpensslConnector>,
    clock: Clock,
    memory: Memory<SqliteStore>,
    paths: Paths,
    names: Names,
    commands: Commands,
    log: Log,
    networks: Networks,
}

impl Daemon {
    fn on_incoming(&mut self, incoming: Incoming) {
        let now = self.clock.now();
        match incoming {
            Incoming::Datagram(path, datagram) => self.agent.handle_datagram(now, path, &datagram),
            Incoming::Chunk(path, chunk, _turn) => self.agent.handle_datagram(now, path, &chunk),
            Incoming::Failed(path, error) => {
                self.agent
                    .handle_path_failure(now, path, &error.to_string());
            }
        }
    }

    fn on_found(&mut self, found: Found) {
        let (association, name) = (&found.association, &found.name);
        let now = self.clock.now();
        self.agent
            .handle_resolved(now, association, name, found.addresses);
    }

    /// Tells the agent and the resolvers which networks there are now.
    fn renew(&mut self) {
        for (pvd, servers, link) in self.networks.resolvers() {
            self.names.learn(pvd, &servers, link);
        }
        let set = self.networks.set();
        if !set.iter().eq(self.agent.pvds().iter()) {
            self.agent.set_pvds(self.clock.now(), set);
        }
    }

    fn on_call(&mut self, call: Call) {
        let now = self.clock.now();
        let trouble = self.memory.trouble(now.monotonic);
        let agent = (&mut self.agent, &mut self.networks);
        self.commands.start(now, agent, trouble, call);
    }

    fn on_timeout(&mut self) {
        let now = self.clock.now();
        if self
            .agent
            .poll_timeout()
            .is_some_and(|at| at <= now.monotonic)
        {
            self.agent.handle_timeout(now);
        }
        self.networks.expire(now.monotonic);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.agent.poll_timeout(),
            self.commands.next_timeout(),
            self.memory.next_timeout(),
            self.networks.next_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Carries out what the agent wants, in its order, and answers the callers it is done with.
    /// Changes in a row are made durable together.
    fn carry_out(&mut self) {
        if self.networks.take_change() {
            self.renew();
        }
        while let Some(action) = self.agent.poll_action() {
            match action {
                Action::Persist(change) => {
                    self.memory.keep(self.clock.now(), change);
                    continue;
                }
                Action::Noted(note) => {
                    let now = self.clock.now().monotonic;
                    self.log.note(now, &note);
                    if let Note::SessionDown(association, ..) = &note
                        && !self.agent.is_established(association)
                    {
                        self.networks.doubt(now, &association.pvd);
                    }
                    continue;
                }
                _ => self.memory.write(self.clock.now()),
            }
            match action {
                Action::OpenPath {
                    path,
                    transport,
                    interface,
                    source,
                    remote,
                } => {
                    let interface = interface.as_ref();
                    if let Err(error) = self.paths.open(path, transport, interface, source, remote)
                    {
                        let now = self.clock.now();
                        self.agent
                            .handle_path_failure(now, path, &error.to_string());
                    }
                }
                Action::Transmit(path, datagram) => {
                    if let Err(error) = self.paths.send(path, datagram) {
                        let now = self.clock.now();
                        self.agent
                            .handle_path_failure(now, path, &error.to_string());
                    }
                }
                Action::ClosePath(path) => self.paths.close(path),
                Action::Resolve { association, name } => self.names.look_up(association, name),
                Action::Persist(_) | Action::Noted(_) => {}
            }
        }
        let now = self.clock.now();
        self.memory.write(now);
        self.commands.finish(now, &self.agent);
    }
}

/// How long a caller of `mitigate` or `withdraw` waits for the servers.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
