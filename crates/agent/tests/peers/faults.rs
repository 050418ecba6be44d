//! What goes wrong with deployed agents, and does not with ours.

use coap::{Code, Message};
use dots::mitigation::MitigationReport;

use super::provider::Provider;
use super::wire::*;
use crate::client::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig};
use crate::world::{millis, seconds};

fn put(id: u16, path: &str, body: &[u8]) -> Datagram {
    Datagram::new(NON, PUT, id, &id.to_be_bytes())
        .path(&format!(".well-known/dots/{path}"))
        .with(CONTENT_FORMAT, DOTS_CBOR)
        .body(body)
}

fn web(prefix: &str) -> Vec<u8> {
    mitigation(prefix, &[(80, None)], (100, true))
}

fn heartbeats(sent: &[Message]) -> usize {
    sent.iter()
        .filter(|message| message.code == Code::PUT)
        .count()
}

/// Covers: S-024, S-066. The fault: mitigation 2 s after one heartbeat without an answer.
#[test]
fn one_heartbeat_without_an_answer_starts_no_preconfigured_mitigation() {
    let mut provider = Provider::new();
    let parked = mitigation("198.51.100.7/32", &[(80, None)], (3600, false));
    assert_eq!(
        provider
            .answer(&put(1, "mitigate/cuid=a/mid=1", &parked))
            .code,
        Code::CREATED
    );
    let mut unanswered = 0;
    while unanswered == 0 {
        unanswered += heartbeats(&provider.advance(seconds(1)));
    }
    provider.advance(seconds(29));
    assert!(provider.enforced.is_empty(), "after 29 s without an answer");
    // Any sign of life counts, though it is no answer to a heartbeat.
    provider.ask(&put(2, "hb", HEARTBEAT));
    provider.advance(seconds(80));
    assert!(provider.enforced.is_empty() && !provider.is_closed);
    provider.advance(seconds(120));
    assert_eq!(provider.enforced.len(), 1, "the client is lost for good");
}

/// Covers: S-037. The fault: a client that gives up after one loss.
#[test]
fn a_client_whose_first_copies_are_lost_asks_until_it_is_heard() {
    let mut rig = Rig::new();
    let id = rig.mitigate(&[FIXED_HOST], 600);
    assert_eq!(rig.take().len(), 1, "lost");
    rig.advance(seconds(6));
    let copies = rig.take();
    assert!(copies.len() >= 2);
    rig.grant(copies.last().unwrap(), 600);
    assert!(matches!(rig.state(id), agent::client::State::Accepted(_)));
}

/// Covers: S-037, S-066. The fault: a client that was stopped for five minutes never speaks again.
#[test]
fn a_client_that_was_stopped_for_long_goes_on_by_itself() {
    let mut rig = Rig::new();
    let (id, _) = rig.granted(3600, 3600);
    rig.take();
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Down);
    }
    // The process stands still: no timeout is taken at its instant.
    rig.elapsed += seconds(300);
    for address in [FIXED6, FIXED4] {
        rig.set(address, Behaviour::Up);
    }
    let before = rig.heartbeats;
    rig.advance(seconds(60));
    assert!(rig.heartbeats > before, "it speaks");
    assert!(matches!(rig.state(id), agent::client::State::Accepted(_)));
    rig.withdraw(id);
    rig.advance(millis(1));
    assert!(
        rig.take()
            .iter()
            .any(|asked| asked.message.code == Code::DELETE)
    );
}

/// Covers: S-020, S-039. The fault: all ranges are read back with the last upper port.
#[test]
fn several_port_ranges_are_reported_as_they_were_asked_for() {
    let mut provider = Provider::new();
    let ports = [
        (80, None),
        (1000, Some(1999)),
        (8000, Some(8080)),
        (9000, None),
    ];
    let body = mitigation("198.51.100.7/32", &ports, (100, true));
    assert_eq!(
        provider
            .answer(&put(1, "mitigate/cuid=a/mid=1", &body))
            .code,
        Code::CREATED
    );
    let get = Datagram::new(NON, GET, 2, &[2]).path(".well-known/dots/mitigate/cuid=a/mid=1");
    let report = MitigationReport::decode(&provider.answer(&get).payload).unwrap();
    let reported: Vec<_> = report.0[0]
        .target
        .port_ranges
        .iter()
        .map(|range| (range.lower(), range.upper()))
        .collect();
    assert_eq!(
        reported,
        ports.map(|(lower, upper)| (lower, upper.unwrap_or(lower)))
    );
}

/// Covers: S-014, S-039. The fault: a second cuid under one certificate is refused.
#[test]
fn one_certificate_may_have_several_cuids() {
    let mut provider = Provider::new();
    for (id, cuid) in [(1, "a"), (2, "b")] {
        let path = format!("mitigate/cuid={cuid}/mid=1");
        let body = web(&format!("198.51.100.{id}/32"));
        assert_eq!(provider.answer(&put(id, &path, &body)).code, Code::CREATED);
    }
    assert_eq!(provider.enforced.len(), 2);
    let get = Datagram::new(NON, GET, 9, &[9]).path(".well-known/dots/mitigate/cuid=b");
    let report = MitigationReport::decode(&provider.answer(&get).payload).unwrap();
    assert_eq!(report.0.len(), 1, "each sees its own");
}

/// The fault: while a name of one request cannot be resolved, no new one is accepted.
#[test]
fn a_name_that_cannot_be_resolved_fails_its_own_request_alone() {
    let mut provider = Provider::new();
    let name = "nowhere.example";
    let mut unresolvable = b"\xa1\x01\xa1\x02\x81\xa2\x0b\x81\x6f".to_vec();
    unresolvable.extend(name.bytes());
    unresolvable.extend([14, 0x18, 100]);
    assert_eq!(
        provider
            .answer(&put(1, "mitigate/cuid=a/mid=1", &web("198.51.100.1/32")))
            .code,
        Code::CREATED
    );
    provider.ask(&put(2, "mitigate/cuid=a/mid=2", &unresolvable));
    let after = provider.answer(&put(3, "mitigate/cuid=a/mid=3", &web("198.51.100.3/32")));
    assert_eq!(after.code, Code::CREATED);
    provider.advance(seconds(60));
    let later = provider.answer(&put(4, "mitigate/cuid=a/mid=4", &web("198.51.100.4/32")));
    assert_eq!(later.code, Code::CREATED);
    assert_eq!(provider.enforced.len(), 3);
}
