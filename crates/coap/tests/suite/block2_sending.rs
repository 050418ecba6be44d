//! RFC 7959 §2.4, §2.6: responses and notifications of ours that the peer fetches in blocks.

use coap::{
    Code, Delivery, Limits, Message, MessageId, OptionNumber, Response, SendError, Token,
    TransmissionParameters,
};

use crate::rig::*;

const BLOCK1: OptionNumber = OptionNumber::BLOCK1;
const BLOCK2: OptionNumber = OptionNumber::BLOCK2;
const ETAG: OptionNumber = OptionNumber::ETAG;

/// A GET as the peer sends it, its Message ID and token made of `id`.
fn get_message(id: u8, observe: Option<u32>, block2: Option<u32>) -> Message {
    let request = get(observe, Delivery::Confirmable);
    let mut message = Message::empty(CON, MessageId(id.into()));
    message.code = request.method;
    message.token = token(id);
    message.options = request.options;
    if let Some(value) = block2 {
        message.options.push_uint(BLOCK2, value);
    }
    message
}

fn content(payload: Vec<u8>) -> Response {
    let mut response = response(Code::CONTENT);
    response
        .options
        .push_uint(OptionNumber::CONTENT_FORMAT, 271);
    response.payload = payload;
    response
}

/// Asks the application, which answers with `payload`.
fn ask(bench: &mut Bench, id: u8, block2: Option<u32>, payload: Vec<u8>) -> Message {
    let exchange = bench.receive_request(&get_message(id, None, block2));
    bench.respond(exchange, content(payload));
    bench.sent()
}

/// Asks for a later block, which the application is not to notice.
fn fetch(bench: &mut Bench, id: u8, block2: u32) -> Message {
    bench.receive(&get_message(id, None, Some(block2)));
    assert_eq!(bench.events(), [], "the application was asked");
    bench.sent()
}

fn block2(message: &Message) -> Option<u32> {
    message.options.uint(BLOCK2)
}

fn etag(message: &Message) -> &[u8] {
    message.options.get_first(ETAG).expect("an ETag")
}

/// Covers: B-002, B-003.
#[test]
fn a_response_too_large_for_a_datagram_comes_in_blocks_of_one_etag() {
    let mut bench = Bench::new();
    let whole = body(2500);
    let first = ask(&mut bench, 1, None, whole.clone());
    assert_eq!(block2(&first), Some(block(0, true, 1024)));
    assert_eq!(first.options.uint(OptionNumber::SIZE2), Some(2500));
    let mut payload = first.payload.clone();
    for (number, more) in [(1, true), (2, false)] {
        let next = fetch(&mut bench, 3 - u8::from(more), block(number, false, 1024));
        assert_eq!(next.code, Code::CONTENT);
        assert_eq!(block2(&next), Some(block(number, more, 1024)));
        assert_eq!(next.options.content_format(), Some(271));
        assert_eq!(etag(&next), etag(&first));
        payload.extend(next.payload);
    }
    assert_eq!(payload, whole);
}

#[test]
fn a_response_that_fits_is_sent_whole() {
    let mut bench = Bench::new();
    // Header, token, Content-Format, payload marker.
    let largest = 1152 - 4 - 1 - 3 - 1;
    let sent = ask(&mut bench, 1, None, body(largest));
    assert_eq!(sent.encode().len(), 1152);
    assert_eq!((block2(&sent), sent.payload.len()), (None, largest));
    let sent = ask(&mut bench, 2, None, body(largest + 1));
    assert_eq!(block2(&sent), Some(block(0, true, 1024)));
}

/// Covers: B-002. RFC 7959 §2.4: the block size indicated or a smaller one.
#[test]
fn the_peer_chooses_a_smaller_size_at_first_or_later() {
    let mut bench = Bench::new();
    let first = ask(&mut bench, 1, Some(block(0, false, 64)), body(200));
    assert_eq!(block2(&first), Some(block(0, true, 64)));
    assert_eq!(first.payload, body(64));
    let next = fetch(&mut bench, 2, block(2, false, 32));
    assert_eq!(block2(&next), Some(block(2, true, 32)));
    assert_eq!(next.payload, body(200)[64..96]);
    let small = ask(&mut bench, 3, Some(block(0, false, 64)), body(64));
    assert_eq!((block2(&small), small.payload.len()), (None, 64));
}

