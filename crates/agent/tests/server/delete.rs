//! Withdrawal (RFC 9132 §4.4.4).

use agent::server::Outcome;
use coap::Code;

use super::rig::{Ask, HOME, Rig};

/// Covers: S-049
#[test]
fn a_withdrawal_is_durable_and_lifted_before_it_is_acknowledged() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.8/32"], 60),
        Code::CREATED,
    );
    let response = rig.expect(HOME, Ask::delete("mitigate/cuid=one/mid=1"), Code::DELETED);
    assert!(response.payload.is_empty());
    assert_eq!(rig.trace, ["persist", "withdraw", "decided", "respond"]);
    assert_eq!(rig.mids(), [2]);
    assert_eq!(rig.enforced.len(), 1);
}

/// Covers: S-049
#[test]
fn withdrawing_what_is_not_there_succeeds_and_does_nothing() {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 60),
        Code::CREATED,
    );
    for path in ["mitigate/cuid=one/mid=2", "mitigate/cuid=nobody/mid=1"] {
        let response = rig.expect(HOME, Ask::delete(path), Code::DELETED);
        assert!(response.payload.is_empty());
        assert_eq!(rig.trace, ["respond"]);
    }
    let withdrawn = |outcome: &&Outcome| matches!(outcome, Outcome::Withdrawn { .. });
    assert_eq!(rig.outcomes.iter().filter(withdrawn).count(), 0);
    assert_eq!(rig.mids(), [1]);
}
