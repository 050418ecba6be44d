//! The CoAP messages of a client and what their answers mean (RFC 9132 §4.4).

use std::time::Duration;

use coap::{Code, Delivery, OptionNumber, Options, Request, Response};
use dots::identifiers::{Cuid, is_showable};
use dots::mitigation::{ConflictCause, ConflictInformation, Granted, MitigationReport, Refusal};
use dots::path::Resource;
use dots::query::Content;

use super::part::{Part, Want};
use super::state::Pause;
use crate::content;
use crate::time::Now;

/// How long to wait before asking again when the server does not say (RFC 7252 §5.10.5).
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
/// The longest that a server can put a request off: what is longer leaves a network unprotected at
/// the word of a server that may be out of its mind.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The shortest pause before a server is asked the same again (RFC 9132 §4.4).
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(3);
/// Refusals in a row after which the pause grows no more.
const LONGEST_DOUBLING: u32 = 7;
/// The class of the response codes 5.xx.
const SERVER_ERROR: u8 = 5;
/// Longest diagnostic of a peer that is kept, in characters.
const LONGEST_DIAGNOSTIC: usize = 200;
/// The same of a 5.08, which is as long as a datagram may be: a loop is found in a whole path alone (RFC 8768 §4).
const LONGEST_PATH: usize = 1152;

/// What an answer to a PUT means.
#[derive(Debug)]
pub(super) enum PutAnswer {
    Granted(Granted),
    CuidCollision,
    /// Not to be asked for again before `retry` is over.
    Deactivated {
        retry: Duration,
        conflict: ConflictInformation,
    },
    Refused(Refused),
    Later(Duration, Pause),
}

/// What a server says that does not take a request.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: Code,
    pub(super) diagnostic: String,
    pub(super) conflict: Option<ConflictInformation>,
    /// Whether no repetition of a request that was never granted can mend it.
    pub(super) is_final: bool,
    /// How long it asks to wait.
    pub(super) wait: Duration,
}

/// How a status is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Only what changes (RFC 9132 §4.4.2).
    pub(super) filters_content: bool,
    /// And told again at each change (RFC 9132 §4.4.2.1).
    pub(super) observes: bool,
}

/// The message that says what a part wants.
pub(super) fn request(
    now: Now,
    cuid: &Cuid,
    part: &Part,
    (want, look): (Want, Look),
) -> Option<Request> {
    let mut options = Options::default();
    let cuid = part.cuid.as_ref().unwrap_or(cuid);
    content::push_path(&mut options, &resource(cuid, part));
    let (method, payload) = match want {
        Want::Put => {
            content::push_format(&mut options);
            if let Some(hops) = part.wish.relayed.hop_limit {
                options.push_uint(OptionNumber::HOP_LIMIT, hops.get().into());
            }
            (Code::PUT, part.request(now, None).ok()?.encode())
        }
        Want::Update(status) => {
            content::push_format(&mut options);
            // An empty value: only if there is such a request (RFC 9132 §4.4.3).
            options.push(OptionNumber::IF_MATCH, &[]);
            (Code::PUT, part.request(now, Some(status)).ok()?.encode())
        }
        Want::Observe => {
            if look.observes {
                options.push_uint(OptionNumber::OBSERVE, 0);
            }
            if look.filters_content {
                let query = Content::NonConfig.query();
                options.push(OptionNumber::URI_QUERY, query.as_bytes());
            }
            (Code::GET, Vec::new())
        }
        Want::Delete => (Code::DELETE, Vec::new()),
    };
    Some(Request {
        method,
        options,
        payload,
        // Mitigation messages are Non-confirmable and repeated until answered (RFC 9132 §4.4).
        delivery: Delivery::NonRepeated,
    })
}

fn resource(cuid: &Cuid, part: &Part) -> Resource {
    Resource::Mitigate {
        cdid: part.wish.relayed.cdid.clone(),
        cuid: Some(cuid.clone()),
        mid: Some(part.mid),
    }
}

