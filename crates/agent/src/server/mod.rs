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

mod absence;
mod admission;
mod announcement;
mod attacks;
mod clients;
mod conflict;
mod customer;
mod held;
mod interface;
mod lapse;
mod lifecycle;
mod lookups;
mod mitigation;
mod mitigations;
mod notification;
mod observation;
mod outcome;
mod policy;
mod progress;
mod rates;
mod record;
mod redirect;
mod request;
mod request_budget;
mod resolution;
mod resources;
mod scope;
mod session_limits;
mod sessions;
mod termination;
mod upstream;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use dots::mitigation::{MitigationStatus, Status};
use dots::target::Target;

use self::absence::Absences;
use self::announcement::Announcements;
use self::attacks::Attacks;
use self::clients::Client;
pub use self::conflict::ConflictPolicy;
pub use self::customer::{Customer, Customers};
use self::held::Held;
pub use self::interface::{Action, Change, Input, SessionId};
pub use self::lapse::Deactivation;
use self::mitigations::Mitigations;
use self::observation::Observations;
pub use self::outcome::Outcome;
pub use self::policy::Policy;
pub use self::record::{Enforcement, MitigationKey, MitigationRecord, Standing};
pub use self::redirect::{Redirect, TooManyAddresses};
use self::request_budget::RequestBudget;
use self::resolution::Resolutions;
pub use self::resolution::{Resolution, ResolutionError};
pub use self::resources::{AcceptList, Alias, ClientKey, ClientResources, ResourcesError};
pub use self::scope::{Scope, ScopeError};
pub use self::session_limits::{SessionLimits, TooManySessions};
pub use self::sessions::{Flow, MessageFaults, SessionOutput, Sessions};
pub use self::upstream::{Acceptance, Relaying, Upstream, UpstreamStatus};
use crate::time::Now;

/// What a server takes up again after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What was promised, in the order of the keys.
    pub mitigations: Vec<MitigationRecord>,
    /// What clients have set up.
    pub resources: BTreeMap<ClientKey, ClientResources>,
}

/// The DOTS server.
#[derive(Debug)]
pub struct Server {
    customers: Customers,
    policy: Policy,
    /// By which clock the ends in the store are.
    clock: Now,
    clients: BTreeMap<SessionId, Client>,
    /// The sessions of each customer that has some, in the order in which they came up.
    sessions_of_customer: BTreeMap<String, BTreeSet<(Instant, SessionId)>>,
    absences: Absences,
    mitigations: Mitigations,
    resources: BTreeMap<ClientKey, ClientResources>,
    resolutions: Resolutions,
    /// Requests that a gateway has relayed.
    held: Held,
    attacks: Attacks,
    observations: Observations,
    announcements: Announcements,
    next_notification: Option<Instant>,
    /// Of each customer that has asked for something.
    budgets: BTreeMap<String, RequestBudget>,
    actions: VecDeque<Action>,
}

impl Server {
    /// A server as the store left it; what was in force is so at once.
    pub fn new(now: Now, customers: Customers, policy: Policy, snapshot: Snapshot) -> Self {
        let mut server = Self {
            customers,
            policy,
            clock: now,
            clients: BTreeMap::new(),
            sessions_of_customer: BTreeMap::new(),
            absences: Absences::default(),
            mitigations: Mitigations::default(),
            resources: snapshot.resources,
            resolutions: Resolutions::default(),
            held: Held::default(),
            attacks: Attacks::default(),
            observations: Observations::default(),
            announcements: Announcements::default(),
            next_notification: None,
            budgets: BTreeMap::new(),
            actions: VecDeque::new(),
        };
        for record in snapshot.mitigations {
            server.restore(now, record);
        }
        server.follow_names(now);
        server.reconsider_deactivated(now);
        server.recall_conflicts();
        server
    }

    /// Takes one input; what follows from it waits in [`Server::poll_action`].
    pub fn handle(&mut self, now: Now, input: Input) {
        self.follow_clock(now);
        match input {
            Input::Established(session, peer) => self.on_established(now, session, &peer),
            Input::Request {
                session,
                exchange,
                token,
                request,
            } => self.on_request(now, session, exchange, token, &request),
            Input::Resolved(name, result) => self.on_resolved(now, &name, result),
            Input::NotificationRejected(session, token) => {
                self.observations.deregister((session, token));
            }
            Input::SessionLost(session) => self.on_session_lost(now, session),
            Input::SessionBroken(session) => self.on_session_broken(now, session),
            Input::SessionClosed(session) => drop(self.forget(session)),
            Input::Enforced(those) => self.on_enforced(now, &those),
            Input::NotEnforced(those) => self.on_not_enforced(now, &those),
            Input::Dropped(dropped) => self.on_dropped(now, &dropped),
            Input::Upstream(those) => self.on_upstream(now, those),
            Input::SetResources(client, resources) => self.set_resources(client, resources),
            Input::SetRedirect(customer, redirect) => self.set_redirect(&customer, redirect),
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
        let resolution = self.resolutions.next_due();
        let announcement = self.announcements.first().map(|(at, _)| *at);
        let absence = self.absences.next_due();
        let held = self.held.next_deadline();
        [
            expiry,
            notification,
            due,
            resolution,
            announcement,
            absence,
            held,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The scopes that the mitigator should be enforcing.
    pub fn enforced_scopes(&self) -> impl Iterator<Item = (Enforcement, Target)> {
        self.mitigations.iter().filter_map(|mitigation| {
            let record = &mitigation.record;
            Some((record.enforcement()?, record.scope.target()))
        })
    }

    /// Every mitigation, for a person to look at.
    pub fn report(&self, now: Now) -> Vec<(MitigationKey, MitigationStatus)> {
        self.mitigations
            .iter()
            .map(|mitigation| (mitigation.record.key.clone(), mitigation.status(now)))
            .collect()
    }

    fn on_timeout(&mut self, now: Now) {
        while let Some((at, key)) = self.mitigations.next_expiry() {
            if at > now.monotonic {
                break;
            }
            let key = key.clone();
            self.end(now, &key, Status::AttackMitigationTerminated);
        }
        self.give_up_absent(now);
        self.resolve_again(now);
        self.check_announcements(now);
        self.give_up_held(now);
        if self.next_notification.is_some_and(|at| at <= now.monotonic) {
            self.remind_observers(now);
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}
