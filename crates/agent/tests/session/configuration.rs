//! Session configuration (RFC 9132 §4.5).

use agent::session::Negotiation;
use coap::{Code, Message, MessageType};
use dots::configuration::{
    AcceptableConfiguration, AckTimeout, ConfigurationReport, ConfigurationRequest, Decimal,
    HeartbeatInterval, MaxRetransmit, RequestedSet,
};

use super::bench::{Bench, path};
use crate::world::{self, seconds};

const CONFIG: &str = ".well-known/dots/config";
const NON: MessageType = MessageType::NonConfirmable;

fn server() -> Bench {
    Bench::with(Negotiation::Server(AcceptableConfiguration::default()))
}

fn interval(seconds: u16) -> RequestedSet {
    RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::new(seconds).unwrap()),
        ..RequestedSet::default()
    }
}

/// Heartbeats every `idle` seconds, and every `mitigating` seconds under attack.
fn wish(idle: u16, mitigating: u16) -> ConfigurationRequest {
    ConfigurationRequest::new(interval(mitigating), interval(idle)).unwrap()
}

fn put(bench: &mut Bench, sid: u32, body: &[u8]) -> Code {
    let path = format!("{CONFIG}/sid={sid}");
    let answer = bench.request(Code::PUT, &path, Some(271), body).unwrap();
    answer.code
}

fn report(message: &Message) -> ConfigurationReport {
    assert_eq!(message.code, Code::CONTENT);
    assert!(message.options.max_age().is_some_and(|age| age > 0));
    ConfigurationReport::decode(&message.payload).unwrap()
}

fn get(bench: &mut Bench, suffix: &str) -> Message {
    let path = format!("{CONFIG}{suffix}");
    bench.request(Code::GET, &path, None, &[]).unwrap()
}

/// What a server offers that goes by heartbeats of 30 s.
fn offer() -> Vec<u8> {
    let acceptable = AcceptableConfiguration::default();
    ConfigurationReport::new(&world::configuration(30, 3), &acceptable).encode()
}

/// Covers: S-054, S-061, G-007
#[test]
fn a_get_reports_what_is_in_force_and_what_is_acceptable() {
    let mut bench = server();
    let answer = get(&mut bench, "");
    let report = report(&answer);
    assert_eq!(report.current(), world::configuration(30, 3));
    let range = report.idle.heartbeat_interval.unwrap().range.unwrap();
    assert_eq!((range.min().get(), range.max().get()), (15, 240));
    assert!(bench.events.is_empty(), "it ends in the session");
}

/// Covers: S-053, S-057, S-058, S-077, X-008
#[test]
fn a_put_is_answered_by_its_sid_and_its_values() {
    let mut bench = server();
    let body = wish(60, 20).encode();
    assert_eq!(put(&mut bench, 7, &body), Code::CREATED);
    assert_eq!(put(&mut bench, 7, &wish(60, 30).encode()), Code::CHANGED);
    assert_eq!(put(&mut bench, 6, &body), Code::BAD_REQUEST, "a lower sid");
    assert_eq!(put(&mut bench, 8, &body), Code::CREATED);
    let without_sid = bench.request(Code::PUT, CONFIG, Some(271), &body).unwrap();
    assert_eq!(without_sid.code, Code::BAD_REQUEST);
    // {signal-config: {idle-config: {heartbeat-interval: {current-value: 5}}}}
    let too_often = [
        0xa1, 0x18, 30, 0xa1, 0x18, 44, 0xa1, 0x18, 33, 0xa1, 0x18, 36, 5,
    ];
    assert_eq!(put(&mut bench, 9, &too_often), Code::UNPROCESSABLE);
    assert_eq!(
        put(&mut bench, 9, &[0xa1, 0x18, 30, 0xa0]),
        Code::BAD_REQUEST
    );
    assert_eq!(put(&mut bench, 9, &[0xa1, 0x18, 30]), Code::BAD_REQUEST);
    assert_eq!(get(&mut bench, "/sid=7").code, Code::NOT_FOUND);
    let current = report(&get(&mut bench, "/sid=8")).current();
    assert_eq!(current.idle.heartbeat_interval.get(), 60);
    assert_eq!(
        current.idle.missing_hb_allowed.get(),
        3,
        "the default is left"
    );
    let post = bench.request(Code::POST, CONFIG, Some(271), &body).unwrap();
    assert_eq!(post.code, Code::METHOD_NOT_ALLOWED);
}

