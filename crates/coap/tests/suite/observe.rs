//! RFC 7641: observations of ours and of the peer's.

use coap::{
    Code, Delivery, Event, Limits, Message, MessageId, SendError, Token, TransmissionParameters,
};

use crate::rig::*;

/// Registers, and takes the first representation with Observe 10.
fn observing() -> (Bench, Token) {
    let mut bench = Bench::new();
    let (token, _) = bench.send(get(Some(0), Delivery::NonRepeated));
    bench.advance(millis(100));
    notify(&mut bench, token, 10);
    assert_eq!(observed_values(&mut bench), [10]);
    assert_eq!(
        bench.endpoint.poll_timeout(),
        None,
        "nothing is repeated any longer"
    );
    (bench, token)
}

fn notify(bench: &mut Bench, token: Token, value: u32) {
    bench.receive(&response_message(
        NON,
        MessageId(500),
        token,
        observed(value),
    ));
}

fn observed_values(bench: &mut Bench) -> Vec<u32> {
    let value = |event| match event {
        Event::Response { response, .. } => response.options.observe(),
        other => panic!("expected a notification, got {other:?}"),
    };
    bench.events().into_iter().filter_map(value).collect()
}

/// Covers: S-044.
#[test]
fn notifications_keep_coming_under_the_token_of_the_registration() {
    let (mut bench, token) = observing();
    notify(&mut bench, token, 11);
    notify(&mut bench, token, 12);
    assert_eq!(observed_values(&mut bench), [11, 12]);
    bench.assert_silent();
}

/// RFC 7641 §3.4.
#[test]
fn a_notification_that_was_overtaken_is_dropped() {
    let (mut bench, token) = observing();
    for value in [12, 11, 12, 13] {
        notify(&mut bench, token, value);
    }
    assert_eq!(observed_values(&mut bench), [12, 13]);
    assert_eq!(bench.endpoint.counters().stale_notifications, 2);
    bench.advance(seconds(129));
    notify(&mut bench, token, 1);
    assert_eq!(observed_values(&mut bench), [1], "order expires");
}

/// RFC 7641 §3.5.
#[test]
fn a_confirmable_notification_is_acknowledged_even_if_stale() {
    let (mut bench, token) = observing();
    for value in [11, 9] {
        bench.receive(&response_message(
            CON,
            MessageId(501),
            token,
            observed(value),
        ));
        assert_eq!(bench.sent(), Message::empty(ACK, MessageId(501)));
    }
    assert_eq!(observed_values(&mut bench), [11]);
}

/// RFC 7641 §4.1: without Observe in the response there is no registration.
#[test]
fn a_server_that_declines_the_registration_closes_the_token() {
    let mut bench = Bench::new();
    let (token, _) = bench.send(get(Some(0), Delivery::NonRepeated));
    bench.receive(&response_message(
        NON,
        MessageId(1),
        token,
        response(Code::CONTENT),
    ));
    assert_eq!(bench.events().len(), 1);
    notify(&mut bench, token, 11);
    assert_eq!(bench.sent(), Message::empty(RST, MessageId(500)));
    assert_eq!(bench.events(), []);
}

/// RFC 7641 §4.2.
#[test]
fn an_error_ends_the_observation_and_is_delivered() {
    let (mut bench, token) = observing();
    bench.receive(&response_message(
        NON,
        MessageId(1),
        token,
        response(Code::NOT_FOUND),
    ));
    assert_eq!(bench.events().len(), 1);
    notify(&mut bench, token, 11);
    assert_eq!(bench.sent(), Message::empty(RST, MessageId(500)));
}

/// RFC 7641 §3.6.
#[test]
fn notifications_for_a_forgotten_observation_are_rejected() {
    let (mut bench, token) = observing();
    bench.endpoint.forget_observation(&token);
    notify(&mut bench, token, 11);
    assert_eq!(bench.sent(), Message::empty(RST, MessageId(500)));
    assert_eq!(bench.events(), []);
}

/// A registration given up may have reached the server all the same.
#[test]
fn notifications_for_a_cancelled_registration_are_rejected() {
    let mut bench = Bench::new();
    let (token, _) = bench.send(get(Some(0), Delivery::NonRepeated));
    bench.endpoint.cancel(&token);
    notify(&mut bench, token, 11);
    assert_eq!(bench.sent(), Message::empty(RST, MessageId(500)));
}

/// Covers: S-044: Observe 1 under the original token.
#[test]
fn deregistration_ends_with_its_response_and_not_with_a_notification_under_way() {
    let (mut bench, token) = observing();
    let request = get(Some(1), Delivery::NonRepeated);
    bench
        .endpoint
        .send_request_on(bench.now, &token, request)
        .expect("room");
    assert_eq!(bench.sent().token, token);
    notify(&mut bench, token, 11);
    bench.assert_silent();
    assert!(bench.endpoint.poll_timeout().is_some(), "still repeated");
    bench.receive(&response_message(
        NON,
        MessageId(1),
        token,
        response(Code::CONTENT),
    ));
    assert_eq!(bench.events().len(), 1);
    assert_eq!(bench.endpoint.poll_timeout(), None);
}

