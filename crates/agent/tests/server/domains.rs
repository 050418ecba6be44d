//! Gateways of the server's domain, which say for whom they ask (RFC 9132 §4.4.1.2).

use agent::server::{Customer, Customers, Input, SessionId};
use coap::Code;

use super::rig::{Ask, Rig, body, customers, parked_body, policy, report};
use crate::world::seconds;

const GATEWAY: SessionId = SessionId(7);
const HOME: SessionId = SessionId(8);
const OWN: &str = "203.0.113.7/32";
const OF_BRANCH: &str = "198.51.100.7/32";

/// `home` has shown its gateways two certificates.
fn with_gateway() -> Customers {
    let known = |name: &str| customers().get(name).cloned().unwrap();
    let home = Customer {
        cdids: vec!["first".parse().unwrap(), "second".parse().unwrap()],
        ..known("home")
    };
    let branch = Customer {
        cdids: vec!["branch".parse().unwrap()],
        ..known("branch")
    };
    let gateway = Customer {
        name: "gw1".to_owned(),
        prefixes: Vec::new(),
        cdids: Vec::new(),
        is_gateway: true,
        ..known("home")
    };
    [home, branch, gateway].into_iter().collect()
}

/// A gateway and a customer have a session each.
fn rig() -> Rig {
    let mut rig = Rig::with(policy());
    rig.restart_with(with_gateway());
    rig.establish(GATEWAY, "gw1", 7);
    rig.establish(HOME, "home", 1);
    rig
}

fn path(cdid: &str, mid: u32) -> String {
    format!("mitigate/cdid={cdid}/cuid=one/mid={mid}")
}

/// Covers: G-003. What a client says of its domain counts for nothing.
#[test]
fn a_cdid_of_whom_nobody_trusts_is_ignored() {
    let mut rig = rig();
    let theirs = Ask::put(&path("branch", 1), body(&[OF_BRANCH], 600));
    rig.expect(HOME, theirs, Code::BAD_REQUEST);
    let own = Ask::put(&path("branch", 1), body(&[OWN], 600));
    rig.expect(HOME, own, Code::CREATED);
    let stored = rig.stored.values().next().unwrap();
    assert_eq!(stored.key.customer, "home");
    assert_eq!(stored.relayed.cdid, None, "and told to nobody");
    rig.expect(HOME, Ask::get("mitigate/cuid=one/mid=1"), Code::CONTENT);
}

/// Covers: G-003, G-005
#[test]
fn a_trusted_gateway_asks_for_the_customer_that_its_cdid_means() {
    let mut rig = rig();
    let own = Ask::put(&path("first", 1), body(&[OWN], 600));
    let created = rig.expect(GATEWAY, own, Code::CREATED);
    let theirs = Ask::put(&path("first", 2), body(&[OF_BRANCH], 600));
    rig.expect(GATEWAY, theirs, Code::BAD_REQUEST);
    let theirs = Ask::put(&path("branch", 2), body(&[OF_BRANCH], 600));
    rig.expect(GATEWAY, theirs, Code::CREATED);
    let whose: Vec<_> = rig.stored.values().map(|it| &it.key.customer[..]).collect();
    assert_eq!(whose, ["branch", "home"]);
    let shown = rig.expect(GATEWAY, Ask::get(&path("first", 1)), Code::CONTENT);
    for response in [created, shown] {
        let text = String::from_utf8_lossy(&response.payload).into_owned();
        assert!(!text.contains("first") && !text.contains("one"), "{text}");
    }
    rig.expect(GATEWAY, Ask::get(&path("branch", 1)), Code::NOT_FOUND);
}

/// Covers: G-004
#[test]
fn different_cdids_of_one_customer_are_equal() {
    let mut rig = rig();
    let first = Ask::put(&path("first", 1), body(&[OWN], 600));
    rig.expect(GATEWAY, first, Code::CREATED);
    let again = Ask::put(&path("second", 1), body(&[OWN], 600));
    rig.expect(GATEWAY, again, Code::CHANGED);
    let found = rig.expect(GATEWAY, Ask::get(&path("second", 1)), Code::CONTENT);
    assert_eq!(report(&found).0.len(), 1);
    rig.expect(GATEWAY, Ask::delete(&path("second", 1)), Code::DELETED);
    assert!(rig.stored.is_empty());
}

/// Covers: G-003, G-013
#[test]
fn a_gateway_that_names_no_customer_is_unauthorised() {
    let mut rig = rig();
    for path in [path("unknown", 1), "mitigate/cuid=one/mid=1".to_owned()] {
        let ask = Ask::put(&path, body(&[OWN], 600));
        rig.expect(GATEWAY, ask, Code::UNAUTHORIZED);
    }
}

fn parked() -> Rig {
    let mut rig = rig();
    for (cdid, prefix) in [("first", OWN), ("branch", OF_BRANCH)] {
        let ask = Ask::put(&path(cdid, 1), parked_body(&[prefix], 600));
        rig.expect(GATEWAY, ask, Code::CREATED);
    }
    rig
}

/// Covers: S-024
#[test]
fn the_loss_of_a_gateway_starts_what_it_preconfigured_for_all_its_customers() {
    let mut rig = parked();
    assert!(rig.enforced.is_empty());
    rig.input(Input::SessionLost(GATEWAY));
    assert_eq!(rig.enforced.len(), 2);

    let mut rig = parked();
    rig.input(Input::SessionBroken(GATEWAY));
    rig.advance(policy().lost_after - seconds(1));
    assert!(rig.enforced.is_empty());
    rig.advance(seconds(1));
    assert_eq!(rig.enforced.len(), 2);
}

#[test]
fn a_gateway_that_does_not_come_back_after_a_restart_is_lost() {
    let mut rig = parked();
    rig.restart_with(with_gateway());
    rig.advance(policy().lost_after);
    assert_eq!(rig.enforced.len(), 2);
}

/// A gateway that is a customer, too, has requests of its own beside those of others: whichever the store names last.
#[test]
fn after_a_restart_all_starts_that_a_gateway_preconfigured() {
    let gateway = Customer {
        prefixes: vec![OWN.parse().unwrap()],
        ..with_gateway().get("gw1").cloned().unwrap()
    };
    let known = with_gateway();
    let others = ["home", "branch"].map(|name| known.get(name).cloned().unwrap());
    let customers: Customers = others.into_iter().chain([gateway]).collect();
    let mut rig = Rig::with(policy());
    rig.restart_with(customers.clone());
    rig.establish(GATEWAY, "gw1", 7);
    let own = Ask::put("mitigate/cuid=one/mid=1", parked_body(&[OWN], 600));
    rig.expect(GATEWAY, own, Code::CREATED);
    let of_branch = Ask::put(&path("branch", 2), parked_body(&[OF_BRANCH], 600));
    rig.expect(GATEWAY, of_branch, Code::CREATED);
    rig.restart_with(customers);
    rig.advance(policy().lost_after);
    assert_eq!(rig.enforced.len(), 2);
}
