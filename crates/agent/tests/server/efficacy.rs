//! Efficacy updates (RFC 9132 §4.4.3).

use agent::server::Outcome;
use coap::Code;
use dots::lifetime::Lifetime;

use super::rig::{Ask, HOME, Rig, body, granted};
use crate::world::{cbor, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";

fn update(prefix: &str, lifetime: u64, attack_status: u64) -> Ask {
    let scope = [
        (6, cbor::texts(&[prefix])),
        (14, cbor::uint(lifetime)),
        (29, cbor::uint(attack_status)),
    ];
    Ask::put(PATH, cbor::scope(&scope)).if_match()
}

fn mitigating() -> Rig {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig
}

/// What clients have told of attacks.
fn told(rig: &Rig) -> Vec<u64> {
    let told = rig.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Efficacy { attack_status, .. } => Some(attack_status.code().into()),
        _ => None,
    });
    told.collect()
}

/// Covers: S-047
#[test]
fn an_efficacy_update_is_a_refresh_and_what_it_tells_is_noted() {
    for attack_status in [1, 2] {
        let mut rig = mitigating();
        rig.advance(seconds(50));
        let ask = update("203.0.113.7/32", 100, attack_status);
        let response = rig.expect(HOME, ask, Code::CHANGED);
        assert_eq!(
            granted(&response).lifetime,
            Lifetime::from_number(100).unwrap()
        );
        assert_eq!(told(&rig), [attack_status]);
        rig.advance(seconds(99));
        assert_eq!(rig.mids(), [1]);
    }
}

/// Covers: S-047
#[test]
fn an_efficacy_update_that_differs_or_says_nothing_is_refused() {
    let mut rig = mitigating();
    let before = rig.stored.clone();
    rig.expect(HOME, update("203.0.113.8/32", 100, 1), Code::BAD_REQUEST);
    rig.expect(HOME, update("203.0.113.7/32", 100, 0), Code::BAD_REQUEST);
    rig.expect(HOME, update("203.0.113.7/32", 100, 3), Code::BAD_REQUEST);
    let silent = Ask::put(PATH, body(&["203.0.113.7/32"], 100)).if_match();
    rig.expect(HOME, silent, Code::BAD_REQUEST);
    assert_eq!(rig.stored, before);
    assert!(told(&rig).is_empty());
}

/// Covers: S-048
#[test]
fn an_efficacy_update_for_what_is_gone_is_not_answered_and_starts_nothing() {
    let mut rig = mitigating();
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert_eq!(rig.request(HOME, update("203.0.113.7/32", 100, 1)), None);
    assert_eq!(rig.trace, ["decided", "ignore"]);
    assert!(matches!(rig.outcomes.last(), Some(Outcome::Ignored { key }) if key.mid.0 == 1));
    assert!(rig.stored.is_empty());
}

/// Covers: S-047. RFC 9132 Figure 16 has no lifetime: what was asked for last goes on.
#[test]
fn an_efficacy_update_without_lifetime_asks_for_what_was_asked_for_last() {
    let mut rig = mitigating();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 90),
        Code::CHANGED,
    );
    rig.advance(seconds(50));
    let scope = [(6, cbor::texts(&["203.0.113.7/32"])), (29, cbor::uint(1))];
    let ask = Ask::put(PATH, cbor::scope(&scope));
    rig.expect(HOME, ask.clone(), Code::BAD_REQUEST);
    let response = rig.expect(HOME, ask.clone().if_match(), Code::CHANGED);
    assert_eq!(
        granted(&response).lifetime,
        Lifetime::from_number(90).unwrap()
    );
    rig.expect(HOME, Ask::delete(PATH), Code::DELETED);
    assert_eq!(rig.request(HOME, ask.if_match()), None);
}
