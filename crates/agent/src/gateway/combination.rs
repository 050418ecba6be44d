//! What the servers upstream say of one inside mitigation, put together (RFC 9284 §5.2).
//!
//! ```text
//! one has accepted                accepted; its status the best of all, its lifetime the shortest
//! none has, one may yet           nothing is known
//! one keeps it out of force       deactivated, until the first of them may be asked again
//! all have refused or ended       refused, with the answer that says most
//! ```
//!
//! Of several requests that are for it, that one counts at each server that it protects with, else the one that it may
//! yet protect with; among equals the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::mitigation::{ConflictInformation, DroppedCounters, Status};
use dots::target::{Target, TargetPrefix};

use super::asking::{Asked, Requests};
use super::grouping::Group;
use super::member::Wanted;
use crate::client::{Client, Connector, End, PartReport, RequestId, RequestReport, State, Waiting};
use crate::server::UpstreamStatus;
use crate::server_selection::AssociationId;

/// How a mitigation stands upstream.
#[derive(Debug)]
pub(super) enum Combined<'a> {
    Accepted(UpstreamStatus),
    Pending,
    Deactivated {
        retry: Instant,
        conflict: Option<&'a ConflictInformation>,
    },
    /// Nothing is to be expected of these.
    Over(Vec<&'a PartReport>),
}

/// What is to be expected of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outlook {
    Accepted,
    Asked,
    Deactivated,
    Over,
}

impl From<&State> for Outlook {
    fn from(state: &State) -> Self {
        match state {
            State::Accepted(_) => Self::Accepted,
            State::Asking => Self::Asked,
            State::Deactivated { .. } => Self::Deactivated,
            _ => Self::Over,
        }
    }
}

/// Whether the server has no say: another one is asked, or it is not to be asked now.
fn is_elsewhere(part: &PartReport) -> bool {
    matches!(
        part.state,
        State::Withdrawing | State::Ended(End::Moved { .. } | End::NotAsked)
    )
}

/// What each server has of a request, and what is to be expected of it at best.
type AtServers<'a> = BTreeMap<&'a AssociationId, (Outlook, Vec<&'a PartReport>)>;

fn at_servers<'a>(request: &'a RequestReport, target: &Target) -> AtServers<'a> {
    let is_meant = |part: &&PartReport| !is_elsewhere(part) && part.target.overlaps(target);
    let mut at = AtServers::new();
    for part in request.parts.iter().filter(is_meant) {
        let outlook = Outlook::from(&part.state);
        let (best, parts) = at
            .entry(&part.association)
            .or_insert_with(|| (outlook, Vec::new()));
        *best = outlook.min(*best);
        parts.push(part);
    }
    at
}

/// Unanswered requests that are kept beside the current one of a group: no loop has more rounds (RFC 8768 §3).
const MOST_UNANSWERED: usize = 255;

/// How the requests of a group stand.
pub(super) struct Reports<'a> {
    current: RequestReport,
    /// Newest first.
    older: Vec<(&'a Asked, RequestReport)>,
}

impl<'a> Reports<'a> {
    /// What the client says of them, once there is a request for all of the group.
    pub(super) fn of<C: Connector>(
        group: &Group,
        requests: &'a Requests,
        client: &Client<C>,
    ) -> Option<Self> {
        let older = group.older.iter().rev();
        let older = older.filter_map(|id| Some((requests.get(*id)?, client.request(*id)?)));
        Some(Self {
            current: client.request(group.current?)?,
            older: older.collect(),
        })
    }

    /// Whether the current request is accepted, and somebody has yet to answer.
    pub(super) fn is_awaited(&self, group: &Group) -> bool {
        let standing = combine(at_servers(&self.current, &group.target));
        matches!(standing, Combined::Accepted(status) if !status.is_complete)
    }

    /// How it stands for one member.
    pub(super) fn of_member(&self, wanted: &Wanted) -> Combined<'_> {
        let mut at = at_servers(&self.current, &wanted.target);
        let whole = self.older.iter().filter(|(asked, report)| {
            // Which goes farther than it may says nothing before it is accepted.
            let is_as_far = asked.hop_limit <= wanted.hop_limit || is_accepted(report);
            is_as_far && covers(&asked.target, &wanted.target)
        });
        for (_, request) in whole {
            for (server, theirs) in at_servers(request, &wanted.target) {
                let before = at.get(server).map_or(Outlook::Over, |(before, _)| *before);
                if theirs.0 < before {
                    at.insert(server, theirs);
                }
            }
        }
        combine(at)
    }

    /// Which of the older requests are of use beside the current one.
    pub(super) fn needed(&self) -> BTreeSet<RequestId> {
        let older = self.older.iter().map(|(_, report)| report);
        let needed = older.clone().filter(|it| is_needed(it, &self.current));
        // What is not answered yet may take the place of the current one. In a loop of gateways, each round has one.
        let is_open = !is_accepted(&self.current);
        let open = older.filter(|it| is_open && is_asked(it));
        let needed = needed.chain(open.take(MOST_UNANSWERED));
        needed.map(|report| report.id).collect()
    }
}

