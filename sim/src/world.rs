//! One client, the servers of its providers, and what stands around them.
//!
//! The world carries out actions as the runtime does: in order, with the store in between. It
//! checks after each of them what must always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{
    self, AssociationRecord, Client, Connection, Connector, PathId, RequestRecord,
};
use agent::server::{
    self, Customer, Customers, Flow, MitigationKey, MitigationRecord, Server, SessionLimits,
    SessionOutput, Sessions, Snapshot,
};
use agent::server_selection::AssociationId;
use agent::session::SessionParameters;
use dots::identifiers::{Cuid, Mid};
use dtls::{Credential, Peer};
use pvd::{DotsServer, Learned, ProvisioningDomain, PvdSet};

use crate::network::{Datagram, Network, Weather};
use crate::plaintext::PlaintextSession;

/// How long the mitigator takes.
const ENFORCEMENT: Duration = Duration::from_millis(10);
/// The wall clock at the start of a run: 2026-01-01.
const EPOCH: u64 = 1_767_225_600;

/// Opens plaintext sessions as the client called "home".
#[derive(Debug)]
pub struct PlaintextConnector(SessionParameters);

impl Connector for PlaintextConnector {
    type Session = PlaintextSession;

    fn connect(
        &mut self,
        now: Instant,
        _: &AssociationId,
        connection: Connection<'_>,
        _: Option<&()>,
    ) -> Result<PlaintextSession, dtls::ConfigError> {
        Ok(PlaintextSession::client(now, peer(connection.server_name)))
    }

    fn cuid(&self, _: &AssociationId) -> Cuid {
        Cuid::from_spki_sha256(&fingerprint("home"))
    }

    fn parameters(&self) -> &SessionParameters {
        &self.0
    }
}

fn fingerprint(name: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    digest
}

fn peer(name: &str) -> Peer {
    Peer {
        credential: Credential::Certificate {
            spki_sha256: fingerprint(name),
            subject: format!("CN={name}"),
            common_name: Some(name.to_owned()),
            dns_names: vec![name.to_owned()],
        },
        resumed: false,
    }
}

/// A provider: its server, its store, its mitigator.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    prefixes: Vec<ipnet::IpNet>,
    sessions: Sessions<PlaintextSession>,
    server: Server,
    /// What survives a crash.
    pub store: BTreeMap<MitigationKey, MitigationRecord>,
    /// What is filtered.
    pub enforced: BTreeSet<MitigationKey>,
    enforcing: BTreeMap<Instant, Vec<MitigationKey>>,
    restarts: u64,
}

/// The client's durable state.
#[derive(Debug, Default)]
pub struct ClientStore {
    /// What it knows of its servers.
    pub associations: BTreeMap<AssociationId, AssociationRecord>,
    /// What it asked for and has not seen the end of.
    pub requests: BTreeMap<(client::RequestId, AssociationId, Mid), RequestRecord>,
}

/// Everything there is.
#[derive(Debug)]
pub struct World {
    start: Instant,
    now: Instant,
    seed: u64,
    network: Network,
    /// The client.
    pub client: Client<PlaintextConnector>,
    /// What the client remembers.
    pub client_store: ClientStore,
    pvds: PvdSet,
    paths: BTreeMap<PathId, (SocketAddr, SocketAddr)>,
    next_port: u16,
    /// The providers, by the name of their server.
    pub providers: BTreeMap<String, Provider>,
}

impl World {
    /// A home with two providers called fixed and mobile.
    pub fn residential(start: Instant, weather: Weather, seed: u64) -> Self {
        let mut pvds = PvdSet::default();
        let mut providers = BTreeMap::new();
        let uplinks = [
            (
                "fixed.example",
                "203.0.113.0/28",
                "203.0.113.1",
                "203.0.113.129:4646",
            ),
            (
                "mobile.example",
                "198.51.100.0/28",
                "198.51.100.1",
                "198.51.100.129:4646",
            ),
        ];
        for (name, prefix, address, server) in uplinks {
            let prefixes: Vec<ipnet::IpNet> = prefix.parse().into_iter().collect();
            let addresses: Vec<SocketAddr> = server.parse().into_iter().collect();
            let server_name = format!("dots.{name}");
            pvds.insert(ProvisioningDomain {
                id: match name.parse() {
                    Ok(id) => id,
                    Err(_) => continue,
                },
                interface: None,
                prefixes: prefixes.clone(),
                addresses: address.parse().into_iter().collect(),
                dots_servers: vec![DotsServer {
                    name: server_name.clone(),
                    addresses: addresses.clone(),
                    transports: [pvd::Transport::Udp].into(),
                }],
                learned: Learned::Configuration,
            });
            for address in addresses {
                let provider = Provider::new(start, address, &prefixes, BTreeMap::new(), seed);
                providers.insert(server_name.clone(), provider);
            }
        }
        let now = Now {
            monotonic: start,
            unix: EPOCH,
        };
        let connector = PlaintextConnector(SessionParameters::default());
        let nothing = (Vec::new(), Vec::new());
        Self {
            start,
            now: start,
            seed,
            network: Network::new(weather, seed),
            client: Client::new(now, connector, pvds.clone(), nothing, 100, seed),
            client_store: ClientStore::default(),
            pvds,
            paths: BTreeMap::new(),
            next_port: 20_000,
            providers,
        }
    }

