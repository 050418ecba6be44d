//! One agent with a server: a provider's, or a gateway with its client.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{
    self, AssociationRecord, Client, PathId, RequestId, RequestRecord, WantedRecord,
};
use agent::gateway::{Gateway, Note, Output, Terms};
use agent::server::{
    Action, Change, Customer, Customers, Enforcement, Input, MitigationKey, MitigationRecord,
    Outcome, Policy, Relaying, Server, SessionId, Snapshot,
};
use agent::server_selection::{self, AssociationId};
use agent::session::{self, Negotiation, SessionParameters, SignalSession};
use coap::{Code, Exchange, Options, Response};
use dots::configuration::AcceptableConfiguration;
use dots::identifiers::Mid;
use dots::target::Target;
use pvd::PvdSet;

use crate::client::Clear;
use crate::world::{self, BYE, ClearSession, HELLO, WELCOME};

/// From which socket of which node a session comes.
pub(super) type From = (String, PathId);

/// What a node sends: to whom, and from or to which socket.
#[derive(Debug)]
pub(super) enum Post {
    /// To the server side of the node that listens there.
    Up(SocketAddr, PathId, Vec<u8>),
    /// To the client side of a node.
    Down(From, Vec<u8>),
}

/// What a gateway has besides its server.
pub(super) struct Outside {
    pub(super) gateway: Gateway,
    pub(super) client: Client<Clear>,
    paths: BTreeMap<PathId, SocketAddr>,
}

/// How a node is set up; a restart keeps it.
pub(super) struct Plan {
    pub(super) customers: Vec<Customer>,
    pub(super) policy: Policy,
    /// Of a gateway.
    pub(super) outside: Option<(PvdSet, server_selection::Policy, Terms)>,
    pub(super) max_requests: usize,
}

impl Plan {
    pub(super) fn new(policy: Policy, customers: &[(&str, &[&str])]) -> Self {
        let customer = |(name, prefixes): &(&str, &[&str])| Customer {
            name: (*name).to_owned(),
            psk_identity: None,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            max_mitigations: 20_000,
            redirect: None,
            cdids: Vec::new(),
            is_gateway: false,
        };
        Self {
            customers: customers.iter().map(customer).collect(),
            policy,
            outside: None,
            max_requests: 20_000,
        }
    }
}

pub(super) struct Node {
    name: String,
    pub(super) plan: Plan,
    pub(super) server: Server,
    pub(super) outside: Option<Outside>,
    sessions: BTreeMap<SessionId, (SignalSession<ClearSession>, From)>,
    next_session: u64,
    pub(super) stored: BTreeMap<MitigationKey, MitigationRecord>,
    associations: BTreeMap<AssociationId, AssociationRecord>,
    pub(super) requests: BTreeMap<(RequestId, AssociationId, Mid), RequestRecord>,
    pub(super) wanted: BTreeMap<RequestId, WantedRecord>,
    /// What is in force at a provider.
    pub(super) enforced: BTreeMap<Enforcement, Target>,
    /// Whether its mitigator can.
    pub(super) is_able: bool,
    /// What it says to each PUT, as if something in it were broken.
    pub(super) trouble: Option<Code>,
    /// Nothing reaches it, and nothing leaves it.
    pub(super) is_cut_off: bool,
    /// Answers to those who have no session in this network.
    pub(super) answers: BTreeMap<(SessionId, Exchange), Response>,
    pub(super) notified: Vec<(SessionId, Response)>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) notes: Vec<Note>,
    pub(super) posts: VecDeque<Post>,
}

impl Node {
    pub(super) fn new(now: Now, name: &str, plan: Plan) -> Self {
        let mut node = Self {
            name: name.to_owned(),
            server: Server::new(
                now,
                Customers::default(),
                Policy::default(),
                Snapshot::default(),
            ),
            plan,
            outside: None,
            sessions: BTreeMap::new(),
            next_session: 1,
            stored: BTreeMap::new(),
            associations: BTreeMap::new(),
            requests: BTreeMap::new(),
            wanted: BTreeMap::new(),
            enforced: BTreeMap::new(),
            is_able: true,
            trouble: None,
            is_cut_off: false,
            answers: BTreeMap::new(),
            notified: Vec::new(),
            outcomes: Vec::new(),
            notes: Vec::new(),
            posts: VecDeque::new(),
        };
        node.start(now);
        node
    }

