//! What an efficacy update must say, and what it may leave out.
#![allow(clippy::unwrap_used)] // test helpers may panic

mod cbor;

use cbor::*;
use dots::lifetime::Lifetime;
use dots::mitigation::{AttackStatus, MitigationRequest};

const BEFORE: Lifetime = Lifetime::Indefinite;

fn decode(body: &[u8]) -> Result<MitigationRequest, String> {
    MitigationRequest::decode_efficacy_update(body, BEFORE).map_err(|error| error.diagnostic())
}

fn prefix() -> (u64, Item) {
    (6, texts(["192.0.2.0/24"]))
}

/// Covers: S-022, S-047
#[test]
fn a_lifetime_that_is_there_counts_and_one_that_is_not_is_that_of_the_request() {
    let without = decode(&scope([prefix(), (29, Unsigned(1))])).unwrap();
    assert_eq!(without.lifetime, BEFORE);
    assert_eq!(without.attack_status, Some(AttackStatus::UnderAttack));
    assert!(without.trigger_mitigation);
    let with = decode(&scope([prefix(), (14, Unsigned(60)), (29, Unsigned(2))])).unwrap();
    assert_eq!(with.lifetime.to_number(), 60);
    let expected = Some(AttackStatus::AttackSuccessfullyMitigated);
    assert_eq!(with.attack_status, expected);
}

/// Covers: S-047
#[test]
fn nothing_else_may_be_missing_or_wrong() {
    for (body, reason) in [
        (
            scope([prefix(), (14, Unsigned(60))]),
            "scope[0]: attack-status is missing",
        ),
        (
            scope([prefix(), (29, Unsigned(0))]),
            "scope[0].attack-status: unknown code 0",
        ),
        (
            scope([prefix(), (14, Unsigned(0)), (29, Unsigned(1))]),
            "scope[0].lifetime: a lifetime of 0 is invalid",
        ),
        (
            scope([(29, Unsigned(1))]),
            "scope[0]: none of target-prefix, target-fqdn, target-uri, alias-name",
        ),
    ] {
        assert_eq!(decode(&body), Err(reason.to_owned()));
    }
    let unconditional = scope([prefix(), (29, Unsigned(1))]);
    let error = MitigationRequest::decode(&unconditional).unwrap_err();
    assert_eq!(error.diagnostic(), "scope[0]: lifetime is missing");
}
