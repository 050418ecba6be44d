//! RFC 7959 §2.5: requests of the peer's that come in blocks.

use coap::{Code, Event, Limits, Message, OptionNumber, Request, TransmissionParameters};

use crate::rig::*;

/// The peer, which sends the block of `whole` at `offset`.
struct Peer {
    bench: Bench,
    next_id: u16,
}

impl Peer {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let bench = Bench::with(TransmissionParameters::default(), limits);
        Self { bench, next_id: 0 }
    }

    /// A block under a fresh Message ID and token.
    fn message(&mut self, whole: &[u8], number: u32, size: usize) -> Message {
        let start = usize::try_from(number).expect("small") * size;
        let end = whole.len().min(start + size);
        let more = end < whole.len();
        self.next_id += 1;
        let id = self.next_id;
        let mut message = request_message(CON, id, token(id.to_be_bytes()[1]));
        message.payload = whole[start..end].to_vec();
        let value = block(number, more, size);
        message.options.push_uint(OptionNumber::BLOCK1, value);
        message
    }

    fn send(&mut self, message: &Message) {
        self.bench.receive(message);
    }

    /// Sends a block, and gives the code and Block1 of the answer.
    fn block(&mut self, whole: &[u8], number: u32, size: usize) -> (Code, Option<u32>) {
        let message = self.message(whole, number, size);
        self.send(&message);
        self.answer()
    }

    fn answer(&mut self) -> (Code, Option<u32>) {
        let answer = self.bench.sent();
        (answer.code, answer.options.uint(OptionNumber::BLOCK1))
    }

    /// Sends the last block, takes the request that is whole now, and answers it.
    fn last_block(&mut self, whole: &[u8], number: u32, size: usize) -> Request {
        let message = self.message(whole, number, size);
        self.send(&message);
        self.complete(number, size)
    }

    fn complete(&mut self, number: u32, size: usize) -> Request {
        let event = self.bench.endpoint.poll_event();
        let Some(Event::Request {
            exchange, request, ..
        }) = event
        else {
            panic!("expected the request, got {event:?}");
        };
        self.bench.respond(exchange, response(Code::CHANGED));
        let acknowledged = (Code::CHANGED, Some(block(number, false, size)));
        assert_eq!(self.answer(), acknowledged);
        request
    }
}

fn wait(block: u32) -> (Code, Option<u32>) {
    (Code::CONTINUE, Some(block))
}

const INCOMPLETE: (Code, Option<u32>) = (Code::REQUEST_ENTITY_INCOMPLETE, None);

/// Covers: B-004.
#[test]
fn blocks_are_acknowledged_one_by_one_and_become_one_request() {
    let mut peer = Peer::new();
    let whole = body(150);
    assert_eq!(peer.block(&whole, 0, 64), wait(block(0, true, 64)));
    assert_eq!(peer.block(&whole, 1, 64), wait(block(1, true, 64)));
    peer.bench.assert_silent();
    let request = peer.last_block(&whole, 2, 64);
    assert_eq!(request.payload, whole);
    let options: Vec<_> = request.options.iter().map(|(number, _)| number).collect();
    assert_eq!(options, [OptionNumber::URI_PATH], "no trace of the blocks");
}

#[test]
fn a_body_of_one_block_is_a_request_at_once() {
    let mut peer = Peer::new();
    let whole = body(10);
    assert_eq!(peer.last_block(&whole, 0, 16).payload, whole);
}

/// Covers: B-004, S-077. RFC 7959 §2.9.2.
#[test]
fn a_missing_block_ends_the_transfer_and_starting_over_works() {
    let mut peer = Peer::new();
    let whole = body(64);
    assert_eq!(peer.block(&whole, 1, 16), INCOMPLETE, "nothing before it");
    peer.block(&whole, 0, 16);
    assert_eq!(peer.block(&whole, 2, 16), INCOMPLETE);
    assert_eq!(peer.block(&whole, 3, 16), INCOMPLETE, "also for the last");
    assert_eq!(peer.bench.events(), []);
    for number in 0..3 {
        peer.block(&whole, number, 16);
    }
    assert_eq!(peer.last_block(&whole, 3, 16).payload, whole);
}

