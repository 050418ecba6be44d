//! Its clients: what they send is answered as it should be, and does no harm.

use coap::{Code, Message, MessageId, MessageType, OptionNumber};
use dots::configuration::ConfigurationReport;
use dots::lifetime::Lifetime;
use dots::mitigation::{Granted, MitigationReport};

use super::provider::Provider;
use super::wire::*;
use crate::world::seconds;

const CUID: &str = "dz6pHjaADkaFTbjr0JGBpw";
const TOKEN: &[u8] = &[0x5a, 0x1e, 0x77, 0x01];

fn mitigate(version: &str, cuid: &str, mid: u32) -> Datagram {
    let path = format!(".well-known/dots/{version}mitigate/cuid={cuid}/mid={mid}");
    Datagram::new(NON, PUT, 0x2001, TOKEN)
        .path(&path)
        .with(CONTENT_FORMAT, DOTS_CBOR)
        .body(&mitigation("198.51.100.7/32", &[(80, None)], (100, true)))
}

fn heartbeat(id: u8) -> Datagram {
    Datagram::new(NON, PUT, id.into(), &[0x77, id])
        .path(".well-known/dots/hb")
        .with(CONTENT_FORMAT, DOTS_CBOR)
        .body(HEARTBEAT)
}

fn assert_heartbeat_is_answered(provider: &mut Provider, id: u8) {
    let answer = provider.answer(&heartbeat(id));
    assert_eq!(answer.code, Code::CHANGED);
    assert_eq!(answer.message_type, MessageType::NonConfirmable);
    assert_eq!(answer.token.as_bytes(), [0x77, id]);
    assert!(answer.payload.is_empty());
}

fn assert_granted(answer: &Message, mid: u32) {
    assert_eq!(answer.message_type, MessageType::NonConfirmable);
    assert_eq!(answer.code, Code::CREATED);
    assert_eq!(answer.token.as_bytes(), TOKEN);
    assert_eq!(answer.options.content_format(), Some(271));
    let granted = Granted::decode(&answer.payload).unwrap();
    assert_eq!(
        (granted.mid.0, granted.lifetime),
        (mid, Lifetime::from_number(100).unwrap())
    );
    // It looks at the first octets, and at definite lengths only.
    assert!(
        answer
            .payload
            .starts_with(&[0xa1, 0x01, 0xa1, 0x02, 0x81, 0xa2])
    );
}

/// The first thing its client sends: does this server know Q-Block? It waits for the answer.
#[test]
fn the_probe_for_q_block_is_told_that_there_is_none_and_the_session_goes_on() {
    let mut provider = Provider::new();
    let probe = Datagram::new(CON, GET, 0x1001, TOKEN).with(Q_BLOCK2, &[]);
    let answer = provider.answer(&probe);
    assert_eq!(answer.message_type, MessageType::Acknowledgement);
    assert_eq!(
        (answer.message_id, answer.token.as_bytes()),
        (MessageId(0x1001), TOKEN)
    );
    assert_eq!(answer.code, Code::BAD_OPTION);
    assert_heartbeat_is_answered(&mut provider, 1);
    assert_granted(&provider.answer(&mitigate("", CUID, 1)), 1);
}

/// Covers: S-066
#[test]
fn its_heartbeat_is_answered_with_an_empty_2_04() {
    let mut provider = Provider::new();
    for id in 1..4 {
        assert_heartbeat_is_answered(&mut provider, id);
        provider.advance(seconds(10));
    }
    let mut old = heartbeat(9);
    old.options.clear();
    let old = old
        .path(".well-known/dots/v1/hb")
        .with(CONTENT_FORMAT, DOTS_CBOR);
    assert_eq!(provider.answer(&old).code, Code::CHANGED);
}

/// Covers: S-005, S-024, S-026
#[test]
fn its_mitigation_request_is_granted_with_and_without_a_version_in_the_path() {
    for version in ["", "v1/"] {
        let mut provider = Provider::new();
        assert_granted(&provider.answer(&mitigate(version, CUID, 7)), 7);
        let [target] = provider.enforced.values().collect::<Vec<_>>()[..] else {
            panic!("{:?}", provider.enforced);
        };
        assert_eq!(target.prefixes, ["198.51.100.7/32".parse().unwrap()]);
        assert_eq!(target.port_ranges[0].lower(), 80);
    }
}

/// Twice after 3 s, under the same Message ID and token.
#[test]
fn its_copies_are_answered_alike_and_ask_for_nothing_more() {
    let mut provider = Provider::new();
    let first = provider.answer(&mitigate("", CUID, 1));
    for _ in 0..2 {
        provider.advance(seconds(3));
        let again = provider.answer(&mitigate("", CUID, 1));
        assert_eq!((again.code, &again.payload), (first.code, &first.payload));
        assert_eq!(again.token, first.token);
        assert_eq!(provider.enforced.len(), 1);
    }
}