    /// The time on both clocks.
    pub fn now(&self) -> Now {
        Now {
            monotonic: self.now,
            unix: EPOCH + self.now.duration_since(self.start).as_secs(),
        }
    }

    /// Lets time pass until `done`, at most for `patience`. Returns whether it came to that.
    pub fn run_until(&mut self, patience: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + patience;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            let Some(next) = self.next_event().filter(|at| *at <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            self.deliver();
        }
    }

    /// The client process dies and starts again with what it had stored.
    pub fn restart_client(&mut self) {
        self.paths.clear();
        self.seed += 1;
        let known = self.client_store.associations.values().cloned().collect();
        let requests = self.client_store.requests.values().cloned().collect();
        let connector = PlaintextConnector(SessionParameters::default());
        let pvds = self.pvds.clone();
        self.client = Client::new(
            self.now(),
            connector,
            pvds,
            (known, requests),
            100,
            self.seed,
        );
    }

    /// A server process dies and starts again with what it had stored.
    pub fn restart_provider(&mut self, name: &str) {
        let (now, seed) = (self.now(), self.seed);
        if let Some(provider) = self.providers.get_mut(name) {
            provider.restart(now, seed);
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let providers = self.providers.values().flat_map(|provider| {
            [
                provider.sessions.poll_timeout(),
                provider.server.poll_timeout(),
                provider.enforcing.first_key_value().map(|(at, _)| *at),
            ]
        });
        providers
            .chain([self.network.next_arrival(), self.client.poll_timeout()])
            .flatten()
            .min()
    }

    /// Hands out what is due by now.
    fn deliver(&mut self) {
        let now = self.now();
        while let Some(datagram) = self.network.receive(self.now) {
            let path = self
                .paths
                .iter()
                .find(|(_, ends)| **ends == (datagram.destination, datagram.source))
                .map(|(path, _)| *path);
            if let Some(path) = path {
                self.client.handle_datagram(now, path, &datagram.payload);
            }
            for provider in self.providers.values_mut() {
                if provider.address == datagram.destination {
                    provider.handle_datagram(self.now, &datagram);
                }
            }
        }
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            self.client.handle_timeout(now);
        }
        for provider in self.providers.values_mut() {
            provider.handle_timeout(now);
        }
    }

    /// Carries out what the agents want until they want nothing more.
    fn settle(&mut self) {
        let now = self.now();
        while let Some(action) = self.client.poll_action() {
            self.carry_out(action);
        }
        for provider in self.providers.values_mut() {
            provider.settle(now, &mut self.network);
        }
    }

    fn carry_out(&mut self, action: client::Action) {
        match action {
            client::Action::OpenPath {
                path,
                source,
                remote,
                ..
            } => {
                if let Some(source) = source {
                    let local = SocketAddr::new(source, self.next_port);
                    self.next_port = self.next_port.wrapping_add(1).max(20_000);
                    self.paths.insert(path, (local, remote));
                }
            }
            client::Action::Transmit(path, payload) => {
                if let Some((source, destination)) = self.paths.get(&path).copied() {
                    let datagram = Datagram {
                        source,
                        destination,
                        payload,
                    };
                    self.network.send(self.now, &datagram);
                }
            }
            client::Action::ClosePath(path) => {
                self.paths.remove(&path);
            }
            client::Action::Persist(client::Change::PutAssociation(record)) => {
                self.client_store
                    .associations
                    .insert(record.association.clone(), record);
            }
            client::Action::Persist(client::Change::PutRequest(record)) => {
                let key = (record.id, record.association.clone(), record.mid);
                self.client_store.requests.insert(key, record);
            }
            client::Action::Persist(client::Change::DeleteRequest(id, association, mid)) => {
                self.client_store.requests.remove(&(id, association, mid));
            }
            client::Action::Noted(_) => {}
        }
    }
}

impl Provider {
    fn new(
        start: Instant,
        address: SocketAddr,
        prefixes: &[ipnet::IpNet],
        store: BTreeMap<MitigationKey, MitigationRecord>,
        seed: u64,
    ) -> Self {
        let now = Now {
            monotonic: start,
            unix: EPOCH,
        };
        let mut provider = Self {
            address,
            prefixes: prefixes.to_vec(),
            sessions: sessions(seed),
            server: Server::new(
                now,
                Customers::default(),
                server::Policy::default(),
                Snapshot::default(),
            ),
            store,
            enforced: BTreeSet::new(),
            enforcing: BTreeMap::new(),
            restarts: 0,
        };
        provider.restart(now, seed);
        provider
    }

