//! A provider: its server, its store, its mitigator.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::server::{
    Action, Change, Customer, Customers, Enforcement, Flow, Input, MitigationKey, MitigationRecord,
    Outcome, Policy, Server, SessionId, SessionLimits, SessionOutput, Sessions, Snapshot, Standing,
};
use agent::session::{Event, Negotiation, Output, SessionParameters};
use coap::{Code, Response};
use dots::configuration::AcceptableConfiguration;
use dots::mitigation::Granted;
use ipnet::IpNet;

use crate::clocks::Clocks;
use crate::fuse::Fuse;
use crate::identity::{self, peer};
use crate::ledger::Ledger;
use crate::mitigator::Mitigator;
use crate::network::{Datagram, Network};
use crate::plaintext::PlaintextSession;

/// How many mitigations each customer may have.
pub(crate) const MITIGATIONS: usize = 10;

/// How often all that is promised is looked at, and not only what has changed.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);

/// One provider. The world carries its datagrams and tells it the time.
#[derive(Debug)]
pub struct Provider {
    /// Where its server listens.
    pub address: SocketAddr,
    /// What its clocks show.
    pub clocks: Clocks,
    customers: BTreeMap<String, Vec<IpNet>>,
    sessions: Sessions<PlaintextSession>,
    server: Server,
    store: BTreeMap<MitigationKey, MitigationRecord>,
    pub(crate) mitigator: Mitigator,
    pub(crate) ledger: Ledger,
    /// Who the client of each session is.
    names: BTreeMap<SessionId, String>,
    pub(crate) fuse: Fuse,
    seed: u64,
    /// Mitigations of which something that [`Provider::check`] looks at has changed.
    touched: BTreeSet<MitigationKey>,
    /// When it looks at all of them.
    look_at_all: Instant,
}

impl Provider {
    pub(crate) fn new(
        now: Instant,
        address: SocketAddr,
        customers: BTreeMap<String, Vec<IpNet>>,
        seed: u64,
    ) -> Self {
        let clocks = Clocks::new(now);
        Self {
            address,
            clocks,
            sessions: sessions(customers.len(), seed),
            server: server(clocks, now, &customers, &BTreeMap::new()),
            customers,
            store: BTreeMap::new(),
            mitigator: Mitigator::default(),
            ledger: Ledger::default(),
            names: BTreeMap::new(),
            fuse: Fuse::default(),
            seed,
            touched: BTreeSet::new(),
            look_at_all: now,
        }
    }

    /// What survives a crash.
    pub fn store(&self) -> &BTreeMap<MitigationKey, MitigationRecord> {
        &self.store
    }