/// Whether a server protects with it.
fn is_accepted(request: &RequestReport) -> bool {
    let mut parts = request.parts.iter();
    parts.any(|part| matches!(part.state, State::Accepted(_)))
}

/// Whether nobody protects with it, and nobody is asked again.
pub(super) fn is_over(request: &RequestReport) -> bool {
    let mut meant = request.parts.iter().filter(|part| !is_elsewhere(part));
    let is_over = |part: &PartReport| matches!(part.state, State::Refused { .. } | State::Ended(_));
    meant.next().is_some_and(is_over) && meant.all(is_over)
}

/// Whether the answer of a server is awaited.
fn is_asked(request: &RequestReport) -> bool {
    let mut parts = request.parts.iter();
    parts.any(|part| part.state == State::Asking)
}

/// Whether a server protects with an older request what it does not protect with the current one.
fn is_needed(older: &RequestReport, current: &RequestReport) -> bool {
    let is_held =
        |part: &&PartReport| part.is_granted && Outlook::from(&part.state) < Outlook::Over;
    let mut held = older.parts.iter().filter(is_held);
    held.any(|held| {
        let instead = current.parts.iter().filter(|part| {
            let is_there = part.association.pvd == held.association.pvd;
            is_there && !is_elsewhere(part) && part.target.overlaps(&held.target)
        });
        let mut outlooks = instead.map(|part| Outlook::from(&part.state));
        outlooks.any(|it| it != Outlook::Accepted)
    })
}

/// How it stands with what counts at each server.
fn combine(at: AtServers<'_>) -> Combined<'_> {
    let parts = at.into_values().flat_map(|(_, parts)| parts);
    let parts: Vec<&PartReport> = parts.collect();
    let accepted = parts.iter().filter_map(|part| match part.state {
        State::Accepted(status) => Some((*part, status)),
        _ => None,
    });
    let accepted: Vec<(&PartReport, Status)> = accepted.collect();
    if let Some((_, best)) = accepted.iter().min_by_key(|(_, status)| rank(*status)) {
        // Who has no session may not have one for long; who is busy has answered.
        let is_unanswered =
            |part: &&PartReport| matches!(part.waiting, Some(Waiting::Unanswered { .. }));
        let shortened = accepted.iter().filter_map(|(part, _)| part.shortened_to);
        return Combined::Accepted(UpstreamStatus {
            status: *best,
            lifetime: shortened.min(),
            dropped: sum(accepted.iter().map(|(part, _)| &part.dropped)),
            is_complete: !parts.iter().any(is_unanswered),
        });
    }
    let may_yet = |part: &&PartReport| matches!(part.state, State::Asking);
    // Without a part, it waits for the network to come back.
    if parts.is_empty() || parts.iter().any(may_yet) {
        return Combined::Pending;
    }
    let deactivated = parts.iter().filter_map(|part| match part.state {
        State::Deactivated { retry } => Some((retry, part.conflict.as_ref())),
        _ => None,
    });
    match deactivated.min_by_key(|(retry, _)| *retry) {
        Some((retry, conflict)) => Combined::Deactivated { retry, conflict },
        None => Combined::Over(parts),
    }
}

/// Whether somebody protects all of `target` with this request.
fn covers(asked: &Target, target: &Target) -> bool {
    let covers_net = |prefix: &TargetPrefix| asked.prefixes.iter().any(|it| it.contains(prefix));
    target.prefixes.iter().all(covers_net)
        && holds(&asked.port_ranges, &target.port_ranges)
        && holds(&asked.protocols, &target.protocols)
}

/// An empty list means everything.
fn holds<T: PartialEq>(all: &[T], some: &[T]) -> bool {
    all.is_empty() || !some.is_empty() && some.iter().all(|each| all.contains(each))
}

/// The better a status, the lower. What one server stops is stopped, whatever others say.
fn rank(status: Status) -> u8 {
    match status {
        Status::AttackSuccessfullyMitigated => 0,
        Status::AttackMitigationInProgress => 1,
        Status::AttackStopped => 2,
        Status::AttackExceededCapability => 3,
        Status::AttackMitigationSignalLoss => 4,
        _ => 5,
    }
}

/// Totals wrap around at 2^64 (RFC 9132 §4.4.2).
fn sum<'a>(all: impl Iterator<Item = &'a DroppedCounters>) -> DroppedCounters {
    let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.wrapping_add(other)),
        (one, other) => one.or(other),
    };
    all.fold(DroppedCounters::default(), |sum, each| DroppedCounters {
        bytes: add(sum.bytes, each.bytes),
        bps: add(sum.bps, each.bps),
        pkts: add(sum.pkts, each.pkts),
        pps: add(sum.pps, each.pps),
    })
}
