//! What a server that starts again makes of its store (ARCHITECTURE.md: persist before you promise).

use agent::server::{Customer, Customers, Input, Outcome};
use coap::Code;
use dots::mitigation::Status;

use super::rig::{Ask, HOME, Rig, parked_body, report};
use crate::world::{EPOCH, seconds};

const PATH: &str = "mitigate/cuid=one/mid=1";

fn remaining(rig: &mut Rig) -> i64 {
    let found = report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT));
    found.0[0].lifetime.to_number()
}

fn stored(lifetime: u32) -> Rig {
    let mut rig = Rig::new();
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], lifetime),
        Code::CREATED,
    );
    rig
}

/// Covers: S-023
#[test]
fn a_promise_is_in_force_again_with_the_lifetime_that_is_left() {
    let mut rig = stored(600);
    rig.enforce();
    rig.advance(seconds(200));
    rig.restart();
    assert_eq!(rig.enforced.len(), 1);
    rig.establish(HOME, "home", 1);
    assert_eq!(remaining(&mut rig), 400);
    let found = report(&rig.ask(HOME, Ask::get(PATH)));
    assert_eq!(found.0[0].status, Status::AttackMitigationInProgress);
    rig.enforce();
    let found = report(&rig.ask(HOME, Ask::get(PATH)));
    assert_eq!(found.0[0].status, Status::AttackSuccessfullyMitigated);
    rig.advance(seconds(399));
    assert_eq!(rig.enforced.len(), 1);
    rig.advance(seconds(1));
    assert!(rig.enforced.is_empty() && rig.stored.is_empty());
}

/// Covers: S-023
#[test]
fn a_wall_clock_that_was_set_back_makes_nothing_last_longer_than_granted() {
    let mut rig = stored(600);
    rig.advance(seconds(200));
    rig.wall_offset = -7200;
    rig.restart();
    rig.advance(seconds(599));
    assert_eq!(rig.enforced.len(), 1);
    rig.advance(seconds(1));
    assert!(rig.enforced.is_empty() && rig.stored.is_empty());
}

/// Covers: S-023
#[test]
fn what_expired_while_the_server_was_down_is_not_in_force_and_leaves_the_store() {
    let mut rig = stored(60);
    rig.expect(
        HOME,
        Ask::mitigate(2, &["203.0.113.8/32"], 600),
        Code::CREATED,
    );
    rig.wall_offset = 60;
    rig.restart();
    assert_eq!(rig.mids(), [2]);
    let enforced: Vec<_> = rig.enforced.keys().map(|key| key.mid.0).collect();
    assert_eq!(enforced, [2]);
}

/// Covers: S-023. After a restart the wall clock is all there is; what it was set to while the
/// server ran must not matter.
#[test]
fn a_refresh_after_the_wall_clock_was_set_is_stored_by_the_new_clock() {
    let mut rig = stored(600);
    rig.wall_offset = -86_400;
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 600),
        Code::CHANGED,
    );
    rig.restart();
    rig.establish(HOME, "home", 1);
    assert_eq!(remaining(&mut rig), 600);
}

/// Covers: S-023. A device without a battery begins in 1970, and promises before it learns the time.
#[test]
fn what_was_promised_before_the_clock_was_set_is_in_force_after_a_restart() {
    let mut rig = Rig::new();
    rig.wall_offset = -EPOCH.cast_signed();
    let ask = Ask::mitigate(1, &["203.0.113.7/32"], 600);
    rig.expect(HOME, ask, Code::CREATED);
    rig.advance(seconds(100));
    rig.wall_offset = 0;
    rig.enforce();
    rig.restart();
    assert_eq!(rig.enforced.len(), 1);
    rig.establish(HOME, "home", 1);
    assert_eq!(remaining(&mut rig), 500);
    // What was promised by a clock that was ahead lasts no longer for that.
    rig.wall_offset = -3600;
    rig.input(Input::Timeout);
    rig.restart();
    rig.advance(seconds(499));
    assert_eq!(rig.enforced.len(), 1);
    rig.advance(seconds(1));
    assert!(rig.enforced.is_empty() && rig.stored.is_empty());
}

/// Covers: S-024, X-010
#[test]
fn parked_requests_and_owners_of_cuids_are_known_again() {
    let mut rig = Rig::new();
    let parked = Ask::put(PATH, parked_body(&["203.0.113.7/32"], 600));
    rig.expect(HOME, parked, Code::CREATED);
    rig.restart();
    assert!(rig.enforced.is_empty());
    rig.establish(HOME, "home", 3);
    rig.expect(HOME, Ask::get(PATH), Code::NOT_FOUND);
    rig.expect(
        HOME,
        Ask::mitigate(9, &["203.0.113.9/32"], 60),
        Code::CONFLICT,
    );
}

/// Covers: S-026, S-029, X-013
#[test]
fn limits_overlaps_and_refreshes_count_what_was_restored() {
    let mut rig = stored(600);
    for mid in 2..=4 {
        let ask = Ask::mitigate(mid, &[&format!("203.0.113.{}/32", mid + 20)], 600);
        rig.expect(HOME, ask, Code::CREATED);
    }
    rig.restart();
    rig.establish(HOME, "home", 1);
    rig.expect(
        HOME,
        Ask::mitigate(5, &["203.0.113.99/32"], 600),
        Code::SERVICE_UNAVAILABLE,
    );
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.7/32"], 600),
        Code::CHANGED,
    );
    rig.expect(
        HOME,
        Ask::mitigate(0, &["203.0.113.7/32"], 600),
        Code::CONFLICT,
    );
    rig.expect(
        HOME,
        Ask::mitigate(6, &["203.0.113.0/28"], 600),
        Code::CREATED,
    );
    assert_eq!(rig.mids(), [2, 3, 4, 6]);
}

/// The configuration was changed while the server was down.
#[test]
fn what_its_customer_does_not_own_any_more_ends() {
    let home = |prefix: &str| Customer {
        name: "home".to_owned(),
        psk_identity: None,
        prefixes: vec![prefix.parse().unwrap()],
        max_mitigations: 4,
        redirect: None,
        cdids: Vec::new(),
        is_gateway: false,
    };
    for (customers, prefix, is_kept) in [
        (vec![home("203.0.113.0/28")], None, true),
        (vec![home("198.51.100.0/24")], Some("203.0.113.7/32"), false),
        (vec![], None, false),
    ] {
        let mut rig = stored(600);
        rig.restart_with(customers.into_iter().collect::<Customers>());
        assert_eq!(rig.stored.len(), usize::from(is_kept));
        assert_eq!(rig.enforced.len(), usize::from(is_kept));
        let ended = rig.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::NotOwned { prefix, .. } => Some(prefix.map(|prefix| prefix.to_string())),
            _ => None,
        });
        let said = (!is_kept).then_some(prefix.map(str::to_owned));
        assert_eq!(ended, said);
    }
}