/// A Non-confirmable message with a critical option that is not understood is rejected (RFC 7252 §5.4.1); the
/// observation is to be had without it. Covers: S-044
#[test]
fn its_observation_with_q_block_is_rejected_and_without_is_kept() {
    let mut provider = Provider::new();
    provider.answer(&mitigate("", CUID, 1));
    let observe = |id| {
        Datagram::new(NON, GET, id, &[0x0b, 0x01])
            .with(OBSERVE, &[])
            .path(&format!(".well-known/dots/mitigate/cuid={CUID}/mid=1"))
    };
    let rejected = provider.answer(&observe(0x3001).with(Q_BLOCK2, &[0x09]));
    assert_eq!(
        (rejected.message_type, rejected.code),
        (MessageType::Reset, Code::EMPTY)
    );
    assert_eq!(rejected.message_id, MessageId(0x3001));

    let report = provider.answer(&observe(0x3002));
    assert_eq!(report.code, Code::CONTENT);
    assert!(report.options.observe().is_some());
    assert_eq!(
        MitigationReport::decode(&report.payload).unwrap().0[0]
            .mid
            .0,
        1
    );
    let notified = provider.advance(seconds(400));
    let last = notified
        .iter()
        .rfind(|message| message.token.as_bytes() == [0x0b, 0x01]);
    let report = MitigationReport::decode(&last.unwrap().payload).unwrap();
    assert_eq!(report.0[0].status.code(), 6, "its 100 seconds are over");
}

/// Covers: S-009, S-057, S-058. Decimal fractions of one digit, and an empty map for the probing rate.
#[test]
fn its_session_configuration_is_accepted() {
    let mut provider = Provider::new();
    let put = Datagram::new(CON, PUT, 0x4001, TOKEN)
        .path(".well-known/dots/config/sid=1")
        .with(CONTENT_FORMAT, DOTS_CBOR)
        .body(&configuration());
    let answer = provider.answer(&put);
    assert_eq!(
        answer.code,
        Code::CREATED,
        "{}",
        String::from_utf8_lossy(&answer.payload)
    );
    assert_eq!(answer.message_type, MessageType::Acknowledgement);

    let get = Datagram::new(CON, GET, 0x4002, &[1]).path(".well-known/dots/config/sid=1");
    let answer = provider.answer(&get);
    assert!(answer.options.get_first(OptionNumber::MAX_AGE).is_some());
    let current = ConfigurationReport::decode(&answer.payload)
        .unwrap()
        .current();
    assert_eq!(current.idle.ack_timeout.duration(), seconds(2));
    assert_eq!(current.idle.missing_hb_allowed.get(), 15);
    assert_eq!(current.idle.probing_rate.get(), 5, "nothing was asked for");
}

/// It withdraws what it asked for, and once more.
#[test]
fn its_withdrawal_is_answered_every_time() {
    let mut provider = Provider::new();
    provider.answer(&mitigate("", CUID, 1));
    for id in 1..3 {
        let path = format!(".well-known/dots/mitigate/cuid={CUID}/mid=1");
        let delete = Datagram::new(NON, DELETE, id.into(), &[id]).path(&path);
        assert_eq!(provider.answer(&delete).code, Code::DELETED);
    }
}

/// Covers: S-006, S-007, S-008, S-027. Whatever is wrong with a request is said in words.
#[test]
fn what_is_refused_is_refused_with_a_sentence() {
    let mut provider = Provider::new();
    let good = mitigate("", CUID, 1);
    let at = |path: &str| {
        let mut elsewhere = mitigate("", CUID, 1);
        elsewhere.options.retain(|(number, _)| *number != URI_PATH);
        elsewhere.path(path)
    };
    let mut unlabelled = mitigate("", CUID, 1);
    unlabelled
        .options
        .retain(|(number, _)| *number != CONTENT_FORMAT);
    let cases = [
        (good.clone().body(&[0xa0]), Code::BAD_REQUEST),
        (good.clone().body(&[0xff; 9]), Code::BAD_REQUEST),
        (
            good.clone()
                .body(&mitigation("192.0.2.7/32", &[], (100, true))),
            Code::BAD_REQUEST,
        ),
        (
            at(".well-known/dots/mitigate/cuid=/mid=1"),
            Code::BAD_REQUEST,
        ),
        (at(".well-known/dots/nothing"), Code::NOT_FOUND),
        (at("dots/mitigate/cuid=a/mid=1"), Code::NOT_FOUND),
        (
            unlabelled.with(CONTENT_FORMAT, &[50]),
            Code::UNSUPPORTED_CONTENT_FORMAT,
        ),
        (Datagram { code: 0x02, ..good }, Code::METHOD_NOT_ALLOWED),
        (
            Datagram {
                code: 0x05,
                ..at(".well-known/dots/config")
            },
            Code::METHOD_NOT_ALLOWED,
        ),
    ];
    for (id, (mut datagram, code)) in (0x7000..).zip(cases) {
        datagram.id = id;
        let answer = provider.answer(&datagram);
        assert_eq!(answer.code, code, "{datagram:?}");
        let text = String::from_utf8(answer.payload).unwrap();
        assert!(text.contains(' '), "{code}: {text:?}");
        assert_eq!(answer.options.content_format(), None);
    }
    assert_eq!(provider.enforced.len(), 0);
}
