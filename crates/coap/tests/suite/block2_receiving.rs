//! RFC 7959 §2.4, §2.6: responses and notifications of the peer's that we fetch in blocks.

use coap::{
    Code, Delivery, Event, FailureCause, Limits, Message, MessageId, OptionNumber, Response, Token,
    TransmissionParameters,
};

use crate::rig::*;

const BLOCK2: OptionNumber = OptionNumber::BLOCK2;
const ETAG: OptionNumber = OptionNumber::ETAG;

/// The block of a body, as the server sends it.
fn part(whole: &[u8], number: u32, size: usize, etag: &[u8]) -> Response {
    let start = usize::try_from(number).expect("small") * size;
    let end = whole.len().min(start + size);
    let mut part = response(Code::CONTENT);
    part.payload = whole[start..end].to_vec();
    let value = block(number, end < whole.len(), size);
    part.options.push_uint(BLOCK2, value);
    part.options.push(ETAG, etag);
    part
}

fn observed_part(value: u32, part: Response) -> Response {
    let mut part = part;
    part.options.push_uint(OptionNumber::OBSERVE, value);
    part
}

fn reply(bench: &mut Bench, request: &Message, response: Response) {
    let id = MessageId(request.message_id.0 ^ 0x8000);
    bench.receive(&response_message(NON, id, request.token, response));
}

fn start(observe: Option<u32>) -> (Bench, Token, Message) {
    let mut bench = Bench::new();
    let (token, request) = bench.send(get(observe, Delivery::NonRepeated));
    (bench, token, request)
}

