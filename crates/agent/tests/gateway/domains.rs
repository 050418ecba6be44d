//! Gateways of the servers' domain one behind another (RFC 9132 §4.4.1.2).
//!
//! ```text
//! home --> g1, which says cdid --> g2 --> fixed
//! ```

use agent::gateway::Terms;
use agent::server_selection::Policy;
use coap::Code;
use dots::identifiers::Cdid;
use dtls::Credential;
use pvd::PvdSet;

use super::net::*;

const SECOND: &str = "192.0.2.112:4646";

/// Trusts a gateway, and knows `home` by what the first gateway calls it.
fn trust(net: &mut Net, node: &str, gateway: &str) {
    let now = net.now();
    let node = net.node(node);
    for customer in &mut node.plan.customers {
        if customer.name == gateway {
            customer.is_gateway = true;
            customer.prefixes.clear();
        } else {
            customer.cdids.push(home());
        }
    }
    node.start(now);
}

/// What a gateway calls the domain of `home`.
fn home() -> Cdid {
    let Credential::Certificate { spki_sha256, .. } = HOME.peer().credential else {
        panic!("a certificate");
    };
    Cdid::from_spki_sha256(&spki_sha256)
}

fn chain(says_domain: [bool; 2]) -> Net {
    let mut net = Net::empty();
    net.add_provider("fixed", FIXED_SERVER, &["g2", "home"]);
    trust(&mut net, "fixed", "g2");
    let gateways = [
        ("g2", SECOND, FIXED_SERVER),
        ("g1", "192.0.2.111:4646", SECOND),
    ];
    for ((name, address, next), says_domain) in gateways.into_iter().zip(says_domain) {
        let mut pvds = PvdSet::default();
        pvds.insert(domain("fixed.example", &["203.0.113.0/24"], next));
        let terms = Terms {
            says_domain,
            ..terms(name)
        };
        let customers: &[(&str, &[&str])] = &[("home", SITE), ("g1", SITE)];
        let customers = &customers[..if name == "g2" { 2 } else { 1 }];
        let listens = Some((name, address));
        net.add_gateway(terms, (pvds, Policy::default()), customers, listens);
    }
    trust(&mut net, "g2", "g1");
    net.settle();
    net
}

/// Covers: G-002, G-004. Whether the later gateway is told to say a cdid or not.
#[test]
fn a_later_gateway_passes_on_the_cdid_of_the_first_and_adds_none() {
    for of_second in [true, false] {
        let mut net = chain([of_second, true]);
        net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
        for name in ["g2", "fixed"] {
            let stored: Vec<_> = net.node(name).stored.values().collect();
            assert_eq!(stored.len(), 1);
            assert_eq!(stored[0].key.customer, "home", "{name}");
            assert_eq!(stored[0].relayed.cdid, Some(home()), "{name}");
        }
        net.restart("g2");
        net.advance(30);
        assert_eq!(net.node("fixed").stored.len(), 1);
        let stored = net.node("fixed").stored.values().next().unwrap();
        assert_eq!(stored.relayed.cdid, Some(home()));
    }
}

/// Covers: G-003. Where the first gateway says none, nobody is asked for. It is the gateway that is unauthorised, and not
/// its client.
#[test]
fn a_gateway_that_says_no_cdid_is_unauthorised_at_the_next() {
    let mut net = chain([true, false]);
    let response = net.ask(HOME, put(HOME, 1, &[FIXED]));
    assert_eq!(response.code, Code::BAD_GATEWAY, "{}", text_of(&response));
}