    fn restart(&mut self, now: Now, seed: u64) {
        self.restarts += 1;
        let customers: Customers = [Customer {
            name: "home".to_owned(),
            psk_identity: None,
            prefixes: self.prefixes.clone(),
            max_mitigations: 10,
        }]
        .into_iter()
        .collect();
        let snapshot = Snapshot {
            mitigations: self.store.values().cloned().collect(),
            ..Snapshot::default()
        };
        self.server = Server::new(now, customers, server::Policy::default(), snapshot);
        self.sessions = sessions(seed.wrapping_add(self.restarts));
        // What the kernel filters outlives the process; the mitigator then reconciles.
        self.enforced = self
            .server
            .enforced_scopes()
            .map(|(key, _)| key.clone())
            .collect();
        self.enforcing.clear();
        let keys = self.enforced.iter().cloned().collect();
        self.enforcing.insert(now.monotonic, keys);
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        let remote = datagram.source;
        if self.sessions.has_remote(remote) {
            self.sessions
                .handle_datagram(now, remote, &datagram.payload);
        } else if PlaintextSession::is_hello(&datagram.payload) {
            let secured = PlaintextSession::server(now, peer("home"));
            let flow = Flow {
                remote,
                local: None,
            };
            // At its limit the server drops the datagram.
            let _refused = self.sessions.insert(now, flow, secured, &datagram.payload);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.sessions.handle_timeout(now.monotonic);
        while let Some((at, _)) = self.enforcing.first_key_value() {
            if *at > now.monotonic {
                break;
            }
            if let Some((_, keys)) = self.enforcing.pop_first() {
                self.server.handle(now, server::Input::Enforced(keys));
            }
        }
        if self
            .server
            .poll_timeout()
            .is_some_and(|at| at <= now.monotonic)
        {
            self.server.handle(now, server::Input::Timeout);
        }
    }

    fn settle(&mut self, now: Now, network: &mut Network) {
        loop {
            let mut moved = false;
            while let Some(output) = self.sessions.poll_output() {
                moved = true;
                match output {
                    SessionOutput::Transmit(flow, payload) => {
                        let datagram = Datagram {
                            source: self.address,
                            destination: flow.remote,
                            payload,
                        };
                        network.send(now.monotonic, &datagram);
                    }
                    SessionOutput::Event(session, event) => {
                        if let Some(input) = server::Input::from_event(session, event) {
                            self.server.handle(now, input);
                        }
                    }
                }
            }
            while let Some(action) = self.server.poll_action() {
                moved = true;
                self.carry_out(now, action);
            }
            if !moved {
                break;
            }
        }
        // Invariant: what is filtered is what is promised.
        let promised: BTreeSet<MitigationKey> = self.store.keys().cloned().collect();
        assert_eq!(self.enforced, promised, "filtered, and promised");
    }

    fn carry_out(&mut self, now: Now, action: server::Action) {
        match action {
            server::Action::Persist(server::Change::Put(record)) => {
                self.store.insert(record.key.clone(), record);
            }
            server::Action::Persist(server::Change::Delete(key)) => {
                self.store.remove(&key);
            }
            server::Action::Respond(session, exchange, response) => {
                // Invariant: what is accepted is durable before the client is told.
                if response.code == coap::Code::CREATED {
                    assert!(!self.store.is_empty(), "2.01 left before its record");
                }
                self.sessions
                    .respond(now.monotonic, session, exchange, response);
            }
            server::Action::Ignore(session, exchange) => {
                self.sessions.ignore(now.monotonic, session, exchange);
            }
            server::Action::Notify(session, token, response) => {
                self.sessions
                    .notify(now.monotonic, session, &token, response);
            }
            // Nobody here asks for names, or sets anything up over a data channel.
            server::Action::Persist(server::Change::PutResources(..))
            | server::Action::Resolve(_) => {}
            server::Action::Enforce(key, _) => {
                self.enforced.insert(key.clone());
                self.enforcing
                    .entry(now.monotonic + ENFORCEMENT)
                    .or_default()
                    .push(key);
            }
            server::Action::Withdraw(key) => {
                self.enforced.remove(&key);
            }
            server::Action::SetMitigating(session, is_mitigating) => {
                self.sessions
                    .set_mitigating(now.monotonic, session, is_mitigating);
            }
            server::Action::Close(session) => self.sessions.close(now.monotonic, session),
            server::Action::Decided(_) => {}
        }
    }
}

fn sessions(seed: u64) -> Sessions<PlaintextSession> {
    let limits = SessionLimits {
        sessions: 100,
        sessions_per_source: 100,
        handshakes: 100,
        handshakes_per_source: 100,
    };
    Sessions::new(SessionParameters::default(), limits, (0, 1), seed)
}
