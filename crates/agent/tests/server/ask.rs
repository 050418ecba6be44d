//! Requests to a server, as clients make them.

use coap::{Code, OptionNumber, Options};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::target::Target;

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(super) method: Code,
    pub(super) options: Options,
    pub(super) payload: Vec<u8>,
    pub(super) token: Option<u32>,
}

impl Ask {
    /// `path` is what follows `/.well-known/dots/`.
    pub(crate) fn new(method: Code, path: &str) -> Self {
        Self::at(method, &format!(".well-known/dots/{path}"))
    }

    pub(crate) fn at(method: Code, path: &str) -> Self {
        let mut options = Options::new();
        for segment in path.split('/') {
            options.push(OptionNumber::URI_PATH, segment.as_bytes());
        }
        Self {
            method,
            options,
            payload: Vec::new(),
            token: None,
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(Code::GET, path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Code::DELETE, path)
    }

    pub(crate) fn put(path: &str, body: Vec<u8>) -> Self {
        Self::new(Code::PUT, path)
            .uint(OptionNumber::CONTENT_FORMAT, 271)
            .body(body)
    }

    /// A PUT of client `one` for these prefixes and seconds.
    pub(crate) fn mitigate(mid: u32, prefixes: &[&str], lifetime: u32) -> Self {
        Self::put(
            &format!("mitigate/cuid=one/mid={mid}"),
            body(prefixes, lifetime),
        )
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.payload = body;
        self
    }

    pub(crate) fn uint(mut self, option: OptionNumber, value: u32) -> Self {
        self.options.push_uint(option, value);
        self
    }

    pub(crate) fn option(mut self, option: OptionNumber, value: &[u8]) -> Self {
        self.options.push(option, value);
        self
    }

    pub(crate) fn observe(self, value: u32) -> Self {
        self.uint(OptionNumber::OBSERVE, value)
    }

    pub(crate) fn if_match(mut self) -> Self {
        self.options.push(OptionNumber::IF_MATCH, &[]);
        self
    }

    pub(crate) fn token(mut self, token: u32) -> Self {
        self.token = Some(token);
        self
    }
}

/// A mitigation request to be started at once.
pub(crate) fn body(prefixes: &[&str], lifetime: u32) -> Vec<u8> {
    request(prefixes, lifetime, true).encode()
}

/// A mitigation request to be started when the session is lost.
pub(crate) fn parked_body(prefixes: &[&str], lifetime: u32) -> Vec<u8> {
    request(prefixes, lifetime, false).encode()
}

pub(crate) fn target(prefixes: &[&str]) -> Target {
    Target {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        ..Target::default()
    }
}

fn request(prefixes: &[&str], lifetime: u32, immediate: bool) -> MitigationRequest {
    let lifetime = Lifetime::from_number(lifetime.into()).unwrap();
    MitigationRequest::new(target(prefixes), lifetime, immediate, None).unwrap()
}
