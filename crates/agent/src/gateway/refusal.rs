//! What a client is told of a request that nobody upstream takes. The words of a server are about what this gateway asked
//! for: other addresses where there is a NAT, and those of others where several clients are asked for together.

use coap::{Code, Response};
use dots::mitigation::{ConflictInformation, ConflictScope, Refusal};
use dots::target::{Target, TargetPrefix};

use super::Terms;
use super::member::Wanted;
use crate::client::PartReport;
use crate::content;

/// How many prefixes a `conflict-scope` names: a response is to fit the smallest datagram.
const CONFLICTING_PREFIXES: usize = 4;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) response: Response,
    pub(super) because: Because,
    /// Whether a server may yet take just this, as far as one can tell from what they said.
    pub(super) is_passing: bool,
    /// The path of a loop that this gateway is in.
    pub(super) own_loop: Option<String>,
}

/// What is refused: who asks for something else may be luckier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// The Hop-Limit was too small.
    HopLimit,
    /// What was asked for.
    Request,
    /// Whatever was asked for: this gateway, or the server could not.
    Server,
}

impl Because {
    fn of(code: Code) -> Self {
        let is_about_asking = matches!(
            code,
            Code::UNAUTHORIZED
                | Code::FORBIDDEN
                | Code::REQUEST_ENTITY_INCOMPLETE
                | Code::TOO_MANY_REQUESTS
        );
        match code {
            Code::HOP_LIMIT_REACHED => Self::HopLimit,
            _ if code.class() == 4 && !is_about_asking => Self::Request,
            _ => Self::Server,
        }
    }
}

/// The answer that says most of those of the servers, for a client that was asked for alone or together with others.
pub(super) fn refusal(
    terms: &Terms,
    parts: &[&PartReport],
    wanted: &Wanted,
    is_alone: bool,
) -> Refused {
    let told = parts.iter().min_by_key(|part| match part.state.refusal() {
        Some((Code::HOP_LIMIT_REACHED, _)) => 0,
        Some((Code::CONFLICT, _)) => 1,
        Some(_) => 2,
        None => 3,
    });
    let is_passing = parts.iter().any(|part| match part.state.refusal() {
        Some((code, _)) => code == Code::CONFLICT || Because::of(code) == Because::Server,
        None => true,
    });
    let plain = |response, because| Refused {
        response,
        because,
        is_passing,
        own_loop: None,
    };
    let Some((part, (code, diagnostic))) =
        told.and_then(|part| Some((part, part.state.refusal()?)))
    else {
        let response = later("the servers upstream have ended it");
        return plain(response, Because::Server);
    };
    match (code, &part.conflict) {
        (Code::HOP_LIMIT_REACHED, _) => match terms.relay.pass_back(diagnostic.as_bytes()) {
            Ok(response) => plain(response, Because::HopLimit),
            Err(own) => Refused {
                own_loop: Some(diagnostic.to_owned()),
                is_passing: false,
                ..plain(
                    content::diagnostic(Code::BAD_GATEWAY, &own.to_string()),
                    Because::Server,
                )
            },
        },
        (Code::CONFLICT, Some(conflict)) => {
            let refusal = Refusal {
                conflict: conflicting(terms, conflict, wanted),
            };
            let response = content::body(Code::CONFLICT, refusal.encode());
            plain(response, Because::Request)
        }
        // The client has proved who it is, here.
        (Code::UNAUTHORIZED | Code::FORBIDDEN, _) => {
            let text = format!("a server upstream does not take this gateway's word: {diagnostic}");
            let response = content::diagnostic(Code::BAD_GATEWAY, &text);
            plain(response, Because::Server)
        }
        _ => {
            let because = Because::of(code);
            let names_addresses = because == Because::Request;
            let text = match names_addresses && (wanted.is_translated() || !is_alone) {
                true => "a server upstream of this gateway refuses it",
                false => diagnostic,
            };
            plain(content::diagnostic(code, text), because)
        }
    }
}

/// The mids and lists of a conflict are this gateway's, and what others protect is theirs: a client
/// sees only what it asked for itself, as it knows it.
pub(super) fn conflicting(
    terms: &Terms,
    conflict: &ConflictInformation,
    wanted: &Wanted,
) -> ConflictInformation {
    let scope = conflict.scope.as_ref();
    let theirs = scope.into_iter().flat_map(|scope| &scope.target.prefixes);
    let theirs: Vec<&TargetPrefix> = theirs.collect();
    let common = wanted.inside.iter().flat_map(|own| {
        let seen = terms.translation.seen_of(own);
        let is_same = seen == [*own];
        let common = theirs.iter().filter_map(move |their| {
            let mut seen = seen.iter();
            match is_same && own.contains(their) {
                true => Some(**their),
                false => seen.any(|seen| seen.overlaps(their)).then_some(*own),
            }
        });
        common.collect::<Vec<_>>()
    });
    let mut prefixes: Vec<TargetPrefix> = common.collect();
    prefixes.dedup();
    prefixes.truncate(CONFLICTING_PREFIXES);
    let scope = (!prefixes.is_empty()).then(|| ConflictScope {
        target: Target {
            prefixes,
            ..Target::default()
        },
        ..ConflictScope::default()
    });
    ConflictInformation {
        scope,
        // It runs down; whoever tells the client fills it in.
        retry_timer: None,
        ..conflict.clone()
    }
}

/// Whether a conflict is about addresses, and none of them is one that a member of a group wants.
pub(super) fn is_about_others(conflict: &ConflictInformation, wanted: &Wanted) -> bool {
    let scope = conflict.scope.as_ref().map(|scope| &scope.target.prefixes);
    scope.is_some_and(|prefixes| {
        let mut own = wanted.target.prefixes.iter();
        !prefixes.is_empty() && !own.any(|own| prefixes.iter().any(|it| it.overlaps(own)))
    })
}

/// 5.03 with the time after which to ask again.
pub(super) fn later(reason: &str) -> Response {
    content::unavailable(reason, content::RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::member::Kind;
    use crate::relay::Relay;

    /// Four conflicts with one prefix hide no other.
    #[test]
    fn each_own_prefix_in_conflict_is_named_once() {
        let prefixes = |texts: &[&str]| -> Vec<TargetPrefix> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let rule = |inside: &str, outside: &str| {
            super::super::Rule::new(inside.parse().unwrap(), outside.parse().unwrap()).unwrap()
        };
        let translation = [rule("10.0.0.0/24", "203.0.113.0/24")];
        let terms = Terms {
            relay: Relay::new("g1".parse().unwrap()),
            says_domain: false,
            translation: translation.into_iter().collect(),
        };
        let inside = prefixes(&["10.0.0.0/28", "10.0.0.64/28"]);
        let wanted = Wanted {
            kind: Kind {
                trigger_mitigation: true,
                customer: None,
            },
            target: Target::default(),
            inside: inside.clone(),
            cdid: None,
            hop_limit: crate::relay::DEFAULT_HOP_LIMIT,
            until: None,
        };
        let theirs = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"];
        let theirs = [&theirs[..], &["203.0.113.64/28"]].concat();
        let scope = ConflictScope {
            target: Target {
                prefixes: prefixes(&theirs),
                ..Target::default()
            },
            ..ConflictScope::default()
        };
        let conflict = ConflictInformation {
            scope: Some(scope),
            ..ConflictInformation::default()
        };
        let seen = conflicting(&terms, &conflict, &wanted);
        assert_eq!(seen.scope.unwrap().target.prefixes, inside);
    }
}
