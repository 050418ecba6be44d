//! A server that answers nonsense: no panic, bounded memory, and the other server unharmed.

use agent::client::State;
use coap::{Code, MessageId, MessageType, OptionNumber, Options};
use dots::mitigation::Status;
use proptest::prelude::*;

use super::replies::Asked;
use super::rig::{FIXED_HOST, MOBILE_HOST, Rig};
use crate::world::{cbor, seconds};

/// A success that cannot be read is asked for again, in peace.
#[test]
fn a_success_with_garbage_is_asked_for_again() {
    let garbage: [&[u8]; 4] = [&[], &[0xff; 40], &[0xa1, 0x01], &[0x9f, 0x9f, 0x9f, 0x9f]];
    for payload in garbage {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 600);
        let put = rig.one(Code::PUT);
        rig.answer(&put, Code::CREATED, |_| {}, payload);
        assert_eq!(rig.state(id), State::Asking);
        rig.advance(seconds(3));
        let put = rig.one(Code::PUT);
        rig.grant(&put, 600);
        assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}

/// Covers: S-039
#[test]
fn a_status_of_another_mid_or_none_changes_nothing() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    let before = rig.state(id);
    rig.status_of(&get, Some(1), (99, Status::AttackMitigationTerminated, 0));
    assert_eq!(rig.state(id), before);
    let observe =
        |number: u32| move |options: &mut Options| options.push_uint(OptionNumber::OBSERVE, number);
    rig.answer(&get, Code::CONTENT, observe(2), &[0xff]);
    rig.answer(&get, Code::CONTENT, observe(3), &cbor::scopes(&[]));
    assert_eq!(rig.state(id), before);
    rig.status(&get, Some(4), Status::AttackStopped, 500);
    assert_eq!(rig.state(id), State::Accepted(Status::AttackStopped));
}

/// Covers: S-022, S-038. However short or long the grants, the server is asked every 3 s at most.
#[test]
fn absurd_lifetimes_make_no_storm() {
    for lifetime in [1, 2, u32::MAX] {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 3600);
        let mut puts = 0;
        for _ in 0..600 {
            for asked in rig.take() {
                match asked.message.code {
                    Code::PUT => {
                        puts += 1;
                        rig.grant(&asked, lifetime);
                    }
                    Code::GET => rig.status(
                        &asked,
                        Some(1),
                        Status::AttackSuccessfullyMitigated,
                        lifetime,
                    ),
                    other => panic!("{other}"),
                }
            }
            rig.advance(std::time::Duration::from_millis(500));
        }
        assert!(puts <= 101, "{puts} in 300 s");
        assert!(
            !matches!(rig.state(id), State::Ended(_)),
            "lifetime {lifetime}"
        );
        assert_eq!(rig.opened.len(), 2);
    }
}

///
#[test]
fn a_hundred_thousand_notifications_cost_no_memory() {
    let mut rig = Rig::new();
    let (id, get) = rig.granted(600, 600);
    let persisted = rig.persisted;
    for number in 1..=100_000 {
        rig.status(&get, Some(number), Status::AttackSuccessfullyMitigated, 600);
        assert!(rig.client.poll_action().is_none());
    }
    assert_eq!(
        rig.state(id),
        State::Accepted(Status::AttackSuccessfullyMitigated)
    );
    assert!(rig.persisted <= persisted + 1);
    assert!(rig.answered.is_empty() && rig.asked.is_empty());
    assert!(rig.notes.len() < 10);
}

/// Covers: S-034, X-013. One that says collision for ever is asked ever more rarely.
#[test]
fn endless_collisions_make_no_storm() {
    let mut rig = Rig::new();
    rig.mitigate(&[FIXED_HOST], 6000);
    let mut asked = 0;
    for _ in 0..600 {
        for put in rig.take() {
            asked += 1;
            let body = cbor::scope(&[(17, cbor::map(&[(19, cbor::uint(3))]))]);
            rig.answer(&put, Code::CONFLICT, |_| {}, &body);
        }
        rig.advance(seconds(1));
    }
    assert!((7..=9).contains(&asked), "{asked}");
}

#[derive(Clone, Debug)]
struct Reply {
    code: u8,
    message_type: u8,
    options: Vec<(u16, Vec<u8>)>,
    payload: Vec<u8>,
    right_token: bool,
    wait: u64,
}

