//! The DOTS server as one state machine (RFC 9132 §4.4).
//!
//! ```text
//! client                     Server                       store        mitigator
//!   | PUT mitigate/cuid/mid    |                            |              |
//!   |------------------------->| Action::Persist ---------->|              |
//!   |                     2.01 |        (durable)           |              |
//!   |<-------------------------| Action::Respond            |              |
//!   |                          | Action::Enforce ------------------------->|
//!   |                          |<----------------------- Input::Enforced --|
//!   |      notification, 2.05  |                            |              |
//!   |<-------------------------| Action::Notify             |              |
//! ```
//!
//! Actions come out in the order in which they are to be carried out: what precedes a `Respond`
//! must be durable before the response leaves (ARCHITECTURE.md, invariant 2).

mod admission;
mod attacks;
mod customer;
mod mitigation;
mod notification;
mod observation;
mod policy;
mod prefix_index;
mod request;
mod request_budget;
mod session_limits;
mod sessions;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use coap::{Exchange, Request, Response, Token};
use dots::lifetime::Lifetime;
use dots::mitigation::{MitigationStatus, Status};
use dots::target::Target;
use dtls::Peer;

use self::attacks::Attacks;
pub use self::customer::{Customer, Customers};
use self::mitigation::{Mitigation, Mitigations, Phase};
pub use self::mitigation::{MitigationKey, MitigationRecord};
use self::observation::Observations;
pub use self::policy::Policy;
pub use self::request::Outcome;
use self::request_budget::RequestBudget;
pub use self::session_limits::{SessionLimits, TooManySessions};
pub use self::sessions::{Flow, SessionOutput, Sessions};
use crate::session::Event;
use crate::time::Now;

/// A session of a server, numbered by [`Sessions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl std::fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// What a server is told.
#[derive(Debug)]
pub enum Input {
    /// A session was established with this authenticated peer.
    Established(SessionId, Peer),
    /// A request came.
    Request {
        /// On which session.
        session: SessionId,
        /// To be handed back with the response.
        exchange: Exchange,
        /// The token of the request.
        token: Token,
        /// The request.
        request: Request,
    },
    /// A peer rejected a notification (RFC 7641 §3.6).
    NotificationRejected(SessionId, Token),
    /// The client is lost: nothing came for `missing-hb-allowed` heartbeats (RFC 9132 §4.7).
    SessionLost(SessionId),
    /// The client, or its session, ended in order.
    SessionClosed(SessionId),
    /// The mitigator enforces these.
    Enforced(Vec<MitigationKey>),
    /// What the mitigator has dropped so far: packets and bytes.
    Dropped(BTreeMap<MitigationKey, (u64, u64)>),
    /// The instant of [`Server::poll_timeout`] has come.
    Timeout,
}

impl Input {
    /// What an event of a session means to the server, if anything: a server asks its clients
    /// nothing but heartbeats, so no response is for it.
    pub fn from_event(session: SessionId, event: Event) -> Option<Self> {
        match event {
            Event::Established(peer) => Some(Self::Established(session, peer)),
            Event::Request {
                exchange,
                token,
                request,
            } => Some(Self::Request {
                session,
                exchange,
                token,
                request,
            }),
            Event::NotificationRejected { token } => {
                Some(Self::NotificationRejected(session, token))
            }
            Event::PeerSilent => Some(Self::SessionLost(session)),
            Event::Closed(_) => Some(Self::SessionClosed(session)),
            Event::Response { .. } | Event::RequestFailed { .. } => None,
        }
    }
}

/// What a server wants done, in this order.
#[derive(Debug)]
pub enum Action {
    /// Make it durable before any later [`Action::Respond`] is carried out.
    Persist(Change),
    /// Answer a request.
    Respond(SessionId, Exchange, Response),
    /// Leave a request without an answer (RFC 9132 §4.4.3).
    Ignore(SessionId, Exchange),
    /// Tell an observer.
    Notify(SessionId, Token, Response),
    /// Have the mitigator stop traffic to this scope.
    Enforce(MitigationKey, Target),
    /// Have the mitigator let it pass again.
    Withdraw(MitigationKey),
    /// Whether the client of a session has a mitigation in force: the session then goes by the
    /// other set of parameters (RFC 9132 §4.5).
    SetMitigating(SessionId, bool),
    /// End a session whose client is lost.
    Close(SessionId),
    /// A decision, for the log.
    Decided(Outcome),
}

/// A change of what must survive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most changes are the large one, and none lives long"
)]
pub enum Change {
    /// A mitigation is promised, or its promise has changed.
    Put(MitigationRecord),
    /// A mitigation is over.
    Delete(MitigationKey),
}

