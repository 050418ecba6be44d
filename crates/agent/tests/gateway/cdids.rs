//! Gateways of the servers' domain, whose clients ask for common addresses (RFC 9132 §4.4.1.2).

use agent::gateway::Terms;
use agent::server::Customer;
use agent::server_selection::Policy;
use coap::Code;
use dots::identifiers::Cdid;
use dots::mitigation::Status;
use dtls::Credential;

use super::net::*;

const WIDE: &str = "203.0.113.0/28";
/// A second client of the customer that `HOME` is one of.
const SECOND: Inside = Inside {
    customer: "home",
    number: 3,
};

fn cdid(client: Inside) -> Cdid {
    let Credential::Certificate { spki_sha256, .. } = client.peer().credential else {
        panic!("a certificate");
    };
    Cdid::from_spki_sha256(&spki_sha256)
}

/// A gateway that says cdids, before providers that know by them whom it asks for.
fn net() -> Net {
    let terms = Terms {
        says_domain: true,
        ..terms("g1")
    };
    let mut net = Net::with(terms, Policy::default());
    let now = net.now();
    for name in ["fixed", "mobile"] {
        let node = net.node(name);
        let gateway = node.plan.customers[0].clone();
        let customer = |name: &str, cdids: &[Inside]| Customer {
            name: name.to_owned(),
            cdids: cdids.iter().map(|client| cdid(*client)).collect(),
            ..gateway.clone()
        };
        let home = customer("home", &[HOME, SECOND]);
        let branch = customer("branch", &[BRANCH]);
        node.plan.customers.extend([home, branch]);
        node.plan.customers[0].is_gateway = true;
        node.plan.customers[0].prefixes.clear();
        node.start(now);
    }
    net.advance(120);
    net
}

fn protected_for(net: &Net, customer: &str) -> Vec<String> {
    let enforced = net.nodes["fixed"].enforced.iter();
    let own = enforced.filter(|(enforcement, _)| enforcement.key.customer == customer);
    let prefixes = own.flat_map(|(_, target)| &target.prefixes);
    prefixes.map(ToString::to_string).collect()
}

fn are_mitigated(net: &mut Net, clients: &[Inside]) {
    for client in clients {
        let status = net.status_code(*client, 1);
        assert_eq!(status, Status::AttackSuccessfullyMitigated, "{client:?}");
    }
}

/// Covers: G-002, G-016. To the server they are two customers: neither takes the other's place, and
/// what one withdraws is withdrawn.
#[test]
fn requests_of_two_customers_for_common_addresses_stand_side_by_side() {
    let mut net = net();
    net.expect(HOME, put(HOME, 1, &["203.0.113.0/24"]), Code::CREATED);
    net.expect(BRANCH, put(BRANCH, 1, &[FIXED]), Code::CREATED);
    net.advance(60);
    are_mitigated(&mut net, &[HOME, BRANCH]);
    // Nor does a new decision take one for the other's.
    net.set_pvds("g1", site());
    net.restart("g1");
    net.advance(60);
    are_mitigated(&mut net, &[HOME, BRANCH]);
    assert_eq!(protected_for(&net, "home"), ["203.0.113.0/24"]);
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.advance(30);
    assert_eq!(protected_for(&net, "home"), [""; 0]);
    assert_eq!(protected_for(&net, "branch"), [FIXED]);
}

/// Covers: G-004, G-016. To the server they are one client, whatever cdid is said for them.
#[test]
fn requests_of_two_clients_of_a_customer_for_common_addresses_protect_both() {
    let mut net = net();
    net.expect(HOME, put(HOME, 1, &[FIXED]), Code::CREATED);
    net.expect(SECOND, put(SECOND, 1, &[WIDE]), Code::CREATED);
    net.advance(60);
    are_mitigated(&mut net, &[HOME, SECOND]);
    assert_eq!(protected_for(&net, "home"), [WIDE]);
    net.restart("g1");
    net.advance(60);
    are_mitigated(&mut net, &[HOME, SECOND]);
    assert_eq!(net.node("g1").requests.len(), 1);

    // Whoever goes, the other one is asked for under a cdid of his own.
    net.expect(HOME, delete(HOME, 1), Code::DELETED);
    net.advance(30);
    are_mitigated(&mut net, &[SECOND]);
    assert_eq!(protected_for(&net, "home"), [WIDE]);
    let stored = net.node("fixed").stored.values().next().cloned().unwrap();
    assert_eq!(stored.relayed.cdid, Some(cdid(SECOND)));
    net.restart("g1");
    net.advance(30);
    assert_eq!(protected_for(&net, "home"), [WIDE]);
    net.expect(SECOND, delete(SECOND, 1), Code::DELETED);
    net.advance(30);
    net.check(&[], &[]);
}
