//! The DOTS gateway as a daemon: the threads of a server, and the task of a client, back to back.
//!
//! ```text
//! shards --> authority (thread): agent::Server, one commit for a batch
//!              |  what is durable          ^  how it stands upstream
//!              v                           |
//!            Daemon (task): agent::Gateway, agent::Client --> sockets, resolvers, store, log
//! control socket --> both
//! ```

mod calls;

use std::path::Path;

use agent::gateway::{Gateway, Note, Output};
use agent::server::Input;
use tokio::sync::mpsc;

use crate::client::{self, sleep_until};
use crate::config::{self, ConfigError, GatewayConfig};
use crate::control;
use crate::daemon::{self, SystemError, system};
use crate::server::{self, Behind, Committed, Inside};
use crate::shutdown;

/// Callers that wait for the daemon.
const QUEUE: usize = 64;
/// What was committed and the client does not know yet, in batches of the authority.
const BATCHES: usize = 16;

/// Why the gateway could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server inside cannot run.
    #[error(transparent)]
    Inside(#[from] server::Error),
    /// The client outside cannot run.
    #[error(transparent)]
    Outside(#[from] client::Error),
    /// The control socket cannot be used.
    #[error(transparent)]
    Control(#[from] control::BindError),
    /// The system refused something that every daemon needs.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// [`Error`], when it cannot start, or can no longer keep what it would promise.
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let config = config::load_gateway(file)?;
    daemon::run(&config.warnings, serve(&config))
}

async fn serve(config: &GatewayConfig) -> Result<(), Error> {
    let listener = control::bind(&config.inside.control)?;
    let (mut outside, mut events) = client::Daemon::new(&config.outside)?;
    let (relays, mut committed) = mpsc::channel(BATCHES);
    let terms = config.terms.clone();
    let clock = outside.clock();
    let (mut inside, gateway) = Inside::start(&config.inside, clock, |server, _| {
        let gateway = Gateway::new(clock.now(), terms, server.records(), outside.agent());
        Ok((Behind::Upstream(relays), gateway))
    })?;
    let (calls, mut incoming) = mpsc::channel(QUEUE);
    tokio::spawn(listener.serve(calls));
    let mut stop = shutdown::signals().map_err(system("listen for signals"))?;
    tracing::info!("moat gateway is ready");
    let mut daemon = Daemon { gateway, outside };
    let failure = loop {
        daemon.relay(&inside);
        let wake = daemon.outside.next_timeout();
        let wake = wake.into_iter().chain(daemon.gateway.poll_timeout()).min();
        tokio::select! {
            Some(what) = committed.recv() => {
                daemon.on_committed(&what);
                while let Ok(more) = committed.try_recv() {
                    daemon.on_committed(&more);
                }
            }
            event = events.next() => daemon.outside.on_event(event),
            Some(call) = incoming.recv() => daemon.on_call(&inside, call),
            () = sleep_until(wake) => daemon.outside.on_timeout(),
            failure = inside.failure() => break Some(failure),
            () = stop.recv() => break None,
        }
    };
    // What is committed from now on is relayed after the next start.
    tokio::task::spawn_local(async move { while committed.recv().await.is_some() {} });
    let last = match failure {
        Some(failure) => failure,
        None => inside.stop(&mut stop).await,
    };
    daemon.outside.stop(events).await;
    tracing::info!("moat gateway has stopped; what it asked for stays in force until it expires");
    Ok(last?)
}

struct Daemon {
    gateway: Gateway,
    outside: client::Daemon,
}

impl Daemon {
    fn on_committed(&mut self, committed: &Committed) {
        let now = self.outside.clock().now();
        for change in &committed.changes {
            self.gateway.handle_change(now, change);
        }
        for (key, status) in &committed.told {
            self.gateway
                .handle_efficacy(now, self.outside.agent(), key, *status);
        }
    }

    /// Brings the client to what is wanted, and the server to what is known.
    fn relay(&mut self, inside: &Inside) {
        loop {
            let gateway = &mut self.gateway;
            self.outside.carry_out(|note| gateway.handle_note(note));
            let now = self.outside.clock().now();
            self.gateway.settle(now, self.outside.agent());
            let mut is_done = true;
            while let Some(output) = self.gateway.poll_output() {
                is_done = false;
                match output {
                    Output::Tell(those) => inside.tell(Input::Upstream(those)),
                    Output::Noted(note) => log(&note),
                }
            }
            if is_done && !self.outside.has_actions() {
                return;
            }
        }
    }
}

fn log(note: &Note) {
    match note {
        Note::Relayed { request, on_behalf } => {
            for key in on_behalf {
                tracing::info!(
                    %request,
                    customer = key.customer,
                    cuid = ?key.cuid.as_str(),
                    mid = %key.mid,
                    "relayed"
                );
            }
        }
        Note::NobodyToAsk { key, selection } => {
            let reasons = selection.unprotected.iter();
            let reasons = reasons.map(|it| format!("{}: {}", it.prefix, it.reason));
            let reason = reasons.collect::<Vec<_>>().join("; ");
            tracing::warn!(
                customer = key.customer,
                cuid = ?key.cuid.as_str(),
                mid = %key.mid,
                reason,
                "nobody upstream can be asked"
            );
        }
        Note::Loop { key, path } => tracing::error!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            path,
            "a request came back here: there is a loop of gateways"
        ),
    }
}
