//! RFC 8323 §5: what the ends of a connection tell each other, and how it ends.

use coap::{
    Code, Delivery, EndCause, Endpoint, Event, Frame, FrameError, Limits, OptionNumber, Request,
    SendError, StreamError, TransmissionParameters,
};

use crate::rig::{block, body, get, put, response, token};
use crate::stream_rig::*;

/// Covers: S-004. RFC 8323 §3.3, §5.3. A larger size would offer BERT.
#[test]
fn the_first_message_is_a_csm_with_size_and_block_wise_transfer() {
    let mut endpoint =
        Endpoint::over_stream(TransmissionParameters::default(), Limits::default(), 1);
    let csm = endpoint.poll_transmit().expect("a CSM");
    assert_eq!(csm, b"\x40\xe1\x22\x04\x80\x20");
    assert_eq!(endpoint.poll_transmit(), None);
}

/// Covers: S-004. RFC 8323 §3.3.
#[test]
fn anything_before_the_csm_of_the_peer_aborts() {
    for code in [Code::GET, Code::CONTENT, Code::PING] {
        let mut bench = Bench::fresh(Limits::default());
        bench.receive(&signal(code, &[]));
        bench.assert_aborted(StreamError::NoCsm(code));
    }
    let mut bench = Bench::fresh(Limits::default());
    bench.receive(&signal(Code::EMPTY, &[]));
    bench.receive(&signal(Code::CSM, &[]));
    bench.assert_silent();
}

/// RFC 8323 §5.4, figures 11 and 12.
#[test]
fn a_ping_gets_a_pong_with_its_token() {
    let mut bench = Bench::new();
    bench.endpoint.handle_datagram(bench.now, b"\x01\xe2\x42");
    let pong = bench.endpoint.poll_transmit();
    assert_eq!(pong.as_deref(), Some(&b"\x01\xe3\x42"[..]));
    // An Empty message, a Pong that was not asked for, a code of the future, elective options.
    for code in [Code::EMPTY, Code::PONG, Code::from_byte(0xff)] {
        bench.receive(&signal(code, &[(OptionNumber(2), 0)]));
    }
    bench.assert_silent();
}

/// RFC 8323 §5.3: capabilities are cumulative.
#[test]
fn what_a_csm_does_not_mention_stays() {
    let mut bench = Bench::with(Limits::default(), &[(SIZE, 110), (BLOCKS, 0)]);
    bench.receive(&signal(Code::CSM, &[]));
    let large = Request {
        payload: body(150),
        ..put(Delivery::Confirmable)
    };
    let (_, first) = bench.send(large.clone());
    let sent = first.options.uint(OptionNumber::BLOCK1);
    assert_eq!(sent, Some(block(0, true, 64)));
    bench.receive(&signal(Code::CSM, &[(SIZE, 200)]));
    let (_, whole) = bench.send(large);
    assert_eq!(whole.payload.len(), 150);
}

/// Covers: S-004. The peer's Max-Message-Size is respected, 1152 without one.
#[test]
fn no_message_exceeds_what_the_peer_takes() {
    for size in [None, Some(64), Some(1152), Some(9000)] {
        let limit = usize::try_from(size.unwrap_or(1152)).expect("small");
        let mut bench = Bench::with(Limits::default(), &[(BLOCKS, 0)]);
        if let Some(size) = size {
            bench.receive(&signal(Code::CSM, &[(SIZE, size)]));
        }
        for length in [20, limit - 20, limit - 10, limit, limit + 1000] {
            let (_, sent) = bench.send(Request {
                payload: body(length),
                ..put(Delivery::Confirmable)
            });
            let bytes = sent.encode().len();
            assert!(bytes <= limit, "{bytes} of {limit}");
            let id = token(1);
            let exchange = bench.receive_request(&request(id, get(None, Delivery::NonOnce)));
            let mut content = response(Code::CONTENT);
            content.payload = body(length);
            bench.respond(exchange, content);
            let sent = bench.sent();
            assert_eq!(sent.code, Code::CONTENT);
            assert!(sent.encode().len() <= limit);
        }
    }
}

/// Covers: S-004, S-008. RFC 8323 §5.3.2.
#[test]
fn a_peer_without_block_wise_transfer_is_not_offered_blocks() {
    let mut bench = Bench::with(Limits::default(), &[]);
    let large = Request {
        payload: body(2000),
        ..put(Delivery::Confirmable)
    };
    let refused = bench.endpoint.send_request(bench.now, large.clone());
    assert!(matches!(
        refused,
        Err(SendError::TooLarge { limit: 1152, .. })
    ));
    let mut content = response(Code::CONTENT);
    content.payload = body(2000);
    let exchange = bench.receive_request(&request(token(1), get(None, Delivery::NonOnce)));
    bench.respond(exchange, content.clone());
    let failure = bench.sent();
    assert_eq!(failure.code, Code::INTERNAL_SERVER_ERROR);
    let why = String::from_utf8(failure.payload).unwrap();
    assert!(
        why.contains("too large") && why.contains("1152 bytes"),
        "{why}"
    );
    assert_eq!(bench.endpoint.counters().unsendable_responses, 1);

    let mut asking = get(None, Delivery::NonOnce);
    let value = block(0, false, 1024);
    asking.options.push_uint(OptionNumber::BLOCK2, value);
    let exchange = bench.receive_request(&request(token(2), asking));
    bench.respond(exchange, content);
    let sent = bench.sent().options.uint(OptionNumber::BLOCK2);
    assert_eq!(sent, Some(block(0, true, 1024)), "it asked for them");

    bench.receive(&signal(Code::CSM, &[(BLOCKS, 0)]));
    bench.send(large);
}

