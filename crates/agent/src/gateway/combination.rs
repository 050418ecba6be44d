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

use std::collections::BTreeMap;
use std::time::Instant;

use dots::mitigation::{ConflictInformation, DroppedCounters, Status};
use dots::target::{Target, TargetPrefix};

use crate::client::{End, PartReport, RequestReport, State, Waiting};
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

/// The parts that count for who wants `target`, of the current request and of those from before that are for all of it,
/// of which the newest comes first.
pub(super) fn standing<'a>(
    current: &'a RequestReport,
    older: impl Iterator<Item = &'a RequestReport>,
    target: &Target,
) -> Vec<&'a PartReport> {
    let mut at = at_servers(current, target);
    for request in older {
        for (server, theirs) in at_servers(request, target) {
            let before = at.get(server).map_or(Outlook::Over, |(before, _)| *before);
            if theirs.0 < before {
                at.insert(server, theirs);
            }
        }
    }
    at.into_values().flat_map(|(_, parts)| parts).collect()
}

/// Whether a server protects with an older request what it does not protect with the current one.
pub(super) fn is_needed(older: &RequestReport, current: &RequestReport) -> bool {
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

/// How it stands with these parts.
pub(super) fn combine(parts: Vec<&PartReport>) -> Combined<'_> {
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
pub(super) fn covers(asked: &Target, target: &Target) -> bool {
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
