//! RFC 7252 §4.2, §4.3, §5.4: what is rejected, and how.

use coap::{
    Code, Delivery, Event, FailureCause, Limits, Message, MessageId, OptionNumber,
    TransmissionParameters,
};

use crate::rig::*;

/// RFC 7252 §4.3: "CoAP ping".
#[test]
fn a_ping_is_answered_with_a_reset() {
    let mut bench = Bench::new();
    bench.receive(&Message::empty(CON, MessageId(7)));
    assert_eq!(bench.sent(), Message::empty(RST, MessageId(7)));
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().pings, 1);
}

#[test]
fn other_empty_messages_that_match_nothing_are_ignored() {
    for message_type in [NON, ACK, RST] {
        let mut bench = Bench::new();
        bench.receive(&Message::empty(message_type, MessageId(7)));
        bench.assert_silent();
        let counters = *bench.endpoint.counters();
        let counted =
            counters.malformed + counters.unmatched_acknowledgements + counters.resets_received;
        assert_eq!(counted, 1, "{message_type:?}");
    }
}

/// RFC 7252 §4.2: only Confirmable messages are rejected with a Reset, never Acknowledgements and
/// Resets; a message of another version is ignored in silence (§3).
#[test]
fn a_malformed_message_is_rejected_if_it_is_confirmable_and_counted_always() {
    let cases: &[(&[u8], bool)] = &[
        (b"", false),
        (b"\x40\x01\x00", false),
        (b"\x00\x01\x00\x07", false),
        (b"\x40\x01\x00\x07\xff", true),
        (b"\x50\x01\x00\x07\xff", false),
        (b"\x60\x45\x00\x07\xff", false),
        (b"\x70\x00\x00\x07\xff", false),
        (b"\x40\x20\x00\x07", true),
        (b"\x50\xe1\x00\x07", false),
        (b"\x49\x01\x00\x07123456789", true),
        (b"\x41\x00\x00\x07a", true),
    ];
    for (datagram, rejected) in cases {
        let mut bench = Bench::new();
        bench.endpoint.handle_datagram(bench.now, datagram);
        let expected = rejected
            .then(|| Message::empty(RST, MessageId(7)))
            .into_iter()
            .collect::<Vec<_>>();
        assert_eq!(bench.all_sent(), expected, "{datagram:02x?}");
        assert_eq!(bench.events(), []);
        assert_eq!(bench.endpoint.counters().malformed, 1);
    }
}

/// RFC 7252 §4.2, table 1.
#[test]
fn a_request_in_an_acknowledgement_and_a_reset_with_content_are_ignored() {
    let mut bench = Bench::new();
    bench.receive(&request_message(ACK, 7, token(1)));
    bench.receive(&request_message(RST, 7, token(1)));
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.receive(&response_message(
        RST,
        request.message_id,
        token,
        response(Code::CREATED),
    ));
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().malformed, 3);
}

