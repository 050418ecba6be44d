//! The DOTS client of a node with several PvDs, as one state machine.
//!
//! ```text
//! mitigate(targets) --> server_selection --> one part for each server that is asked
//!                                              |  (its own mid, only its PvD's prefixes)
//!   Association  <-----------------------------'
//!     session with one server, always kept up: PUT, GET+Observe, DELETE until answered
//! ```
//!
//! Every server of every PvD has an association, and none waits for another (RFC 9284 §5.1).

mod asking;
mod association;
mod exchange;
mod part;
mod setup;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use dots::identifiers::{Cuid, Mid};
use dots::lifetime::Lifetime;
use dots::mitigation::DroppedCounters;
use dots::target::Target;
use pvd::{InterfaceName, PvdSet};

pub use self::association::SessionState;
use self::association::{Association, Effect};
use self::part::Part;
pub use self::part::{End, State};
use crate::server_selection::{self, AssociationId, Selection, SessionStates};
use crate::session::SessionParameters;
use crate::time::Now;

/// Opens secured sessions with the credentials of the right PvD (RFC 9284 §5.1).
pub trait Connector {
    /// What it opens.
    type Session: dtls::Session;

    /// Begins a session with a server, or resumes the last one.
    ///
    /// # Errors
    /// When the credentials or the name cannot be used.
    fn connect(
        &mut self,
        now: Instant,
        association: &AssociationId,
        resumption: Option<&<Self::Session as dtls::Session>::Resumption>,
    ) -> Result<Self::Session, dtls::ConfigError>;

    /// The cuid that follows from the credentials used with a server (RFC 9132 §4.4.1.1).
    fn cuid(&self, association: &AssociationId) -> Cuid;

    /// How sessions behave.
    fn parameters(&self) -> &SessionParameters;
}

/// A socket of the client: one for each session, bound to the interface and address of its PvD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathId(pub u64);

/// The number by which people know a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// What the client wants done, in this order.
#[derive(Debug)]
pub enum Action {
    /// Open a socket towards `remote`.
    OpenPath {
        /// How the socket is called from now on.
        path: PathId,
        /// Bind it to this interface.
        interface: Option<InterfaceName>,
        /// Bind it to this address.
        source: Option<IpAddr>,
        /// Connect it to this one.
        remote: SocketAddr,
    },
    /// Send a datagram.
    Transmit(PathId, Vec<u8>),
    /// Close a socket.
    ClosePath(PathId),
    /// Make it durable.
    Persist(Change),
    /// Something to log.
    Noted(Note),
}

/// A change of what must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is known about a server.
    PutAssociation(AssociationRecord),
    /// A part of a request is wanted, or is being withdrawn.
    PutRequest(RequestRecord),
    /// A part of a request is over.
    DeleteRequest(RequestId, AssociationId),
}

/// What a client must remember about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationRecord {
    /// The server.
    pub association: AssociationId,
    /// The client's identifier there; another one than the credentials give after a collision.
    pub cuid: Cuid,
    /// No mid from here on was ever used.
    pub reserved_mid: Mid,
}

/// What a client must remember about a part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The request.
    pub id: RequestId,
    /// The server that was asked.
    pub association: AssociationId,
    /// Its number there.
    pub mid: Mid,
    /// What was asked.
    pub target: Target,
    /// Until when it is wanted, in seconds since 1970; `None`: until it is withdrawn.
    pub wanted_until_unix: Option<u64>,
    /// It was withdrawn, and the server may not know yet.
    pub withdrawing: bool,
}

/// What happened, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A session came up.
    SessionUp(AssociationId, SocketAddr),
    /// A session or an attempt ended.
    SessionDown(AssociationId, String),
    /// A part of a request changed its state.
    Request(RequestId, AssociationId, Mid, State),
}

/// Why a request could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No server may be asked to protect any of the targets.
    #[error("no DOTS server can protect any of these targets")]
    NobodyToAsk(Selection),
    /// The client has as many requests as it may.
    #[error("there are {0} requests already, which is the limit; withdraw one first")]
    TooManyRequests(usize),
    /// There is no such request.
    #[error("there is no request {0}; `moat status` lists them")]
    NoSuchRequest(RequestId),
}

