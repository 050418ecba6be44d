//! RFC 8323 §3, §7: requests, responses and observations over TCP and TLS.

use coap::{
    Code, Delivery, Endpoint, Event, FailureCause, Limits, OptionNumber, Options, Request,
    SendError, Token,
};

use crate::rig::{block, body, get, observed, put, response, seconds, token};
use crate::stream_rig::*;

/// Covers: S-004. RFC 8323 §3.1: neither types nor copies.
#[test]
fn a_request_is_sent_once_and_answered_once() {
    for delivery in [
        Delivery::Confirmable,
        Delivery::NonRepeated,
        Delivery::NonOnce,
    ] {
        let mut bench = Bench::new();
        let (token, _) = bench.send(put(delivery));
        bench.now += seconds(20);
        bench.endpoint.handle_timeout(bench.now);
        bench.assert_silent();
        bench.answer(token, response(Code::CREATED));
        let expected = Event::Response {
            token,
            response: response(Code::CREATED),
            round_trip: Some(seconds(20)),
        };
        assert_eq!(bench.events(), [expected]);
        assert_eq!(bench.endpoint.round_trip_estimate(), Some(seconds(20)));
        bench.answer(token, response(Code::CREATED));
        bench.assert_silent();
        assert_eq!(bench.endpoint.counters().late_responses, 1);
    }
}

#[test]
fn only_a_request_that_would_be_repeated_waits_for_ever() {
    let waits = [
        (Delivery::Confirmable, Some(223)),
        (Delivery::NonRepeated, None),
        (Delivery::NonOnce, Some(121)),
    ];
    for (delivery, wait) in waits {
        let mut bench = Bench::new();
        let (token, _) = bench.send(put(delivery));
        let deadline = wait.map(|wait| bench.now + seconds(wait));
        assert_eq!(bench.endpoint.poll_timeout(), deadline);
        if let Some(deadline) = deadline {
            bench.endpoint.handle_timeout(deadline);
            let cause = FailureCause::TimedOut;
            assert_eq!(bench.events(), [Event::Failed { token, cause }]);
        }
    }
}

#[test]
fn requests_of_the_peer_are_answered_in_any_order() {
    let mut bench = Bench::new();
    let exchanges =
        [1, 2].map(|id| bench.receive_request(&request(token(id), put(Delivery::Confirmable))));
    for (id, exchange) in [(2, exchanges[1]), (1, exchanges[0])] {
        bench.respond(exchange, response(Code::CHANGED));
        assert_eq!(bench.sent().token, token(id));
        bench.respond(exchange, response(Code::CHANGED));
        bench.endpoint.ignore(exchange);
        bench.assert_silent();
    }
    assert_eq!(bench.endpoint.counters().expired_exchanges, 4);
}

/// RFC 7252 §5.4.1: over a stream, each request gets the 4.02.
#[test]
fn an_unknown_critical_option_is_a_bad_option() {
    let mut bench = Bench::new();
    let mut unknown = request(token(1), get(None, Delivery::NonOnce));
    unknown.options.push(OptionNumber::Q_BLOCK2, &[0]);
    bench.receive(&unknown);
    let refusal = bench.sent();
    assert_eq!((refusal.code, refusal.token), (Code::BAD_OPTION, token(1)));
    let (token, _) = bench.send(put(Delivery::Confirmable));
    let mut unknown = response(Code::CREATED);
    unknown.options.push(OptionNumber(65535), &[]);
    bench.answer(token, unknown);
    let cause = FailureCause::CriticalOption(OptionNumber(65535));
    assert_eq!(bench.events(), [Event::Failed { token, cause }]);
}

/// Covers: B-001. BERT is not offered (RFC 8323 §5.3.2), and refused if it comes all the same.
#[test]
fn bert_is_a_bad_request() {
    let mut bench = Bench::new();
    let mut bert = request(token(1), put(Delivery::NonOnce));
    bert.options.push_uint(OptionNumber::BLOCK1, 15);
    bench.receive(&bert);
    assert_eq!(bench.sent().code, Code::BAD_REQUEST);
}

/// RFC 8323 §7.1, §7.2: the value of Observe does not matter.
#[test]
fn notifications_are_delivered_in_the_order_they_come() {
    let mut bench = Bench::new();
    let (token, _) = bench.send(get(Some(0), Delivery::NonRepeated));
    for value in [5, 4, 4, 0] {
        bench.answer(token, observed(value));
        assert!(matches!(bench.events()[..], [Event::Response { .. }]));
    }
    assert_eq!(bench.endpoint.poll_timeout(), None);
    bench.answer(token, response(Code::NOT_FOUND));
    assert_eq!(bench.events().len(), 1);
    bench.answer(token, observed(6));
    bench.assert_silent();
}

