//! Lifetimes that servers upstream grant (RFC 9132 §4.4.1.1, RFC 9284 §5.2).

use coap::Code;
use dots::lifetime::Lifetime;

use super::net::*;

fn lifetime(seconds: u32) -> Lifetime {
    Lifetime::from_number(seconds.into()).unwrap()
}

/// What was left when it was asked for says nothing of what a server would grant.
#[test]
fn a_lifetime_grows_again_after_a_restart_near_its_end() {
    let mut net = Net::new();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.advance(3590);
    net.restart("g1");
    net.advance(3);
    for _ in 0..3 {
        let response = net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CHANGED);
        assert_eq!(granted(&response).lifetime, lifetime(3600));
        net.advance(60);
    }
    net.advance(3000);
    net.check(&[FIXED], &[]);
}

/// Covers: G-017. Whoever of them answers first.
#[test]
fn the_shortest_lifetime_counts_in_whatever_order_servers_answer() {
    for slow in ["fixed", "mobile"] {
        let mut net = Net::new();
        let now = net.now();
        let mobile = net.node("mobile");
        mobile.plan.policy.max_lifetime = 600.try_into().unwrap();
        mobile.start(now);
        net.advance(120);
        net.node(slow).is_cut_off = true;
        let question = net.send("g1", HOME, put(HOME, 1, &[OWN]));
        net.advance(1);
        assert_eq!(net.answer("g1", question), None);
        net.node(slow).is_cut_off = false;
        net.advance(5);
        let response = net.answer("g1", question).expect("an answer");
        assert_eq!(granted(&response).lifetime, lifetime(600), "{slow}");
    }
}
