//! What the servers upstream say of one inside mitigation, put together (RFC 9284 §5.2).
//!
//! ```text
//! one has accepted            accepted; its status the best of all, its lifetime the shortest
//! none has, one may yet       nothing is known
//! all have refused or ended   refused, with the answer that says most
//! ```

use coap::{Code, OptionNumber, Response};
use dots::mitigation::{ConflictInformation, ConflictScope, DroppedCounters, Refusal, Status};
use dots::target::{Target, TargetPrefix};

use crate::client::{End, PartReport, RequestReport, State, Waiting};
use crate::content;
use crate::relay::Relay;
use crate::server::UpstreamStatus;
use crate::time::Now;

/// After how many seconds to ask again for what was ended upstream.
const RETRY: u32 = 30;
/// What a datagram to a client has room for beside the rest of a message, in bytes.
const DIAGNOSTIC_ROOM: usize = 400;

/// How a mitigation stands upstream.
#[derive(Debug)]
pub(super) enum Combined<'a> {
    Accepted(UpstreamStatus),
    Pending,
    /// Nothing is to be expected of these.
    Over(Vec<&'a PartReport>),
}

/// How a request stands for who wants `target`.
pub(super) fn combine<'a>(now: Now, report: &'a RequestReport, target: &Target) -> Combined<'a> {
    let parts = report.parts.iter().filter(|part| {
        let is_elsewhere = matches!(part.state, State::Ended(End::Moved { .. } | End::NotAsked));
        !is_elsewhere && part.target.overlaps(target)
    });
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
        let expiries = accepted.iter().filter_map(|(part, _)| part.expires);
        return Combined::Accepted(UpstreamStatus {
            status: *best,
            lifetime: expiries.min().map(|at| now.seconds_until(at)),
            dropped: sum(accepted.iter().map(|(part, _)| &part.dropped)),
            is_complete: !parts.iter().any(is_unanswered),
        });
    }
    let may_yet = |part: &&PartReport| matches!(part.state, State::Asking);
    // Without a part, it waits for the network to come back.
    match parts.is_empty() || parts.iter().any(may_yet) {
        true => Combined::Pending,
        false => Combined::Over(parts),
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

/// What a client is told of a request that nobody upstream takes.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) response: Response,
    /// The Hop-Limit was too small; a client with a larger one may be luckier.
    pub(super) is_hop_limit: bool,
    /// The path of a loop that this gateway is in.
    pub(super) own_loop: Option<String>,
}

/// The answer that says most of those of the servers.
pub(super) fn refusal(relay: &Relay, parts: &[&PartReport], target: &Target) -> Refused {
    let told = parts
        .iter()
        .min_by_key(|part| match (&part.state, part.state.refusal()) {
            (_, Some((Code::HOP_LIMIT_REACHED, _))) => 0,
            (State::Deactivated { .. }, _) => 1,
            (_, Some((Code::CONFLICT, _))) => 2,
            (_, Some(_)) => 3,
            _ => 4,
        });
    let plain = |response| Refused {
        response,
        is_hop_limit: false,
        own_loop: None,
    };
    let Some(part) = told else {
        return plain(ended());
    };
    match (part.state.refusal(), &part.conflict) {
        (Some((Code::HOP_LIMIT_REACHED, diagnostic)), _) => {
            match relay.pass_back(diagnostic.as_bytes(), DIAGNOSTIC_ROOM) {
                Ok(response) => Refused {
                    is_hop_limit: true,
                    ..plain(response)
                },
                Err(own) => Refused {
                    is_hop_limit: true,
                    own_loop: Some(diagnostic.to_owned()),
                    ..plain(content::diagnostic(Code::BAD_GATEWAY, &own.to_string()))
                },
            }
        }
        (Some((Code::CONFLICT, _)), Some(conflict)) => plain(conflicting(conflict, target)),
        (Some((code, diagnostic)), _) => plain(content::diagnostic(code, diagnostic)),
        (None, Some(conflict)) if matches!(part.state, State::Deactivated { .. }) => {
            plain(conflicting(conflict, target))
        }
        _ => plain(ended()),
    }
}

/// The mids and lists of a conflict are this gateway's, and what others protect is theirs: a client
/// sees only what it asked for itself.
fn conflicting(conflict: &ConflictInformation, target: &Target) -> Response {
    let scope = conflict.scope.as_ref();
    let theirs = scope.into_iter().flat_map(|scope| &scope.target.prefixes);
    let own = |prefix: &&TargetPrefix| target.prefixes.iter().any(|it| it.contains(prefix));
    let prefixes: Vec<TargetPrefix> = theirs.filter(own).copied().collect();
    let scope = (!prefixes.is_empty()).then(|| ConflictScope {
        target: Target {
            prefixes,
            ..Target::default()
        },
        ..ConflictScope::default()
    });
    let conflict = ConflictInformation {
        scope,
        ..conflict.clone()
    };
    content::body(Code::CONFLICT, Refusal { conflict }.encode())
}

fn ended() -> Response {
    later("the servers upstream have ended it")
}

/// 5.03 with the time after which to ask again.
pub(super) fn later(reason: &str) -> Response {
    let mut response = content::diagnostic(Code::SERVICE_UNAVAILABLE, reason);
    response.options.push_uint(OptionNumber::MAX_AGE, RETRY);
    response
}
