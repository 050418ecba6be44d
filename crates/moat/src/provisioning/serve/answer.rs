//! What is answered to a request (RFC 8801 §4.1, §4.2; RFC 9110).
//!
//! ```text
//! 400  a body, or not exactly one Host
//! 421  another host than the one whose certificate this connection was begun with
//! 404  another path
//! 405  neither GET nor HEAD
//! 403  from outside the prefixes of the object: whoever asks is not in this PvD
//! 503  the object has expired
//! 406  it is not there in a form that is accepted
//! 304  the client has it already
//! 200
//! ```

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{Method, Response, StatusCode, Uri, Version};
use pvd::PvdId;

use super::accept::{self, Form};
use super::document::{Document, Representation};

/// Where the object is, at the host that its PvD is named after (RFC 8801 §4.1).
pub(super) const PATH: &str = "/.well-known/pvd";

/// Longest that a client may go on with its copy. It asks at most once in 10 s (RFC 8801 §4.1), and if it does so sooner
/// than the object expires, then because a new sequence number says that there is another.
const FRESH: Duration = Duration::from_secs(10);

/// A request, and what is known of the connection that it came on.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
    /// Whether anything follows the headers.
    pub(super) has_body: bool,
    /// The PvD whose certificate the connection was begun with.
    pub(super) pvd: &'a PvdId,
    /// Who asks.
    pub(super) from: IpAddr,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It gets the object.
    Served(Form),
    /// It comes from somebody who has the object.
    NotModified(Form),
    /// It gets nothing.
    Refused(Refusal),
}

/// Why nobody gets the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadRequest,
    Misdirected,
    NotFound,
    MethodNotAllowed,
    Forbidden,
    Expired,
    NotAcceptable,
}

/// Decides what becomes of a request for this document.
pub(super) fn judge(asked: &Asked<'_>, document: &Document, now: SystemTime) -> Verdict {
    let refused = refusal(asked, document, now);
    let form = accept::choose(asked.headers, document.signed.is_some());
    match (refused, form) {
        (Some(refusal), _) => Verdict::Refused(refusal),
        (None, None) => Verdict::Refused(Refusal::NotAcceptable),
        (None, Some(form)) => match document.in_form(form) {
            Some(found) if is_known(asked.headers, found) => Verdict::NotModified(form),
            _ => Verdict::Served(form),
        },
    }
}

fn refusal(asked: &Asked<'_>, document: &Document, now: SystemTime) -> Option<Refusal> {
    let host = match host(asked) {
        Some(host) if !asked.has_body => host,
        _ => return Some(Refusal::BadRequest),
    };
    if host.is_none_or(|host| host != *asked.pvd) {
        return Some(Refusal::Misdirected);
    }
    if asked.uri.path() != PATH {
        return Some(Refusal::NotFound);
    }
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return Some(Refusal::MethodNotAllowed);
    }
    if !document.is_for(asked.from) {
        return Some(Refusal::Forbidden);
    }
    (document.expires <= now).then_some(Refusal::Expired)
}

/// The host that is asked, if it can be one of ours; `None` where that is not said as it must be (RFC 9112 §3.2).
fn host(asked: &Asked<'_>) -> Option<Option<PvdId>> {
    let mut fields = asked.headers.get_all(HOST).into_iter();
    let written = match (fields.next(), fields.next()) {
        (Some(field), None) => Some(field.to_str().ok()?),
        (None, None) if asked.version < Version::HTTP_11 => None,
        _ => return None,
    };
    // The request line goes before the field.
    let authority = asked.uri.authority().map(|authority| authority.as_str());
    Some(match authority.or(written) {
        Some(text) => pvd_of(text),
        None => Some(asked.pvd.clone()),
    })
}

/// The PvD that an authority names, with or without a port.
fn pvd_of(authority: &str) -> Option<PvdId> {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    name.parse().ok()
}

/// Whether the client says that it has this already (RFC 9110 §13.1.2).
fn is_known(headers: &HeaderMap, found: &Representation) -> bool {
    let fields = headers.get_all(IF_NONE_MATCH).into_iter();
    let mut tags = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == "*" || tag == found.tag)
}

/// The answer that goes out. Of one to HEAD the library leaves the body away.
pub(super) fn response(
    verdict: Verdict,
    document: &Document,
    now: SystemTime,
) -> Response<Full<Bytes>> {
    let (status, form) = match verdict {
        Verdict::Served(form) => (StatusCode::OK, form),
        Verdict::NotModified(form) => (StatusCode::NOT_MODIFIED, form),
        Verdict::Refused(refusal) => return refusal.response(),
    };
    let Some(found) = document.in_form(form) else {
        return Refusal::NotAcceptable.response();
    };
    let left = document.expires.duration_since(now).unwrap_or_default();
    let fresh = left.min(FRESH).as_secs();
    let content = match status {
        StatusCode::OK => found.content.clone(),
        _ => Bytes::new(),
    };
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    // Whoever is not in the PvD gets another answer, so no cache may give this one to others.
    let caching = format!("private, max-age={fresh}");
    for (name, value) in [(ETAG, &found.tag), (CACHE_CONTROL, &caching)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if status == StatusCode::OK {
        let media_type = HeaderValue::from_static(form.media_type());
        headers.insert(CONTENT_TYPE, media_type);
    }
    response
}

/// The answer to a request for a PvD that is not served.
pub(super) fn misdirected() -> (Verdict, Response<Full<Bytes>>) {
    let refusal = Refusal::Misdirected;
    (Verdict::Refused(refusal), refusal.response())
}

impl Refusal {
    fn response(self) -> Response<Full<Bytes>> {
        let (status, sentence) = match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "a request has one Host and no content\n",
            ),
            Self::Misdirected => (
                StatusCode::MISDIRECTED_REQUEST,
                "this connection was begun with another host\n",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "here is nothing but /.well-known/pvd\n",
            ),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n"),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "your address is not in the prefixes of this PvD\n",
            ),
            Self::Expired => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the object has expired, and there is no newer one\n",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "it is not there in a form that you accept\n",
            ),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(sentence.as_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if self == Self::MethodNotAllowed {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if self == Self::NotAcceptable {
            headers.insert(VARY, HeaderValue::from_static("Accept"));
        }
        response
    }
}