/// The DOTS server.
#[derive(Debug)]
pub struct Server {
    customers: Customers,
    policy: Policy,
    clients: BTreeMap<SessionId, Client>,
    sessions_of_customer: BTreeMap<String, usize>,
    mitigations: Mitigations,
    attacks: Attacks,
    observations: Observations,
    next_notification: Option<Instant>,
    /// Of each customer that has asked for something.
    budgets: BTreeMap<String, RequestBudget>,
    actions: VecDeque<Action>,
}

/// The authenticated client of a session.
#[derive(Clone, Debug)]
struct Client {
    customer: Option<String>,
    credential: [u8; 32],
}

impl Server {
    /// A server as the store left it; `records` are in force at once.
    pub fn new(
        now: Now,
        customers: Customers,
        policy: Policy,
        records: impl IntoIterator<Item = MitigationRecord>,
    ) -> Self {
        let mut server = Self {
            customers,
            policy,
            clients: BTreeMap::new(),
            sessions_of_customer: BTreeMap::new(),
            mitigations: Mitigations::default(),
            attacks: Attacks::default(),
            observations: Observations::default(),
            next_notification: None,
            budgets: BTreeMap::new(),
            actions: VecDeque::new(),
        };
        for record in records {
            server.restore(now, record);
        }
        server
    }

