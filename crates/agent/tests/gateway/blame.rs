//! Requests that are refused together, or by some of the servers only (RFC 9284 §5.2).

use coap::Code;
use dots::mitigation::Status;

use super::net::*;

const NET: &str = "203.0.113.0/24";
const OWN_NET: &str = "192.0.2.0/24";

/// A provider that takes no more than this, which is less than all the site has of it.
fn narrow(net: &mut Net, provider: &str, prefix: &str) {
    let now = net.now();
    let node = net.node(provider);
    node.plan.customers[0].prefixes = vec![prefix.parse().unwrap()];
    node.start(now);
    net.advance(120);
}

/// Covers: S-039. Nobody is refused for good for what another asks, nor reads of it.
#[test]
fn who_asked_together_with_a_bad_request_is_asked_for_alone() {
    for bad_is_first in [false, true] {
        let mut net = Net::new();
        narrow(&mut net, "fixed", "203.0.113.0/28");
        let good = put(HOME, 1, &[FIXED]);
        let bad = put(BRANCH, 1, &[NET]);
        let (good, bad) = match bad_is_first {
            false => {
                let good = net.send("g1", HOME, good);
                (good, net.send("g1", BRANCH, bad))
            }
            true => {
                let bad = net.send("g1", BRANCH, bad);
                (net.send("g1", HOME, good), bad)
            }
        };
        net.advance(30);
        let told = net.answer("g1", good).expect("an answer");
        assert_eq!(told.code, Code::CREATED, "{}", text_of(&told));
        let put_off = net.answer("g1", bad).expect("an answer");
        assert_eq!(put_off.code, Code::SERVICE_UNAVAILABLE);
        let refused = net.expect(BRANCH, put(BRANCH, 2, &[NET]), Code::BAD_REQUEST);
        assert!(!text_of(&refused).contains(FIXED));
        net.advance(30);
        net.check(&[FIXED], &[]);
    }
}

/// A datagram of the older request is lost, and the newer one is refused.
#[test]
fn a_bad_request_takes_nothing_from_one_that_is_not_answered_yet() {
    let mut net = Net::new();
    narrow(&mut net, "fixed", "203.0.113.0/28");
    net.node("fixed").is_cut_off = true;
    let good = net.send("g1", HOME, put(HOME, 1, &[FIXED]));
    net.settle();
    net.node("fixed").is_cut_off = false;
    net.send("g1", BRANCH, put(BRANCH, 1, &[NET]));
    net.advance(9);
    let told = net.answer("g1", good).expect("an answer");
    assert_eq!(told.code, Code::CREATED, "{}", text_of(&told));
    net.check(&[FIXED], &[]);
}

/// Covers: G-017. Who is protected by a provider stays so if that one refuses what others ask.
#[test]
fn a_provider_that_refuses_a_wider_request_goes_on_with_the_narrower_one() {
    let mut net = Net::new();
    narrow(&mut net, "mobile", "192.0.2.0/28");
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CREATED);
    net.advance(30);
    net.expect(BRANCH, put(BRANCH, 1, &[OWN_NET]), Code::CREATED);
    net.advance(30);
    net.check(&[OWN_NET], &[OWN]);
    // It is prolonged with the others, and ends with them.
    net.advance(3000);
    net.expect(HOME, put(HOME, 1, &[OWN]), Code::CHANGED);
    net.expect(BRANCH, put(BRANCH, 1, &[OWN_NET]), Code::CHANGED);
    net.advance(1000);
    net.check(&[OWN_NET], &[OWN]);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
    net.restart("g1");
    net.advance(30);
    net.check(&[OWN_NET], &[OWN]);
    net.expect(BRANCH, delete(BRANCH, 1), Code::DELETED);
    net.advance(30);
    net.check(&[OWN], &[OWN]);
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.advance(30);
    net.check(&[], &[]);
}

/// A server takes less than it did, and leaves what stands: that somebody else's part is refused is no answer for good.
#[test]
fn who_asks_together_with_what_stands_is_not_refused_for_good() {
    let mut net = Net::new();
    net.expect(
        HOME,
        put(HOME, 1, &[FIXED, "203.0.113.8/32"]),
        Code::CREATED,
    );
    net.node("fixed").trouble = Some(Code::BAD_REQUEST);
    let ask = put(BRANCH, 1, &[FIXED, "203.0.113.99/32"]);
    net.expect(BRANCH, ask, Code::SERVICE_UNAVAILABLE);
    net.advance(30);
    let status = net.status_code(HOME, 1);
    assert_eq!(status, Status::AttackSuccessfullyMitigated);
}
