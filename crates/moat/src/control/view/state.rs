//! How far a request has come at one server, and what it waits for, in words.

use std::time::Instant;

use agent::client::{End, PartReport, RequestReport, Setback, State, Waiting};
use dots::mitigation::{ConflictCause, ConflictInformation, ConflictStatus};

use super::scope::targets;

/// How a request came to its end at each server; `None` while it goes on at one of them, or none was asked.
pub(crate) fn end(report: &RequestReport) -> Option<String> {
    let is_over = |part: &PartReport| matches!(part.state, State::Ended(_) | State::Refused { .. });
    let at = |part: &PartReport| format!("{}: {}", part.association.server, status(&part.state));
    let ends: Vec<String> = report.parts.iter().map(at).collect();
    let has_ended = !ends.is_empty() && report.parts.iter().all(is_over);
    has_ended.then(|| ends.join(", "))
}

/// How far a part has come, in words.
pub(crate) fn status(state: &State) -> String {
    match state {
        State::Asking => "asking".to_owned(),
        State::Accepted(status) => status.to_string(),
        State::Refused { .. } => "refused".to_owned(),
        State::Deactivated { .. } => "deactivated by a conflict".to_owned(),
        State::Postponed { after, .. } => match after {
            Setback::Refused { .. } => "refused for now".to_owned(),
            Setback::Ended(_) => "ended by the server".to_owned(),
        },
        State::Withdrawing => "withdrawing".to_owned(),
        State::Ended(End::Withdrawn) => "withdrawn".to_owned(),
        State::Ended(End::Expired) => "expired".to_owned(),
        State::Ended(End::Replaced { by }) => format!("replaced by request {by}"),
        State::Ended(End::Moved { to }) => format!("moved to {to}"),
        State::Ended(End::NotAsked) => {
            "not asked any more: its network is gone, or assigned the target no more".to_owned()
        }
    }
}

/// What a part waits for, if it waits.
pub(super) fn waiting(part: &PartReport, now: Instant) -> Option<String> {
    if let State::Deactivated { retry } = part.state {
        return Some(format!("asked for again {}", within(retry, now)));
    }
    if let State::Postponed { retry, after } = &part.state {
        return Some(format!("{after}; asked for again {}", within(*retry, now)));
    }
    Some(match part.waiting.as_ref()? {
        Waiting::NoSession { reason, retry } => {
            let because = reason.iter().map(|reason| format!(": {reason}"));
            let next = retry.map_or_else(
                || "an attempt is under way".to_owned(),
                |retry| format!("tried again {}", within(retry, now)),
            );
            format!("no session{}; {next}", because.collect::<String>())
        }
        Waiting::Unanswered { since } => {
            let seconds = now.saturating_duration_since(*since).as_secs();
            format!("no answer for {seconds} s; it is asked on")
        }
        Waiting::Paused { until, reason } => {
            format!("{reason}; asked again {}", within(*until, now))
        }
    })
}

