//! Its servers: whatever the shape of an answer, our client understands it.

use agent::client::{End, State};
use agent::session::Negotiation;
use coap::{Code, Message, MessageType};
use dots::configuration::{ConfigurationRequest, HeartbeatInterval, RequestedSet};

use super::line::Line;
use super::wire::*;
use crate::client::{Asked, FIXED_HOST, Rig};
use crate::world::{DATA, seconds};

const CREATED: u8 = 0x41;
const DELETED: u8 = 0x42;
const CONTENT: u8 = 0x45;

/// Its answer to a request: Message ID and path are those of the request.
fn reply(kind: u8, asked: &Message, code: u8) -> Datagram {
    let reply = Datagram::new(kind, code, asked.message_id.0, asked.token.as_bytes());
    let path: Vec<_> = asked.options.uri_path().map(Result::unwrap).collect();
    reply.path(&path.join("/"))
}

fn granted(mid: u8, lifetime: u8) -> Vec<u8> {
    vec![0xa1, 1, 0xa1, 2, 0x81, 0xa2, 5, mid, 14, 0x18, lifetime]
}

/// A status without what was asked for: mid, lifetime, mitigation-start, status.
fn status(mid: u8, lifetime: u8, status: u8) -> Vec<u8> {
    let start = [15, 0x1a, 0x69, 0x55, 0x00, 0x00];
    let body = [
        &[0xa1, 1, 0xa1, 2, 0x81, 0xa4, 5, mid, 14, 0x18, lifetime][..],
        &start,
        &[16, status],
    ];
    body.concat()
}

fn deliver(rig: &mut Rig, asked: &Asked, datagram: &Datagram) {
    rig.inject(asked.path, &[&[DATA][..], &datagram.octets()].concat());
    rig.settle();
}

/// Covers: S-037, S-044. Always Non-confirmable, under the Message ID of the request, with its path.
#[test]
fn answers_under_our_message_ids_with_our_paths_are_answers() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 100);
    let put = rig.one(Code::PUT);
    let reply_to_put = reply(NON, &put.message, CREATED).with(CONTENT_FORMAT, DOTS_CBOR);
    deliver(&mut rig, &put, &reply_to_put.body(&granted(1, 100)));
    assert!(matches!(rig.state(id), State::Accepted(_)));

    let get = rig.one(Code::GET);
    let notify = |observe: u8, left: u8, is: u8| {
        reply(NON, &get.message, CONTENT)
            .with(OBSERVE, &[observe])
            .with(CONTENT_FORMAT, DOTS_CBOR)
            .body(&status(1, left, is))
    };
    deliver(&mut rig, &get, &notify(1, 99, 1));
    // Notifications, too, come under that Message ID.
    for (observe, is) in [(2, 2), (3, 3), (4, 2)] {
        deliver(&mut rig, &get, &notify(observe, 90, is));
        let State::Accepted(seen) = rig.state(id) else {
            panic!("{:?}", rig.state(id));
        };
        assert_eq!(seen.code(), u32::from(is));
    }
    rig.withdraw(id);
    let delete = rig
        .take()
        .into_iter()
        .find(|asked| asked.message.code == Code::DELETE)
        .unwrap();
    deliver(&mut rig, &delete, &reply(NON, &delete.message, DELETED));
    assert_eq!(rig.state(id), State::Ended(End::Withdrawn));
    assert_eq!(rig.resets, 0);
}

/// An Acknowledgement, though nothing was to be acknowledged.
#[test]
fn acknowledgements_of_non_confirmable_requests_are_answers() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 100);
    let put = rig.one(Code::PUT);
    let acknowledged = reply(ACK, &put.message, CREATED).with(CONTENT_FORMAT, DOTS_CBOR);
    deliver(&mut rig, &put, &acknowledged.body(&granted(1, 100)));
    assert!(matches!(rig.state(id), State::Accepted(_)));
    rig.advance(seconds(20));
    let copies = rig
        .take()
        .into_iter()
        .filter(|asked| asked.message.code == Code::PUT);
    assert_eq!(copies.count(), 0, "it was answered");
}

/// Plain text or nothing, said or not said; 5.08 with a Hop-Limit.
#[test]
fn refusals_of_any_form_are_refusals() {
    let cases: [(u8, Option<&[u8]>, &str); 4] = [
        (0x80, Some(TEXT), "Bad Request"),
        (0x80, None, ""),
        (0x81, None, "no"),
        (0x84, Some(TEXT), ""),
    ];
    for (code, format, text) in cases {
        let mut rig = Rig::new();
        let id = rig.mitigate(&[FIXED_HOST], 100);
        let put = rig.one(Code::PUT);
        let mut refusal = reply(NON, &put.message, code).body(text.as_bytes());
        if let Some(format) = format {
            refusal = refusal.with(CONTENT_FORMAT, format);
        }
        deliver(&mut rig, &put, &refusal);
        let said = Some((Code::from_byte(code), text));
        assert_eq!(rig.state(id).refusal(), said);
    }
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 100);
    let put = rig.one(Code::PUT);
    let looped = reply(NON, &put.message, 0xa8).with(HOP_LIMIT, &[255]);
    deliver(&mut rig, &put, &looped.body(b"gateway-1 gateway-2"));
    assert!(
        !matches!(rig.state(id), State::Accepted(_) | State::Asking),
        "{:?}",
        rig.state(id)
    );
}