/// RFC 9132 §4.4: Non-confirmable blocks are sent again under fresh Message IDs.
#[test]
fn copies_of_a_block_do_no_harm_and_those_of_the_last_are_the_request_again() {
    let mut peer = Peer::new();
    let whole = body(40);
    for number in [0, 0, 1, 0, 1] {
        let expected = wait(block(number, true, 16));
        assert_eq!(peer.block(&whole, number, 16), expected);
    }
    for _ in 0..2 {
        assert_eq!(peer.last_block(&whole, 2, 16).payload, whole);
    }
    assert_eq!(peer.block(&whole, 1, 16), wait(block(1, true, 16)));
}

/// RFC 7959 §2.5: a new sequence overwrites what is left of an old one.
#[test]
fn blocks_of_different_bodies_are_never_mixed() {
    let mut peer = Peer::new();
    let (old, mut new) = (body(64), body(64));
    new[20] ^= 1;
    for number in 0..2 {
        peer.block(&old, number, 16);
    }
    assert_eq!(peer.block(&new, 0, 16), wait(block(0, true, 16)));
    assert_eq!(peer.block(&new, 1, 16), INCOMPLETE, "not what came before");
    for number in 0..3 {
        assert_eq!(peer.block(&new, number, 16).0, Code::CONTINUE);
    }
    assert_eq!(peer.last_block(&new, 3, 16).payload, new);

    let other = vec![7; 40];
    assert_eq!(peer.block(&other, 0, 16), wait(block(0, true, 16)));
    assert_eq!(peer.block(&new, 3, 16), INCOMPLETE);
}

/// A body that begins like the one before it.
#[test]
fn a_longer_or_shorter_body_may_follow() {
    let mut peer = Peer::new();
    let (short, long) = (body(32), body(48));
    for whole in [&short, &long, &short] {
        let last = u32::try_from(whole.len() / 16).expect("small") - 1;
        for number in 0..last {
            assert_eq!(peer.block(whole, number, 16).0, Code::CONTINUE);
        }
        assert_eq!(peer.last_block(whole, last, 16).payload, *whole);
    }
}

/// RFC 7959 §2.3: mismatching Content-Formats must not be assembled.
#[test]
fn a_block_of_another_content_format_is_refused() {
    let mut peer = Peer::new();
    let whole = body(40);
    peer.block(&whole, 0, 16);
    let mut message = peer.message(&whole, 1, 16);
    message.options.push_uint(OptionNumber::CONTENT_FORMAT, 60);
    peer.send(&message);
    assert_eq!(peer.answer(), INCOMPLETE);
}

/// RFC 9175 §3.
#[test]
fn transfers_with_different_request_tags_are_kept_apart() {
    let mut peer = Peer::new();
    let wholes = [body(40), vec![1; 40]];
    for number in 0..2 {
        for (tag, whole) in (0..).zip(&wholes) {
            let mut message = peer.message(whole, number, 16);
            message.options.push_uint(OptionNumber::REQUEST_TAG, tag);
            peer.send(&message);
            assert_eq!(peer.answer(), wait(block(number, true, 16)));
        }
    }
    for (tag, whole) in (0..).zip(&wholes) {
        let mut message = peer.message(whole, 2, 16);
        message.options.push_uint(OptionNumber::REQUEST_TAG, tag);
        peer.send(&message);
        assert_eq!(peer.complete(2, 16).payload, *whole);
    }
}

/// Covers: B-004, S-077. RFC 7959 §2.9.3.
#[test]
fn a_body_beyond_the_limit_is_refused_with_the_limit() {
    let limits = Limits {
        max_body: 40,
        ..Limits::default()
    };
    let refused = |peer: &mut Peer| {
        let answer = peer.bench.sent();
        assert_eq!(answer.code, Code::REQUEST_ENTITY_TOO_LARGE);
        assert_eq!(answer.options.uint(OptionNumber::SIZE1), Some(40));
        peer.bench.assert_silent();
    };
    let mut peer = Peer::with(limits);
    let whole = body(64);
    let mut announced = peer.message(&whole, 0, 16);
    announced.options.push_uint(OptionNumber::SIZE1, 41);
    peer.send(&announced);
    refused(&mut peer);

    peer.block(&whole, 0, 16);
    peer.block(&whole, 1, 16);
    let message = peer.message(&whole, 2, 16);
    peer.send(&message);
    refused(&mut peer);

    for number in 0..2 {
        peer.block(&whole[..40], number, 16);
    }
    assert_eq!(peer.last_block(&whole[..40], 2, 16).payload.len(), 40);
}

