//! RFC 7252 §4.3, RFC 9132 §4.4: Non-confirmable messages, and how DOTS repeats them.

use std::collections::BTreeSet;

use coap::{Code, Delivery, Event, FailureCause, Message, MessageId, TransmissionParameters};

use crate::rig::*;

/// Covers: S-037, S-038.
#[test]
fn a_repeated_request_goes_out_every_three_seconds_with_fresh_message_ids_until_answered() {
    let mut bench = Bench::new();
    let (token, first) = bench.send(put(Delivery::NonRepeated));
    assert_eq!(first.message_type, NON);
    let sent = bench.run_until(seconds(600));
    assert_eq!(sent.len(), 200);
    for (index, (at, copy)) in (1..).zip(&sent) {
        assert_eq!(*at, seconds(3 * index));
        assert_eq!(
            *copy,
            Message {
                message_id: copy.message_id,
                ..first.clone()
            }
        );
    }
    let ids: BTreeSet<MessageId> = sent.iter().map(|(_, copy)| copy.message_id).collect();
    assert_eq!(ids.len(), 200);

    bench.receive(&response_message(
        NON,
        MessageId(1),
        token,
        response(Code::CREATED),
    ));
    let expected = response(Code::CREATED);
    assert_eq!(
        bench.events(),
        [Event::Response {
            token,
            response: expected,
            round_trip: None
        }],
        "Karn: which copy was answered is unknown"
    );
    assert_eq!(bench.endpoint.poll_timeout(), None);
    assert_eq!(bench.endpoint.round_trip_estimate(), None);
}

/// Covers: S-038.
#[test]
fn with_an_estimate_repetition_starts_at_four_round_trips_and_slows_to_three_seconds() {
    let mut bench = Bench::new();
    teach_round_trip(&mut bench, 100);
    bench.start = bench.now;
    bench.send(put(Delivery::NonRepeated));
    let times: Vec<_> = bench
        .run_until(seconds(9))
        .iter()
        .map(|(at, _)| at.as_millis())
        .collect();
    assert_eq!(times, [400, 1000, 1900, 3250, 5275, 8275]);
}

/// Covers: S-037, S-038. On a path that loses much and is slow in nothing, waits that grew are no
/// use to anybody.
#[test]
fn an_answer_to_one_request_hastens_the_others() {
    let mut bench = Bench::new();
    teach_round_trip(&mut bench, 100);
    bench.start = bench.now;
    bench.send(put(Delivery::NonRepeated));
    assert_eq!(bench.run_until(seconds(6)).len(), 5);
    let (token, _) = bench.send(put(Delivery::NonRepeated));
    bench.advance(millis(200));
    let answer = response_message(NON, MessageId(1), token, response(Code::CREATED));
    bench.receive(&answer);
    let times: Vec<_> = bench
        .run_until(millis(7500))
        .iter()
        .map(|(at, _)| at.as_millis())
        .collect();
    assert_eq!(times, [6650, 7325], "and not at 8275");
}

/// Covers: S-038. Several requests share the one datagram every 3 s, each in its turn.
#[test]
fn requests_without_answer_together_keep_to_one_datagram_every_three_seconds() {
    let mut bench = Bench::new();
    let tokens: BTreeSet<_> = (0..4)
        .map(|_| bench.send(put(Delivery::NonRepeated)).0)
        .collect();
    let sent = bench.run_until(seconds(24));
    let times: Vec<_> = sent.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(times, [3, 6, 9, 12, 15, 18, 21, 24]);
    for round in sent.chunks(4) {
        let seen: BTreeSet<_> = round.iter().map(|(_, copy)| copy.token).collect();
        assert_eq!(seen, tokens);
    }
}

/// Covers: S-038. A new request is not held back by an old one, only its copies are.
#[test]
fn the_first_copy_of_a_request_is_never_delayed() {
    let mut bench = Bench::new();
    bench.send(put(Delivery::NonRepeated));
    bench.advance(millis(10));
    bench.send(put(Delivery::NonRepeated));
}

#[test]
fn repetition_ends_at_its_limit() {
    let parameters = TransmissionParameters {
        non_max_repeats: Some(2),
        ..TransmissionParameters::default()
    };
    let mut bench = Bench::with(parameters, coap::Limits::default());
    let (token, _) = bench.send(put(Delivery::NonRepeated));
    assert_eq!(bench.run_until(seconds(60)).len(), 2);
    assert_eq!(
        bench.events(),
        [Event::Failed {
            token,
            cause: FailureCause::TimedOut
        }]
    );
}

