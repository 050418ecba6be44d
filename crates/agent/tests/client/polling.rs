//! More mitigations than one session observes (RFC 9132 §4.4.2.2).

use std::collections::BTreeMap;

use coap::{Code, OptionNumber};
use dots::mitigation::Status;

use super::rig::Rig;
use super::splitting;
use crate::world::seconds;

/// Observations of one session.
const OBSERVATIONS: usize = 64;

/// Covers: S-044, S-046, X-013. The others are asked in turn, every 15 s and a few at a time.
#[test]
fn what_cannot_be_observed_is_polled() {
    let mut rig = Rig::new();
    let hosts = splitting::hosts(5 * 390);
    let mut parts = 0;
    for hosts in hosts.chunks(390) {
        let (id, mut puts) = splitting::ask(&mut rig, hosts);
        puts.retain(|asked| asked.message.code == Code::PUT);
        parts += puts.len();
        for put in &puts {
            rig.grant(put, 6000);
        }
        assert_eq!(rig.parts(id).len(), puts.len());
    }
    assert!(parts > OBSERVATIONS, "{parts}");
    let mut observed: BTreeMap<u32, usize> = BTreeMap::new();
    let mut polled: BTreeMap<u32, usize> = BTreeMap::new();
    for _ in 0..60 {
        let mut waiting = rig.take();
        while !waiting.is_empty() {
            let mut tokens: Vec<_> = waiting.iter().map(|asked| asked.message.token).collect();
            tokens.sort_unstable();
            tokens.dedup();
            assert!(tokens.len() <= 8, "{} at a time", tokens.len());
            for get in waiting {
                assert_eq!(get.message.code, Code::GET);
                let option = get.message.options.get_all(OptionNumber::OBSERVE).next();
                let number = option.map(|_| 1);
                let asked = if number.is_some() {
                    &mut observed
                } else {
                    &mut polled
                };
                *asked.entry(get.mid()).or_default() += 1;
                rig.status(&get, number, Status::AttackSuccessfullyMitigated, 6000);
            }
            waiting = rig.take();
        }
        rig.advance(seconds(1));
    }
    assert_eq!(observed.len(), OBSERVATIONS);
    assert_eq!(observed.len() + polled.len(), parts);
    assert!(
        polled.values().all(|times| (4..=5).contains(times)),
        "{polled:?}"
    );
}