/// RFC 7252 §5.4.1. A deployed client starts with such a request and waits for the 4.02.
#[test]
fn an_unknown_critical_option_in_a_confirmable_request_gets_a_bad_option_that_names_it() {
    let mut bench = Bench::new();
    let mut request = request_message(CON, 7, token(1));
    request.options.push(OptionNumber::Q_BLOCK2, &[0x80]);
    bench.receive(&request);
    let reply = bench.sent();
    assert_eq!((reply.message_type, reply.code), (ACK, Code::BAD_OPTION));
    assert_eq!((reply.message_id, reply.token), (MessageId(7), token(1)));
    assert!(String::from_utf8_lossy(&reply.payload).contains("31"));
    bench.receive(&request);
    assert_eq!(bench.sent(), reply);
    assert_eq!(bench.events(), []);
    assert_eq!(bench.endpoint.counters().unknown_critical_option, 1);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn an_unknown_critical_option_in_a_nonconfirmable_request_gets_a_reset() {
    let mut bench = Bench::new();
    let mut request = request_message(NON, 7, token(1));
    request.options.push(OptionNumber(65535), &[]);
    bench.receive(&request);
    assert_eq!(bench.sent(), Message::empty(RST, MessageId(7)));
    assert_eq!(bench.events(), []);
    assert_eq!(bench.endpoint.counters().unknown_critical_option, 1);
}

/// RFC 7252 §5.4.3, §5.4.5: a wrong length, or once too often, is as good as unknown.
#[test]
fn a_critical_option_outside_its_definition_counts_as_unknown() {
    let cases: &[(OptionNumber, &[&[u8]])] = &[
        (OptionNumber::URI_PATH, &[&[b'a'; 256]]),
        (OptionNumber::IF_MATCH, &[&[0; 9]]),
        (OptionNumber::URI_HOST, &[b""]),
        (OptionNumber::URI_PORT, &[b"a", b"b"]),
    ];
    for (number, values) in cases {
        let mut bench = Bench::new();
        let mut request = request_message(CON, 7, token(1));
        for value in *values {
            request.options.push(*number, value);
        }
        bench.receive(&request);
        assert_eq!(bench.sent().code, Code::BAD_OPTION, "{number:?}");
    }
}

#[test]
fn an_unknown_elective_option_is_ignored() {
    let mut bench = Bench::new();
    let mut request = request_message(CON, 7, token(1));
    request.options.push(OptionNumber(65534), b"?");
    request.options.push(OptionNumber::SIZE1, &[0; 9]);
    bench.receive_request(&request);
}

#[test]
fn the_application_says_which_critical_options_it_understands() {
    let limits = Limits {
        recognised_critical: &[OptionNumber::URI_PATH, OptionNumber::BLOCK1],
        ..Limits::default()
    };
    let mut bench = Bench::with(TransmissionParameters::default(), limits);
    let mut request = request_message(CON, 7, token(1));
    request.options.push(OptionNumber::BLOCK1, &[6]);
    bench.receive_request(&request);
}

/// RFC 7252 §5.4.1. The request fails: the server would answer every copy so.
#[test]
fn an_unknown_critical_option_in_a_response_rejects_it_and_fails_the_request() {
    for message_type in [CON, NON, ACK] {
        let mut bench = Bench::new();
        let (token, request) = bench.send(put(Delivery::Confirmable));
        let mut body = response(Code::CREATED);
        body.options.push(OptionNumber(65535), &[]);
        let message = response_message(message_type, request.message_id, token, body);
        bench.receive(&message);
        let reset = Message::empty(RST, request.message_id);
        let expected = if message_type == ACK {
            Vec::new()
        } else {
            vec![reset]
        };
        assert_eq!(bench.all_sent(), expected, "{message_type:?}");
        let cause = FailureCause::CriticalOption(OptionNumber(65535));
        assert_eq!(bench.events(), [Event::Failed { token, cause }]);
    }
}

/// Deployed servers echo the Uri-Path of the request in the response.
#[test]
fn addressing_options_in_a_response_are_tolerated() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::NonRepeated));
    let mut body = response(Code::CREATED);
    body.options.push(OptionNumber::URI_PATH, b"mitigate");
    bench.receive(&response_message(NON, request.message_id, token, body));
    assert_eq!(bench.events().len(), 1);
}

/// RFC 7641 §3.5, §3.6 let a Reset tell the server that nobody listens.
#[test]
fn a_response_with_an_unknown_token_gets_a_reset() {
    for message_type in [CON, NON] {
        let mut bench = Bench::new();
        let message = response_message(
            message_type,
            MessageId(7),
            token(9),
            response(Code::CONTENT),
        );
        bench.receive(&message);
        assert_eq!(bench.sent(), Message::empty(RST, MessageId(7)));
        assert_eq!(bench.events(), []);
        assert_eq!(bench.endpoint.counters().unmatched_responses, 1);
    }
}