fn within(at: Instant, now: Instant) -> String {
    match seconds_until(at, now) {
        0 => "now".to_owned(),
        seconds => format!("in {seconds} s"),
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds_until(at: Instant, now: Instant) -> u64 {
    let left = at.saturating_duration_since(now);
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

/// What a server said about a conflict (RFC 9132 §4.4.1.3).
pub(super) fn conflict(conflict: &ConflictInformation) -> String {
    let cause = conflict.cause.map_or_else(
        || "a conflict".to_owned(),
        |cause| match cause {
            ConflictCause::OverlappingTargets => {
                "another request names the same addresses".to_owned()
            }
            ConflictCause::ConflictWithAcceptlist => {
                "an accept-list lets these addresses through".to_owned()
            }
            ConflictCause::CuidCollision => "another client has the same cuid".to_owned(),
            other => other.to_string(),
        },
    );
    let mut text = cause;
    if let Some(scope) = &conflict.scope {
        let lists = scope.acl_list.iter().map(|list| list.acl_name.to_string());
        let common: Vec<String> = targets(&scope.target).into_iter().chain(lists).collect();
        if !common.is_empty() {
            text.push_str(&format!(" ({})", common.join(" ")));
        }
    }
    if let Some(status) = conflict.status {
        let in_force = match status {
            ConflictStatus::RequestInactiveOtherActive => "the other one is in force".to_owned(),
            ConflictStatus::RequestActive => "this one is in force".to_owned(),
            ConflictStatus::AllRequestsInactive => "none of them is in force".to_owned(),
            other => other.to_string(),
        };
        text.push_str(&format!("; {in_force}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent::client::Pause;
    use agent::server_selection::AssociationId;
    use dots::identifiers::Mid;
    use dots::mitigation::{ConflictScope, DroppedCounters, Status};
    use dots::target::Target;

    use super::*;

    fn part(state: State, waiting: Option<Waiting>) -> PartReport {
        PartReport {
            association: AssociationId {
                pvd: "fixed.example".parse().unwrap(),
                server: "dots.fixed.example".to_owned(),
            },
            mid: Mid(1),
            target: Target::default(),
            trigger_mitigation: true,
            state,
            moved_to: None,
            waiting,
            is_granted: true,
            shortened_to: None,
            expires: None,
            wanted_until: None,
            conflict: None,
            dropped: DroppedCounters::default(),
        }
    }

    #[test]
    fn what_a_part_waits_for_is_a_sentence() {
        let now = Instant::now();
        let later = now + Duration::from_millis(11_500);
        let reason = Some("connection refused".to_owned());
        let cases = [
            (
                Waiting::NoSession {
                    reason,
                    retry: Some(later),
                },
                "no session: connection refused; tried again in 12 s",
            ),
            (
                Waiting::NoSession {
                    reason: None,
                    retry: None,
                },
                "no session; an attempt is under way",
            ),
            (
                Waiting::Unanswered {
                    since: now - Duration::from_secs(7),
                },
                "no answer for 7 s; it is asked on",
            ),
            (
                Waiting::Paused {
                    until: later,
                    reason: Pause::Busy,
                },
                "the server is busy and said when to ask again; asked again in 12 s",
            ),
        ];
        for (why, wanted) in cases {
            assert_eq!(
                waiting(&part(State::Asking, Some(why)), now).as_deref(),
                Some(wanted)
            );
        }
        let deactivated = part(State::Deactivated { retry: now }, None);
        assert_eq!(
            waiting(&deactivated, now).as_deref(),
            Some("asked for again now")
        );
        let ended = Setback::Ended(Status::AttackMitigationTerminated);
        let refused = Setback::Refused {
            code: coap::Code::UNAUTHORIZED,
            diagnostic: "who are you".to_owned(),
        };
        for (after, wanted) in [
            (
                ended,
                "the server ended it: attack-mitigation-terminated; asked for again in 12 s",
            ),
            (
                refused,
                "the server refused: 4.01 who are you; asked for again in 12 s",
            ),
        ] {
            let retry = later;
            let postponed = part(State::Postponed { retry, after }, None);
            assert_eq!(waiting(&postponed, now).as_deref(), Some(wanted));
        }
        let going = State::Accepted(Status::AttackSuccessfullyMitigated);
        assert_eq!(waiting(&part(going, None), now), None);
    }

    #[test]
    fn a_conflict_is_a_sentence() {
        let mut scope = ConflictScope::default();
        scope.target.prefixes = vec!["203.0.113.7".parse().unwrap()];
        let information = ConflictInformation {
            status: Some(ConflictStatus::RequestInactiveOtherActive),
            cause: Some(ConflictCause::OverlappingTargets),
            retry_timer: Some(60),
            scope: Some(scope),
        };
        assert_eq!(
            conflict(&information),
            "another request names the same addresses (203.0.113.7/32); the other one is in force"
        );
        assert_eq!(conflict(&ConflictInformation::default()), "a conflict");
    }

    #[test]
    fn an_end_is_told_for_each_server() {
        let report = |parts| RequestReport {
            id: agent::client::RequestId(3),
            is_outdone: false,
            parts,
            selection: agent::server_selection::Selection::default(),
        };
        let over = part(State::Ended(End::Expired), None);
        let going = part(State::Asking, None);
        assert_eq!(
            end(&report(vec![over.clone()])).as_deref(),
            Some("dots.fixed.example: expired")
        );
        assert_eq!(end(&report(vec![over, going])), None);
    }
}