/// RFC 8323 §5.5: what came before is answered first.
#[test]
fn after_a_release_the_connection_ends_with_the_last_answer() {
    let ended = Event::Ended {
        cause: EndCause::Released,
    };
    let mut bench = Bench::new();
    let exchanges =
        [1, 2].map(|id| bench.receive_request(&request(token(id), put(Delivery::NonOnce))));
    bench.receive(&signal(Code::RELEASE, &[]));
    bench.respond(exchanges[0], response(Code::CHANGED));
    assert_eq!(bench.events(), []);
    bench.endpoint.ignore(exchanges[1]);
    assert_eq!(bench.sent().token, token(1));
    assert_eq!(bench.events(), [ended]);
    bench.assert_over();

    let mut bench = Bench::new();
    let both = [
        request(token(1), put(Delivery::NonOnce)).encode(),
        signal(Code::ABORT, &[]).encode(),
    ];
    bench.endpoint.handle_datagram(bench.now, &both.concat());
    let cause = EndCause::Aborted;
    let events = bench.events();
    assert_eq!(events.last(), Some(&Event::Ended { cause }), "at last");
    assert_eq!(events.len(), 2);
    bench.assert_over();
}

/// A request that was open when the connection ended does not time out after the end was told.
#[test]
fn the_end_is_the_last_event() {
    let mut bench = Bench::new();
    bench.send(put(Delivery::Confirmable));
    bench.receive(&signal(Code::ABORT, &[]));
    let cause = EndCause::Aborted;
    assert_eq!(bench.events(), [Event::Ended { cause }]);
    bench.now += TransmissionParameters::default().exchange_lifetime();
    bench.endpoint.handle_timeout(bench.now);
    bench.assert_silent();
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// RFC 8323 §5.2, §5.6.
#[test]
fn a_signal_that_cannot_be_processed_aborts() {
    let critical = OptionNumber(7);
    for code in [Code::PING, Code::PONG, Code::RELEASE, Code::ABORT] {
        let mut bench = Bench::new();
        bench.receive(&signal(code, &[(critical, 0)]));
        let option = critical;
        bench.assert_aborted(StreamError::UnknownCriticalOption { code, option });
    }
    let mut too_long = signal(Code::CSM, &[]);
    too_long.options.push(SIZE, &[1, 0, 0, 0, 0]);
    let cases = [
        (signal(Code::CSM, &[(critical, 0)]), critical),
        (too_long, SIZE),
    ];
    for (csm, option) in cases {
        let mut bench = Bench::new();
        bench.receive(&csm);
        let sent = bench.endpoint.poll_transmit().expect("an Abort message");
        let abort = Frame::decode(&sent, 1152).expect("well-formed");
        let (abort, _) = abort.expect("complete");
        let named = abort.options.uint(OptionNumber(2));
        assert_eq!((abort.code, named), (Code::ABORT, Some(option.0.into())));
        let cause = EndCause::Misbehaviour(StreamError::BadCsmOption(option));
        assert_eq!(bench.events(), [Event::Ended { cause }]);
    }
}

/// RFC 8323 §5.6. Nothing behind it is looked at.
#[test]
fn a_malformed_message_aborts() {
    let mut bench = Bench::new();
    let ping = signal(Code::PING, &[]).encode();
    let bytes = [&b"\x10\x01\xff"[..], &ping].concat();
    bench.endpoint.handle_datagram(bench.now, &bytes);
    let error = FrameError::Options(coap::OptionsError::EmptyPayload);
    bench.assert_aborted(StreamError::Malformed(error));
    assert_eq!(bench.endpoint.counters().malformed, 1);
}

#[test]
fn a_message_beyond_the_limit_aborts_before_it_is_there() {
    let limits = Limits {
        max_received_size: 100,
        ..Limits::default()
    };
    let mut bench = Bench::with(limits, &[]);
    bench.endpoint.handle_datagram(bench.now, b"\xd0\x56");
    let (length, limit) = (102, 100);
    bench.assert_aborted(StreamError::Malformed(FrameError::TooLong {
        length,
        limit,
    }));
}

#[test]
fn a_peer_that_makes_too_much_to_send_is_cut_off() {
    let limits = Limits {
        queued_datagrams: 2,
        ..Limits::default()
    };
    let mut bench = Bench::with(limits, &[]);
    let pings = signal(Code::PING, &[]).encode().repeat(3);
    bench.endpoint.handle_datagram(bench.now, &pings);
    bench.assert_aborted(StreamError::Congested);
}

/// A peer that takes next to nothing is told that much.
#[test]
fn a_failure_that_is_too_large_to_be_explained_is_told_without_words() {
    let mut bench = Bench::with(Limits::default(), &[(SIZE, 16)]);
    let mut content = response(Code::CONTENT);
    content.payload = body(2000);
    let exchange = bench.receive_request(&request(token(1), get(None, Delivery::NonOnce)));
    bench.respond(exchange, content);
    let failure = bench.sent();
    assert_eq!(failure.code, Code::INTERNAL_SERVER_ERROR);
    assert!(failure.payload.is_empty());
}