/// Covers: S-062
#[test]
fn a_delete_resets_to_the_defaults() {
    let mut bench = server();
    put(&mut bench, 1, &wish(60, 60).encode());
    let other = format!("{CONFIG}/sid=2");
    let answer = bench.request(Code::DELETE, &other, None, &[]).unwrap();
    assert_eq!(answer.code, Code::NOT_FOUND);
    let answer = bench.request(Code::DELETE, CONFIG, None, &[]).unwrap();
    assert_eq!((answer.code, answer.payload.len()), (Code::DELETED, 0));
    let current = report(&get(&mut bench, "")).current();
    assert_eq!(current, world::configuration(30, 3));
}

/// Covers: S-059, S-056
#[test]
fn negotiated_heartbeats_are_sent_and_switch_when_an_attack_begins_and_ends() {
    let mut bench = server();
    put(&mut bench, 1, &wish(120, 15).encode());
    assert_eq!(bench.advance(seconds(240), true).len(), 2);
    bench.session.set_mitigating(bench.now, true);
    assert_eq!(bench.advance(seconds(60), true).len(), 4);
    bench.session.set_mitigating(bench.now, false);
    assert_eq!(bench.advance(seconds(240), true).len(), 2);
    put(&mut bench, 2, &wish(0, 0).encode());
    assert!(bench.advance(seconds(1000), true).is_empty(), "0 is off");
}

/// Covers: S-059
#[test]
fn a_negotiated_retransmission_drives_the_message_layer() {
    let mut bench = Bench::with(Negotiation::Client(None));
    let first = bench.sent.pop().unwrap();
    assert_eq!(first.message_type, MessageType::Confirmable);
    let mut current = world::configuration(0, 3);
    for set in [&mut current.idle, &mut current.mitigating] {
        set.ack_timeout = AckTimeout::new(Decimal::from_hundredths(1000)).unwrap();
        set.max_retransmit = MaxRetransmit::new(2).unwrap();
    }
    let body = ConfigurationReport::new(&current, &AcceptableConfiguration::default()).encode();
    bench.receive(NON, Code::CONTENT, first.token, |_| {}, &body);
    assert_eq!(bench.session.configuration(), current.idle);
    // Without a Max-Age it is read again within 60 s, and this time nobody answers.
    bench.advance(seconds(54), false);
    assert_eq!(std::mem::take(&mut bench.sent).len(), 1);
    bench.advance(seconds(9), false);
    assert!(
        bench.sent.is_empty(),
        "10 s to 15 s before the first retransmission"
    );
    bench.advance(seconds(40), false);
    assert_eq!(bench.sent.len(), 2, "max-retransmit");
}

/// Covers: S-052, S-058
#[test]
fn a_client_asks_for_what_it_wishes_and_takes_what_the_server_accepts() {
    let mut bench = Bench::with(Negotiation::Client(Some(wish(240, 240))));
    let read = bench.sent.pop().unwrap();
    assert_eq!((read.code, path(&read).as_str()), (Code::GET, CONFIG));
    bench.receive(NON, Code::CONTENT, read.token, |_| {}, &offer());
    let asked = bench.sent.pop().unwrap();
    assert_eq!(
        (asked.code, path(&asked)),
        (Code::PUT, format!("{CONFIG}/sid=1"))
    );
    assert_eq!(asked.message_type, MessageType::Confirmable);
    bench.receive(NON, Code::UNPROCESSABLE, asked.token, |_| {}, b"no");
    let again = bench.sent.pop().unwrap();
    assert_eq!(again.code, Code::GET, "it fetches the ranges first");
    bench.receive(NON, Code::CONTENT, again.token, |_| {}, &offer());
    let asked = bench.sent.pop().unwrap();
    assert_eq!(path(&asked), format!("{CONFIG}/sid=2"), "sid increases");
    bench.receive(NON, Code::CREATED, asked.token, |_| {}, &[]);
    assert_eq!(bench.session.configuration().heartbeat_interval.get(), 240);
}

/// Covers: S-061
#[test]
fn a_client_reads_the_configuration_again_before_max_age_is_over_but_not_under_attack() {
    let mut bench = Bench::with(Negotiation::Client(None));
    let read = bench.sent.pop().unwrap();
    let mut current = world::configuration(0, 3);
    current.idle.max_retransmit = MaxRetransmit::new(4).unwrap();
    let body = ConfigurationReport::new(&current, &AcceptableConfiguration::default()).encode();
    let max_age = |options: &mut coap::Options| {
        options.push_uint(coap::OptionNumber::MAX_AGE, 1000);
    };
    bench.receive(NON, Code::CONTENT, read.token, max_age, &body);
    bench.session.set_mitigating(bench.now, true);
    bench.advance(seconds(5000), false);
    assert!(bench.sent.is_empty());
    bench.session.set_mitigating(bench.now, false);
    bench.take();
    assert_eq!(bench.sent.len(), 1);
    assert_eq!(bench.sent[0].code, Code::GET);
}