#[test]
fn a_cancelled_request_is_not_repeated_and_its_late_response_is_swallowed() {
    let mut bench = Bench::new();
    let (token, _) = bench.send(put(Delivery::NonRepeated));
    bench.endpoint.cancel(&token);
    assert_eq!(bench.endpoint.poll_timeout(), None);
    bench.receive(&response_message(
        NON,
        MessageId(1),
        token,
        response(Code::CREATED),
    ));
    bench.assert_silent();
    assert_eq!(bench.endpoint.counters().late_responses, 1);
}

/// A heartbeat is sent once; its loss is the agent's to count.
#[test]
fn a_request_sent_once_is_not_repeated() {
    let mut bench = Bench::new();
    let (token, _) = bench.send(put(Delivery::NonOnce));
    assert_eq!(bench.run_until(seconds(120)), []);
    assert_eq!(bench.events(), []);
    bench.run_until(seconds(121));
    assert_eq!(
        bench.events(),
        [Event::Failed {
            token,
            cause: FailureCause::TimedOut
        }]
    );
}

#[test]
fn an_unambiguous_response_measures_the_round_trip() {
    let mut bench = Bench::new();
    teach_round_trip(&mut bench, 80);
    assert_eq!(bench.endpoint.round_trip_estimate(), Some(millis(80)));
    teach_round_trip(&mut bench, 160);
    assert_eq!(bench.endpoint.round_trip_estimate(), Some(millis(90)));
}

/// As a deployed server does: ACK even to NON, with the Message ID of the request.
#[test]
fn a_response_in_an_acknowledgement_to_a_nonconfirmable_request_is_taken() {
    let mut bench = Bench::new();
    let (token, request) = bench.send(put(Delivery::NonRepeated));
    bench.advance(seconds(3));
    bench.all_sent();
    bench.receive(&response_message(
        ACK,
        request.message_id,
        token,
        response(Code::CREATED),
    ));
    assert!(
        matches!(bench.events()[..], [Event::Response { .. }]),
        "to an earlier copy"
    );
}

#[test]
fn a_reset_of_any_copy_fails_the_request() {
    let mut bench = Bench::new();
    let (token, first) = bench.send(put(Delivery::NonRepeated));
    bench.advance(seconds(3));
    bench.all_sent();
    bench.receive(&Message::empty(RST, first.message_id));
    assert_eq!(
        bench.events(),
        [Event::Failed {
            token,
            cause: FailureCause::Reset
        }]
    );
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// Covers: S-037. A deployed client repeats its request with the same Message ID and waits for the
/// response.
#[test]
fn a_nonconfirmable_duplicate_gets_the_response_again_and_is_processed_once() {
    let mut bench = Bench::new();
    let request = request_message(NON, 7, token(1));
    let exchange = bench.receive_request(&request);
    bench.receive(&request);
    bench.assert_silent();
    bench.respond(exchange, response(Code::CREATED));
    let reply = bench.sent();
    assert_eq!(
        (reply.message_type, reply.code, reply.token),
        (NON, Code::CREATED, token(1))
    );
    bench.advance(seconds(3));
    bench.receive(&request);
    assert_eq!(bench.sent(), reply);
    assert_eq!(bench.events(), []);
}

/// What makes a duplicate is Message ID and token together.
#[test]
fn another_request_under_a_message_id_used_too_early_is_not_lost() {
    let mut bench = Bench::new();
    bench.receive_request(&request_message(NON, 7, token(1)));
    bench.receive_request(&request_message(NON, 7, token(2)));
}

/// Covers: S-048.
#[test]
fn an_ignored_nonconfirmable_request_stays_without_any_answer() {
    let mut bench = Bench::new();
    let request = request_message(NON, 7, token(1));
    let exchange = bench.receive_request(&request);
    bench.endpoint.ignore(exchange);
    bench.receive(&request);
    bench.assert_silent();
}

fn teach_round_trip(bench: &mut Bench, round_trip: u64) {
    let (token, _) = bench.send(put(Delivery::NonOnce));
    bench.advance(millis(round_trip));
    bench.receive(&response_message(
        NON,
        MessageId(1),
        token,
        response(Code::CHANGED),
    ));
    let expected = Some(millis(round_trip));
    assert!(
        matches!(bench.events()[..], [Event::Response { round_trip, .. }] if round_trip == expected)
    );
}