    /// What is filtered.
    pub fn filtered(&self) -> &BTreeSet<Enforcement> {
        self.mitigator.filtered()
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The process dies and starts again with what it had stored.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.seed = self.seed.wrapping_add(1);
        self.fuse = Fuse::default();
        self.ledger.restart(self.clocks.show(now), &self.store);
        self.names.clear();
        self.sessions = sessions(self.customers.len(), self.seed);
        self.server = server(self.clocks, now, &self.customers, &self.store);
        // What the kernel filters outlives the process.
        let scopes = self.server.enforced_scopes();
        let wanted = scopes.map(|(enforcement, _)| enforcement).collect();
        self.mitigator.reconcile(now, wanted);
        self.look_at_all = now;
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.sessions.poll_timeout(),
            self.server.poll_timeout(),
            self.mitigator.next_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        let flow = Flow {
            remote: datagram.source,
            local: None,
        };
        if self.sessions.handle_datagram(now, flow, &datagram.payload) {
            return;
        }
        if let Some(name) = PlaintextSession::caller(&datagram.payload) {
            let secured = PlaintextSession::server(peer(name));
            // At its limit the server drops the datagram.
            let _refused = self.sessions.insert(now, flow, secured, &datagram.payload);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.sessions.handle_timeout(now);
        while let Some(report) = self.mitigator.report(now) {
            self.handle(now, report);
        }
        if self.server.poll_timeout().is_some_and(|at| at <= now) {
            self.handle(now, Input::Timeout);
        }
    }

    fn handle(&mut self, now: Instant, input: Input) {
        self.server.handle(self.clocks.show(now), input);
    }

    /// Carries out what the server wants until it wants nothing more, or dies.
    pub(crate) fn settle(&mut self, now: Instant, network: &mut Network) -> Result<(), String> {
        loop {
            if let Some(action) = self.server.poll_action() {
                if self.fuse.burns_down() {
                    self.restart(now);
                    continue;
                }
                self.carry_out(now, action)?;
                continue;
            }
            match self.sessions.poll_output() {
                Some(SessionOutput {
                    flow,
                    output: Output::Transmit(payload),
                    ..
                }) => {
                    let datagram = Datagram {
                        source: self.address,
                        destination: flow.remote,
                        payload,
                    };
                    network.send(now, &datagram);
                }
                Some(SessionOutput {
                    session,
                    output: Output::Event(event),
                    ..
                }) => self.take_event(now, session, event),
                None => break,
            }
        }
        self.check(now)
    }

    fn take_event(&mut self, now: Instant, session: SessionId, event: Event) {
        match &event {
            Event::Established(peer) => {
                let name = match &peer.credential {
                    dtls::Credential::Certificate { dns_names, .. } => dns_names.first(),
                    _ => None,
                };
                self.names
                    .insert(session, name.cloned().unwrap_or_default());
            }
            Event::Closed(_) => {
                self.names.remove(&session);
            }
            _ => {}
        }
        if let Some(input) = Input::from_event(session, event) {
            self.handle(now, input);
        }
    }

    fn carry_out(&mut self, now: Instant, action: Action) -> Result<(), String> {
        match action {
            Action::Persist(Change::Put(record)) => {
                self.check_ownership(&record)?;
                self.touched.insert(record.key.clone());
                // A process that dies now has not said that it heard the withdrawal.
                if matches!(record.standing, Standing::Terminating { .. }) {
                    self.ledger.withdraw(now, &record.key);
                }
                self.store.insert(record.key.clone(), record);
            }
            Action::Persist(Change::Delete(key)) => {
                self.ledger.delete(&key);
                self.store.remove(&key);
                self.touched.insert(key);
            }
            Action::Respond(session, exchange, response) => {
                self.note_promise(now, session, &response)?;
                self.sessions.respond(now, session, exchange, response);
            }
            Action::Ignore(session, exchange) => self.sessions.ignore(now, session, exchange),
            Action::Notify(session, token, response) => {
                self.sessions.notify(now, session, &token, response);
            }
            // Nobody here asks for names, or sets anything up over a data channel.
            Action::Persist(Change::PutResources(..)) | Action::Resolve { .. } => {}
            Action::Enforce(enforcement, _) => {
                self.touched.insert(enforcement.key.clone());
                self.mitigator.enforce(now, enforcement);
            }
            Action::Withdraw(enforcement) => {
                self.mitigator.withdraw(&enforcement);
                self.touched.insert(enforcement.key);
            }
            Action::SetMitigating(session, is_mitigating) => {
                self.sessions.set_mitigating(now, session, is_mitigating);
            }
            Action::Close(session) => self.sessions.close(now, session),
            Action::Decided(Outcome::Withdrawn { key }) => self.ledger.withdraw(now, &key),
            Action::Decided(_) => {}
        }
        Ok(())
    }

    fn check_ownership(&self, record: &MitigationRecord) -> Result<(), String> {
        let owned = self.customers.get(&record.key.customer);
        let is_owned = |net: &IpNet| owned.is_some_and(|all| all.iter().any(|it| it.contains(net)));
        let prefixes = &record.request.target.prefixes;
        match prefixes.iter().find(|prefix| !is_owned(&prefix.net())) {
            Some(prefix) => Err(format!("{:?} may not protect {prefix}", record.key)),
            None => Ok(()),
        }
    }

    /// What a client is told to be granted is durable before it is told.
    fn note_promise(
        &mut self,
        now: Instant,
        session: SessionId,
        response: &Response,
    ) -> Result<(), String> {
        if !matches!(response.code, Code::CREATED | Code::CHANGED) {
            return Ok(());
        }
        let granted = Granted::decode(&response.payload);
        let granted = granted.map_err(|error| format!("granted without saying what: {error}"))?;
        let customer = self.names.get(&session).cloned().unwrap_or_default();
        let key = MitigationKey {
            cuid: identity::cuid(&customer),
            customer,
            mid: granted.mid,
        };
        let record = self.store.get(&key);
        let record = record.ok_or_else(|| format!("{key:?} was granted before it was stored"))?;
        self.ledger.promise(now, record, granted.lifetime);
        self.touched.insert(key);
        Ok(())
    }

    /// What has changed, and from time to time all.
    fn check(&mut self, now: Instant) -> Result<(), String> {
        let mut touched = std::mem::take(&mut self.touched);
        if self.look_at_all <= now {
            self.look_at_all = now + LOOK_AT_ALL;
            touched.extend(self.ledger.keys().cloned());
            let wanted = self.mitigator.wanted().iter();
            touched.extend(wanted.map(|each| each.key.clone()));
        }
        if touched.is_empty() {
            return Ok(());
        }
        self.ledger.check_deleted(now)?;
        for key in touched {
            let (stored, wanted) = (self.store.get(&key), self.mitigator.wanted());
            self.ledger.check(now, &key, stored, wanted)?;
            let stored = stored.and_then(MitigationRecord::enforcement);
            let mut in_force = self.mitigator.wanted_of(&key);
            if let Some(each) = in_force.find(|each| Some(*each) != stored.as_ref()) {
                return Err(format!("{each:?} is in force and not stored"));
            }
        }
        let most = self.customers.len() * MITIGATIONS;
        if self.store.len() > most || self.sessions.len() > limits(self.customers.len()).sessions {
            let (mitigations, sessions) = (self.store.len(), self.sessions.len());
            return Err(format!(
                "{mitigations} mitigations and {sessions} sessions are too many"
            ));
        }
        Ok(())
    }
}

fn server(
    clocks: Clocks,
    now: Instant,
    customers: &BTreeMap<String, Vec<IpNet>>,
    store: &BTreeMap<MitigationKey, MitigationRecord>,
) -> Server {
    let customers: Customers = customers
        .iter()
        .map(|(name, prefixes)| Customer {
            name: name.clone(),
            psk_identity: None,
            prefixes: prefixes.clone(),
            max_mitigations: MITIGATIONS,
            redirect: None,
            cdids: Vec::new(),
            is_gateway: false,
        })
        .collect();
    let snapshot = Snapshot {
        mitigations: store.values().cloned().collect(),
        ..Snapshot::default()
    };
    Server::new(clocks.show(now), customers, Policy::default(), snapshot)
}

fn limits(customers: usize) -> SessionLimits {
    SessionLimits {
        sessions: customers * 8,
        sessions_per_source: 8,
        handshakes: customers * 2,
        handshakes_per_source: 4,
    }
}

fn sessions(customers: usize, seed: u64) -> Sessions<PlaintextSession> {
    let parameters = SessionParameters {
        negotiation: Negotiation::Server(AcceptableConfiguration::default()),
        ..SessionParameters::default()
    };
    Sessions::new(parameters, limits(customers), (0, 1), seed)
}
