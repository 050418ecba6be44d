//! RFC 7959 §2.5: requests of ours that go out in blocks.

use coap::{Code, Delivery, Event, FailureCause, Message, OptionNumber, Request, Response, Token};

use crate::rig::*;

const BLOCK1: OptionNumber = OptionNumber::BLOCK1;
const TAG: OptionNumber = OptionNumber::REQUEST_TAG;

/// Sends a body of this length; its first block.
fn start(length: usize, delivery: Delivery) -> (Bench, Token, Message) {
    let mut bench = Bench::new();
    let request = Request {
        payload: body(length),
        ..put(delivery)
    };
    let (token, first) = bench.send(request);
    (bench, token, first)
}

/// Answers a block, as a server that echoes its Block1 in this size.
fn answer(bench: &mut Bench, sent: &Message, code: Code, size: usize) {
    let mut reply = response(code);
    let value = sent.options.uint(BLOCK1).expect("a block");
    let value = block(value >> 4, value & 8 != 0, size);
    reply.options.push_uint(BLOCK1, value);
    reply_with(bench, sent, reply);
}

fn reply_with(bench: &mut Bench, sent: &Message, reply: Response) {
    let message_type = if sent.message_type == CON { ACK } else { NON };
    let message = response_message(message_type, sent.message_id, sent.token, reply);
    bench.receive(&message);
}

fn block1(message: &Message) -> Option<u32> {
    message.options.uint(BLOCK1)
}

fn outcome(bench: &mut Bench, token: Token) -> Response {
    match &bench.events()[..] {
        [
            Event::Response {
                token: answered,
                response,
                ..
            },
        ] if *answered == token => response.clone(),
        other => panic!("expected the response, got {other:?}"),
    }
}

/// Covers: B-004.
#[test]
fn a_body_too_large_for_a_datagram_goes_out_block_by_block() {
    for delivery in [
        Delivery::Confirmable,
        Delivery::NonRepeated,
        Delivery::NonOnce,
    ] {
        let (mut bench, token, mut sent) = start(2500, delivery);
        let first = sent.clone();
        assert_eq!(sent.options.uint(OptionNumber::SIZE1), Some(2500));
        let mut payload = Vec::new();
        for (number, more) in [(0, true), (1, true), (2, false)] {
            assert_eq!(sent.message_type, first.message_type);
            assert_eq!(block1(&sent), Some(block(number, more, 1024)));
            assert_eq!(sent.options.get_first(TAG), first.options.get_first(TAG));
            assert_eq!(sent.options.uri_path().count(), 1);
            payload.extend(sent.payload.clone());
            if more {
                answer(&mut bench, &sent, Code::CONTINUE, 1024);
                assert_eq!(bench.events(), []);
                sent = bench.sent();
            }
        }
        assert_eq!(payload, body(2500));
        answer(&mut bench, &sent, Code::CREATED, 1024);
        assert_eq!(outcome(&mut bench, token), response(Code::CREATED));
        assert_eq!(bench.endpoint.poll_timeout(), None);
    }
}

#[test]
fn a_body_that_fits_exactly_goes_out_whole() {
    let (_, _, sent) = start(1152 - 4 - 4 - 9 - 1, Delivery::Confirmable);
    assert_eq!((sent.encode().len(), block1(&sent)), (1152, None));
    let (_, _, sent) = start(1152 - 4 - 4 - 9, Delivery::Confirmable);
    assert_eq!(block1(&sent), Some(block(0, true, 1024)));
}

/// RFC 7959 §2.3, figure 8.
#[test]
fn the_size_that_the_server_prefers_is_used_from_the_next_block_on() {
    let (mut bench, token, sent) = start(2100, Delivery::Confirmable);
    answer(&mut bench, &sent, Code::CONTINUE, 256);
    let sent = bench.sent();
    assert_eq!(block1(&sent), Some(block(4, true, 256)));
    assert_eq!(sent.payload, body(2100)[1024..1280]);
    answer(&mut bench, &sent, Code::CONTINUE, 1024);
    let sent = bench.sent();
    assert_eq!(
        block1(&sent),
        Some(block(5, true, 256)),
        "never larger again"
    );
    answer(&mut bench, &sent, Code::FORBIDDEN, 256);
    assert_eq!(outcome(&mut bench, token).code, Code::FORBIDDEN);
}

/// RFC 7959 §2.3: 2.04 without M is for this block alone.
#[test]
fn a_server_that_acts_on_each_block_still_gets_all_of_them() {
    let (mut bench, token, sent) = start(1200, Delivery::Confirmable);
    reply_with(&mut bench, &sent, response(Code::CHANGED));
    let sent = bench.sent();
    assert_eq!(block1(&sent), Some(block(1, false, 1024)));
    reply_with(&mut bench, &sent, response(Code::CHANGED));
    assert_eq!(outcome(&mut bench, token).code, Code::CHANGED);
}