/// Covers: B-001. RFC 7959 §2.2.
#[test]
fn a_reserved_block_size_is_a_bad_request() {
    for option in [OptionNumber::BLOCK1, OptionNumber::BLOCK2] {
        let mut peer = Peer::new();
        let mut message = request_message(CON, 1, token(1));
        message.options.push_uint(option, 7);
        peer.send(&message);
        assert_eq!(peer.answer().0, Code::BAD_REQUEST);
        assert_eq!(peer.bench.events(), []);
    }
}

/// RFC 7959 §2.3: the size of a block with others behind it is that of its payload.
#[test]
fn a_payload_of_another_length_than_its_block_is_a_bad_request() {
    let mut peer = Peer::new();
    let whole = body(64);
    for (start, end) in [(0, 15), (0, 17), (0, 0)] {
        let mut message = peer.message(&whole, 0, 16);
        message.payload = whole[start..end].to_vec();
        peer.send(&message);
        assert_eq!(peer.answer().0, Code::BAD_REQUEST);
    }
}

/// RFC 7959 §2.3, figure 8: the server prefers smaller blocks, and the client counts anew.
#[test]
fn smaller_blocks_are_asked_for_where_large_ones_would_not_fit_the_other_way() {
    let limits = Limits {
        max_message_size: 100,
        ..Limits::default()
    };
    let mut peer = Peer::with(limits);
    let whole = body(150);
    assert_eq!(peer.block(&whole, 0, 128), wait(block(0, true, 64)));
    assert_eq!(peer.last_block(&whole, 2, 64).payload, whole);
}

#[test]
fn transfers_are_bounded_and_the_oldest_gives_way() {
    let mut peer = Peer::with(Limits {
        block_transfers: 2,
        ..Limits::default()
    });
    let whole = body(40);
    let tagged = |peer: &mut Peer, tag, number| {
        let mut message = peer.message(&whole, number, 16);
        message.options.push_uint(OptionNumber::REQUEST_TAG, tag);
        peer.send(&message);
        peer.answer().0
    };
    for tag in 0..3 {
        assert_eq!(tagged(&mut peer, tag, 0), Code::CONTINUE);
    }
    let gone = Code::REQUEST_ENTITY_INCOMPLETE;
    assert_eq!(tagged(&mut peer, 0, 1), gone);
    assert_eq!(tagged(&mut peer, 1, 1), Code::CONTINUE);
    assert_eq!(tagged(&mut peer, 2, 1), Code::CONTINUE);
}

/// RFC 7959 §2.5: EXCHANGE_LIFETIME after the last block, the rest comes too late.
#[test]
fn a_transfer_that_stops_is_forgotten() {
    let mut peer = Peer::new();
    let whole = body(64);
    peer.block(&whole, 0, 16);
    peer.bench.advance(seconds(222));
    assert_eq!(peer.block(&whole, 1, 16), wait(block(1, true, 16)));
    peer.bench.advance(seconds(223));
    assert_eq!(peer.bench.endpoint.poll_timeout(), None, "nothing is kept");
    assert_eq!(peer.block(&whole, 2, 16), INCOMPLETE);
}

/// Covers: B-006, S-077. Q-Block is not supported, alone or mixed.
#[test]
fn q_block_is_a_bad_option_also_beside_block() {
    for option in [OptionNumber::Q_BLOCK1, OptionNumber::Q_BLOCK2] {
        let mut peer = Peer::new();
        let mut message = peer.message(&body(40), 0, 16);
        message.options.push_uint(option, 0);
        peer.send(&message);
        assert_eq!(peer.answer().0, Code::BAD_OPTION);
        assert_eq!(peer.bench.events(), []);
    }
}
