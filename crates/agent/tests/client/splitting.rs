//! Requests too large for one datagram (RFC 9132 §7.3).

use agent::client::State;
use coap::Code;

use super::replies::Asked;
use super::rig::Rig;
use crate::world::seconds;

/// Hosts of the fixed provider, in the longest words.
pub(super) fn hosts(count: usize) -> Vec<String> {
    let host = |n| format!("2001:db8:f:ffff:ffff:ffff:ffff:{:x}/128", 0x1000 + n);
    (0..count).map(host).collect()
}

pub(super) fn ask(rig: &mut Rig, hosts: &[String]) -> (agent::client::RequestId, Vec<Asked>) {
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let id = rig.mitigate(&hosts, 6000);
    let mut asked = rig.take();
    asked.sort_by_key(Asked::mid);
    asked.dedup_by_key(|asked| asked.mid());
    (id, asked)
}

/// Covers: S-076, S-015. Each message fits a datagram, and each has a number of its own.
#[test]
fn a_large_request_goes_in_several_messages() {
    let mut rig = Rig::new();
    let hosts = hosts(100);
    let (id, puts) = ask(&mut rig, &hosts);
    let mids: Vec<u32> = puts.iter().map(Asked::mid).collect();
    assert_eq!(mids, [1, 2, 3, 4]);
    let mut covered: Vec<String> = Vec::new();
    for put in &puts {
        assert!(put.message.encode().len() <= 1152);
        covered.extend(put.body().target.prefixes.iter().map(ToString::to_string));
    }
    covered.sort_unstable();
    let mut wanted = hosts.clone();
    wanted.sort_unstable();
    assert_eq!(covered, wanted);
    for put in &puts {
        rig.grant(put, 6000);
    }
    let parts = rig.parts(id);
    assert_eq!(parts.len(), 4);
    assert!(
        parts
            .iter()
            .all(|part| matches!(part.state, State::Accepted(_)))
    );
    // One for all of it.
    let report = rig.client.request(id).unwrap();
    let combined = report.combined();
    assert_eq!(combined.len(), 1);
    assert!(matches!(combined.values().next(), Some(State::Accepted(_))));
}

/// Covers: S-076
#[test]
fn the_states_of_the_pieces_combine_to_the_worst() {
    let mut rig = Rig::new();
    let (id, puts) = ask(&mut rig, &hosts(100));
    rig.grant(&puts[0], 6000);
    let worst = |rig: &Rig| {
        let combined = rig.client.request(id).unwrap().combined();
        combined.into_values().next().unwrap()
    };
    assert_eq!(worst(&rig), State::Asking);
    for put in &puts[1..3] {
        rig.grant(put, 6000);
    }
    rig.answer(&puts[3], Code::FORBIDDEN, |_| {}, b"no");
    assert!(matches!(worst(&rig), State::Refused { .. }));
}

/// Covers: S-076, S-026. The same again prolongs all pieces; a withdrawal ends them all; a restart
/// forgets none.
#[test]
fn the_pieces_of_a_request_stay_together() {
    let mut rig = Rig::new();
    let hosts = hosts(100);
    let (id, puts) = ask(&mut rig, &hosts);
    for put in &puts {
        rig.grant(put, 6000);
    }
    rig.take();
    let (again, puts) = ask(&mut rig, &hosts);
    assert_eq!((again, puts.len()), (id, 4));
    rig.restart();
    assert_eq!(rig.parts(id).len(), 4);
    rig.take();
    let (again, _) = ask(&mut rig, &hosts);
    assert_eq!(again, id, "also after a restart");
    rig.withdraw(id);
    rig.advance(seconds(3));
    let mut deletes = rig.take();
    deletes.retain(|asked| asked.message.code == Code::DELETE);
    for delete in &deletes {
        rig.answer(delete, Code::DELETED, |_| {}, &[]);
    }
    assert!(rig.requests.is_empty(), "{:?}", rig.requests);
}