    /// Starts, or dies and starts again, with what is stored.
    pub(super) fn start(&mut self, now: Now) {
        let snapshot = Snapshot {
            mitigations: self.stored.values().cloned().collect(),
            ..Snapshot::default()
        };
        let customers: Customers = self.plan.customers.iter().cloned().collect();
        self.sessions.clear();
        self.posts.clear();
        self.server = Server::new(now, customers, self.plan.policy.clone(), snapshot);
        self.outside = self.plan.outside.as_ref().map(|(pvds, policy, terms)| {
            let parameters = SessionParameters {
                configuration: world::configuration(30, 3),
                ..SessionParameters::default()
            };
            let known = client::Snapshot {
                associations: self.associations.values().cloned().collect(),
                wanted: self.wanted.values().cloned().collect(),
                requests: self.requests.values().cloned().collect(),
            };
            let connector = Clear::new(parameters);
            let networks = (pvds.clone(), policy.clone());
            let limit = self.plan.max_requests;
            let mut client = Client::new(now, connector, networks, known, limit, 7);
            let gateway = Gateway::new(now, terms.clone(), self.server.records(), &mut client);
            Outside {
                gateway,
                client,
                paths: BTreeMap::new(),
            }
        });
        match &mut self.outside {
            Some(outside) => outside.client.handle_timeout(now),
            None => {
                self.enforced = self.server.enforced_scopes().collect();
                let those = self.enforced.keys().cloned().collect();
                self.server.handle(now, Input::Enforced(those));
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.values();
        let sessions = sessions.filter_map(|(session, _)| session.poll_timeout());
        let outside = self.outside.iter().flat_map(|outside| {
            let both = [
                outside.client.poll_timeout(),
                outside.gateway.poll_timeout(),
            ];
            both.into_iter().flatten()
        });
        sessions
            .chain(outside)
            .chain(self.server.poll_timeout())
            .min()
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now.monotonic);
        for (session, _) in self.sessions.values_mut() {
            if past(session.poll_timeout()) {
                session.handle_timeout(now.monotonic);
            }
        }
        if past(self.server.poll_timeout()) {
            self.server.handle(now, Input::Timeout);
        }
        if let Some(outside) = &mut self.outside {
            if past(outside.client.poll_timeout()) {
                outside.client.handle_timeout(now);
            }
            if past(outside.gateway.poll_timeout()) {
                outside.gateway.settle(now, &mut outside.client);
            }
        }
    }

    /// Octets for its server.
    pub(super) fn receive(&mut self, now: Now, from: From, customer: &str, octets: &[u8]) {
        if octets == [HELLO] {
            let parameters = SessionParameters {
                configuration: world::configuration(30, 3),
                negotiation: Negotiation::Server(AcceptableConfiguration::default()),
                ..SessionParameters::default()
            };
            let peer = world::peer(customer, 9);
            let secured = ClearSession::new(now.monotonic, peer);
            let mut session = SignalSession::new(now.monotonic, secured, &parameters, 1);
            session.handle_datagram(now.monotonic, &[WELCOME]);
            // A peer that started anew speaks from the same socket.
            let stale = self.sessions.extract_if(.., |_, (_, own)| *own == from);
            for id in stale.map(|(id, _)| id).collect::<Vec<_>>() {
                self.server.handle(now, Input::SessionClosed(id));
            }
            let id = SessionId(self.next_session);
            self.next_session += 1;
            self.posts
                .push_back(Post::Down(from.clone(), vec![WELCOME]));
            self.sessions.insert(id, (session, from));
            return;
        }
        let found = self.sessions.values_mut().find(|(_, own)| *own == from);
        match found {
            Some((session, _)) => session.handle_datagram(now.monotonic, octets),
            // As after a restart.
            None => self.posts.push_back(Post::Down(from, vec![BYE])),
        }
    }

    /// Octets for its client.
    pub(super) fn answer(&mut self, now: Now, path: PathId, octets: &[u8]) {
        if let Some(outside) = &mut self.outside
            && outside.paths.contains_key(&path)
        {
            outside.client.handle_datagram(now, path, octets);
            outside.gateway.settle(now, &mut outside.client);
        }
    }

    /// Carries out everything that is to be done. Returns whether there was something.
    pub(super) fn carry_out(&mut self, now: Now) -> bool {
        let mut did = self.drive_sessions(now);
        let mut changes = Vec::new();
        while let Some(action) = self.server.poll_action() {
            did = true;
            self.carry_out_of_server(now, action, &mut changes);
        }
        let Some(outside) = &mut self.outside else {
            return did;
        };
        for change in &changes {
            outside.gateway.handle_change(now, change);
        }
        let mut notes = Vec::new();
        let mut acted = !changes.is_empty();
        while let Some(action) = outside.client.poll_action() {
            acted = true;
            match action {
                client::Action::OpenPath { path, remote, .. } => {
                    outside.paths.insert(path, remote);
                }
                client::Action::ClosePath(path) => {
                    outside.paths.remove(&path);
                }
                client::Action::Transmit(path, octets) => {
                    if let Some(remote) = outside.paths.get(&path) {
                        self.posts.push_back(Post::Up(*remote, path, octets));
                    }
                }
                client::Action::Persist(client::Change::PutAssociation(record)) => {
                    self.associations.insert(record.association.clone(), record);
                }
                client::Action::Persist(client::Change::DeleteAssociation(id)) => {
                    self.associations.remove(&id);
                }
                client::Action::Persist(client::Change::PutRequest(record)) => {
                    let key = (record.id, record.association.clone(), record.mid);
                    self.requests.insert(key, record);
                }
                client::Action::Persist(client::Change::DeleteRequest(id, at, mid)) => {
                    self.requests.remove(&(id, at, mid));
                }
                client::Action::Persist(client::Change::PutWanted(record)) => {
                    self.wanted.insert(record.id, record);
                }
                client::Action::Persist(client::Change::DeleteWanted(id)) => {
                    self.wanted.remove(&id);
                }
                client::Action::Noted(note) => notes.push(note),
                client::Action::Resolve { .. } => {}
            }
        }
        if acted {
            for note in &notes {
                outside.gateway.handle_note(note);
            }
            outside.gateway.settle(now, &mut outside.client);
        }
        while let Some(output) = outside.gateway.poll_output() {
            did = true;
            match output {
                Output::Tell(those) => self.server.handle(now, Input::Upstream(those)),
                Output::Noted(note) => self.notes.push(note),
            }
        }
        did || acted
    }

    fn drive_sessions(&mut self, now: Now) -> bool {
        let mut events = Vec::new();
        let mut did = false;
        for (id, (session, from)) in &mut self.sessions {
            while let Some(output) = session.poll_output() {
                did = true;
                match output {
                    session::Output::Transmit(octets) if octets == [HELLO] => {}
                    session::Output::Transmit(octets) => {
                        self.posts.push_back(Post::Down(from.clone(), octets));
                    }
                    session::Output::Event(event) => events.push((*id, event)),
                }
            }
        }
        for (id, event) in events {
            if matches!(event, session::Event::Closed(_)) {
                self.sessions.remove(&id);
            }
            if let session::Event::Request {
                exchange, request, ..
            } = &event
                && let Some(code) = self.trouble.filter(|_| request.method == Code::PUT)
                && let Some((session, _)) = self.sessions.get_mut(&id)
            {
                let response = Response {
                    code,
                    options: Options::default(),
                    payload: Vec::new(),
                };
                session.respond(now.monotonic, *exchange, response);
                continue;
            }
            if let Some(input) = Input::from_event(id, event) {
                self.server.handle(now, input);
            }
        }
        did
    }

    fn carry_out_of_server(&mut self, now: Now, action: Action, changes: &mut Vec<Change>) {
        let is_gateway = self.outside.is_some();
        match action {
            Action::Persist(change) => {
                match &change {
                    Change::Put(record) => {
                        self.stored.insert(record.key.clone(), record.clone());
                    }
                    Change::Delete(key) => {
                        self.stored.remove(key);
                    }
                    Change::PutResources(..) => {}
                }
                changes.push(change);
            }
            Action::Respond(id, exchange, response) => match self.sessions.get_mut(&id) {
                Some((session, _)) => session.respond(now.monotonic, exchange, response),
                None => {
                    self.answers.insert((id, exchange), response);
                }
            },
            Action::Ignore(id, exchange) => {
                if let Some((session, _)) = self.sessions.get_mut(&id) {
                    session.ignore(now.monotonic, exchange);
                }
            }
            Action::Notify(id, token, response) => match self.sessions.get_mut(&id) {
                Some((session, _)) => session.notify(now.monotonic, &token, response),
                None => self.notified.push((id, response)),
            },
            Action::SetMitigating(id, is_mitigating) => {
                if let Some((session, _)) = self.sessions.get_mut(&id) {
                    session.set_mitigating(now.monotonic, is_mitigating);
                }
            }
            Action::Close(id) => {
                if let Some((session, _)) = self.sessions.get_mut(&id) {
                    session.close(now.monotonic);
                }
            }
            Action::Enforce(enforcement, target) if !is_gateway => {
                self.enforced.insert(enforcement.clone(), target);
                let said = vec![enforcement];
                let input = match self.is_able {
                    true => Input::Enforced(said),
                    false => Input::NotEnforced(said),
                };
                self.server.handle(now, input);
            }
            Action::Withdraw(enforcement) => {
                self.enforced.remove(&enforcement);
            }
            Action::Decided(outcome) => self.outcomes.push(outcome),
            // A gateway enforces nothing, and no name is asked for here.
            Action::Enforce(..) | Action::Resolve { .. } => {}
        }
    }

    /// The prefixes that are protected here, in order.
    pub(super) fn protected(&self) -> Vec<String> {
        let prefixes = self.enforced.values().flat_map(|target| &target.prefixes);
        let mut prefixes: Vec<String> = prefixes.map(ToString::to_string).collect();
        prefixes.sort();
        prefixes.dedup();
        prefixes
    }

    /// What the mitigator dropped: packets and bytes, for each mitigation.
    pub(super) fn drop_packets(&mut self, now: Now, packets: u64, bytes: u64) {
        let those = self.enforced.keys().cloned();
        let dropped = those.map(|each| (each, (packets, bytes))).collect();
        self.server.handle(now, Input::Dropped(dropped));
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A gateway of this name, with a patience of ten seconds.
pub(super) fn gateway_policy(terms: &Terms) -> Policy {
    Policy {
        terminating: Duration::ZERO,
        attack_stopped_after: Duration::ZERO,
        relaying: Some(Relaying {
            relay: terms.relay.clone(),
            patience: Duration::from_secs(10),
        }),
        ..provider_policy()
    }
}

pub(super) fn provider_policy() -> Policy {
    Policy {
        terminating: Duration::ZERO,
        max_observations: 50_000,
        max_observations_of_customer: 50_000,
        ..Policy::default()
    }
}
