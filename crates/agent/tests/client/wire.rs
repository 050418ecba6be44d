//! Messages as datagrams, and as frames of a stream (RFC 8323 §3.2).

use coap::{Code, Frame, Message, MessageId, MessageType, Options, Token};

use crate::world::DATA;

/// What marks an address as one of a TCP connection.
pub(crate) const TCP: &str = "tcp ";
/// Longest frame.
const LIMIT: usize = 64 * 1024;
/// The class of signaling codes.
const SIGNALING: u8 = 7;
/// 7.01
const CSM: u8 = 0xe1;

/// A message of the client; `None` for the signaling of a stream.
pub(crate) fn decode(remote: &str, octets: &[u8]) -> Option<Message> {
    if !remote.starts_with(TCP) {
        return Some(Message::decode(octets).unwrap());
    }
    let (frame, length) = Frame::decode(octets, LIMIT).unwrap().unwrap();
    assert_eq!(length, octets.len());
    (frame.code.class() != SIGNALING).then_some(Message {
        message_type: MessageType::NonConfirmable,
        code: frame.code,
        message_id: MessageId(0),
        token: frame.token,
        options: frame.options,
        payload: frame.payload,
    })
}

/// A message of the server.
pub(crate) fn encode(remote: &str, message: &Message) -> Vec<u8> {
    if !remote.starts_with(TCP) {
        return message.encode();
    }
    let Message {
        code,
        token,
        options,
        payload,
        ..
    } = message.clone();
    let frame = Frame {
        code,
        token,
        options,
        payload,
    };
    frame.encode()
}

/// The first message of a server over a stream (RFC 8323 §5.3).
pub(crate) fn capabilities() -> Vec<u8> {
    let frame = Frame {
        code: Code::from_byte(CSM),
        token: Token::EMPTY,
        options: Options::new(),
        payload: Vec::new(),
    };
    [&[DATA][..], &frame.encode()].concat()
}