fn configured(negotiation: Option<ConfigurationRequest>) -> (Line, Message) {
    let mut line = Line::new(Negotiation::Client(negotiation));
    let mut sent = line.take();
    assert_eq!(sent.len(), 1);
    let get = sent.remove(0);
    assert_eq!(
        (get.code, get.message_type),
        (Code::GET, MessageType::Confirmable)
    );
    (line, get)
}

fn reads(sent: &[Message]) -> usize {
    sent.iter()
        .filter(|message| message.code == Code::GET)
        .count()
}

/// Covers: S-052, S-061. A Confirmable response that nothing announced, with ETag, Size2 and 45 s of validity.
#[test]
fn a_configuration_that_comes_as_a_confirmable_message_is_acknowledged_and_read_again_in_time() {
    let (mut line, get) = configured(None);
    let report = configuration_report(false);
    let answer = Datagram::new(CON, CONTENT, get.message_id.0, get.token.as_bytes())
        .with(ETAG, &[1, 2, 3, 4])
        .path(".well-known/dots/config")
        .with(CONTENT_FORMAT, DOTS_CBOR)
        .with(MAX_AGE, &[45])
        .with(SIZE2, &[u8::try_from(report.len()).unwrap()])
        .body(&report);
    line.receive(&answer);
    let [acknowledgement] = &line.take()[..] else {
        panic!("one message");
    };
    assert_eq!(
        acknowledgement,
        &Message::empty(MessageType::Acknowledgement, get.message_id)
    );
    assert_eq!(line.session.configuration().heartbeat_interval.get(), 40);
    assert_eq!(line.session.configuration().missing_hb_allowed.get(), 9);
    line.advance(seconds(20));
    assert_eq!(
        reads(&line.take()),
        0,
        "it was answered, and is still valid"
    );
    line.advance(seconds(21));
    assert_eq!(reads(&line.take()), 1, "before the 45 seconds are over");
}

/// Covers: S-052. Non-confirmable, and no Acknowledgement at all.
#[test]
fn a_configuration_that_comes_unacknowledged_is_not_asked_for_again() {
    for kind in [NON, ACK] {
        let (mut line, get) = configured(None);
        let answer = reply(kind, &get, CONTENT)
            .with(CONTENT_FORMAT, DOTS_CBOR)
            .with(MAX_AGE, &[120])
            .body(&configuration_report(false));
        line.receive(&answer);
        assert_eq!(line.session.configuration().heartbeat_interval.get(), 40);
        line.advance(seconds(90));
        assert_eq!(reads(&line.take()), 0);
    }
}

/// Covers: S-055, S-057. Ranges upside down; and null in the answer to the wish.
#[test]
fn ranges_upside_down_are_put_right_and_null_is_no_body() {
    let wish = |seconds| {
        let set = RequestedSet {
            heartbeat_interval: Some(HeartbeatInterval::new(seconds).unwrap()),
            ..RequestedSet::default()
        };
        ConfigurationRequest::new(set, set).unwrap()
    };
    for swapped in [false, true] {
        let (mut line, get) = configured(Some(wish(60)));
        let answer = reply(ACK, &get, CONTENT)
            .with(CONTENT_FORMAT, DOTS_CBOR)
            .body(&configuration_report(swapped));
        line.receive(&answer);
        let [put] = &line.take()[..] else {
            panic!("what is wished for is within the range");
        };
        assert_eq!(put.code, Code::PUT);
        assert_eq!(ConfigurationRequest::decode(&put.payload), Ok(wish(60)));
        let accepted = reply(ACK, put, CREATED)
            .with(CONTENT_FORMAT, DOTS_CBOR)
            .body(&[0xf6]);
        line.receive(&accepted);
        assert_eq!(line.session.configuration().heartbeat_interval.get(), 60);
        line.advance(seconds(10));
        assert!(line.take().is_empty());
    }
}

/// A message that answers nothing is not taken for an answer, whatever its Message ID.
#[test]
fn an_answer_to_another_token_is_rejected() {
    let (mut line, get) = configured(None);
    let stray = Datagram::new(NON, CONTENT, get.message_id.0, &[0xee; 4])
        .body(&configuration_report(false));
    line.receive(&stray);
    let [reset] = &line.take()[..] else {
        panic!("one message");
    };
    assert_eq!(reset.message_type, MessageType::Reset);
    assert_eq!(line.session.configuration().heartbeat_interval.get(), 30);
}
