//! What the limits bound, and what is lost when they are reached.

use coap::{Code, Delivery, Limits, Message, OptionNumber, SendError, TransmissionParameters};

use crate::rig::*;

fn with(limits: Limits) -> Bench {
    Bench::with(TransmissionParameters::default(), limits)
}

#[test]
fn outstanding_requests_are_bounded() {
    let mut bench = with(Limits {
        outstanding_requests: 2,
        ..Limits::default()
    });
    let (first, _) = bench.send(put(Delivery::Confirmable));
    bench.send(put(Delivery::NonOnce));
    let refused = bench
        .endpoint
        .send_request(bench.now, put(Delivery::NonRepeated));
    assert_eq!(refused, Err(SendError::TooManyOutstanding { limit: 2 }));
    bench.endpoint.cancel(&first);
    bench.send(put(Delivery::NonRepeated));
}

#[test]
fn a_request_that_cannot_be_sent_is_refused_and_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let large = coap::Request {
        payload: vec![0; 65537],
        ..put(Delivery::Confirmable)
    };
    let refused = bench.endpoint.send_request(bench.now, large);
    let (size, limit) = (65537, 65536);
    assert_eq!(refused, Err(SendError::TooLarge { size, limit }));
    let mut long_path = put(Delivery::Confirmable);
    for _ in 0..5 {
        long_path.options.push(OptionNumber::URI_PATH, &[b'a'; 250]);
    }
    let refused = bench.endpoint.send_request(bench.now, long_path);
    assert!(matches!(
        refused,
        Err(SendError::TooLarge { limit: 1152, .. })
    ));
    let no_method = coap::Request {
        method: Code::CONTENT,
        ..put(Delivery::Confirmable)
    };
    let refused = bench.endpoint.send_request(bench.now, no_method);
    assert_eq!(refused, Err(SendError::NotAMethod(Code::CONTENT)));
    bench.assert_silent();
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn a_response_that_cannot_be_sent_becomes_an_internal_server_error() {
    let mut bench = Bench::new();
    let exchange = bench.receive_request(&request_message(NON, 1, token(1)));
    let mut large = response(Code::CONTENT);
    large.payload = vec![0; 65537];
    bench.respond(exchange, large);
    let failure = bench.sent();
    assert_eq!(failure.code, Code::INTERNAL_SERVER_ERROR);
    assert!(failure.payload.starts_with(b"the answer is too large"));
    let exchange = bench.receive_request(&request_message(CON, 2, token(2)));
    bench.respond(exchange, response(Code::EMPTY));
    assert_eq!(bench.sent().code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(bench.endpoint.counters().unsendable_responses, 2);
}

#[test]
fn a_request_is_answered_once() {
    let mut bench = Bench::new();
    let exchange = bench.receive_request(&request_message(NON, 1, token(1)));
    bench.respond(exchange, response(Code::CHANGED));
    bench.sent();
    bench.respond(exchange, response(Code::CONFLICT));
    bench.endpoint.ignore(exchange);
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().expired_exchanges, 2);
}

#[test]
fn the_oldest_requests_are_forgotten_first() {
    let mut bench = with(Limits {
        deduplication_entries: 2,
        ..Limits::default()
    });
    let oldest = bench.receive_request(&request_message(CON, 1, token(1)));
    bench.receive_request(&request_message(CON, 2, token(1)));
    bench.receive_request(&request_message(CON, 3, token(1)));
    bench.respond(oldest, response(Code::CHANGED));
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().expired_exchanges, 1);
    assert_eq!(
        bench.run_until(seconds(1)).len(),
        2,
        "no acknowledgement for the forgotten one"
    );
    bench.receive(&request_message(CON, 2, token(1)));
    assert_eq!(bench.events(), [], "still known");
}

#[test]
fn cached_responses_are_bounded_and_the_oldest_give_way() {
    let mut bench = with(Limits {
        response_cache_bytes: 64,
        ..Limits::default()
    });
    let mut body = response(Code::CONTENT);
    body.payload = vec![0; 20];
    for id in 1..=3 {
        let exchange = bench.receive_request(&request_message(NON, id, token(1)));
        bench.respond(exchange, body.clone());
    }
    bench.all_sent();
    bench.receive(&request_message(NON, 3, token(1)));
    assert_eq!(bench.all_sent().len(), 1, "cached");
    bench.receive_request(&request_message(NON, 1, token(1)));
}

#[test]
fn separate_responses_in_flight_are_bounded() {
    let mut bench = with(Limits {
        separate_responses: 1,
        ..Limits::default()
    });
    let exchanges = [1, 2].map(|id| bench.receive_request(&request_message(CON, id, token(1))));
    bench.run_until(seconds(1));
    for exchange in exchanges {
        bench.respond(exchange, response(Code::CHANGED));
    }
    assert_eq!(bench.all_sent().len(), 2);
    assert_eq!(
        bench.run_until(seconds(100)).len(),
        3,
        "only the younger is sent again"
    );
    assert_eq!(bench.endpoint.counters().undelivered_responses, 2);
}

/// What is not acknowledged is sent again by the peer, so nothing is lost for good.
#[test]
fn a_full_event_queue_loses_the_message_before_it_is_acknowledged() {
    let mut bench = with(Limits {
        queued_events: 1,
        ..Limits::default()
    });
    bench.receive(&request_message(CON, 1, token(1)));
    bench.receive(&request_message(CON, 2, token(2)));
    assert_eq!(bench.endpoint.counters().overflows, 1);
    assert_eq!(bench.events().len(), 1);
    bench.receive_request(&request_message(CON, 2, token(2)));
}

#[test]
fn a_full_datagram_queue_loses_datagrams() {
    let mut bench = with(Limits {
        queued_datagrams: 1,
        ..Limits::default()
    });
    for id in 0..3 {
        bench.receive(&Message::empty(CON, coap::MessageId(id)));
    }
    assert_eq!(bench.all_sent().len(), 1);
    assert_eq!(bench.endpoint.counters().overflows, 2);
}

#[test]
fn an_oversized_datagram_is_not_looked_into() {
    let mut bench = with(Limits {
        max_received_size: 100,
        ..Limits::default()
    });
    let mut request = request_message(CON, 1, token(1));
    request.payload = vec![0; 100];
    bench.receive(&request);
    assert_eq!(bench.sent(), Message::empty(RST, coap::MessageId(1)));
    assert_eq!(bench.events(), []);
    assert_eq!(bench.endpoint.counters().malformed, 1);
}
