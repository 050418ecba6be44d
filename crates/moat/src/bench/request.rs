//! The messages that the generator sends: the same to every server.

use std::net::{IpAddr, Ipv6Addr};

use coap::{Code, Message, MessageId, MessageType, OptionNumber, Options, Token};
use dots::heartbeat::Heartbeat;
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::path::Resource;
use dots::target::{Target, TargetPrefix};

/// The client identifier of RFC 9132's examples.
const CUID: &str = "dz6pHjaADkaFTbjr0JGBpw";
/// Seconds; longer than any measurement.
const LIFETIME: i64 = 86_400;
/// What a DTLS 1.2 record with AES-GCM adds to its plaintext: header, explicit nonce, tag.
const RECORD: usize = 13 + 8 + 16;

/// A request without Message ID and token.
#[derive(Debug, Clone)]
pub(super) struct Request {
    code: Code,
    options: Options,
    payload: Vec<u8>,
}

impl Request {
    /// RFC 9132 §4.7.
    pub(super) fn heartbeat() -> Self {
        let payload = Heartbeat {
            peer_hb_status: true,
        };
        Self::put(&Resource::Heartbeat, payload.encode())
    }

    /// RFC 9132 §4.4.2.
    pub(super) fn get_mitigation(mid: u32) -> Self {
        Request {
            code: Code::GET,
            options: path(&mitigation(mid)),
            payload: Vec::new(),
        }
    }

    /// Asks to protect one address, a different one for each mid (RFC 9132 §4.4.1).
    pub(super) fn put_mitigation(mid: u32, trigger_mitigation: bool) -> Self {
        let [a, b, c, d] = mid.to_be_bytes();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low));
        let target = Target {
            prefixes: TargetPrefix::try_from(address).into_iter().collect(),
            ..Target::default()
        };
        let lifetime = Lifetime::from_number(LIFETIME).unwrap_or(Lifetime::Indefinite);
        let body = MitigationRequest::new(target, lifetime, trigger_mitigation, None);
        // Documentation addresses make good targets, so that this is never empty.
        let body = body.map(|body| body.encode()).unwrap_or_default();
        Self::put(&mitigation(mid), body)
    }

    /// Has a server keep these bytes as the mitigation: for one that understands none.
    pub(super) fn put_bytes(mid: u32, payload: Vec<u8>) -> Self {
        Self::put(&mitigation(mid), payload)
    }

    fn put(resource: &Resource, payload: Vec<u8>) -> Self {
        let mut options = path(resource);
        options.push_uint(OptionNumber::CONTENT_FORMAT, dots::CONTENT_FORMAT.into());
        Request {
            code: Code::PUT,
            options,
            payload,
        }
    }

    /// The same in the clear but for its length, which is that of a protected one: for the UDP echo.
    pub(super) fn padded(mut self) -> Self {
        let length = self.payload.len() + RECORD;
        self.payload.resize(length, 0);
        self
    }

    /// The Non-confirmable message with this number.
    pub(super) fn message(&self, number: u32) -> Message {
        let [a, b, c, d] = number.to_be_bytes();
        Message {
            message_type: MessageType::NonConfirmable,
            code: self.code,
            message_id: MessageId(u16::from_be_bytes([c, d])),
            token: Token::new(&[a, b, c, d]).unwrap_or(Token::EMPTY),
            options: self.options.clone(),
            payload: self.payload.clone(),
        }
    }
}

fn mitigation(mid: u32) -> Resource {
    Resource::Mitigate {
        cdid: None,
        cuid: CUID.parse().ok(),
        mid: Some(Mid(mid)),
    }
}

fn path(resource: &Resource) -> Options {
    let mut options = Options::new();
    for segment in resource.segments() {
        options.push(OptionNumber::URI_PATH, segment.as_bytes());
    }
    options
}