/// How a request stands.
#[derive(Clone, Debug)]
pub struct RequestReport {
    /// Its number.
    pub id: RequestId,
    /// What became of it at each server that was asked.
    pub parts: Vec<PartReport>,
    /// Who was not asked and what nobody protects. Empty after a restart of the client.
    pub selection: Selection,
}

/// How a request stands at one server.
#[derive(Clone, Debug)]
pub struct PartReport {
    /// The server.
    pub association: AssociationId,
    /// The request's number there.
    pub mid: Mid,
    /// What that server protects.
    pub target: Target,
    /// How far it has come.
    pub state: State,
    /// What the server says it dropped.
    pub dropped: DroppedCounters,
}

/// How the session with one server stands.
#[derive(Clone, Debug)]
pub struct SessionReport {
    /// The server.
    pub association: AssociationId,
    /// The client's identifier there.
    pub cuid: Cuid,
    /// The session.
    pub state: SessionState,
    /// The smoothed round-trip time, once known.
    pub round_trip: Option<Duration>,
}

/// Finished requests that are kept for people to look at.
const FINISHED_KEPT: usize = 32;

/// The DOTS client.
#[derive(Debug)]
pub struct Client<C: Connector> {
    connector: C,
    pvds: PvdSet,
    associations: BTreeMap<AssociationId, Association<C::Session>>,
    selections: BTreeMap<RequestId, Selection>,
    next_request: RequestId,
    next_path: PathId,
    max_requests: usize,
    actions: VecDeque<Action>,
}

impl<C: Connector> SessionStates for Client<C> {
    fn is_established(&self, association: &AssociationId) -> bool {
        self.associations
            .get(association)
            .is_some_and(Association::is_established)
    }
}

