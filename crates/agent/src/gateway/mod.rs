//! What stands between the server and the client that a DOTS gateway is made of (RFC 8811 §2.2.3).
//!
//! ```text
//! inside client          Server            Gateway              Client            server upstream
//!   | PUT                  |                  |                    |                     |
//!   |--------------------->| Change::Put (durable)                 |                     |
//!   |                      |----------------->| aggregate          |                     |
//!   |                      |                  |---- relay() ------>| PUT                 |
//!   |                      |                  |                    |-------------------->|
//!   |                      |                  |<- Note::Request ---|<-------------- 2.01 |
//!   |                 2.01 |<- Input::Upstream| combine            |                     |
//!   |<---------------------|                  |                    |                     |
//! ```
//!
//! Sessions, heartbeats and configuration end at the server and at the client. The gateway keeps
//! what is wanted, not what is to be done: whatever happens, it compares what the client asks for
//! with what the aggregates of the inside mitigations are, and lets it ask for what is missing and
//! withdraw what is too much. After a restart it recognises requests by what they ask for.

mod aggregation;
mod asking;
mod combination;
mod grouping;
mod member;
mod refusal;
mod telling;
mod translation;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

use dots::mitigation::AttackStatus;
use dots::target::Target;

pub use self::aggregation::{Aggregate, aggregate};
use self::asking::Requests;
use self::grouping::{Group, GroupId, Groups};
use self::member::Wanted;
pub use self::translation::{Rule, RuleError, Translation};
use crate::client::{self, Client, Connector, RequestId};
use crate::relay::Relay;
use crate::server::{Acceptance, Change, MitigationKey, MitigationRecord, Upstream};
use crate::server_selection::Selection;
use crate::time::Now;

/// How often the counters of the servers upstream are passed on, which change without a note.
const LOOK: Duration = Duration::from_secs(15);
/// How many groups of which an answer is awaited are looked at after an event.
const MOST_RENEWING: usize = 64;

/// How a gateway relays.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What it does about loops.
    pub relay: Relay,
    /// Whether it tells servers which domain a client is of: at the edge of the servers' domain, with
    /// a cdid (RFC 9132 §4.4.1.2).
    pub says_domain: bool,
    /// The NAT beside it.
    pub translation: Translation,
}

/// What a gateway gives out.
#[derive(Debug)]
pub enum Output {
    /// For its server: [`Input::Upstream`](crate::server::Input::Upstream).
    Tell(Vec<(Acceptance, Upstream)>),
    /// Something to log.
    Noted(Note),
}

/// What happened, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Servers are asked on behalf of these.
    Relayed {
        /// The request of the client.
        request: RequestId,
        /// The mitigations inside.
        on_behalf: Vec<MitigationKey>,
    },
    /// Nobody upstream can be asked for it.
    NobodyToAsk {
        /// The mitigation inside.
        key: MitigationKey,
        /// Why nobody.
        selection: Selection,
    },
    /// A request came back here.
    Loop {
        /// The mitigation inside.
        key: MitigationKey,
        /// The relays that it passed, as the 5.08 says.
        path: String,
    },
}

/// One inside mitigation.
#[derive(Debug)]
struct Member {
    wanted: Wanted,
    /// With what it is asked for; `None`: it is not, for nobody can be asked.
    group: Option<GroupId>,
    /// What the server was last told of it.
    told: Option<Upstream>,
}

/// What relays: level, not edge.
#[derive(Debug)]
pub struct Gateway {
    terms: Terms,
    members: BTreeMap<Acceptance, Member>,
    /// The one acceptance of each mitigation that is wanted.
    by_key: BTreeMap<MitigationKey, Acceptance>,
    groups: Groups,
    requests: Requests,
    /// Those that somebody upstream has accepted, or may have before the restart, by their place in the order of
    /// acceptance: they wait for whoever cannot be asked, or does not answer.
    standing: BTreeMap<MitigationKey, u64>,
    /// Members that have to be put together anew.
    loose: BTreeSet<Acceptance>,
    /// Those that the server has just made durable: whether anybody can be asked is to be seen.
    fresh: BTreeSet<Acceptance>,
    /// Those of them that may belong to a network that is not found yet: they are looked at again when one is.
    undecided: BTreeSet<Acceptance>,
    /// How many networks may be found yet.
    incomplete: usize,
    /// Groups of which something may have changed.
    dirty: BTreeSet<GroupId>,
    /// Groups that are accepted, and of which an answer is awaited.
    renewing: BTreeSet<GroupId>,
    /// The last of them that was looked at.
    renewed: GroupId,
    next_look: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Gateway {
    /// A gateway whose server and client are as their stores left them: what the client asks for
    /// already is not asked for again, and what nobody wants any more is withdrawn.
    pub fn new<'a, C: Connector>(
        now: Now,
        terms: Terms,
        records: impl IntoIterator<Item = &'a MitigationRecord>,
        client: &mut Client<C>,
    ) -> Self {
        let mut gateway = Self {
            terms,
            members: BTreeMap::new(),
            by_key: BTreeMap::new(),
            groups: Groups::default(),
            requests: Requests::default(),
            standing: BTreeMap::new(),
            loose: BTreeSet::new(),
            fresh: BTreeSet::new(),
            undecided: BTreeSet::new(),
            incomplete: 0,
            dirty: BTreeSet::new(),
            renewing: BTreeSet::new(),
            renewed: GroupId::default(),
            next_look: None,
            outputs: VecDeque::new(),
        };
        for record in records {
            gateway.standing.insert(record.key.clone(), record.accepted);
            let _is_fresh = gateway.want(now, record);
        }
        gateway.take_up(now, client);
        gateway.settle(now, client);
        gateway
    }

