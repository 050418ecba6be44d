//! The CoAP messages of a client and what their answers mean (RFC 9132 §4.4).

use std::time::Duration;

use coap::{Code, Delivery, OptionNumber, Options, Request, Response};
use dots::identifiers::{Cuid, Mid};
use dots::mitigation::{ConflictCause, ConflictInformation, Granted, MitigationReport, Refusal};
use dots::path::Resource;

use super::part::{Part, Want};
use crate::content;
use crate::time::Now;

/// How long to wait before asking again when the server does not say (RFC 7252 §5.10.5).
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);
/// The shortest pause before a server is asked the same again (RFC 9132 §4.4).
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_secs(3);
/// Longest diagnostic of a peer that is kept, in characters.
const LONGEST_DIAGNOSTIC: usize = 200;

/// What an answer to a PUT means.
#[derive(Debug)]
pub(super) enum PutAnswer {
    Granted(Granted),
    CuidCollision,
    Refused { code: Code, diagnostic: String },
    Later(Duration),
}

/// The message that says what a part wants.
pub(super) fn request(now: Now, cuid: &Cuid, part: &Part, want: Want) -> Option<Request> {
    let mut options = Options::default();
    content::push_path(&mut options, &resource(cuid, part.mid));
    let (method, payload) = match want {
        Want::Put => {
            content::push_format(&mut options);
            (Code::PUT, part.body(now)?.encode())
        }
        Want::Observe => {
            options.push_uint(OptionNumber::OBSERVE, 0);
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

fn resource(cuid: &Cuid, mid: Mid) -> Resource {
    Resource::Mitigate {
        cdid: None,
        cuid: Some(cuid.clone()),
        mid: Some(mid),
    }
}

/// RFC 9132 §4.4.1.3.
pub(super) fn put_answer(response: &Response) -> PutAnswer {
    match response.code {
        Code::CREATED | Code::CHANGED => match Granted::decode(&response.payload) {
            Ok(granted) => PutAnswer::Granted(granted),
            // It is accepted, but for how long cannot be read: ask again soon.
            Err(_) => PutAnswer::Later(SHORTEST_PAUSE),
        },
        Code::CONFLICT => {
            match Refusal::decode(&response.payload).map(|refusal| refusal.conflict) {
                Ok(conflict) if conflict.cause == Some(ConflictCause::CuidCollision) => {
                    PutAnswer::CuidCollision
                }
                Ok(conflict) => PutAnswer::Refused {
                    code: Code::CONFLICT,
                    diagnostic: describe(&conflict),
                },
                Err(_) => refused(response),
            }
        }
        Code::SERVICE_UNAVAILABLE => PutAnswer::Later(max_age(response)),
        _ => refused(response),
    }
}

/// The report in a 2.05, or `None` where there is nothing any more.
pub(super) fn report(response: &Response) -> Option<MitigationReport> {
    (response.code == Code::CONTENT)
        .then(|| MitigationReport::decode(&response.payload).ok())
        .flatten()
}

/// How long a 5.03 asks to wait; never less than the pause that protects the server.
pub(super) fn max_age(response: &Response) -> Duration {
    response
        .options
        .max_age()
        .map_or(DEFAULT_MAX_AGE, |seconds| {
            Duration::from_secs(seconds.into())
        })
        .max(SHORTEST_PAUSE)
}

fn refused(response: &Response) -> PutAnswer {
    PutAnswer::Refused {
        code: response.code,
        diagnostic: diagnostic(response),
    }
}

/// The sentence of an error response, made fit to be shown.
pub(super) fn diagnostic(response: &Response) -> String {
    String::from_utf8_lossy(&response.payload)
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_DIAGNOSTIC)
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
    let retry = conflict
        .retry_timer
        .map(|seconds| format!("; it may be tried again in {seconds} s"))
        .unwrap_or_default();
    format!("{cause}{with}{retry}")
}
