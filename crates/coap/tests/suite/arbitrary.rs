//! Whatever the peer sends: limits hold, timers advance, nothing panics.

use coap::{
    Code, Delivery, Endpoint, Event, Limits, Message, OptionNumber, TransmissionParameters,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rig::*;

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
                    Event::Ended { .. } => prop_assert!(false, "datagrams have no end"),
                }
            }
        }
    }
}
