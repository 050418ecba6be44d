//! RFC 7252 §3: the message format.

use coap::{
    Code, DecodeError, HopLimitError, MAX_OPTIONS, Message, MessageId, MessageType, OptionNumber,
    Options, OptionsError, Token,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    Message::decode(bytes)
}

/// RFC 7252, appendix A, figure 16: the GET and its piggybacked 2.05.
#[test]
fn the_examples_of_the_rfc_read_as_it_says() {
    let request = decode(b"\x40\x01\x7d\x34\xbbtemperature").expect("the RFC's request");
    assert_eq!(request.message_type, MessageType::Confirmable);
    assert_eq!(request.code, Code::GET);
    assert_eq!(request.message_id, MessageId(0x7d34));
    assert_eq!(
        request.options.uri_path().collect::<Result<Vec<_>, _>>(),
        Ok(vec!["temperature"])
    );

    let response = decode(b"\x60\x45\x7d\x34\xff22.3 C").expect("the RFC's response");
    assert_eq!(response.message_type, MessageType::Acknowledgement);
    assert_eq!(response.code, Code::CONTENT);
    assert_eq!(response.payload, b"22.3 C");
    assert_eq!(response.encode(), b"\x60\x45\x7d\x34\xff22.3 C");
}

#[test]
fn malformed_messages_are_refused_for_their_reason() {
    use DecodeError as E;
    use OptionsError as O;
    let cases: &[(&[u8], DecodeError)] = &[
        (b"", E::TooShort { length: 0 }),
        (b"\x40\x01\x00", E::TooShort { length: 3 }),
        (b"\x00\x01\x00\x00", E::Version(0)),
        (b"\xc0\x01\x00\x00", E::Version(3)),
        (b"\x49\x01\x00\x00123456789", E::TokenLength(9)),
        (b"\x4f\x01\x00\x00123456789012345", E::TokenLength(15)),
        (b"\x44\x01\x00\x00abc", E::TokenCutShort),
        (b"\x40\x20\x00\x00", E::ReservedClass(Code::from_byte(0x20))),
        (b"\x40\x7f\x00\x00", E::ReservedClass(Code::from_byte(0x7f))),
        (b"\x40\xc0\x00\x00", E::ReservedClass(Code::from_byte(0xc0))),
        (b"\x40\xe1\x00\x00", E::ReservedClass(Code::from_byte(0xe1))),
        (b"\x41\x00\x00\x00a", E::EmptyWithContent),
        (b"\x60\x00\x00\x00\xff", E::EmptyWithContent),
        (b"\x40\x01\x00\x00\xff", E::Options(O::EmptyPayload)),
        (b"\x40\x01\x00\x00\xb1a\xff", E::Options(O::EmptyPayload)),
        (
            b"\x40\x01\x00\x00\xf0",
            E::Options(O::ReservedDelta { at: 0 }),
        ),
        (
            b"\x40\x01\x00\x00\xb1a\x0f",
            E::Options(O::ReservedLength { at: 2 }),
        ),
        (b"\x40\x01\x00\x00\xb2a", E::Options(O::CutShort { at: 0 })),
        (b"\x40\x01\x00\x00\xd0", E::Options(O::CutShort { at: 0 })),
        (
            b"\x40\x01\x00\x00\xe0\x00",
            E::Options(O::CutShort { at: 0 }),
        ),
        (b"\x40\x01\x00\x00\x0d", E::Options(O::CutShort { at: 0 })),
        (
            b"\x40\x01\x00\x00\xe0\xff\xff",
            E::Options(O::NumberOverflow { at: 0 }),
        ),
        (
            b"\x40\x01\x00\x00\xe0\xfe\xf2\x10",
            E::Options(O::NumberOverflow { at: 3 }),
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(decode(bytes), Err(*error), "{bytes:02x?}");
    }
}

#[test]
fn options_are_bounded() {
    let mut datagram = b"\x40\x01\x00\x00".to_vec();
    datagram.extend([0; MAX_OPTIONS]);
    assert_eq!(
        decode(&datagram)
            .expect("at the limit")
            .options
            .iter()
            .count(),
        MAX_OPTIONS
    );
    datagram.push(0);
    assert_eq!(
        decode(&datagram),
        Err(DecodeError::Options(OptionsError::TooMany))
    );
}

/// The extended forms begin at 13 and at 269.
#[test]
fn option_deltas_and_lengths_are_encoded_in_their_shortest_form() {
    let cases: &[(u16, usize, &[u8])] = &[
        (12, 12, &[0xcc]),
        (13, 13, &[0xdd, 0, 0]),
        (268, 268, &[0xdd, 255, 255]),
        (269, 269, &[0xee, 0, 0, 0, 0]),
        (65535, 1024, &[0xee, 0xfe, 0xf2, 0x02, 0xf3]),
    ];
    for (number, length, head) in cases {
        let mut message = Message::empty(MessageType::NonConfirmable, MessageId(0));
        message.code = Code::GET;
        message
            .options
            .push(OptionNumber(*number), &vec![7; *length]);
        let datagram = message.encode();
        assert_eq!(datagram.get(4..4 + head.len()), Some(*head));
        assert_eq!(decode(&datagram), Ok(message));
    }
}

#[test]
fn options_keep_their_order_within_a_number() {
    let mut options = Options::new();
    options.push(OptionNumber::URI_QUERY, b"q");
    options.push(OptionNumber::URI_PATH, b".well-known");
    options.push(OptionNumber::URI_PATH, b"dots");
    options.push(OptionNumber::IF_MATCH, b"");
    let numbers: Vec<u16> = options.iter().map(|(number, _)| number.0).collect();
    assert_eq!(numbers, [1, 11, 11, 15]);
    let path: Result<Vec<_>, _> = options.uri_path().collect();
    assert_eq!(path, Ok(vec![".well-known", "dots"]));
}

/// RFC 7252 §3.2 and §5.4.3.
#[test]
fn integers_are_short_when_sent_and_lenient_when_received() {
    let uint = |value: &[u8]| {
        let mut options = Options::new();
        options.push(OptionNumber::MAX_AGE, value);
        options.max_age()
    };
    assert_eq!(uint(&[]), Some(0));
    assert_eq!(uint(&[0, 0, 1, 0]), Some(256));
    assert_eq!(uint(&[255; 4]), Some(u32::MAX));
    assert_eq!(uint(&[0, 0, 0, 0, 1]), None, "longer than Max-Age may be");

    let mut options = Options::new();
    options.push_uint(OptionNumber::OBSERVE, 0);
    options.push_uint(OptionNumber::CONTENT_FORMAT, 271);
    assert_eq!(options.get_first(OptionNumber::OBSERVE), Some(&[][..]));
    assert_eq!(
        options.get_first(OptionNumber::CONTENT_FORMAT),
        Some(&[1, 15][..])
    );
    assert_eq!(options.content_format(), Some(271));
    assert_eq!(options.observe(), Some(0));
    assert_eq!(options.max_age(), None);
}

/// Covers: G-009. RFC 8768 §3.
#[test]
fn a_hop_limit_is_1_to_255_in_one_byte() {
    let hops = |value: &[u8]| {
        let mut options = Options::new();
        options.push(OptionNumber::HOP_LIMIT, value);
        options.hop_limit()
    };
    assert_eq!(Options::new().hop_limit(), None);
    assert_eq!(hops(&[1]), Some(Ok(1)));
    assert_eq!(hops(&[255]), Some(Ok(255)));
    assert_eq!(hops(&[]), Some(Err(HopLimitError::Zero)));
    assert_eq!(hops(&[0]), Some(Err(HopLimitError::Zero)));
    assert_eq!(hops(&[1, 0]), Some(Err(HopLimitError::TooLong(2))));
    assert_eq!(hops(&[0, 16]), Some(Err(HopLimitError::TooLong(2))));
}

#[test]
fn a_path_that_is_not_utf8_is_left_to_the_caller() {
    let mut options = Options::new();
    options.push(OptionNumber::URI_PATH, b"\xff\xfe");
    assert!(options.uri_path().any(|segment| segment.is_err()));
}

fn any_message() -> impl Strategy<Value = Message> {
    let message_type = prop_oneof![
        Just(MessageType::Confirmable),
        Just(MessageType::NonConfirmable),
        Just(MessageType::Acknowledgement),
        Just(MessageType::Reset),
    ];
    let code = any::<u8>()
        .prop_map(Code::from_byte)
        .prop_filter("not reserved", |code| {
            code.is_request() || code.is_response()
        });
    let options = vec((any::<u16>(), vec(any::<u8>(), 0..300)), 0..12);
    let rest = (vec(any::<u8>(), 0..=8), options, vec(any::<u8>(), 0..64));
    (message_type, code, any::<u16>(), rest).prop_map(
        |(message_type, code, id, (token, pairs, payload))| {
            let mut options = Options::new();
            for (number, value) in pairs {
                options.push(OptionNumber(number), &value);
            }
            let token = Token::new(&token).expect("eight bytes at most");
            Message {
                message_type,
                code,
                message_id: MessageId(id),
                token,
                options,
                payload,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(message in any_message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&bytes);
    }

    /// Arbitrary bytes hardly ever get past the header; these do.
    #[test]
    fn arbitrary_options_never_panic_and_survive_a_second_round(body in vec(any::<u8>(), 0..200)) {
        let mut datagram = b"\x40\x03\x00\x01".to_vec();
        datagram.extend(body);
        if let Ok(message) = Message::decode(&datagram) {
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn integers_come_back(value in any::<u32>()) {
        let mut options = Options::new();
        options.push_uint(OptionNumber::SIZE1, value);
        prop_assert_eq!(options.uint(OptionNumber::SIZE1), Some(value));
    }
}