/// The path carries less than the peer would like.
#[test]
fn blocks_are_no_larger_than_a_message_may_be() {
    let limits = Limits {
        max_message_size: 100,
        ..Limits::default()
    };
    let mut bench = Bench::with(TransmissionParameters::default(), limits);
    let first = ask(&mut bench, 1, Some(block(0, false, 1024)), body(300));
    assert_eq!(block2(&first), Some(block(0, true, 64)));
    let next = fetch(&mut bench, 2, block(1, false, 256));
    assert_eq!(block2(&next), Some(block(4, false, 64)), "the same bytes");
    assert_eq!(next.payload, body(300)[256..]);
}

/// What is not kept is the application's to answer anew.
#[test]
fn a_later_block_of_nothing_kept_is_cut_from_a_new_response() {
    let mut bench = Bench::new();
    let part = ask(&mut bench, 1, Some(block(3, false, 16)), body(60));
    assert_eq!(block2(&part), Some(block(3, false, 16)));
    assert_eq!(part.payload, body(60)[48..]);
    let mut bench = Bench::new();
    let exchange = bench.receive_request(&get_message(1, None, Some(block(3, false, 16))));
    bench.respond(exchange, response(Code::NOT_FOUND));
    assert_eq!(bench.sent().code, Code::NOT_FOUND);
}

#[test]
fn a_block_behind_the_end_is_a_bad_request() {
    let mut bench = Bench::new();
    let sent = ask(&mut bench, 1, Some(block(4, false, 16)), body(60));
    assert_eq!(sent.code, Code::BAD_REQUEST);
    ask(&mut bench, 2, None, body(2000));
    let sent = fetch(&mut bench, 3, block(2, false, 1024));
    assert_eq!(sent.code, Code::BAD_REQUEST);
}

/// Covers: B-003. Equal bodies have equal tags, others have others.
#[test]
fn the_etag_follows_the_body_unless_the_application_gives_one() {
    let mut bench = Bench::new();
    let mut changed = body(2000);
    changed[1999] ^= 1;
    let first = ask(&mut bench, 1, None, body(2000));
    let same = ask(&mut bench, 2, None, body(2000));
    let other = ask(&mut bench, 3, None, changed);
    assert_eq!(etag(&first), etag(&same));
    assert_ne!(etag(&first), etag(&other));
    let next = fetch(&mut bench, 4, block(1, false, 1024));
    assert_eq!(etag(&next), etag(&other), "of the latest body");

    let exchange = bench.receive_request(&get_message(5, None, None));
    let mut own = content(body(2000));
    own.options.push(ETAG, b"own");
    bench.respond(exchange, own);
    assert_eq!(etag(&bench.sent()), b"own");
}

/// Registers an observation, and answers with Observe 1.
fn observe(bench: &mut Bench, block2: Option<u32>) -> Token {
    let message = get_message(1, Some(0), block2);
    let exchange = bench.receive_request(&message);
    bench.respond(exchange, observed(1));
    bench.sent();
    message.token
}

fn notify(bench: &mut Bench, token: Token, value: u32, payload: Vec<u8>) -> Message {
    let mut notification = observed(value);
    notification.payload = payload;
    let sent = bench.endpoint.notify(bench.now, &token, notification);
    assert_eq!(sent, Ok(()));
    bench.sent()
}