fn reply() -> impl Strategy<Value = Reply> {
    let codes = prop_oneof![
        Just(Code::CREATED.to_byte()),
        Just(Code::CHANGED.to_byte()),
        Just(Code::CONTENT.to_byte()),
        Just(Code::DELETED.to_byte()),
        Just(Code::CONFLICT.to_byte()),
        Just(Code::SERVICE_UNAVAILABLE.to_byte()),
        any::<u8>(),
    ];
    let options = proptest::collection::vec(
        (
            prop_oneof![Just(6_u16), Just(14), Just(12), Just(11), any::<u16>()],
            proptest::collection::vec(any::<u8>(), 0..5),
        ),
        0..4,
    );
    let bodies = prop_oneof![
        (any::<u64>(), any::<u64>()).prop_map(|(mid, lifetime)| cbor::scope(&[
            (5, cbor::uint(mid % 4)),
            (14, cbor::uint(lifetime % (1 << 32))),
        ])),
        (any::<u64>(), 0_u64..10, any::<u32>()).prop_map(|(mid, status, left)| cbor::scope(&[
            (5, cbor::uint(mid % 4)),
            (14, cbor::uint(left.into())),
            (16, cbor::uint(status)),
        ])),
        (0_u64..6).prop_map(|cause| cbor::scope(&[(17, cbor::map(&[(19, cbor::uint(cause))]))])),
        proptest::collection::vec(any::<u8>(), 0..60),
    ];
    (codes, 0_u8..4, options, bodies, any::<bool>(), 0_u64..40).prop_map(
        |(code, message_type, options, payload, right_token, wait)| Reply {
            code,
            message_type,
            options,
            payload,
            right_token,
            wait,
        },
    )
}

fn send(rig: &mut Rig, asked: &Asked, reply: &Reply) {
    let mut message = asked.message.clone();
    message.code = Code::from_byte(reply.code);
    message.message_type = match reply.message_type {
        0 => MessageType::Confirmable,
        1 => MessageType::NonConfirmable,
        2 => MessageType::Acknowledgement,
        _ => MessageType::Reset,
    };
    if !reply.right_token {
        message.token = coap::Token::EMPTY;
        message.message_id = MessageId(reply.code.into());
    }
    message.options = Options::new();
    for (number, value) in &reply.options {
        message.options.push(OptionNumber(*number), value);
    }
    message.payload.clone_from(&reply.payload);
    if rig.paths.contains_key(&asked.path) {
        rig.send(asked.path, &message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Covers: X-017, M-029. Whatever one server answers, the client neither panics nor is stuck
    /// nor asks without end, and the other server gets what it is to get.
    #[test]
    fn arbitrary_answers_harm_nobody_else(replies in proptest::collection::vec(reply(), 1..40)) {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST, MOBILE_HOST], 3600);
        let mobile = rig.take().pop().unwrap();
        rig.grant(&mobile, 3600);
        let mut latest = None;
        let mut copies = 0;
        for reply in &replies {
            let asked = rig.take();
            copies += asked.len();
            let mut of_fixed = asked
                .into_iter()
                .filter(|asked| asked.resource().0 != "mobile.example");
            latest = of_fixed.next_back().or(latest);
            if let Some(asked) = &latest {
                send(&mut rig, asked, reply);
            }
            rig.advance(seconds(reply.wait));
        }
        prop_assert!(copies <= 20 + 45 * replies.len(), "{} copies", copies);
        let mobile = rig.parts(id).into_iter().find(|part| part.association.pvd.to_string() == "mobile.example");
        prop_assert!(matches!(mobile.unwrap().state, State::Accepted(_)));
        prop_assert!(rig.client.requests().len() == 1);
        prop_assert!(rig.paths.len() <= 4);
    }

    ///
    #[test]
    fn arbitrary_datagrams_on_an_established_session_do_no_harm(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..60),
    ) {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 3600);
        let put = rig.one(Code::PUT);
        for mut datagram in datagrams {
            rig.inject(put.path, &datagram);
            datagram.insert(0, crate::world::DATA);
            rig.inject(put.path, &datagram);
            rig.settle();
        }
        rig.advance(seconds(200));
        let Some(put) = rig.take().pop() else {
            panic!("it is not asked any more: {:?}", rig.state(id));
        };
        rig.grant(&put, 600);
        prop_assert!(matches!(rig.state(id), State::Accepted(_)));
    }
}
