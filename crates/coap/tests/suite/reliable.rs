//! RFC 7252 §4.2, §5.2: Confirmable messages, piggybacked and separate responses.

use coap::{Code, Delivery, Event, FailureCause, Message, MessageId, TransmissionParameters};

use crate::rig::*;

/// Covers: S-052, S-056.
#[test]
fn a_confirmable_request_is_sent_four_times_under_one_message_id_and_then_fails() {
    let mut bench = Bench::new();
    let (token, first) = bench.send(put(Delivery::Confirmable));
    assert_eq!(first.message_type, CON);
    let sent = bench.run_until(seconds(60));
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|(_, copy)| *copy == first));
    let times: Vec<f64> = sent.iter().map(|(at, _)| at.as_secs_f64()).collect();
    let [a, b, c] = times[..] else {
        panic!("three retransmissions")
    };
    assert!((2.0..=3.0).contains(&a));
    assert!(((b - a) / a - 2.0).abs() < 1e-6 && ((c - b) / a - 4.0).abs() < 1e-6);
    assert_eq!(
        bench.events(),
        [Event::Failed {
            token,
            cause: FailureCause::TimedOut
        }]
    );
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

#[test]
fn jitter_follows_the_seed() {
    let first_timeout = |seed| {
        let start = origin();
        let mut endpoint = coap::Endpoint::new(
            TransmissionParameters::default(),
            coap::Limits::default(),
            seed,
        );
        endpoint
            .send_request(start, put(Delivery::Confirmable))
            .expect("room");
        endpoint.poll_timeout().expect("a timer") - start
    };
    assert_eq!(first_timeout(1), first_timeout(1));
    assert_ne!(first_timeout(1), first_timeout(2));
}

/// RFC 7252 §4.8.1, RFC 9132 §4.5.2.
#[test]
fn negotiated_parameters_hold_from_the_next_message_on() {
    let mut bench = Bench::new();
    bench.endpoint.set_parameters(TransmissionParameters {
        ack_timeout: seconds(1),
        ack_random_factor: 1.0,
        max_retransmit: 1,
        ..TransmissionParameters::default()
    });
    bench.send(put(Delivery::Confirmable));
    let sent = bench.run_until(seconds(60));
    assert_eq!(
        sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [seconds(1)]
    );
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_piggybacked_response_ends_the_retransmission() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.advance(millis(40));
    bench.receive(&response_message(
        ACK,
        request.message_id,
        token,
        response(Code::CREATED),
    ));
    let expected = response(Code::CREATED);
    let round_trip = Some(millis(40));
    assert_eq!(
        bench.events(),
        [Event::Response {
            token,
            response: expected,
            round_trip
        }]
    );
    assert_eq!(bench.run_until(seconds(300)), []);
    bench.assert_silent();
}

/// RFC 7252 §5.3.2: Message ID and token must both match in a piggybacked response.
#[test]
fn a_piggybacked_response_with_another_message_id_is_not_taken() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    let other = MessageId(request.message_id.0.wrapping_add(1));
    bench.receive(&response_message(
        ACK,
        other,
        token,
        response(Code::CREATED),
    ));
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().unmatched_acknowledgements, 1);
}

#[test]
fn an_empty_acknowledgement_leaves_the_request_waiting_for_a_separate_response() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.receive(&Message::empty(ACK, request.message_id));
    bench.advance(seconds(20));
    bench.assert_silent();
    let separate = response_message(CON, MessageId(9), token, response(Code::CHANGED));
    bench.receive(&separate);
    assert_eq!(bench.sent(), Message::empty(ACK, MessageId(9)));
    assert!(matches!(bench.events()[..], [Event::Response { .. }]));
    // Our acknowledgement was lost, and the response comes again.
    bench.receive(&separate);
    assert_eq!(bench.sent(), Message::empty(ACK, MessageId(9)));
    assert_eq!(bench.events(), []);
    assert_eq!(bench.endpoint.counters().late_responses, 1);
}

/// RFC 7252 §4.7: after EXCHANGE_LIFETIME no response is expected any longer.
#[test]
fn an_acknowledged_request_fails_when_the_response_never_comes() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.receive(&Message::empty(ACK, request.message_id));
    assert_eq!(bench.run_until(seconds(222)), []);
    assert_eq!(bench.events(), []);
    bench.run_until(seconds(224));
    assert_eq!(
        bench.events(),
        [Event::Failed {
            token,
            cause: FailureCause::TimedOut
        }]
    );
}

/// RFC 7252 §5.2.2: a separate response that overtakes the Acknowledgement acknowledges as well.
#[test]
fn a_separate_response_may_come_before_the_acknowledgement() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.receive(&response_message(
        CON,
        MessageId(9),
        token,
        response(Code::CHANGED),
    ));
    assert_eq!(bench.sent(), Message::empty(ACK, MessageId(9)));
    assert_eq!(bench.events().len(), 1);
    bench.receive(&Message::empty(ACK, request.message_id));
    assert_eq!(bench.run_until(seconds(300)), []);
    bench.assert_silent();
}