/// Covers: B-003. RFC 7959 §2.6.
#[test]
fn of_a_large_notification_the_first_block_is_sent_and_the_rest_is_pulled() {
    let mut bench = Bench::new();
    let token = observe(&mut bench, None);
    let first = notify(&mut bench, token, 2, body(2000));
    assert_eq!((first.token, first.options.observe()), (token, Some(2)));
    assert_eq!(block2(&first), Some(block(0, true, 1024)));
    let next = fetch(&mut bench, 9, block(1, false, 1024));
    assert_eq!(next.options.observe(), None);
    assert_eq!(etag(&next), etag(&first));
    assert_eq!([first.payload, next.payload].concat(), body(2000));
    let small = notify(&mut bench, token, 3, body(20));
    assert_eq!((block2(&small), small.payload), (None, body(20)));
}

/// RFC 7959 §2.6: the size asked for with the registration holds for its notifications.
#[test]
fn notifications_keep_to_the_block_size_of_the_registration() {
    let mut bench = Bench::new();
    let token = observe(&mut bench, Some(block(0, false, 32)));
    let first = notify(&mut bench, token, 2, body(40));
    assert_eq!(block2(&first), Some(block(0, true, 32)));
}

#[test]
fn a_large_notification_without_an_observer_is_refused() {
    let mut bench = Bench::new();
    let token = observe(&mut bench, None);
    let mut deregister = get_message(2, Some(1), None);
    deregister.token = token;
    bench.receive_request(&deregister);
    let mut large = observed(2);
    large.payload = body(2000);
    let refused = bench.endpoint.notify(bench.now, &token, large);
    assert!(matches!(refused, Err(SendError::TooLarge { .. })));
}

/// RFC 7959 §2.7: the last block of the request is answered with the first of the response.
#[test]
fn a_request_and_its_response_may_both_come_in_blocks() {
    let mut bench = Bench::new();
    let put = |id: u8, option, value, payload: &[u8]| {
        let mut message = request_message(CON, id.into(), token(id));
        message.options.push_uint(option, value);
        message.payload = payload.to_vec();
        message
    };
    bench.receive(&put(1, BLOCK1, block(0, true, 16), &body(16)));
    bench.sent();
    let last = put(2, BLOCK1, block(1, false, 16), &body(5));
    let exchange = bench.receive_request(&last);
    bench.respond(exchange, content(body(1200)));
    let first = bench.sent();
    assert_eq!(first.options.uint(BLOCK1), Some(block(1, false, 16)));
    assert_eq!(block2(&first), Some(block(0, true, 1024)));
    bench.receive(&put(3, BLOCK2, block(1, false, 1024), &[]));
    let next = bench.sent();
    assert_eq!(next.options.uint(BLOCK1), None);
    assert_eq!([first.payload, next.payload].concat(), body(1200));

    bench.advance(seconds(300));
    bench.receive(&put(4, BLOCK2, block(1, false, 1024), &[]));
    let lost = bench.sent();
    assert_eq!(lost.code, Code::REQUEST_ENTITY_INCOMPLETE);
    assert_eq!(bench.events(), [], "an empty PUT would be something else");
}

/// RFC 7959 §2.4: EXCHANGE_LIFETIME after the last access.
#[test]
fn kept_responses_are_bounded_in_number_and_time() {
    let limits = Limits {
        block_transfers: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with(TransmissionParameters::default(), limits);
    ask(&mut bench, 1, None, body(2000));
    bench.advance(seconds(222));
    fetch(&mut bench, 2, block(1, false, 1024));
    bench.advance(seconds(222));
    fetch(&mut bench, 3, block(1, false, 1024));
    bench.advance(seconds(223));
    assert_eq!(bench.endpoint.poll_timeout(), None, "nothing is kept");
    bench.receive_request(&get_message(4, None, Some(block(1, false, 1024))));
    bench.run_until(seconds(1000));

    ask(&mut bench, 5, None, body(2000));
    let mut other = get_message(6, None, None);
    other.options.push(OptionNumber::URI_QUERY, b"c=a");
    let exchange = bench.receive_request(&other);
    bench.respond(exchange, content(body(2000)));
    bench.sent();
    bench.receive_request(&get_message(7, None, Some(block(1, false, 1024))));
}