    /// What the server has made durable; then [`Gateway::settle`].
    pub fn handle_change(&mut self, now: Now, change: &Change) {
        match change {
            Change::Put(record) => {
                if self.want(now, record) {
                    self.fresh.insert(record.into());
                }
            }
            Change::Delete(key) => {
                self.standing.remove(key);
                self.forget(key);
            }
            Change::PutResources(..) => {}
        }
    }

    /// What the client notes; then [`Gateway::settle`].
    pub fn handle_note(&mut self, note: &client::Note) {
        if let client::Note::Request(id, ..) | client::Note::Conflict(id, ..) = note
            && let Some(asked) = self.requests.get(*id)
        {
            self.dirty.extend(&asked.groups);
        }
    }

    /// An inside client tells whether a mitigation helps (RFC 9132 §4.4.3): those who mitigate for it
    /// are told.
    pub fn handle_efficacy<C: Connector>(
        &mut self,
        now: Now,
        client: &mut Client<C>,
        key: &MitigationKey,
        status: AttackStatus,
    ) {
        let member = self.by_key.get(key).and_then(|id| self.members.get(id));
        let group = member.and_then(|member| self.groups.get(member.group?));
        for request in group.into_iter().flat_map(Group::requests) {
            // Without a mitigation there is nothing to tell of.
            let _nobody_mitigates = client.report_efficacy(now, request, status);
        }
    }

    /// Brings what the client asks for to what is wanted, and passes on what is known.
    pub fn settle<C: Connector>(&mut self, now: Now, client: &mut Client<C>) {
        let is_due = self.next_look.is_some_and(|at| at <= now.monotonic);
        let incomplete = client.pvds().iter().filter(|it| it.is_incomplete());
        let incomplete = incomplete.count();
        if std::mem::replace(&mut self.incomplete, incomplete) != incomplete || is_due {
            self.fresh.append(&mut self.undecided);
        }
        if is_due {
            self.dirty.extend(self.groups.ids());
            self.next_look = None;
        }
        self.take_in(client);
        self.regroup();
        self.ask(now, client);
        self.look_at_renewing();
        self.tell(now, client);
        if self.next_look.is_none() && !self.members.is_empty() {
            self.next_look = Some(now.monotonic + LOOK);
        }
    }

    /// Some of those of which an answer is awaited, in turn: an event is not to cost all of them.
    fn look_at_renewing(&mut self) {
        let later = (Bound::Excluded(self.renewed), Bound::Unbounded);
        let later = self.renewing.range(later).chain(&self.renewing);
        let some: BTreeSet<GroupId> = later.take(MOST_RENEWING).copied().collect();
        self.renewed = some.last().copied().unwrap_or_default();
        for id in &some {
            self.renewing.remove(id);
        }
        self.dirty.extend(some);
    }

    /// What is to be done next; poll until `None` after each [`Gateway::settle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Gateway::settle`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_look.filter(|_| !self.members.is_empty())
    }

    /// What servers upstream are asked for instead of a target of an inside client.
    pub fn outside(&self, target: &Target) -> Target {
        self.terms.translation.outside(target)
    }

    /// Which mitigations inside each request upstream is for.
    pub fn relayed(&self) -> impl Iterator<Item = (RequestId, Vec<&MitigationKey>)> {
        self.requests.iter().map(|(id, asked)| {
            let groups = asked.groups.iter();
            let groups = groups.filter_map(|group| self.groups.get(*group));
            (id, groups.flat_map(Group::keys).collect())
        })
    }

    /// A mitigation is wanted, for longer or otherwise. Returns whether something else is wanted than
    /// before.
    fn want(&mut self, now: Now, record: &MitigationRecord) -> bool {
        let id = Acceptance::from(record);
        let told = self.members.get(&id).and_then(|it| it.told.clone());
        let Some(wanted) = Wanted::of(now, record, &self.terms) else {
            self.forget(&record.key);
            // When it comes back, somebody has to take it first.
            if let Some(Upstream::Accepted(_) | Upstream::Deactivated(_)) = told {
                let those = vec![(id, Upstream::Pending)];
                self.outputs.push_back(Output::Tell(those));
            }
            return false;
        };
        if let Some(member) = self.members.get_mut(&id)
            && member.wanted.is_same_but_for_time(&wanted)
        {
            member.wanted = wanted;
            self.dirty.extend(member.group);
            if let Some(group) = member.group.and_then(|group| self.groups.get_mut(group)) {
                group.is_to_be_prolonged = true;
            }
            return false;
        }
        self.forget(&record.key);
        self.by_key.insert(record.key.clone(), id.clone());
        self.loose.insert(id.clone());
        let member = Member {
            wanted,
            group: None,
            told,
        };
        self.members.insert(id, member);
        true
    }

    /// Whether somebody upstream has accepted it, or may have before the restart.
    fn is_standing(&self, id: &Acceptance) -> bool {
        self.standing.get(&id.key) == Some(&id.accepted)
    }

    /// A mitigation is not wanted any more.
    fn forget(&mut self, key: &MitigationKey) {
        let Some(id) = self.by_key.remove(key) else {
            return;
        };
        self.loose.remove(&id);
        self.fresh.remove(&id);
        self.undecided.remove(&id);
        let member = self.members.remove(&id);
        if let Some(group) = member.and_then(|member| member.group) {
            self.loosen(group);
        }
    }

    /// The wants of a group have changed: those that are left are put together anew.
    fn loosen(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(id) else {
            return;
        };
        self.dirty.remove(&id);
        for member in &group.members {
            if let Some(known) = self.members.get_mut(member) {
                known.group = None;
                self.loose.insert(member.clone());
            }
        }
        for request in group.requests() {
            self.requests.release(request, id);
        }
    }
}