/// As a deployed server does: NON to a CON, with no ACK, and the Message ID of the request.
#[test]
fn a_nonconfirmable_response_to_a_confirmable_request_is_taken() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.receive(&response_message(
        NON,
        request.message_id,
        token,
        response(Code::CREATED),
    ));
    assert!(matches!(bench.events()[..], [Event::Response { .. }]));
    assert_eq!(bench.run_until(seconds(300)), []);
}

#[test]
fn a_reset_fails_the_request() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::Confirmable));
    bench.receive(&Message::empty(RST, request.message_id));
    assert_eq!(
        bench.events(),
        [Event::Failed {
            token,
            cause: FailureCause::Reset
        }]
    );
    assert_eq!(bench.run_until(seconds(300)), []);
    assert_eq!(bench.endpoint.counters().resets_received, 1);
}

/// RFC 7252 §5.2.1.
#[test]
fn a_prompt_response_is_piggybacked_and_a_duplicate_gets_it_again() {
    let mut bench = Bench::new();
    let request = request_message(CON, 7, token(1));
    let exchange = bench.receive_request(&request);
    bench.receive(&request);
    bench.assert_silent();
    bench.respond(exchange, response(Code::CREATED));
    let reply = bench.sent();
    let expected = response_message(ACK, MessageId(7), token(1), response(Code::CREATED));
    assert_eq!(reply, expected);
    bench.advance(seconds(2));
    bench.receive(&request);
    assert_eq!(bench.sent(), reply);
    assert_eq!(bench.events(), []);
    assert_eq!(bench.endpoint.counters().duplicates, 2);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// RFC 7252 §5.2.2.
#[test]
fn a_slow_response_is_separate_and_sent_until_acknowledged() {
    let mut bench = Bench::new();
    let request = request_message(CON, 7, token(1));
    let exchange = bench.receive_request(&request);
    let sent = bench.run_until(seconds(1));
    assert_eq!(sent, [(millis(250), Message::empty(ACK, MessageId(7)))]);
    bench.receive(&request);
    assert_eq!(
        bench.sent(),
        Message::empty(ACK, MessageId(7)),
        "the ACK was lost"
    );

    bench.respond(exchange, response(Code::CREATED));
    let separate = bench.sent();
    assert_eq!((separate.message_type, separate.code), (CON, Code::CREATED));
    bench.receive(&request);
    assert_eq!(
        bench.sent(),
        Message::empty(ACK, MessageId(7)),
        "never piggybacked now"
    );
    let again = bench.run_until(seconds(5));
    assert_eq!(
        again.iter().map(|(_, message)| message).collect::<Vec<_>>(),
        [&separate]
    );
    bench.receive(&Message::empty(ACK, separate.message_id));
    assert_eq!(bench.run_until(seconds(300)), []);
    bench.assert_silent();
}

#[test]
fn a_separate_response_is_given_up_in_the_end() {
    let mut bench = Bench::new();
    let exchange = bench.receive_request(&request_message(CON, 7, token(1)));
    bench.run_until(seconds(1));
    bench.respond(exchange, response(Code::CREATED));
    assert_eq!(
        bench.all_sent().len() + bench.run_until(seconds(100)).len(),
        4
    );
    assert_eq!(bench.endpoint.counters().undelivered_responses, 1);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// Covers: S-048. The message layer acknowledges what the application leaves unanswered.
#[test]
fn an_ignored_confirmable_request_is_acknowledged_and_nothing_more() {
    let mut bench = Bench::new();
    let request = request_message(CON, 7, token(1));
    let exchange = bench.receive_request(&request);
    bench.endpoint.ignore(exchange);
    assert_eq!(bench.sent(), Message::empty(ACK, MessageId(7)));
    bench.receive(&request);
    assert_eq!(bench.sent(), Message::empty(ACK, MessageId(7)));
    assert_eq!(bench.run_until(seconds(300)), []);
    bench.respond(exchange, response(Code::CREATED));
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().expired_exchanges, 1);
}

/// RFC 7252 §4.5: within EXCHANGE_LIFETIME a Message ID means one message, afterwards another.
#[test]
fn a_message_id_may_be_used_again_after_its_lifetime() {
    let mut bench = Bench::new();
    let request = request_message(CON, 7, token(1));
    let exchange = bench.receive_request(&request);
    bench.respond(exchange, response(Code::CREATED));
    bench.all_sent();
    bench.advance(seconds(222));
    bench.receive(&request);
    assert_eq!(bench.events(), []);
    bench.advance(seconds(1));
    bench.receive_request(&request);
}
