//! RFC 8323 §3.2: the message format over TCP and TLS.

use coap::{Code, Frame, FrameError, OptionNumber, Options, OptionsError, Token};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn frame(code: Code, token: &[u8], payload: Vec<u8>) -> Frame {
    Frame {
        code,
        token: Token::new(token).expect("eight bytes at most"),
        options: Options::new(),
        payload,
    }
}

/// RFC 8323, figures 5, 11 and 12.
#[test]
fn the_examples_of_the_rfc_read_as_it_says() {
    let cases: &[(&[u8], Frame)] = &[
        (b"\x01\x43\x7f", frame(Code::VALID, &[0x7f], Vec::new())),
        (b"\x01\xe2\x42", frame(Code::PING, &[0x42], Vec::new())),
        (b"\x01\xe3\x42", frame(Code::PONG, &[0x42], Vec::new())),
    ];
    for (bytes, frame) in cases {
        assert_eq!(Frame::decode(bytes, LIMIT), Ok(Some((frame.clone(), 3))));
        assert_eq!(frame.encode(), *bytes);
    }
}

/// The extended forms begin at 13, 269 and 65805 bytes of options, marker and payload.
#[test]
fn lengths_are_encoded_in_their_shortest_form() {
    let cases: &[(usize, &[u8])] = &[
        (12, &[0xc0]),
        (13, &[0xd0, 0]),
        (268, &[0xd0, 255]),
        (269, &[0xe0, 0, 0]),
        (65804, &[0xe0, 255, 255]),
        (65805, &[0xf0, 0, 0, 0, 0]),
        (65805 + 258, &[0xf0, 0, 0, 1, 2]),
    ];
    for (length, head) in cases {
        let frame = frame(Code::PUT, &[], vec![7; length - 1]);
        let bytes = frame.encode();
        assert_eq!(bytes.get(..head.len()), Some(*head));
        assert_eq!(bytes.len(), head.len() + 1 + length);
        let decoded = Frame::decode(&bytes, LIMIT);
        assert_eq!(decoded, Ok(Some((frame, bytes.len()))));
    }
}

#[test]
fn malformed_messages_are_refused_for_their_reason() {
    use FrameError as E;
    let cases: &[(&[u8], FrameError)] = &[
        (b"\x09", E::TokenLength(9)),
        (b"\x0f", E::TokenLength(15)),
        (b"\x00\x20", E::ReservedClass(Code::from_byte(0x20))),
        (b"\x00\x7f", E::ReservedClass(Code::from_byte(0x7f))),
        (b"\x00\xc0", E::ReservedClass(Code::from_byte(0xc0))),
        (b"\x10\x01\xff", E::Options(OptionsError::EmptyPayload)),
        (
            b"\x10\x01\xb1",
            E::Options(OptionsError::CutShort { at: 0 }),
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(Frame::decode(bytes, LIMIT), Err(*error), "{bytes:02x?}");
    }
}

/// The length is known before the message is there.
#[test]
fn a_message_beyond_the_limit_is_refused_by_its_header() {
    let too_long = |length, limit| Err(FrameError::TooLong { length, limit });
    assert_eq!(Frame::decode(b"\xd0\x57", 102), too_long(103, 102));
    assert_eq!(Frame::decode(b"\xd0\x57", 103), Ok(None));
    let length = 6 + 65805 + u32::MAX as usize;
    let largest = Frame::decode(b"\xf0\xff\xff\xff\xff", LIMIT);
    assert_eq!(largest, too_long(length, LIMIT));
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let code = any::<u8>()
        .prop_map(Code::from_byte)
        .prop_filter("not reserved", |code| !matches!(code.class(), 1 | 3 | 6));
    let options = vec((any::<u16>(), vec(any::<u8>(), 0..300)), 0..6);
    let token = vec(any::<u8>(), 0..=8);
    (code, token, options, vec(any::<u8>(), 0..64)).prop_map(|(code, token, pairs, payload)| {
        let mut frame = frame(code, &token, payload);
        for (number, value) in pairs {
            frame.options.push(OptionNumber(number), &value);
        }
        frame
    })
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_once_it_is_all_there(
        frame in any_frame(),
        next in vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = frame.encode();
        let length = bytes.len();
        for short in 0..length {
            prop_assert_eq!(Frame::decode(&bytes[..short], length), Ok(None));
        }
        bytes.extend(next);
        prop_assert_eq!(Frame::decode(&bytes, length), Ok(Some((frame, length))));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), limit in 0..300_usize) {
        if let Ok(Some((_, length))) = Frame::decode(&bytes, limit) {
            prop_assert!(length <= bytes.len() && length <= limit);
        }
    }
}
