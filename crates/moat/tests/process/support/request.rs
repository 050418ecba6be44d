//! Requests as bytes, made without the code under test where it is short enough.

use coap::{Code, OptionNumber, Options};

/// The client identifier that RFC 9132 uses in its examples.
pub(crate) const CUID: &str = "dz6pHjaADkaFTbjr0JGBpw";

/// A request that has no Message ID and token yet.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Code,
    pub(crate) options: Options,
    pub(crate) payload: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(method: Code, path: &str) -> Self {
        let mut options = Options::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            options.push(OptionNumber::URI_PATH, segment.as_bytes());
        }
        Outgoing {
            method,
            options,
            payload: Vec::new(),
        }
    }

    pub(crate) fn with_body(mut self, content_format: u32, payload: &[u8]) -> Self {
        self.options
            .push_uint(OptionNumber::CONTENT_FORMAT, content_format);
        self.payload = payload.to_vec();
        self
    }

    pub(crate) fn with_option(mut self, number: OptionNumber, value: &[u8]) -> Self {
        self.options.push(number, value);
        self
    }
}

pub(crate) fn mitigate_path(cuid: &str, mid: u32) -> String {
    format!(".well-known/dots/mitigate/cuid={cuid}/mid={mid}")
}

pub(crate) fn put(cuid: &str, mid: u32, body: &[u8]) -> Outgoing {
    Outgoing::new(Code::PUT, &mitigate_path(cuid, mid)).with_body(271, body)
}

pub(crate) fn get(cuid: &str, mid: u32) -> Outgoing {
    Outgoing::new(Code::GET, &mitigate_path(cuid, mid))
}

pub(crate) fn delete(cuid: &str, mid: u32) -> Outgoing {
    Outgoing::new(Code::DELETE, &mitigate_path(cuid, mid))
}

/// `{1: {2: [{6: [prefix], 14: lifetime}]}}` with at most 23 characters and 65535 seconds.
pub(crate) fn body(prefix: &str, lifetime: u16) -> Vec<u8> {
    assert!(prefix.len() < 24, "{prefix} needs a longer head");
    let length = u8::try_from(prefix.len()).unwrap_or(0);
    let mut bytes = vec![
        0xa1,
        0x01,
        0xa1,
        0x02,
        0x81,
        0xa2,
        0x06,
        0x81,
        0x60 | length,
    ];
    bytes.extend_from_slice(prefix.as_bytes());
    bytes.extend_from_slice(&[0x0e, 0x19]);
    bytes.extend_from_slice(&lifetime.to_be_bytes());
    bytes
}

/// A request whose only scope is this CBOR map.
pub(crate) fn scope(map: &[u8]) -> Vec<u8> {
    [&[0xa1, 0x01, 0xa1, 0x02, 0x81], map].concat()
}
