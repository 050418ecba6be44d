//! A client at home between two providers, `fixed` and `mobile`, whose servers the test plays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{
    Action, AssociationRecord, Change, Client, Note, PartReport, PathId, RequestId, RequestRecord,
    Snapshot, State, WantedRecord,
};
use agent::server_selection::{AssociationId, Policy};
use agent::session::SessionParameters;
use coap::{Code, Message, MessageType, Token};
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{MitigationReport, Status};
use dots::target::Target;
use dtls::Transport;
use pvd::PvdSet;

use super::clear::Clear;
use super::home;
pub(crate) use super::home::{FIXED_HOST, FIXED4, FIXED6, MOBILE_HOST, MOBILE4};
use super::replies::Asked;
use super::wire;
use crate::world::{self, BYE, DATA, EPOCH, HELLO, WELCOME, seconds};

/// How a server's address behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It answers handshakes and heartbeats; requests wait for the test.
    Up,
    /// It answers heartbeats with 4.01.
    Unwilling,
    /// All reaches it, nothing comes back: the link to the client is saturated.
    Saturated,
    /// It is as if it were not there.
    Down,
    /// Its port is closed.
    Refusing,
    /// It ends each session as soon as that is up.
    Slamming,
}

/// A socket that the client had opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) at: Duration,
    pub(crate) path: PathId,
    pub(crate) remote: String,
    pub(crate) source: Option<String>,
    pub(crate) interface: Option<String>,
}

pub(crate) struct Rig {
    pub(crate) client: Client<Clear>,
    pub(crate) pvds: PvdSet,
    start: Instant,
    pub(crate) elapsed: Duration,
    pub(crate) behaviour: BTreeMap<String, Behaviour>,
    /// Sockets that are open, with the address each leads to.
    pub(crate) paths: BTreeMap<PathId, String>,
    pub(crate) opened: Vec<Opened>,
    /// Requests that nobody has looked at.
    pub(crate) asked: Vec<Asked>,
    /// The number of the last notification of each observation, and how often that was renewed.
    pub(crate) told: BTreeMap<(PathId, Token), (u32, u32)>,
    /// Whether servers leave the renewal of an observation to the test.
    pub(crate) leaves_renewals: bool,
    /// What the client answered to requests of a server.
    pub(crate) answered: Vec<Message>,
    pub(crate) resets: usize,
    pub(crate) heartbeats: usize,
    pub(crate) farewells: usize,
    /// Of what servers send, so many of a hundred are lost.
    pub(crate) inbound_loss: Option<(fastrand::Rng, u32)>,
    pub(crate) resolving: Vec<(AssociationId, String)>,
    pub(crate) notes: Vec<Note>,
    pub(crate) persisted: usize,
    pub(crate) associations: BTreeMap<AssociationId, AssociationRecord>,
    pub(crate) wanted: BTreeMap<RequestId, WantedRecord>,
    pub(crate) requests: BTreeMap<(RequestId, AssociationId, Mid), RequestRecord>,
    pub(super) next_id: u16,
}

pub(crate) const MAX_REQUESTS: usize = 5;
/// Messages that may wait for an answer over one session.
const REQUESTS_AT_ONCE: usize = 100;

impl Rig {
    /// All servers are up, and the client has not begun.
    pub(crate) fn idle() -> Self {
        Self::over(&[pvd::Transport::Udp])
    }

    /// The same with servers that listen with these transports; over TCP, none answers.
    pub(crate) fn over(transports: &[pvd::Transport]) -> Self {
        Self::home(home::pvds(transports))
    }

    /// The same with these PvDs.
    pub(crate) fn home(pvds: PvdSet) -> Self {
        let start = world::origin();
        let mut rig = Self {
            client: Self::client(
                Now {
                    monotonic: start,
                    unix: EPOCH,
                },
                pvds.clone(),
                Snapshot {
                    associations: first_mids(&pvds),
                    ..Snapshot::default()
                },
            ),
            pvds,
            start,
            elapsed: Duration::ZERO,
            behaviour: BTreeMap::new(),
            paths: BTreeMap::new(),
            opened: Vec::new(),
            asked: Vec::new(),
            told: BTreeMap::new(),
            leaves_renewals: false,
            answered: Vec::new(),
            resets: 0,
            heartbeats: 0,
            farewells: 0,
            inbound_loss: None,
            resolving: Vec::new(),
            notes: Vec::new(),
            persisted: 0,
            associations: BTreeMap::new(),
            wanted: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_id: 0,
        };
        for address in [FIXED6, FIXED4, MOBILE4] {
            rig.set(address, Behaviour::Up);
        }
        rig
    }

    /// All servers are up, and so are the sessions with them.
    pub(crate) fn new() -> Self {
        let mut rig = Self::idle();
        rig.advance(Duration::ZERO);
        rig
    }

    fn client(now: Now, pvds: PvdSet, snapshot: Snapshot) -> Client<Clear> {
        Self::client_of(now, pvds, snapshot, MAX_REQUESTS)
    }