fn asked(message: &Message) -> Option<u32> {
    message.options.uint(BLOCK2)
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

/// Covers: B-002, B-003.
#[test]
fn the_rest_of_a_response_is_fetched_with_its_etag_and_delivered_as_one() {
    let (mut bench, token, request) = start(None);
    let whole = body(150);
    reply(&mut bench, &request, part(&whole, 0, 64, b"1"));
    for number in [1, 2] {
        assert_eq!(bench.events(), []);
        let next = bench.sent();
        assert_eq!((next.message_type, next.code), (NON, Code::GET));
        assert_eq!(asked(&next), Some(block(number, false, 64)));
        assert_eq!(next.options.get_first(ETAG), Some(&b"1"[..]));
        assert_eq!(next.options.uri_path().count(), 1);
        reply(&mut bench, &next, part(&whole, number, 64, b"1"));
    }
    let response = outcome(&mut bench, token);
    assert_eq!(response.payload, whole);
    let numbers: Vec<_> = response.options.iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [ETAG], "no trace of the blocks");
    bench.assert_silent();
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// As libcoap does: what was asked for with an ETag and is still the same comes without.
#[test]
fn later_blocks_may_leave_out_the_etag() {
    let (mut bench, token, request) = start(None);
    let whole = body(100);
    reply(&mut bench, &request, part(&whole, 0, 64, b"1"));
    let next = bench.sent();
    let mut last = response(Code::CONTENT);
    last.payload = whole[64..].to_vec();
    last.options.push_uint(BLOCK2, block(1, false, 64));
    reply(&mut bench, &next, last);
    assert_eq!(outcome(&mut bench, token).payload, whole);
}

#[test]
fn a_response_of_one_block_is_delivered_at_once() {
    let (mut bench, token, request) = start(None);
    reply(&mut bench, &request, part(&body(10), 0, 16, b"1"));
    let response = outcome(&mut bench, token);
    assert_eq!(response.payload, body(10));
    assert_eq!(response.options.uint(BLOCK2), None);
}

/// Covers: B-002. RFC 7959 §2.4: the client adheres to the server's size.
#[test]
fn a_server_may_come_down_to_smaller_blocks() {
    let (mut bench, token, request) = start(None);
    let whole = body(100);
    reply(&mut bench, &request, part(&whole, 0, 64, b"1"));
    let next = bench.sent();
    reply(&mut bench, &next, part(&whole, 2, 32, b"1"));
    let next = bench.sent();
    assert_eq!(asked(&next), Some(block(3, false, 32)));
    reply(&mut bench, &next, part(&whole, 3, 32, b"1"));
    assert_eq!(outcome(&mut bench, token).payload, whole);
}

/// Covers: B-003. Blocks with different ETags are never mixed.
#[test]
fn a_body_that_changes_meanwhile_is_fetched_anew() {
    let (mut bench, token, request) = start(None);
    let (old, new) = (body(150), vec![7; 100]);
    reply(&mut bench, &request, part(&old, 0, 64, b"1"));
    let next = bench.sent();
    reply(&mut bench, &next, part(&new, 1, 64, b"2"));
    let again = bench.sent();
    assert_eq!(asked(&again), Some(block(0, false, 64)));
    assert_eq!(again.options.get_first(ETAG), None, "any will do");
    reply(&mut bench, &again, part(&new, 0, 64, b"2"));
    let next = bench.sent();
    assert_eq!(next.options.get_first(ETAG), Some(&b"2"[..]));
    reply(&mut bench, &next, part(&new, 1, 64, b"2"));
    assert_eq!(outcome(&mut bench, token).payload, new);
}

#[test]
fn a_body_that_shrinks_to_one_message_is_taken() {
    let (mut bench, token, request) = start(None);
    reply(&mut bench, &request, part(&body(150), 0, 64, b"1"));
    let next = bench.sent();
    let mut small = response(Code::CONTENT);
    small.payload = body(9);
    reply(&mut bench, &next, small.clone());
    let again = bench.sent();
    reply(&mut bench, &again, small.clone());
    assert_eq!(outcome(&mut bench, token), small);
}

/// Covers: B-003.
#[test]
fn a_body_that_keeps_changing_is_given_up() {
    let (mut bench, token, mut request) = start(None);
    let whole = body(150);
    for etag in [b"1", b"2", b"3", b"4"] {
        reply(&mut bench, &request, part(&whole, 0, 64, etag));
        let next = bench.sent();
        reply(&mut bench, &next, part(&whole, 1, 64, b"x"));
        if etag != b"4" {
            assert_eq!(bench.events(), []);
            request = bench.sent();
        }
    }
    let cause = FailureCause::Inconsistent;
    assert_eq!(bench.events(), [Event::Failed { token, cause }]);
    bench.assert_silent();
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// What a server must not send makes it start over, not stick together what does not belong so.
#[test]
fn blocks_that_do_not_follow_are_not_taken() {
    let whole = body(256);
    let mut short = part(&whole, 1, 64, b"1");
    short.payload.pop();
    let mut other_format = part(&whole, 1, 64, b"1");
    let format = OptionNumber::CONTENT_FORMAT;
    other_format.options.push_uint(format, 60);
    let mut other_code = part(&whole, 1, 64, b"1");
    other_code.code = Code::VALID;
    let skipped = part(&whole, 2, 64, b"1");
    for wrong in [short, other_format, other_code, skipped] {
        let (mut bench, _, request) = start(None);
        reply(&mut bench, &request, part(&whole, 0, 64, b"1"));
        let next = bench.sent();
        reply(&mut bench, &next, wrong.clone());
        assert_eq!(asked(&bench.sent()), Some(block(0, false, 64)), "{wrong:?}");
        assert_eq!(bench.events(), []);
    }
}

#[test]
fn a_first_block_that_cannot_be_one_fails_the_request() {
    let whole = body(256);
    let mut reserved = response(Code::CONTENT);
    reserved.options.push_uint(BLOCK2, 15);
    let mut short = part(&whole, 0, 64, b"1");
    short.payload.pop();
    let unasked = part(&whole, 1, 64, b"1");
    for wrong in [reserved, short, unasked] {
        let (mut bench, token, request) = start(None);
        reply(&mut bench, &request, wrong);
        let cause = FailureCause::Inconsistent;
        assert_eq!(bench.events(), [Event::Failed { token, cause }]);
        bench.assert_silent();
    }
}

#[test]
fn a_body_beyond_the_limit_fails_the_request() {
    let limits = Limits {
        max_body: 100,
        ..Limits::default()
    };
    let whole = body(256);
    let mut announced = part(&whole, 0, 64, b"1");
    announced.options.push_uint(OptionNumber::SIZE2, 256);
    for (first, fetches) in [(announced, 0), (part(&whole, 0, 64, b"1"), 1)] {
        let mut bench = Bench::with(TransmissionParameters::default(), limits);
        let (token, request) = bench.send(get(None, Delivery::Confirmable));
        reply(&mut bench, &request, first);
        let sent = bench.all_sent();
        assert_eq!(sent.len(), fetches);
        for next in sent {
            reply(&mut bench, &next, part(&whole, 1, 64, b"1"));
        }
        let cause = FailureCause::TooLarge { limit: 100 };
        assert_eq!(bench.events(), [Event::Failed { token, cause }]);
        bench.assert_silent();
    }
}

#[test]
fn an_error_in_the_place_of_a_block_is_the_response() {
    let (mut bench, token, request) = start(None);
    reply(&mut bench, &request, part(&body(150), 0, 64, b"1"));
    let next = bench.sent();
    reply(&mut bench, &next, response(Code::NOT_FOUND));
    assert_eq!(outcome(&mut bench, token), response(Code::NOT_FOUND));
}

/// Registers, with a first representation that takes one message.
fn observing() -> (Bench, Token, Message) {
    let (mut bench, token, request) = start(Some(0));
    reply(&mut bench, &request, observed(1));
    bench.events();
    (bench, token, request)
}

/// Covers: B-003. RFC 7959 §2.6, §3.4: the rest is pulled without Observe, with another token.
#[test]
fn the_rest_of_a_notification_is_pulled() {
    let (mut bench, token, request) = observing();
    for (value, etag) in [(2, b"1"), (3, b"2")] {
        let whole = body(100);
        let first = observed_part(value, part(&whole, 0, 64, etag));
        reply(&mut bench, &request, first);
        let next = bench.sent();
        assert_ne!(next.token, token);
        assert_eq!(next.options.observe(), None);
        reply(&mut bench, &next, part(&whole, 1, 64, etag));
        let response = outcome(&mut bench, token);
        assert_eq!(response.options.observe(), Some(value));
        assert_eq!(response.payload, whole);
    }
}

#[test]
fn a_newer_notification_ends_the_fetching_of_the_last() {
    let (mut bench, token, request) = observing();
    let (old, new) = (body(100), vec![7; 70]);
    reply(
        &mut bench,
        &request,
        observed_part(2, part(&old, 0, 64, b"1")),
    );
    let old_next = bench.sent();
    reply(
        &mut bench,
        &request,
        observed_part(3, part(&new, 0, 64, b"2")),
    );
    let next = bench.sent();
    reply(&mut bench, &old_next, part(&old, 1, 64, b"1"));
    bench.assert_silent();
    reply(&mut bench, &next, part(&new, 1, 64, b"2"));
    let response = outcome(&mut bench, token);
    assert_eq!(
        (response.options.observe(), response.payload),
        (Some(3), new)
    );
    reply(&mut bench, &request, observed(4));
    assert_eq!(outcome(&mut bench, token), observed(4));
}

/// Whoever observes must know when it has missed something.
#[test]
fn a_notification_that_cannot_be_fetched_ends_the_observation() {
    let (mut bench, token, request) = observing();
    let first = observed_part(2, part(&body(100), 0, 64, b"1"));
    reply(&mut bench, &request, first);
    let next = bench.sent();
    bench.receive(&Message::empty(RST, next.message_id));
    let cause = FailureCause::Reset;
    assert_eq!(bench.events(), [Event::Failed { token, cause }]);
    reply(&mut bench, &request, observed(3));
    assert_eq!(bench.sent().message_type, RST);
    assert_eq!(bench.events(), []);
}

#[test]
fn forgetting_an_observation_stops_the_fetching() {
    let (mut bench, token, request) = observing();
    let first = observed_part(2, part(&body(100), 0, 64, b"1"));
    reply(&mut bench, &request, first);
    bench.sent();
    bench.endpoint.forget_observation(&token);
    assert_eq!(bench.endpoint.poll_timeout(), None);
    bench.assert_silent();
}

/// Fetching needs no room among the application's requests, so that none is lost half-way.
#[test]
fn a_full_table_of_requests_does_not_stop_the_fetching() {
    let limits = Limits {
        outstanding_requests: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with(TransmissionParameters::default(), limits);
    let (token, request) = bench.send(get(Some(0), Delivery::NonRepeated));
    reply(&mut bench, &request, observed(1));
    bench.events();
    bench.send(put(Delivery::NonRepeated));
    let first = observed_part(2, part(&body(100), 0, 64, b"1"));
    reply(&mut bench, &request, first);
    let next = bench.sent();
    reply(&mut bench, &next, part(&body(100), 1, 64, b"1"));
    assert_eq!(outcome(&mut bench, token).payload, body(100));
}