    /// Takes one input; what follows from it waits in [`Server::poll_action`].
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Established(session, peer) => self.on_established(session, &peer),
            Input::Request {
                session,
                exchange,
                token,
                request,
            } => self.on_request(now, session, exchange, token, &request),
            Input::NotificationRejected(session, token) => {
                self.observations.deregister((session, token));
            }
            Input::SessionLost(session) => self.on_session_lost(now, session),
            Input::SessionClosed(session) => self.forget(session),
            Input::Enforced(keys) => self.on_enforced(now, &keys),
            Input::Dropped(dropped) => self.on_dropped(dropped),
            Input::Timeout => self.on_timeout(now),
        }
        self.tell_observers(now);
    }

    /// What is to be done next; poll until `None` after each input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.mitigations.next_expiry().map(|(at, _)| at);
        let notification = (!self.observations.is_empty())
            .then_some(self.next_notification)
            .flatten();
        let due = self.observations.next_due();
        [expiry, notification, due].into_iter().flatten().min()
    }

    /// The scopes that the mitigator should be enforcing.
    pub fn enforced_scopes(&self) -> impl Iterator<Item = (&MitigationKey, &Target)> {
        self.mitigations
            .iter()
            .filter(|mitigation| mitigation.phase != Phase::Parked)
            .map(|mitigation| {
                let record = &mitigation.record;
                (&record.key, &record.request.target)
            })
    }

    /// Every mitigation, for a person to look at.
    pub fn report(&self, now: Now) -> Vec<(MitigationKey, MitigationStatus)> {
        self.mitigations
            .iter()
            .map(|mitigation| (mitigation.record.key.clone(), mitigation.status(now)))
            .collect()
    }

    /// The sessions that are up, each with its customer if it belongs to one.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, Option<&str>)> {
        self.clients
            .iter()
            .map(|(session, client)| (*session, client.customer.as_deref()))
    }

    fn restore(&mut self, now: Now, record: MitigationRecord) {
        if record.expires_unix.is_some_and(|at| at <= now.unix) {
            self.actions
                .push_back(Action::Persist(Change::Delete(record.key)));
            return;
        }
        let mitigation = Mitigation {
            expires: record.expires_unix.map(|at| now.instant_of(at)),
            phase: match record.started_unix {
                Some(_) => Phase::Starting,
                None => Phase::Parked,
            },
            dropped: dots::mitigation::DroppedCounters::default(),
            record,
        };
        if mitigation.phase != Phase::Parked {
            self.begin(mitigation.record.credential);
        }
        self.mitigations.insert(mitigation);
    }

    fn on_established(&mut self, session: SessionId, peer: &Peer) {
        let client = Client {
            customer: self.customers.identify(peer).map(str::to_owned),
            credential: peer.credential.fingerprint(),
        };
        if let Some(customer) = &client.customer {
            let limit = self.policy.max_sessions_of_customer;
            let count = self.sessions_of_customer.get(customer).copied();
            let count = count.unwrap_or_default();
            if count >= limit {
                let customer = customer.clone();
                self.actions.push_back(Action::Close(session));
                self.actions
                    .push_back(Action::Decided(Outcome::TooManySessions {
                        session,
                        customer,
                        limit,
                    }));
                return;
            }
            self.sessions_of_customer
                .insert(customer.clone(), count + 1);
        } else {
            self.actions.push_back(Action::Decided(Outcome::NoCustomer {
                session,
                peer: peer.clone(),
            }));
        }
        if self.attacks.join(client.credential, session) {
            self.actions.push_back(Action::SetMitigating(session, true));
        }
        self.clients.insert(session, client);
    }

    /// RFC 9132 §4.7: the loss of the last session of a client starts what it had preconfigured.
    fn on_session_lost(&mut self, now: Now, session: SessionId) {
        self.actions.push_back(Action::Close(session));
        let Some(lost) = self.clients.get(&session).cloned() else {
            return;
        };
        self.forget(session);
        let customer = lost.customer.iter();
        let parked: Vec<MitigationKey> = customer
            .flat_map(|customer| self.mitigations.of_customer(customer))
            .filter(|mitigation| mitigation.phase == Phase::Parked)
            .filter(|mitigation| mitigation.record.credential == lost.credential)
            .map(|mitigation| mitigation.record.key.clone())
            .collect();
        if parked.is_empty() || self.attacks.has_session(&lost.credential) {
            return;
        }
        for key in parked {
            if let Some(mitigation) = self.mitigations.get_mut(&key) {
                mitigation.phase = Phase::Starting;
                mitigation.record.started_unix = Some(now.unix);
                let record = mitigation.record.clone();
                let target = record.request.target.clone();
                self.actions.push_back(Action::Persist(Change::Put(record)));
                self.actions.push_back(Action::Enforce(key, target));
                self.begin(lost.credential);
            }
        }
    }

    fn forget(&mut self, session: SessionId) {
        if let Some(client) = self.clients.remove(&session) {
            self.attacks.leave(&client.credential, session);
            if let Entry::Occupied(mut count) = self
                .sessions_of_customer
                .entry(client.customer.unwrap_or_default())
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        self.observations.forget_session(session);
    }

    fn on_enforced(&mut self, now: Now, keys: &[MitigationKey]) {
        for key in keys {
            if let Some(mitigation) = self.mitigations.get_mut(key)
                && mitigation.phase == Phase::Starting
            {
                mitigation.phase = Phase::Mitigating;
                let client = mitigation.client();
                self.observations
                    .mark(now.monotonic, &client, key.mid, None);
            }
        }
    }

    fn on_dropped(&mut self, dropped: BTreeMap<MitigationKey, (u64, u64)>) {
        for (key, (packets, bytes)) in dropped {
            if let Some(mitigation) = self.mitigations.get_mut(&key) {
                mitigation.dropped.pkts = Some(packets);
                mitigation.dropped.bytes = Some(bytes);
            }
        }
    }

    fn on_timeout(&mut self, now: Now) {
        while let Some((at, key)) = self.mitigations.next_expiry() {
            if at > now.monotonic {
                break;
            }
            let key = key.clone();
            self.end(now, &key, Status::AttackMitigationTerminated);
        }
        if self.next_notification.is_some_and(|at| at <= now.monotonic) {
            self.remind_observers(now);
        }
    }

    /// Ends a mitigation: out of force, out of the store, its observers told once.
    fn end(&mut self, now: Now, key: &MitigationKey, status: Status) {
        let Some(mitigation) = self.mitigations.remove(key) else {
            return;
        };
        self.actions
            .push_back(Action::Persist(Change::Delete(key.clone())));
        if mitigation.phase != Phase::Parked {
            self.actions.push_back(Action::Withdraw(key.clone()));
            for session in self.attacks.end(&mitigation.record.credential) {
                self.actions
                    .push_back(Action::SetMitigating(session, false));
            }
        }
        let last = MitigationStatus {
            status,
            lifetime: dots::lifetime::RemainingLifetime::Seconds(0),
            ..mitigation.status_alone(now)
        };
        let client = mitigation.client();
        self.observations
            .mark(now.monotonic, &client, key.mid, Some(&last));
    }

    /// A mitigation of the client came into force.
    fn begin(&mut self, credential: [u8; 32]) {
        for session in self.attacks.begin(credential) {
            self.actions.push_back(Action::SetMitigating(session, true));
        }
    }

    /// The lifetime that policy grants for the one asked (RFC 9132 §4.4.1.1).
    fn grant(&self, asked: Lifetime) -> Lifetime {
        let longest = self.policy.max_lifetime;
        match asked {
            Lifetime::Seconds(seconds) => Lifetime::Seconds(seconds.min(longest)),
            Lifetime::Indefinite => Lifetime::Seconds(longest),
        }
    }
}