    /// A client that may have so many requests.
    pub(crate) fn client_of(
        now: Now,
        pvds: PvdSet,
        snapshot: Snapshot,
        max_requests: usize,
    ) -> Client<Clear> {
        let parameters = SessionParameters {
            configuration: world::configuration(30, 3),
            ..SessionParameters::default()
        }
        .with_requests(REQUESTS_AT_ONCE);
        let network = (pvds, Policy::default());
        let connector = Clear::new(parameters);
        Client::new(now, connector, network, snapshot, max_requests, 7)
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: self.start + self.elapsed,
            unix: EPOCH + self.elapsed.as_secs(),
        }
    }

    /// The first path that was opened to this address.
    pub(crate) fn path_to(&self, address: &str) -> PathId {
        let mut opened = self.opened.iter();
        opened.find(|it| it.remote == address).unwrap().path
    }

    pub(crate) fn set(&mut self, address: &str, behaviour: Behaviour) {
        self.behaviour.insert(address.to_owned(), behaviour);
    }

    /// The client process dies and starts with what it had stored.
    pub(crate) fn restart(&mut self) {
        let snapshot = Snapshot {
            associations: self.associations.values().cloned().collect(),
            wanted: self.wanted.values().cloned().collect(),
            requests: self.requests.values().cloned().collect(),
        };
        self.paths.clear();
        self.told.clear();
        self.client = Self::client(self.now(), self.pvds.clone(), snapshot);
        self.advance(Duration::ZERO);
    }

    /// The networks are these now.
    pub(crate) fn network(&mut self, pvds: PvdSet) {
        self.pvds = pvds.clone();
        self.client.set_pvds(self.now(), pvds);
        self.settle();
    }

    /// Lets time pass, with every timeout at its instant.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.elapsed + time;
        self.settle();
        let mut at_once = 0;
        while let Some(at) = self
            .client
            .poll_timeout()
            .filter(|at| *at <= self.start + end)
        {
            let due = at.saturating_duration_since(self.start);
            at_once = if due > self.elapsed { 0 } else { at_once + 1 };
            assert!(at_once < 100, "a timeout that stays due");
            self.elapsed = self.elapsed.max(due);
            self.client.handle_timeout(self.now());
            self.settle();
        }
        self.elapsed = end;
    }

    pub(crate) fn settle(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::OpenPath {
                    path,
                    transport,
                    interface,
                    source,
                    remote,
                } => {
                    let remote = match transport {
                        Transport::Datagram => remote.to_string(),
                        Transport::Stream => format!("{}{remote}", wire::TCP),
                    };
                    self.opened.push(Opened {
                        at: self.elapsed,
                        path,
                        remote: remote.clone(),
                        source: source.map(|source| source.to_string()),
                        interface: interface.map(|interface| interface.to_string()),
                    });
                    let before = self.paths.insert(path, remote);
                    assert_eq!(before, None, "a path opened twice");
                }
                Action::Transmit(path, datagram) => self.deliver(path, &datagram),
                Action::ClosePath(path) => {
                    assert!(self.paths.remove(&path).is_some(), "a path closed twice");
                }
                Action::Persist(change) => {
                    self.persisted += 1;
                    match change {
                        Change::PutAssociation(record) => {
                            self.associations.insert(record.association.clone(), record);
                        }
                        Change::DeleteAssociation(id) => {
                            self.associations.remove(&id);
                        }
                        Change::PutWanted(record) => {
                            self.wanted.insert(record.id, record);
                        }
                        Change::DeleteWanted(id) => {
                            self.wanted.remove(&id);
                        }
                        Change::PutRequest(record) => {
                            let key = (record.id, record.association.clone(), record.mid);
                            self.requests.insert(key, record);
                        }
                        Change::DeleteRequest(id, association, mid) => {
                            self.requests.remove(&(id, association, mid));
                        }
                    }
                }
                Action::Resolve { association, name } => self.resolving.push((association, name)),
                Action::Noted(note) => self.notes.push(note),
            }
        }
    }

    fn deliver(&mut self, path: PathId, datagram: &[u8]) {
        let remote = self.paths.get(&path).expect("an open path").clone();
        let behaviour = self.behaviour.get(&remote).copied();
        let behaviour = behaviour.unwrap_or(Behaviour::Down);
        if behaviour == Behaviour::Down {
            return;
        }
        match datagram.split_first() {
            Some((&HELLO, _)) => match behaviour {
                Behaviour::Refusing => {
                    let now = self.now();
                    self.client.handle_path_failure(now, path, "port closed");
                }
                Behaviour::Up | Behaviour::Unwilling => {
                    self.inject(path, &[WELCOME]);
                    if remote.starts_with(wire::TCP) {
                        self.inject(path, &wire::capabilities());
                    }
                }
                Behaviour::Slamming => {
                    self.inject(path, &[WELCOME]);
                    self.inject(path, &[BYE]);
                }
                Behaviour::Saturated | Behaviour::Down => {}
            },
            Some((&BYE, _)) => self.farewells += 1,
            Some((&DATA, message)) => {
                if let Some(message) = wire::decode(&remote, message) {
                    self.take_message(path, message);
                }
            }
            _ => {}
        }
    }

    fn take_message(&mut self, path: PathId, message: Message) {
        if message.code == Code::EMPTY {
            self.resets += usize::from(message.message_type == MessageType::Reset);
            return;
        }
        if message.code.is_response() {
            self.answered.push(message);
            return;
        }
        // RFC 9132 §4.4, §4.7: all that a client asks is Non-confirmable.
        assert_eq!(message.message_type, MessageType::NonConfirmable);
        let asked = Asked {
            at: self.elapsed,
            path,
            message,
        };
        if asked.message.options.uri_path().last() != Some(Ok("hb")) {
            return self.take_request(asked);
        }
        self.heartbeats += 1;
        match self.behaviour[&self.paths[&path]] {
            Behaviour::Up => self.answer(&asked, Code::CHANGED, |_| {}, &[]),
            Behaviour::Unwilling => self.answer(&asked, Code::UNAUTHORIZED, |_| {}, &[]),
            _ => {}
        }
    }

    /// Who renews an observation is told nothing new; all else waits for the test.
    fn take_request(&mut self, asked: Asked) {
        let is_up = self.behaviour[&self.paths[&asked.path]] == Behaviour::Up;
        let told = self.told.get_mut(&(asked.path, asked.message.token));
        match told.filter(|_| is_up && !self.leaves_renewals) {
            Some((last, renewed)) => {
                *renewed += 1;
                let number = *last;
                self.tell(&asked, Some(number), &MitigationReport(Vec::new()));
            }
            None => self.asked.push(asked),
        }
    }

    pub(crate) fn mitigate(&mut self, prefixes: &[&str], lifetime: u32) -> RequestId {
        self.ask(prefixes, lifetime, true)
    }

    /// Asks for a mitigation at once, or for one in case the session is lost.
    pub(crate) fn ask(&mut self, prefixes: &[&str], lifetime: u32, trigger: bool) -> RequestId {
        let target = target(prefixes);
        let lifetime = Lifetime::from_number(lifetime.into()).unwrap();
        let now = self.now();
        let asked = self.client.mitigate(now, &target.into(), lifetime, trigger);
        self.settle();
        asked.unwrap()
    }

    pub(crate) fn withdraw(&mut self, id: RequestId) {
        self.client.withdraw(self.now(), id).unwrap();
        self.settle();
    }

    /// Takes the requests that came since the last call.
    pub(crate) fn take(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }

    /// Takes the one request that came since the last call, which has this method.
    pub(crate) fn one(&mut self, method: Code) -> Asked {
        let mut asked = self.take();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let asked = asked.remove(0);
        assert_eq!(asked.message.code, method);
        asked
    }

    /// A request to protect [`FIXED_HOST`] that was granted, and its observation.
    pub(crate) fn granted(&mut self, wanted: u32, granted: u32) -> (RequestId, Asked) {
        let id = self.mitigate(&[FIXED_HOST], wanted);
        let put = self.one(Code::PUT);
        (id, self.grant_observed(&put, granted))
    }

    /// Grants a request and accepts its observation.
    pub(crate) fn grant_observed(&mut self, put: &Asked, lifetime: u32) -> Asked {
        self.grant(put, lifetime);
        let get = self.one(Code::GET);
        self.status(&get, Some(0), Status::AttackMitigationInProgress, lifetime);
        get
    }

    /// Lets time pass until something is asked, at most for `patience`.
    pub(crate) fn until_asked(&mut self, patience: u64) -> Vec<Asked> {
        for _ in 0..patience {
            if !self.asked.is_empty() {
                break;
            }
            self.advance(seconds(1));
        }
        self.take()
    }

    pub(crate) fn parts(&self, id: RequestId) -> Vec<PartReport> {
        self.client.request(id).expect("a known request").parts
    }

    /// The state of a request that one server was asked for.
    pub(crate) fn state(&self, id: RequestId) -> State {
        let parts = self.parts(id);
        assert_eq!(parts.len(), 1);
        parts[0].state.clone()
    }
}

/// As after a life in which nothing was asked: mids that are easy to read begin at 1.
fn first_mids(pvds: &PvdSet) -> Vec<AssociationRecord> {
    let servers = pvds.iter().flat_map(|domain| {
        let servers = domain.dots_servers.iter();
        servers.map(move |server| AssociationId {
            pvd: domain.id.clone(),
            server: server.name.clone(),
        })
    });
    servers
        .map(|association| AssociationRecord {
            cuid: association.pvd.to_string().parse().unwrap(),
            association,
            reserved_mid: Mid(1),
        })
        .collect()
}

pub(crate) fn target(prefixes: &[&str]) -> Target {
    Target {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        ..Target::default()
    }
}