impl<C: Connector> Client<C> {
    /// A client as the store left it. Sessions with all servers are begun at the first
    /// [`Client::handle_timeout`].
    pub fn new(
        now: Now,
        connector: C,
        pvds: PvdSet,
        (known, requests): (Vec<AssociationRecord>, Vec<RequestRecord>),
        max_requests: usize,
        seed: u64,
    ) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let mut known: BTreeMap<AssociationId, AssociationRecord> = known
            .into_iter()
            .map(|record| (record.association.clone(), record))
            .collect();
        let mut client = Self {
            connector,
            associations: BTreeMap::new(),
            selections: BTreeMap::new(),
            next_request: RequestId(1),
            next_path: PathId::default(),
            max_requests,
            actions: VecDeque::new(),
            pvds,
        };
        for domain in client.pvds.iter() {
            for server in &domain.dots_servers {
                let id = AssociationId {
                    pvd: domain.id.clone(),
                    server: server.name.clone(),
                };
                let start = match known.remove(&id) {
                    Some(record) => (record.cuid, record.reserved_mid),
                    None => (client.connector.cuid(&id), Mid(1)),
                };
                let association = Association::new(now, domain, server, start, seeds.u64(..));
                client.associations.insert(id, association);
            }
        }
        for record in requests {
            client.restore(now, record);
        }
        client
    }

    fn restore(&mut self, now: Now, record: RequestRecord) {
        self.next_request = self.next_request.max(RequestId(record.id.0 + 1));
        let Some(association) = self.associations.get_mut(&record.association) else {
            // Its PvD is not configured any more: the server lets it expire.
            let gone = Change::DeleteRequest(record.id, record.association);
            self.actions.push_back(Action::Persist(gone));
            return;
        };
        let lifetime = match record.wanted_until_unix {
            None => Lifetime::Indefinite,
            Some(at) => {
                let left = u32::try_from(at.saturating_sub(now.unix)).unwrap_or(u32::MAX);
                Lifetime::Seconds(left.try_into().unwrap_or(std::num::NonZeroU32::MIN))
            }
        };
        let mut part = Part::new(now, record.mid, record.target, lifetime);
        if record.withdrawing {
            part.withdraw(now);
        }
        association.restore(record.id, part);
        self.selections.entry(record.id).or_default();
    }

    /// Who would be asked to protect `target`, without asking.
    pub fn explain(&self, target: &Target) -> Selection {
        server_selection::select(target, &self.pvds, self)
    }

    /// The PvDs the client lives in.
    pub fn pvds(&self) -> &PvdSet {
        &self.pvds
    }

    /// Asks the right servers to protect `target`. The same target again prolongs the request.
    ///
    /// # Errors
    /// [`Refusal`], when nobody can be asked or too much was asked already.
    pub fn mitigate(
        &mut self,
        now: Now,
        target: &Target,
        lifetime: Lifetime,
    ) -> Result<RequestId, Refusal> {
        let selection = self.explain(target);
        if selection.asked.is_empty() {
            return Err(Refusal::NobodyToAsk(selection));
        }
        let id = match self.request_for(&selection) {
            Some(id) => id,
            None => self.new_request_id()?,
        };
        for asked in &selection.asked {
            let Some(association) = self.associations.get_mut(&asked.association) else {
                continue;
            };
            if let Some(part) = association.parts.get_mut(&id) {
                part.prolong(now, lifetime);
            } else {
                let mid = association.take_mid();
                let part = Part::new(now, mid, asked.target.clone(), lifetime);
                association.parts.insert(id, part);
            }
            association.effects.push_back(Effect::Changed(id));
        }
        self.selections.insert(id, selection);
        self.settle(now);
        Ok(id)
    }

    /// Withdraws a request at every server that was asked.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRequest`].
    pub fn withdraw(&mut self, now: Now, id: RequestId) -> Result<(), Refusal> {
        let mut found = false;
        for association in self.associations.values_mut() {
            if let Some(part) = association.parts.get_mut(&id)
                && !part.is_over()
            {
                found = true;
                part.withdraw(now);
                association.effects.push_back(Effect::Changed(id));
            }
        }
        self.settle(now);
        found.then_some(()).ok_or(Refusal::NoSuchRequest(id))
    }

    /// A datagram came in on a socket.
    pub fn handle_datagram(&mut self, now: Now, path: PathId, datagram: &[u8]) {
        if let Some(association) = self.association_of(path) {
            association.handle_datagram(now, path, datagram);
        }
        self.settle(now);
    }

    /// A socket cannot be opened or used.
    pub fn handle_path_failure(&mut self, now: Now, path: PathId, reason: &str) {
        if let Some(association) = self.association_of(path) {
            association.handle_path_failure(now, path, reason);
        }
        self.settle(now);
    }

    /// The instant of [`Client::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        for association in self.associations.values_mut() {
            association.handle_timeout(now);
        }
        self.settle(now);
    }

    /// Ends all sessions in order. Requests stay: they are the servers' to keep.
    pub fn close(&mut self, now: Now) {
        for association in self.associations.values_mut() {
            association.close(now);
        }
        self.take_effects(now);
    }

    /// What is to be done next; poll until `None` after each call.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Client::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.associations
            .values()
            .filter_map(Association::poll_timeout)
            .min()
    }

    /// Whether every server that was asked has answered.
    pub fn is_settled(&self, id: RequestId) -> bool {
        self.parts_of(id).all(|(_, part)| part.is_settled())
    }

    /// How one request stands.
    pub fn request(&self, id: RequestId) -> Option<RequestReport> {
        let selection = self.selections.get(&id)?.clone();
        let parts = self
            .parts_of(id)
            .map(|(association, part)| PartReport {
                association: association.clone(),
                mid: part.mid,
                target: part.target.clone(),
                state: part.state.clone(),
                dropped: part.dropped,
            })
            .collect();
        Some(RequestReport {
            id,
            parts,
            selection,
        })
    }

    /// All requests, the last finished ones included, oldest first.
    pub fn requests(&self) -> Vec<RequestReport> {
        self.selections
            .keys()
            .filter_map(|id| self.request(*id))
            .collect()
    }

    /// How the session with each server stands.
    pub fn sessions(&self) -> Vec<SessionReport> {
        self.associations
            .values()
            .map(|association| SessionReport {
                association: association.id.clone(),
                cuid: association.cuid.clone(),
                state: association.state(),
                round_trip: association.round_trip_estimate(),
            })
            .collect()
    }

    fn parts_of(&self, id: RequestId) -> impl Iterator<Item = (&AssociationId, &Part)> {
        self.associations
            .iter()
            .filter_map(move |(name, association)| Some((name, association.parts.get(&id)?)))
    }

    /// The request that asks the same servers for the same, if one is going on.
    fn request_for(&self, selection: &Selection) -> Option<RequestId> {
        self.selections.keys().copied().find(|id| {
            let same = selection.asked.iter().all(|asked| {
                self.associations
                    .get(&asked.association)
                    .and_then(|association| association.parts.get(id))
                    .is_some_and(|part| {
                        let going = !part.is_over() && part.state != State::Withdrawing;
                        going && part.target == asked.target
                    })
            });
            same && self.parts_of(*id).count() == selection.asked.len()
        })
    }

    fn new_request_id(&mut self) -> Result<RequestId, Refusal> {
        let finished = self.forget_finished();
        if self.selections.len() - finished >= self.max_requests {
            return Err(Refusal::TooManyRequests(self.max_requests));
        }
        let id = self.next_request;
        self.next_request = RequestId(id.0 + 1);
        Ok(id)
    }

    /// Forgets all but the last finished requests; returns how many of these are kept.
    fn forget_finished(&mut self) -> usize {
        let finished: Vec<RequestId> = self
            .selections
            .keys()
            .copied()
            .filter(|id| self.parts_of(*id).all(|(_, part)| part.is_over()))
            .collect();
        let surplus = finished.len().saturating_sub(FINISHED_KEPT);
        for id in finished.iter().take(surplus) {
            self.selections.remove(id);
            for association in self.associations.values_mut() {
                association.parts.remove(id);
            }
        }
        finished.len() - surplus
    }

    fn association_of(&mut self, path: PathId) -> Option<&mut Association<C::Session>> {
        self.associations
            .values_mut()
            .find(|association| association.owns(path))
    }

    fn settle(&mut self, now: Now) {
        for association in self.associations.values_mut() {
            association.settle(now, &mut self.connector, &mut self.next_path);
        }
        self.take_effects(now);
    }

    /// Passes on what associations want done. What changed in a part is remembered after its
    /// datagrams have left: an attack does not wait for a disk, and a mid is reserved already.
    fn take_effects(&mut self, now: Now) {
        let mut changed = BTreeSet::new();
        for association in self.associations.values_mut() {
            while let Some(effect) = association.effects.pop_front() {
                let action = match effect {
                    Effect::Open {
                        path,
                        interface,
                        source,
                        remote,
                    } => Action::OpenPath {
                        path,
                        interface,
                        source,
                        remote,
                    },
                    Effect::Transmit(path, datagram) => Action::Transmit(path, datagram),
                    Effect::Close(path) => Action::ClosePath(path),
                    Effect::Remember => {
                        Action::Persist(Change::PutAssociation(AssociationRecord {
                            association: association.id.clone(),
                            cuid: association.cuid.clone(),
                            reserved_mid: association.reserved_mid,
                        }))
                    }
                    Effect::Session(Ok(remote)) => {
                        Action::Noted(Note::SessionUp(association.id.clone(), remote))
                    }
                    Effect::Session(Err(reason)) => {
                        Action::Noted(Note::SessionDown(association.id.clone(), reason))
                    }
                    Effect::Changed(id) => {
                        changed.insert((id, association.id.clone()));
                        continue;
                    }
                };
                self.actions.push_back(action);
            }
        }
        for (id, name) in changed {
            let association = self.associations.get(&name);
            if let Some(part) = association.and_then(|association| association.parts.get(&id)) {
                let change = change_of(now, id, &name, part);
                self.actions.push_back(Action::Persist(change));
                let note = Note::Request(id, name, part.mid, part.state.clone());
                self.actions.push_back(Action::Noted(note));
            }
        }
    }
}

fn change_of(now: Now, id: RequestId, association: &AssociationId, part: &Part) -> Change {
    if part.is_over() {
        return Change::DeleteRequest(id, association.clone());
    }
    Change::PutRequest(RequestRecord {
        id,
        association: association.clone(),
        mid: part.mid,
        target: part.target.clone(),
        wanted_until_unix: part.wanted_until_unix(now),
        withdrawing: part.state == State::Withdrawing,
    })
}
