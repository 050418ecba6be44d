//! Whatever the peer sends: limits hold, timers advance, nothing panics.

use coap::{
    Code, Delivery, Endpoint, Event, Limits, Message, OptionNumber, SendError,
    TransmissionParameters,
};
use proptest::collection::vec;
use proptest::prelude::*;

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
    assert_eq!(bench.sent().code, Code::INTERNAL_SERVER_ERROR);
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

#[derive(Clone, Debug)]
enum Step {
    Datagram(Vec<u8>),
    /// A well-formed start that arbitrary bytes continue; few Message IDs, so that they meet.
    Message {
        message_type: u8,
        code: u8,
        id: u8,
        body: Vec<u8>,
    },
    /// A message that is part of a block-wise transfer, or says so.
    Block {
        message_type: u8,
        code: u8,
        option: OptionNumber,
        value: u32,
        observe: Option<u32>,
        length: usize,
    },
    /// The same, under the token of what the endpoint last sent.
    BlockEcho {
        code: u8,
        option: OptionNumber,
        value: u32,
        length: usize,
    },
    Echo {
        message_type: u8,
        code: u8,
    },
    Send {
        delivery: Delivery,
        observe: Option<u32>,
        length: usize,
    },
    Answer {
        code: u8,
        ignore: bool,
        observe: Option<u32>,
        length: usize,
    },
    Notify {
        length: usize,
    },
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let delivery = prop_oneof![
        Just(Delivery::Confirmable),
        Just(Delivery::NonRepeated),
        Just(Delivery::NonOnce)
    ];
    let code = prop_oneof![
        Just(0x45_u8),
        Just(0x5f),
        Just(0x88),
        Just(0x00),
        Just(0x01),
        Just(0x03),
        any::<u8>()
    ];
    let observe = proptest::option::of(0..2_u32);
    let lengths = prop_oneof![Just(16_usize), Just(32), 0..300_usize];
    let option = prop_oneof![Just(OptionNumber::BLOCK1), Just(OptionNumber::BLOCK2)];
    let small = (0..6_u32, any::<bool>(), 0..2_usize)
        .prop_map(|(number, more, exponent)| block(number, more, 16 << exponent));
    let value = prop_oneof![small, 0..1_u32 << 24];
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Step::Datagram),
        (0..4_u8, code.clone(), 0..4_u8, vec(any::<u8>(), 0..12)).prop_map(
            |(message_type, code, id, body)| Step::Message {
                message_type,
                code,
                id,
                body
            }
        ),
        (0..4_u8, code.clone()).prop_map(|(message_type, code)| Step::Echo { message_type, code }),
        (delivery, observe.clone(), lengths.clone()).prop_map(|(delivery, observe, length)| {
            Step::Send {
                delivery,
                observe,
                length,
            }
        }),
        (
            code.clone(),
            any::<bool>(),
            observe.clone(),
            lengths.clone()
        )
            .prop_map(|(code, ignore, observe, length)| Step::Answer {
                code,
                ignore,
                observe,
                length
            }),
        lengths.clone().prop_map(|length| Step::Notify { length }),
        (
            0..2_u8,
            code.clone(),
            option.clone(),
            value.clone(),
            observe,
            lengths.clone()
        )
            .prop_map(|(message_type, code, option, value, observe, length)| {
                Step::Block {
                    message_type,
                    code,
                    option,
                    value,
                    observe,
                    length,
                }
            }),
        (code, option, value, lengths).prop_map(|(code, option, value, length)| {
            Step::BlockEcho {
                code,
                option,
                value,
                length,
            }
        }),
        (0..60_000_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Small limits, arbitrary traffic, and an application that answers anything.
    #[test]
    fn nothing_panics_and_timers_always_advance(
        seed in any::<u64>(),
        steps in vec(any_step(), 0..80),
    ) {
        let limits = Limits {
            outstanding_requests: 4,
            observations: 2,
            closed_tokens: 2,
            deduplication_entries: 3,
            response_cache_bytes: 40,
            separate_responses: 2,
            remembered_notifications: 2,
            queued_events: 8,
            queued_datagrams: 8,
            max_message_size: 120,
            max_body: 300,
            block_transfers: 2,
            remembered_observers: 1,
            ..Limits::default()
        };
        let mut endpoint = Endpoint::new(TransmissionParameters::default(), limits, seed);
        let mut now = origin();
        let mut last_sent = Vec::new();
        let mut last_exchange = None;
        let mut id = 1000;
        for step in steps {
            match step {
                Step::Datagram(datagram) => endpoint.handle_datagram(now, &datagram),
                Step::Message { message_type, code, id, body } => {
                    let mut datagram = vec![0x40 | message_type << 4, code, 0, id];
                    datagram.extend(body);
                    endpoint.handle_datagram(now, &datagram);
                }
                Step::Echo { message_type, code } => {
                    let mut datagram: Vec<u8> = last_sent.clone();
                    if let [first, second, ..] = &mut datagram[..] {
                        *first = *first & 0xcf | message_type << 4;
                        *second = code;
                    }
                    endpoint.handle_datagram(now, &datagram);
                }
                Step::Block { message_type, code, option, value, observe, length } => {
                    id += 1;
                    let message_type = if message_type == 0 { CON } else { NON };
                    let mut message = request_message(message_type, id, token(7));
                    message.code = Code::from_byte(code);
                    message.options.push_uint(option, value);
                    if let Some(value) = observe {
                        message.options.push_uint(OptionNumber::OBSERVE, value);
                    }
                    message.payload = body(length);
                    endpoint.handle_datagram(now, &message.encode());
                }
                Step::BlockEcho { code, option, value, length } => {
                    if let Ok(mut message) = Message::decode(&last_sent) {
                        message.message_type = NON;
                        message.code = Code::from_byte(code);
                        message.options = coap::Options::new();
                        message.options.push_uint(option, value);
                        message.payload = body(length);
                        endpoint.handle_datagram(now, &message.encode());
                    }
                }
                Step::Send { delivery, observe, length } => {
                    let mut request = get(observe, delivery);
                    request.payload = body(length);
                    let _ = endpoint.send_request(now, request);
                }
                Step::Answer { code, ignore, observe, length } => {
                    if let Some(exchange) = last_exchange {
                        if ignore {
                            endpoint.ignore(exchange);
                        } else {
                            let mut answer = observed(observe.unwrap_or_default());
                            answer.code = Code::from_byte(code);
                            answer.payload = body(length);
                            endpoint.respond(now, exchange, answer);
                        }
                    }
                }
                Step::Notify { length } => {
                    let mut notification = observed(9);
                    notification.payload = body(length);
                    let _ = endpoint.notify(now, &token(7), notification);
                }
                Step::Wait(wait) => {
                    now += millis(wait);
                    endpoint.handle_timeout(now);
                    prop_assert!(endpoint.poll_timeout().is_none_or(|next| next > now));
                }
            }
            while let Some(datagram) = endpoint.poll_transmit() {
                prop_assert!(Message::decode(&datagram).is_ok());
                prop_assert!(datagram.len() <= limits.max_message_size);
                last_sent = datagram;
            }
            while let Some(event) = endpoint.poll_event() {
                match event {
                    Event::Request { exchange, request, .. } => {
                        prop_assert!(request.payload.len() <= limits.max_body);
                        last_exchange = Some(exchange);
                    }
                    Event::Response { response, .. } => {
                        prop_assert!(response.payload.len() <= limits.max_body);
                    }
                    Event::Failed { .. } | Event::NotificationRejected { .. } => {}
                }
            }
        }
    }
}