/// RFC 7641 §3.3.1. The server need not count up for it.
#[test]
fn a_renewed_registration_is_answered_by_the_same_observe_value() {
    let (mut bench, token) = observing();
    let request = get(Some(0), Delivery::NonRepeated);
    bench
        .endpoint
        .send_request_on(bench.now, &token, request)
        .expect("room");
    bench.sent();
    bench.advance(millis(10));
    let before = bench.endpoint.round_trip_estimate();
    notify(&mut bench, token, 10);
    assert_eq!(observed_values(&mut bench), [10]);
    assert_eq!(
        bench.endpoint.round_trip_estimate(),
        before,
        "a notification may have crossed it"
    );
    assert_eq!(bench.endpoint.poll_timeout(), None);
    notify(&mut bench, token, 10);
    bench.assert_silent();
}

#[test]
fn observations_are_bounded() {
    let limits = Limits {
        observations: 1,
        ..Limits::default()
    };
    let mut bench = Bench::with(TransmissionParameters::default(), limits);
    let (token, _) = bench.send(get(Some(0), Delivery::NonRepeated));
    notify(&mut bench, token, 1);
    let request = get(Some(0), Delivery::NonRepeated);
    let refused = Err(SendError::TooManyObservations { limit: 1 });
    assert_eq!(
        bench.endpoint.send_request(bench.now, request.clone()),
        refused
    );
    assert_eq!(
        bench.endpoint.send_request_on(bench.now, &token, request),
        Ok(()),
        "a renewal"
    );
    assert!(
        bench
            .endpoint
            .send_request(bench.now, get(None, Delivery::NonRepeated))
            .is_ok()
    );
}

/// Covers: S-045.
#[test]
fn our_notifications_are_nonconfirmable_with_fresh_message_ids() {
    let mut bench = Bench::new();
    let mut ids = Vec::new();
    for value in [1, 2] {
        bench
            .endpoint
            .notify(bench.now, &token(5), observed(value))
            .expect("fits");
        let sent = bench.sent();
        assert_eq!((sent.message_type, sent.token), (NON, token(5)));
        assert_eq!(sent.options.observe(), Some(value));
        ids.push(sent.message_id);
    }
    assert_ne!(ids.first(), ids.last());
    assert_eq!(bench.endpoint.poll_timeout(), None, "sent once");
}

/// RFC 7641 §4.5.
#[test]
fn a_reset_tells_once_that_the_peer_rejects_notifications() {
    let mut bench = Bench::new();
    let mut ids = Vec::new();
    for value in [1, 2] {
        bench
            .endpoint
            .notify(bench.now, &token(5), observed(value))
            .expect("fits");
        ids.push(bench.sent().message_id);
    }
    for id in ids {
        bench.receive(&Message::empty(RST, id));
    }
    assert_eq!(
        bench.events(),
        [Event::NotificationRejected { token: token(5) }]
    );
}

/// The response to a registration is its first notification (RFC 7641 §4.2).
#[test]
fn a_reset_of_the_response_to_a_registration_counts_as_well() {
    let mut bench = Bench::new();
    let exchange = bench.receive_request(&request_message(NON, 7, token(5)));
    bench.respond(exchange, observed(1));
    let id = bench.sent().message_id;
    bench.receive(&Message::empty(RST, id));
    assert_eq!(
        bench.events(),
        [Event::NotificationRejected { token: token(5) }]
    );
}

/// RFC 7252 §4.8.2: after NON_LIFETIME the Message ID may be another message's.
#[test]
fn a_reset_long_after_the_notification_does_not_mean_it() {
    let mut bench = Bench::new();
    bench
        .endpoint
        .notify(bench.now, &token(5), observed(1))
        .expect("fits");
    let id = bench.sent().message_id;
    bench.advance(seconds(121));
    bench.receive(&Message::empty(RST, id));
    bench.assert_silent();
}

#[test]
fn a_notification_that_cannot_be_sent_is_refused() {
    let mut bench = Bench::new();
    let mut large = observed(1);
    large.payload = vec![0; 2000];
    let refused = bench.endpoint.notify(bench.now, &token(5), large);
    assert!(
        matches!(refused, Err(SendError::TooLarge { limit: 1152, .. })),
        "{refused:?}"
    );
    let refused = bench
        .endpoint
        .notify(bench.now, &token(5), response(Code::GET));
    assert_eq!(refused, Err(SendError::NotAResponseCode(Code::GET)));
    bench.assert_silent();
}
