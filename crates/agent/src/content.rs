//! How DOTS messages sit in CoAP: paths, content format, diagnostic payloads (RFC 9132 §3).

use coap::{Code, OptionNumber, Options, Request, Response};
use dots::path::Resource;

/// Longest diagnostic payload sent; enough for a sentence, and no help to an amplifier.
const LONGEST_DIAGNOSTIC: usize = 400;

/// Appends the Uri-Path of `resource` in the order that RFC 9132 §4.4.1.1 demands.
pub(crate) fn push_path(options: &mut Options, resource: &Resource) {
    for segment in resource.segments() {
        options.push(OptionNumber::URI_PATH, segment.as_bytes());
    }
}

/// Labels a body as `application/dots+cbor`.
pub(crate) fn push_format(options: &mut Options) {
    options.push_uint(OptionNumber::CONTENT_FORMAT, dots::CONTENT_FORMAT.into());
}

/// Refuses a body labelled as anything but `application/dots+cbor` (RFC 9132 §9: 4.15). A body
/// without a label is taken as one: nothing else is ever exchanged here.
pub(crate) fn check_format(request: &Request) -> Result<(), Response> {
    match request.options.content_format() {
        None => Ok(()),
        Some(format) if format == dots::CONTENT_FORMAT => Ok(()),
        Some(other) => Err(diagnostic(
            Code::UNSUPPORTED_CONTENT_FORMAT,
            &format!(
                "Content-Format {other} is not understood; use {}",
                dots::CONTENT_FORMAT
            ),
        )),
    }
}

/// A response without a body.
pub(crate) fn empty(code: Code) -> Response {
    Response {
        code,
        options: Options::default(),
        payload: Vec::new(),
    }
}

/// A response with a DOTS body.
pub(crate) fn body(code: Code, payload: Vec<u8>) -> Response {
    let mut options = Options::default();
    push_format(&mut options);
    Response {
        code,
        options,
        payload,
    }
}

/// After how many seconds to ask again for what only time or others can change.
pub(crate) const RETRY: u32 = 30;

/// 5.03 with the time after which to ask again, in seconds (RFC 7252 §5.9.3.4).
pub(crate) fn unavailable(reason: &str, seconds: u32) -> Response {
    let mut response = diagnostic(Code::SERVICE_UNAVAILABLE, reason);
    response.options.push_uint(OptionNumber::MAX_AGE, seconds);
    response
}

/// An error with a sentence for the person at the other end (RFC 7252 §5.5.2).
pub(crate) fn diagnostic(code: Code, text: &str) -> Response {
    let end = text.floor_char_boundary(LONGEST_DIAGNOSTIC);
    Response {
        code,
        options: Options::default(),
        payload: text.get(..end).unwrap_or(text).as_bytes().to_vec(),
    }
}
