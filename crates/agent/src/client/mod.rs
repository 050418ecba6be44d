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

mod absent;
mod action;
mod asking;
mod association;
mod associations;
mod attachments;
mod backlog;
mod closing;
mod exchange;
mod homing;
mod mids;
mod moving;
mod part;
mod parts;
mod race;
mod redirect;
mod relaying;
mod report;
mod request_table;
mod requests;
mod route;
mod sending;
mod sessions;
mod settling;
mod splitting;
mod state;
mod steady;
mod telling;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use dots::identifiers::Cuid;
use dtls::Transport;
use pvd::PvdSet;

use self::absent::Absent;
pub use self::action::{
    Action, AssociationRecord, Change, Note, Peer, Redirection, Refusal, RequestRecord, Snapshot,
    WantedRecord,
};
use self::associations::Associations;
use self::part::{Part, Wish};
pub use self::relaying::RelayedRequest;
pub use self::report::{
    ConnectionReport, PartReport, RedirectReport, RequestReport, SessionReport, SessionState,
};
use self::request_table::RequestTable;
pub use self::state::{End, Pause, Setback, State, Waiting};
use self::wanted::Wanted;
use crate::server_selection::{AssociationId, Policy, SessionStates};
use crate::session::SessionParameters;
use crate::time::Now;

/// What a session is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// What carries it.
    pub transport: Transport,
    /// The name that the server's certificate must carry (RFC 9132 §7.1).
    pub server_name: &'a str,
}

/// Opens secured sessions with the credentials of the right PvD (RFC 9284 §5.1).
pub trait Connector {
    /// What it opens.
    type Session: dtls::Session;

    /// Begins a session with a server, or resumes the last one that went over this transport.
    ///
    /// # Errors
    /// When the credentials or the name cannot be used.
    fn connect(
        &mut self,
        now: Instant,
        association: &AssociationId,
        connection: Connection<'_>,
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

/// The DOTS client.
#[derive(Debug)]
pub struct Client<C: Connector> {
    connector: C,
    pvds: PvdSet,
    policy: Policy,
    associations: Associations<C::Session>,
    /// Of servers that there was an association with.
    known: BTreeMap<AssociationId, AssociationRecord>,
    absent: Absent,
    requests: RequestTable,
    next_request: RequestId,
    next_path: PathId,
    max_requests: usize,
    seeds: fastrand::Rng,
    actions: VecDeque<Action>,
}

impl<C: Connector> SessionStates for Client<C> {
    /// A session that may be lost counts while no server has a better one that may be asked instead.
    fn is_established(&self, association: &AssociationId) -> bool {
        let Some(asked) = self.associations.get(association) else {
            return false;
        };
        let mut attachments = self.attachments(&association.pvd).into_iter();
        let mut is_best = || !attachments.any(|pvd| self.is_answered_in(&pvd));
        asked.is_reached() || asked.is_established() && is_best()
    }
}

impl<C: Connector> Client<C> {
    /// A client as the store left it, in these PvDs and with this policy. Sessions with all servers
    /// are begun at the first [`Client::handle_timeout`].
    pub fn new(
        now: Now,
        connector: C,
        (pvds, policy): (PvdSet, Policy),
        snapshot: Snapshot,
        max_requests: usize,
        seed: u64,
    ) -> Self {
        let known = snapshot.associations.into_iter();
        let known = known.map(|record| (record.association.clone(), record));
        let mut client = Self {
            connector,
            associations: Associations::default(),
            known: known.collect(),
            absent: Absent::default(),
            requests: RequestTable::default(),
            next_request: RequestId(1),
            next_path: PathId::default(),
            max_requests,
            seeds: fastrand::Rng::with_seed(seed),
            actions: VecDeque::new(),
            pvds,
            policy,
        };
        client.keep_associations(now);
        for record in snapshot.wanted {
            client.keep_number(record.id);
            let (id, wanted) = (record.id, Wanted::restored(now, record));
            client.requests.insert(id, wanted);
        }
        for record in snapshot.requests {
            client.restore(now, record);
        }
        client.expire_absent(now);
        client.limit_absent();
        client.forget_known();
        client.decide_again(now);
        client
    }

    fn keep_number(&mut self, id: RequestId) {
        self.next_request = self.next_request.max(RequestId(id.0.saturating_add(1)));
    }

    fn restore(&mut self, now: Now, record: RequestRecord) {
        self.keep_number(record.id);
        let mut wish = Wish {
            request: record.id,
            target: record.target.clone(),
            trigger_mitigation: record.trigger_mitigation,
            until: record.wanted_until_unix.map(|at| now.instant_of(at)),
            relayed: self.relayed_as(record.id),
        };
        if self.requests.get(record.id).is_none() {
            let wanted = Wanted::of_part(&wish, record.withdrawing);
            self.requests.insert(record.id, wanted);
        }
        if let Some(wanted) = self.requests.get_mut(record.id) {
            wanted.include(&mut wish);
        }
        let part = Part::restored(now, wish, &record);
        let (at, mid) = (record.association, record.mid);
        if let Some(association) = self.associations.get_mut(&at) {
            association.restore(part);
            return;
        }
        if self.pvds.get(&at.pvd).is_none() {
            let absent = Note::Absent(record.id, at.clone(), mid);
            self.actions.push_back(Action::Noted(absent));
        }
        self.keep_absent(at, part);
    }

    /// The PvDs the client lives in.
    pub fn pvds(&self) -> &PvdSet {
        &self.pvds
    }

    /// A datagram came in on a socket.
    pub fn handle_datagram(&mut self, now: Now, path: PathId, datagram: &[u8]) {
        if let Some(association) = self.associations.of_path(path) {
            association.handle_datagram(now, path, datagram);
        }
        self.settle(now);
    }

    /// A socket cannot be opened or used.
    pub fn handle_path_failure(&mut self, now: Now, path: PathId, reason: &str) {
        if let Some(association) = self.associations.of_path(path) {
            association.handle_path_failure(now, path, reason);
        }
        self.settle(now);
    }

    /// The addresses that [`Action::Resolve`] asked for, or why there are none.
    pub fn handle_resolved(
        &mut self,
        now: Now,
        association: &AssociationId,
        name: &str,
        addresses: Result<Vec<IpAddr>, String>,
    ) {
        if let Some(association) = self.associations.get_mut(association) {
            association.handle_resolved(now, name, addresses);
        }
        self.settle(now);
    }

    /// The instant of [`Client::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        let due = self.associations.due(now);
        for id in self.associations.ids_of(&due) {
            if let Some(association) = self.associations.get_mut(&id) {
                association.handle_timeout(now);
            }
        }
        self.settle(now);
    }

    /// Ends all sessions in order. Requests stay: they are the servers' to keep.
    pub fn close(&mut self, now: Now) {
        for association in self.associations.each_mut() {
            association.close(now);
        }
        let pvds = self.associations.stirred().clone();
        self.pass_on(now, &pvds);
    }

    /// What is to be done next; poll until `None` after each call.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether [`Client::poll_action`] has something to give.
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// When [`Client::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stirred = self.associations.stirred().iter();
        let stirred = stirred.filter_map(|pvd| self.deadline(pvd));
        stirred
            .chain(self.associations.next_deadline())
            .chain(self.requests.next_end())
            .min()
    }
}
