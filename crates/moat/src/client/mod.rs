//! The DOTS client as a daemon: one task that owns the agent and carries out its actions.
//!
//! ```text
//! sockets ---datagrams--> run --> agent::Client --actions--> sockets, resolvers, store, log
//! control ---commands---->   <-- when every server has answered, or after ten seconds
//! ```

mod commands;
mod connector;
mod events;
mod log;
mod memory;
mod names;
mod network;
mod networks;
mod paths;
mod provisioned;
mod unplaced;

use std::path::Path;
use std::time::{Duration, Instant};

use agent::client::{Action, Client, Note};
use agent::server_selection::SessionStates;
use store::{ClientStore, SqliteStore, StoreError};
use tokio::sync::mpsc;

use self::commands::Commands;
use self::connector::OpensslConnector;
pub(crate) use self::events::{Event, Events};
use self::log::Log;
use self::memory::Memory;
use self::names::{Found, Names};
use self::networks::Networks;
use self::paths::{Incoming, Paths};
use crate::clock::{self, Clock};
use crate::config::{self, ClientConfig, ConfigError};
use crate::control::{self, Call};
use crate::daemon::{self, SystemError, system};
use crate::resolver;
use crate::routing;
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
    #[error(transparent)]
    Control(#[from] control::BindError),
    /// The system refused something that every daemon needs.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Runs the client until it is told to stop.
///
/// # Errors
/// [`Error`], when it cannot start.
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let config = config::load_client(file)?;
    daemon::run(&config.warnings, serve(&config))
}

async fn serve(config: &ClientConfig) -> Result<(), Error> {
    let (mut daemon, mut events) = Daemon::new(config)?;
    let listener = control::bind(&config.control)?;
    let (calls, mut incoming_calls) = mpsc::channel(QUEUE);
    tokio::task::spawn_local(listener.serve(calls));
    let mut stop = shutdown::signals().map_err(system("listen for signals"))?;
    tracing::info!("moat client is ready");
    loop {
        daemon.carry_out(|_| ());
        let wake = daemon.next_timeout();
        tokio::select! {
            event = events.next() => daemon.on_event(event),
            Some(call) = incoming_calls.recv() => daemon.on_call(call),
            () = sleep_until(wake) => daemon.on_timeout(),
            () = stop.recv() => break,
        }
    }
    daemon.stop(events).await;
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

/// A client, of a site or of a gateway, and what it acts on.
#[derive(Debug)]
pub(crate) struct Daemon {
    agent: Client<OpensslConnector>,
    clock: Clock,
    memory: Memory<SqliteStore>,
    paths: Paths,
    names: Names,
    commands: Commands,
    log: Log,
    networks: Networks,
    routing: Option<routing::Configured>,
}

impl Daemon {
    /// A client as its store left it. It works in a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Errors
    /// [`Error`], when it cannot start.
    pub(crate) fn new(config: &ClientConfig) -> Result<(Self, Events), Error> {
        let mut store = SqliteStore::open(&config.state)?;
        let connector = OpensslConnector::new(config)?;
        let seed = clock::short_seed().map_err(system("get randomness"))?;
        let snapshot = ClientStore::load(&mut store)?;
        let network = (config.pvd_set(), config.policy.clone());
        let clock = Clock::new(store.last_written()?);
        let now = clock.now();
        let agent = Client::new(now, connector, network, snapshot, config.requests, seed);
        let (datagrams, incoming) = mpsc::channel(QUEUE);
        let (finding, found) = mpsc::channel(QUEUE);
        let (reporting, reports) = mpsc::channel(QUEUE);
        let (providing, provisioned) = mpsc::channel(QUEUE);
        let names = Names::new(config, finding)?;
        let ends = (&reporting, providing);
        let mut networks = Networks::new(config, &names, ends, clock.now().monotonic);
        let routing = routing::Configured::start(config, &networks.set());
        let daemon = Self {
            agent,
            clock,
            memory: Memory::new(store, now),
            paths: Paths::new(datagrams),
            names,
            commands: Commands::new(config.lifetime),
            log: Log::default(),
            networks,
            routing,
        };
        let events = Events {
            incoming,
            found,
            reports,
            provisioned,
        };
        Ok((daemon, events))
    }

    /// The clock by which it works.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn agent(&mut self) -> &mut Client<OpensslConnector> {
        &mut self.agent
    }

    pub(crate) fn on_event(&mut self, event: Event) {
        match event {
            Event::Received(incoming) => self.on_incoming(incoming),
            Event::Found(found) => self.on_found(found),
            Event::Reported(report) => self.networks.learn(self.clock.now().monotonic, report),
            Event::Provisioned(report) => self.networks.observe(report),
        }
    }

    /// Ends all sessions in order, and remembers what it has not yet.
    pub(crate) async fn stop(mut self, events: Events) {
        self.agent.close(self.clock.now());
        self.carry_out(|_| ());
        self.memory.write_now(self.clock.now());
        self.paths.finish(events.incoming).await;
        if let Some(routing) = self.routing {
            routing.stop().await;
        }
    }

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
            if let Some(routing) = &self.routing {
                routing.set(&set);
            }
            self.log.networks(&set);
            self.agent.set_pvds(self.clock.now(), set);
        }
    }

    pub(crate) fn on_call(&mut self, call: Call) {
        let now = self.clock.now();
        let trouble = self.memory.trouble(now.monotonic);
        let agent = (&mut self.agent, &mut self.networks);
        self.commands.start(now, agent, trouble, call);
    }

    pub(crate) fn on_timeout(&mut self) {
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

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.agent.poll_timeout(),
            self.commands.next_timeout(),
            self.memory.next_timeout(),
            self.networks.next_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Whether there is something that the agent wants done.
    pub(crate) fn has_actions(&self) -> bool {
        self.agent.has_actions()
    }

    /// Carries out what the agent wants, in its order, and answers the callers it is done with.
    /// Changes in a row are made durable together. `noted` is told what happens.
    pub(crate) fn carry_out(&mut self, mut noted: impl FnMut(&Note)) {
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
                    noted(&note);
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