/// RFC 9132 §4.4.1.3.
pub(super) fn put_answer(response: &Response) -> PutAnswer {
    match response.code {
        Code::CREATED | Code::CHANGED => match Granted::decode(&response.payload) {
            Ok(granted) => PutAnswer::Granted(granted),
            // It is accepted, but for how long cannot be read: ask again soon.
            Err(_) => PutAnswer::Later(SHORTEST_PAUSE, Pause::Unreadable),
        },
        Code::CONFLICT => match Refusal::decode(&response.payload) {
            Ok(refusal) => conflict_answer(refusal.conflict),
            Err(_) => refused(response),
        },
        Code::SERVICE_UNAVAILABLE => PutAnswer::Later(max_age(response), Pause::Busy),
        _ => refused(response),
    }
}

/// Why a withdrawal that was not accepted is asked for again later.
pub(super) fn pause_after(response: &Response) -> Pause {
    match response.code {
        Code::SERVICE_UNAVAILABLE => Pause::Busy,
        code => Pause::Refused {
            code,
            diagnostic: diagnostic(response),
        },
    }
}

fn conflict_answer(conflict: ConflictInformation) -> PutAnswer {
    match (conflict.cause, conflict.retry_timer) {
        (Some(ConflictCause::CuidCollision), _) => PutAnswer::CuidCollision,
        (_, Some(seconds)) => PutAnswer::Deactivated {
            retry: Duration::from_secs(seconds.into()),
            conflict,
        },
        // What it is in conflict with comes to its end.
        (_, None) => PutAnswer::Refused(Refused {
            code: Code::CONFLICT,
            diagnostic: describe(&conflict),
            conflict: Some(conflict),
            is_final: false,
            wait: Duration::ZERO,
        }),
    }
}

/// The report in a 2.05, or `None` where there is nothing any more.
pub(super) fn report(response: &Response) -> Option<MitigationReport> {
    (response.code == Code::CONTENT)
        .then(|| MitigationReport::decode(&response.payload).ok())
        .flatten()
}

/// The pause after so many refusals in a row: twice as long as after the one before.
pub(super) fn pause_after_refusals(before: u32) -> Duration {
    let doubled = SHORTEST_PAUSE * (1 << before.min(LONGEST_DOUBLING));
    doubled.min(LONGEST_PAUSE)
}

/// How long a 5.03 asks to wait; never less than the pause that protects the server, nor
/// more than [`LONGEST_PAUSE`].
pub(super) fn max_age(response: &Response) -> Duration {
    response
        .options
        .max_age()
        .map_or(DEFAULT_MAX_AGE, |seconds| {
            Duration::from_secs(seconds.into())
        })
        .clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}

fn refused(response: &Response) -> PutAnswer {
    let is_told = response.options.max_age().is_some();
    let wait = is_told || response.code == Code::TOO_MANY_REQUESTS;
    PutAnswer::Refused(Refused {
        code: response.code,
        diagnostic: diagnostic(response),
        conflict: None,
        is_final: is_final(response.code),
        wait: if wait {
            max_age(response)
        } else {
            Duration::ZERO
        },
    })
}

/// Whether an error says that the request itself is wrong, or not the client's to make. Who may ask,
/// what else is protected and how the server fares (4.01, 4.09, 4.29, 5.xx) changes.
fn is_final(code: Code) -> bool {
    match code {
        Code::UNAUTHORIZED
        | Code::CONFLICT
        | Code::REQUEST_ENTITY_INCOMPLETE
        | Code::TOO_MANY_REQUESTS => false,
        Code::NOT_IMPLEMENTED | Code::HOP_LIMIT_REACHED => true,
        other => other.class() != SERVER_ERROR,
    }
}

/// The sentence of an error response, made fit to be shown.
pub(super) fn diagnostic(response: &Response) -> String {
    let longest = match response.code {
        Code::HOP_LIMIT_REACHED => LONGEST_PATH,
        _ => LONGEST_DIAGNOSTIC,
    };
    String::from_utf8_lossy(&response.payload)
        .chars()
        .filter(|character| is_showable(*character))
        .take(longest)
        .collect()
}

fn describe(conflict: &ConflictInformation) -> String {
    let cause = match conflict.cause {
        Some(ConflictCause::OverlappingTargets) => "it overlaps with another request",
        Some(ConflictCause::ConflictWithAcceptlist) => "it conflicts with an accept-list",
        _ => "it conflicts with another request",
    };
    let with = conflict
        .scope
        .as_ref()
        .and_then(|scope| scope.mid)
        .map(|mid| format!(" (mid {mid})"))
        .unwrap_or_default();
    format!("{cause}{with}")
}
