//! A server at work: its threads, and what reaches them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use agent::server::{Customer, Customers, Input, Server, SessionLimits};
use dtls::{SessionSettings, Transport};
use store::{ServerStore, SqliteStore};
use tokio::sync::mpsc;

use super::authority::Authority;
use super::counters::{self, AuthorityCounters, ShardCounters};
use super::inputs::{self, Inputs};
use super::log_limit::LogLimits;
use super::message::{ToAuthority, ToShard};
use super::shard::{Bound, DatagramShard, Shard, StreamShard};
use super::{Behind, Error, names, system};
use crate::clock::{self, Clock};
use crate::config::{CertificateCredentials, PreSharedKey, ServerConfig};
use crate::control::Call;
use crate::descriptors;
use crate::resolver::{Assurance, Resolver};
use crate::sessions;
use crate::shutdown::Signals;
use crate::words;

/// Files that are not sessions: the state, the control socket and its callers, nft.
const RESERVED_FILES: u64 = 256;

/// The server, of a provider or of a gateway.
#[derive(Debug)]
pub(crate) struct Inside {
    inputs: Inputs,
    shards: Vec<mpsc::UnboundedSender<ToShard>>,
    failure: mpsc::Receiver<Result<(), Error>>,
}

impl Inside {
    /// Starts to listen, once `begin` has seen to what the store holds.
    ///
    /// # Errors
    /// [`Error`], when it cannot.
    pub(crate) fn start<T>(
        config: &ServerConfig,
        clock: Clock,
        begin: impl FnOnce(&Server, &Inputs) -> Result<(Behind, T), Error>,
    ) -> Result<(Self, T), Error> {
        let (inputs, waiting) = inputs::queue();
        let (failed, failure) = mpsc::channel(1);
        let (shards, messages): (Vec<_>, Vec<_>) =
            config.sockets().map(|_| mpsc::unbounded_channel()).unzip();
        let patience = config.policy().resolution_limit;
        let resolver = match &config.resolver {
            Some(it) => Some(Resolver::patient(
                &it.servers,
                &Assurance::new(it)?,
                patience,
            )?),
            None => None,
        };
        let (names, wanted) = mpsc::unbounded_channel();
        let looking_up = names::look_up((resolver, patience), wanted, inputs.clone());
        tokio::spawn(looking_up);
        // A second server with these addresses goes before it touches anything.
        let sockets = bind_all(config)?;
        let mut store = SqliteStore::open(&config.state)?;
        let snapshot = ServerStore::load(&mut store)?;
        let server = Server::new(clock.now(), customers_of(config), config.policy(), snapshot);
        let (behind, extra) = begin(&server, &inputs)?;
        let authority = Authority {
            server,
            store,
            clock,
            waiting,
            shards: shards.clone(),
            behind,
            names,
            counters: AuthorityCounters::default(),
            lines: LogLimits::default(),
        };
        // Whoever is answered finds in force what was promised before.
        start_shards(config, &inputs, sockets, messages)?;
        thread::Builder::new()
            .name("authority".to_owned())
            .spawn(move || {
                let result = authority.run();
                // Nobody listens once the server stops; then it has stopped for another reason.
                drop(failed.blocking_send(result));
            })
            .map_err(system("start a thread"))?;
        let inside = Self {
            inputs,
            shards,
            failure,
        };
        Ok((inside, extra))
    }

    /// Has a caller answered.
    pub(crate) fn call(&self, call: Call) {
        let (inputs, shards) = (self.inputs.clone(), self.shards.clone());
        tokio::spawn(async move {
            let report = counters::report_for(&call.command, &shards).await;
            inputs.send(ToAuthority::Call(call, report));
        });
    }

    /// Tells the server something.
    pub(crate) fn tell(&self, input: Input) {
        self.inputs.send(ToAuthority::Input(input));
    }

    /// Why it can keep no promise any more.
    pub(crate) async fn failure(&mut self) -> Result<(), Error> {
        match self.failure.recv().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// Lets it finish what it has begun.
    ///
    /// # Errors
    /// What went wrong at the end.
    pub(crate) async fn stop(mut self, stop: &mut Signals) -> Result<(), Error> {
        self.inputs.send(ToAuthority::Stop);
        let last = tokio::select! {
            last = self.failure.recv() => last,
            // Who says it twice does not want to wait.
            () = stop.recv() => None,
        };
        last.unwrap_or(Ok(()))
    }
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

/// How many sessions a TCP socket may hold: as configured, but no more than there are files for.
fn stream_sessions(config: &ServerConfig) -> Result<usize, Error> {
    let files = descriptors::allow_all().map_err(system("allow many sockets"))?;
    let streams = config.sockets().filter(|(_, it)| *it == Transport::Stream);
    let each = files_of_each(files, streams.count() as u64);
    let wanted = config.limits.session_limits().sessions;
    if each < wanted {
        tracing::warn!(
            "the system allows this process {files} open files: each TCP address takes {each} sessions, not {wanted}; \
             raise the limit (ulimit -Hn, LimitNOFILE=) or lower [limits] sessions"
        );
    }
    Ok(wanted.min(each))
}

/// How many files each TCP socket may have for its sessions, of all that the process may open.
fn files_of_each(files: u64, streams: u64) -> usize {
    let each = files.saturating_sub(RESERVED_FILES) / streams.max(1);
    usize::try_from(each).unwrap_or(usize::MAX)
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
    let seed = clock::seed().map_err(system("get randomness"))?;
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
                clock::short_seed().map_err(system("get randomness"))?,
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

/// Those who ask for themselves, and the gateways that ask for them.
fn customers_of(config: &ServerConfig) -> Customers {
    let identity = |key: &Option<PreSharedKey>| key.as_ref().map(|key| key.identity.clone());
    let mut customers: Vec<Customer> = config
        .customers
        .iter()
        .map(|customer| Customer {
            name: customer.name.clone(),
            psk_identity: identity(&customer.pre_shared_key),
            prefixes: customer.prefixes.clone(),
            max_mitigations: customer.max_mitigations,
            redirect: customer.redirect.clone(),
            cdids: customer.cdids.clone(),
            is_gateway: false,
        })
        .collect();
    for gateway in &config.gateways {
        match customers.iter_mut().find(|it| it.name == gateway.name) {
            Some(customer) => {
                customer.is_gateway = true;
                let key = identity(&gateway.pre_shared_key);
                customer.psk_identity = customer.psk_identity.take().or(key);
            }
            None => customers.push(Customer {
                name: gateway.name.clone(),
                psk_identity: identity(&gateway.pre_shared_key),
                prefixes: Vec::new(),
                max_mitigations: 0,
                redirect: None,
                cdids: Vec::new(),
                is_gateway: true,
            }),
        }
    }
    customers.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The store, the log, name servers and the control socket need files too.
    #[test]
    fn sessions_leave_files_for_everything_else() {
        assert_eq!(files_of_each(1024, 1), 768);
        assert_eq!(files_of_each(1024, 2), 384);
        assert_eq!(files_of_each(1024, 0), 768);
        assert_eq!(files_of_each(200, 1), 0);
        assert_eq!(files_of_each(u64::MAX, 1), usize::MAX - 256);
    }
}
