//! Requests that go in circles (RFC 8768).

use agent::gateway::Note;
use agent::relay::Relay;
use agent::server_selection::Policy;
use coap::{Code, Response};
use pvd::PvdSet;

use super::net::*;

const ADDRESSES: [&str; 3] = ["192.0.2.111:4646", "192.0.2.112:4646", "192.0.2.113:4646"];

/// Three gateways, each of which takes the next for the server of the network.
fn circle(initial_hop_limit: u8) -> Net {
    let mut net = Net::empty();
    let names = ["g1", "g2", "g3"];
    for (place, name) in names.iter().enumerate() {
        let next = ADDRESSES[(place + 1) % 3];
        let mut pvds = PvdSet::default();
        pvds.insert(domain("fixed.example", &["203.0.113.0/24"], next));
        let mut terms = terms(name);
        terms.relay = Relay {
            initial_hop_limit: initial_hop_limit.try_into().unwrap(),
            ..terms.relay
        };
        let previous = names[(place + 2) % 3];
        let customers: &[(&str, &[&str])] = &[("home", SITE), (previous, SITE)];
        let listens = Some((*name, ADDRESSES[place]));
        net.add_gateway(terms, (pvds, Policy::default()), customers, listens);
    }
    net.settle();
    net
}

fn told(net: &mut Net, ask: Ask) -> Response {
    let question = net.send("g1", HOME, ask);
    net.advance(60);
    net.answer("g1", question).expect("an answer")
}

fn is_silent(net: &Net) {
    for (name, node) in &net.nodes {
        assert!(node.stored.is_empty(), "{name} keeps {:?}", node.stored);
        assert!(node.requests.is_empty(), "{name} goes on asking");
    }
}

/// Covers: G-008, G-009, G-010. The path is named, the one nearest to the client first.
#[test]
fn a_loop_of_three_gateways_gives_5_08_and_names_the_path() {
    let mut net = circle(2);
    let response = told(&mut net, put(HOME, 1, &[FIXED]));
    assert_eq!(response.code, Code::HOP_LIMIT_REACHED);
    assert_eq!(text_of(&response), "g1 g2 g3");
    net.advance(600);
    is_silent(&net);
}

/// Covers: G-009. A client that says how far its request may go.
#[test]
fn the_hop_limit_of_the_client_goes_down_by_one_at_each_gateway() {
    let mut net = circle(16);
    let response = told(&mut net, put(HOME, 1, &[FIXED]).hops(3));
    assert_eq!(response.code, Code::HOP_LIMIT_REACHED);
    assert_eq!(text_of(&response), "g1 g2 g3");
    let last = told(&mut net, put(HOME, 2, &[FIXED]).hops(1));
    assert_eq!(text_of(&last), "g1");
    let none = told(&mut net, put(HOME, 3, &[FIXED]).hops(0));
    assert_eq!(none.code, Code::BAD_REQUEST);
}

/// Covers: G-010. Who is named in a 5.08 passes it on no more, logs it, and says to his own client
/// that there is a loop: whichever of them the request has come to last.
#[test]
fn a_request_that_comes_back_here_is_a_loop_and_is_logged_with_its_path() {
    for initial_hop_limit in [14, 15, 16] {
        let mut net = circle(initial_hop_limit);
        let response = told(&mut net, put(HOME, 1, &[FIXED]));
        assert_eq!(response.code, Code::BAD_GATEWAY, "{}", text_of(&response));
        let text = text_of(&response);
        assert!(text.contains("loop"), "{text}");
        let nodes = net.nodes.values();
        let paths = nodes
            .flat_map(|node| &node.notes)
            .filter_map(|note| match note {
                Note::Loop { path, .. } => Some(path),
                _ => None,
            });
        let paths: Vec<&String> = paths.collect();
        let names_all = |path: &&String| ["g1", "g2", "g3"].iter().all(|name| path.contains(name));
        assert!(paths.iter().any(|path| names_all(path)), "{paths:?}");
        net.advance(600);
        is_silent(&net);
    }
}