/// Covers: B-004. RFC 7959 §2.9.2; with a fresh Request-Tag, old blocks cannot get between.
#[test]
fn when_blocks_are_missing_the_body_is_sent_again_a_few_times() {
    let (mut bench, token, mut sent) = start(1200, Delivery::Confirmable);
    let mut tags = vec![sent.options.uint(TAG)];
    for _ in 0..3 {
        answer(&mut bench, &sent, Code::CONTINUE, 1024);
        let second = bench.sent();
        answer(&mut bench, &second, Code::REQUEST_ENTITY_INCOMPLETE, 1024);
        assert_eq!(bench.events(), []);
        sent = bench.sent();
        assert_eq!(block1(&sent), Some(block(0, true, 1024)));
        tags.push(sent.options.uint(TAG));
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4);
    answer(&mut bench, &sent, Code::REQUEST_ENTITY_INCOMPLETE, 1024);
    let given_up = outcome(&mut bench, token);
    assert_eq!(given_up.code, Code::REQUEST_ENTITY_INCOMPLETE);
}

/// Covers: B-004. RFC 7959 §2.9.3.
#[test]
fn too_large_with_a_smaller_size_starts_over_and_without_it_is_the_answer() {
    let too_large = Code::REQUEST_ENTITY_TOO_LARGE;
    let (mut bench, token, sent) = start(1200, Delivery::Confirmable);
    answer(&mut bench, &sent, too_large, 64);
    let sent = bench.sent();
    assert_eq!(block1(&sent), Some(block(0, true, 64)));
    answer(&mut bench, &sent, too_large, 64);
    assert_eq!(outcome(&mut bench, token).code, too_large);
}

#[test]
fn blocks_are_repeated_and_time_out_under_the_token_of_the_request() {
    let (mut bench, token, sent) = start(1200, Delivery::Confirmable);
    answer(&mut bench, &sent, Code::CONTINUE, 1024);
    let second = bench.sent();
    assert_ne!(second.token, token);
    let copies = bench.run_until(seconds(60));
    assert_eq!(copies.len(), 3);
    assert!(copies.iter().all(|(_, copy)| *copy == second));
    let cause = FailureCause::TimedOut;
    assert_eq!(bench.events(), [Event::Failed { token, cause }]);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// Covers: S-037. Copies of earlier blocks are answered late.
#[test]
fn a_late_answer_to_an_earlier_block_is_not_taken_for_that_to_the_next() {
    let (mut bench, token, sent) = start(2500, Delivery::NonRepeated);
    answer(&mut bench, &sent, Code::CONTINUE, 1024);
    let second = bench.sent();
    answer(&mut bench, &sent, Code::CONTINUE, 1024);
    bench.assert_silent();
    answer(&mut bench, &second, Code::CONTINUE, 1024);
    let third = bench.sent();
    assert_eq!(block1(&third), Some(block(2, false, 1024)));
    answer(&mut bench, &second, Code::CONTINUE, 1024);
    bench.assert_silent();
    answer(&mut bench, &third, Code::CHANGED, 1024);
    assert_eq!(outcome(&mut bench, token).code, Code::CHANGED);
}

#[test]
fn cancelling_the_request_stops_its_blocks() {
    let (mut bench, token, sent) = start(2500, Delivery::NonRepeated);
    answer(&mut bench, &sent, Code::CONTINUE, 1024);
    let second = bench.sent();
    bench.endpoint.cancel(&token);
    assert_eq!(bench.endpoint.poll_timeout(), None);
    answer(&mut bench, &second, Code::CONTINUE, 1024);
    bench.assert_silent();
}

/// RFC 7959 §2.7, RFC 9175 §3.4: the rest of the response is fetched with the Request-Tag.
#[test]
fn a_response_in_blocks_to_a_request_in_blocks_is_fetched() {
    let (mut bench, token, sent) = start(1200, Delivery::Confirmable);
    answer(&mut bench, &sent, Code::CONTINUE, 1024);
    let last = bench.sent();
    let mut reply = response(Code::CHANGED);
    reply.options.push_uint(BLOCK1, block(1, false, 1024));
    reply
        .options
        .push_uint(OptionNumber::BLOCK2, block(0, true, 16));
    reply.payload = body(16);
    reply_with(&mut bench, &last, reply);
    let next = bench.sent();
    assert_eq!((next.code, next.payload.len()), (Code::PUT, 0));
    assert_eq!(block1(&next), None);
    assert_eq!(next.options.uint(TAG), last.options.uint(TAG));
    let asked = next.options.uint(OptionNumber::BLOCK2);
    assert_eq!(asked, Some(block(1, false, 16)));
    let mut reply = response(Code::CHANGED);
    reply
        .options
        .push_uint(OptionNumber::BLOCK2, block(1, false, 16));
    reply.payload = body(20)[16..].to_vec();
    reply_with(&mut bench, &next, reply);
    assert_eq!(outcome(&mut bench, token).payload, body(20));
}

/// An empty PUT for the first block once more would be another request.
#[test]
fn a_response_to_put_that_does_not_fit_together_is_not_fetched_anew() {
    let mut bench = Bench::new();
    let (token, sent) = bench.send(put(Delivery::Confirmable));
    let part = |number, etag: &[u8]| {
        let mut reply = response(Code::CHANGED);
        let value = block(number, true, 16);
        reply.options.push_uint(OptionNumber::BLOCK2, value);
        reply.options.push(OptionNumber::ETAG, etag);
        reply.payload = body(16);
        reply
    };
    reply_with(&mut bench, &sent, part(0, b"1"));
    let next = bench.sent();
    reply_with(&mut bench, &next, part(1, b"2"));
    let cause = FailureCause::Inconsistent;
    assert_eq!(bench.events(), [Event::Failed { token, cause }]);
    bench.assert_silent();
}