/// RFC 8323 §7.4: there is no Reset to end it with.
#[test]
fn an_observation_is_ended_explicitly() {
    let end = |registered: bool, end: fn(&mut Endpoint, &Token)| {
        let mut bench = Bench::new();
        let (token, _) = bench.send(get(Some(0), Delivery::NonRepeated));
        if registered {
            bench.answer(token, observed(1));
            bench.events();
        }
        end(&mut bench.endpoint, &token);
        let goodbye = bench.sent();
        assert_eq!((goodbye.code, goodbye.token), (Code::GET, token));
        assert_eq!(goodbye.options.observe(), Some(1));
        assert_eq!(goodbye.options.uri_path().count(), 1);
        bench.answer(token, observed(2));
        bench.answer(token, response(Code::CONTENT));
        bench.assert_silent();
    };
    end(true, Endpoint::forget_observation);
    end(true, Endpoint::cancel);
    end(false, Endpoint::cancel);
    let mut bench = Bench::new();
    let (token, _) = bench.send(put(Delivery::NonRepeated));
    bench.endpoint.cancel(&token);
    bench.assert_silent();
}

/// RFC 8323 §7.4: a notification may cross the end of its observation.
#[test]
fn only_a_response_without_observe_answers_a_deregistration() {
    let mut bench = Bench::new();
    let (token, _) = bench.send(get(Some(0), Delivery::Confirmable));
    bench.answer(token, observed(1));
    bench.events();
    assert_eq!(bench.endpoint.poll_timeout(), None, "it may last");
    let end = get(Some(1), Delivery::Confirmable);
    let sent = bench.endpoint.send_request_on(bench.now, &token, end);
    assert_eq!(sent, Ok(()));
    bench.sent();
    bench.answer(token, observed(2));
    bench.assert_silent();
    bench.answer(token, response(Code::CONTENT));
    assert_eq!(bench.events().len(), 1);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn notifications_go_out_on_the_token_of_the_registration() {
    let mut bench = Bench::new();
    let exchange = bench.receive_request(&request(token(1), get(Some(0), Delivery::NonOnce)));
    bench.respond(exchange, observed(1));
    bench.sent();
    let mut large = observed(2);
    large.payload = body(2000);
    let sent = bench.endpoint.notify(bench.now, &token(1), large);
    assert_eq!(sent, Ok(()));
    let first = bench.sent();
    assert_eq!((first.token, first.options.observe()), (token(1), Some(2)));
    let sent = first.options.uint(OptionNumber::BLOCK2);
    assert_eq!(sent, Some(block(0, true, 1024)));
}

/// Nothing may be lost in a stream: too many requests are refused.
#[test]
fn requests_that_wait_for_an_answer_are_bounded() {
    let limits = [
        Limits {
            deduplication_entries: 2,
            ..Limits::default()
        },
        Limits {
            queued_events: 2,
            ..Limits::default()
        },
    ];
    for limits in limits {
        let mut bench = Bench::with(limits, &[]);
        let frames = [1, 2, 3].map(|id| request(token(id), put(Delivery::NonOnce)).encode());
        bench.endpoint.handle_datagram(bench.now, &frames.concat());
        let refusal = bench.sent();
        assert_eq!(refusal.code, Code::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.token, token(3));
        assert_eq!(bench.events().len(), 2);
    }
}

#[test]
fn requests_of_ours_are_bounded() {
    let limits = Limits {
        outstanding_requests: 2,
        observations: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with(limits, &[]);
    let (observation, _) = bench.send(get(Some(0), Delivery::NonRepeated));
    let second = bench
        .endpoint
        .send_request(bench.now, get(Some(0), Delivery::NonRepeated));
    assert_eq!(second, Err(SendError::TooManyObservations { limit: 1 }));
    bench.send(put(Delivery::NonRepeated));
    let third = bench
        .endpoint
        .send_request(bench.now, put(Delivery::NonRepeated));
    assert_eq!(third, Err(SendError::TooManyOutstanding { limit: 2 }));
    bench.answer(observation, observed(1));
    bench.send(put(Delivery::NonRepeated));
    let not = Request {
        method: Code::PING,
        options: Options::new(),
        ..put(Delivery::NonOnce)
    };
    bench.answer(observation, response(Code::NOT_FOUND));
    let refused = bench.endpoint.send_request(bench.now, not);
    assert!(refused.is_err());
}
