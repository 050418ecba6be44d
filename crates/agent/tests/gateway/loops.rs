//! Requests that go in circles (RFC 8768).

use agent::gateway::{Note, Terms};
use agent::server_selection::Policy;
use coap::{Code, Response};
use pvd::PvdSet;

use super::net::*;

const ADDRESSES: [&str; 5] = [
    "192.0.2.111:4646",
    "192.0.2.112:4646",
    "192.0.2.113:4646",
    "192.0.2.114:4646",
    "192.0.2.115:4646",
];

/// Gateways, each of which takes the next for the server of the network.
fn circle_of(names: &[&str], initial_hop_limit: u8) -> Net {
    let mut net = Net::empty();
    let count = names.len();
    for (place, name) in names.iter().enumerate() {
        let mut terms = terms(name);
        terms.relay.initial_hop_limit = initial_hop_limit.try_into().unwrap();
        let previous = names[(place + count - 1) % count];
        let next = ADDRESSES[(place + 1) % count];
        add(&mut net, terms, (name, ADDRESSES[place]), next, previous);
    }
    net.settle();
    net
}

fn add(net: &mut Net, terms: Terms, listens: (&str, &str), next: &str, previous: &str) {
    let mut pvds = PvdSet::default();
    pvds.insert(domain("fixed.example", &["203.0.113.0/24"], next));
    let customers: &[(&str, &[&str])] = &[("home", SITE), ("branch", SITE), (previous, SITE)];
    net.add_gateway(terms, (pvds, Policy::default()), customers, Some(listens));
}

fn circle(initial_hop_limit: u8) -> Net {
    circle_of(&["g1", "g2", "g3"], initial_hop_limit)
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
        assert!(paths.iter().any(names_all), "{paths:?}");
        net.advance(600);
        is_silent(&net);
    }
}

/// Covers: G-010. Names as long as they may be: the own one is found behind all the others.
#[test]
fn a_long_path_is_searched_to_its_end() {
    let names: Vec<String> = (1..=5)
        .map(|place| format!("g{place}{}", "x".repeat(60)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut net = circle_of(&names, 12);
    let question = net.send(names[0], HOME, put(HOME, 1, &[FIXED]));
    net.advance(60);
    let response = net.answer(names[0], question).expect("an answer");
    assert_eq!(response.code, Code::BAD_GATEWAY, "{}", text_of(&response));
    net.advance(600);
    is_silent(&net);
}

/// Covers: G-011. Who asked with a larger Hop-Limit may come farther: what another was told is no answer to him.
#[test]
fn a_5_08_answers_only_who_would_come_no_farther() {
    let mut net = Net::empty();
    net.add_provider("fixed", FIXED_SERVER, &["g2"]);
    let [first, second, ..] = ADDRESSES;
    add(&mut net, terms("g2"), ("g2", second), FIXED_SERVER, "g1");
    add(&mut net, terms("g1"), ("g1", first), second, "nobody");
    net.settle();
    let near = net.send("g1", HOME, put(HOME, 1, &[FIXED]).hops(2));
    let far = net.send("g1", BRANCH, put(BRANCH, 1, &[FIXED]).hops(5));
    net.advance(30);
    let told = net.answer("g1", near).expect("an answer");
    assert_eq!(told.code, Code::HOP_LIMIT_REACHED);
    assert_eq!(text_of(&told), "g1 g2");
    let told = net.answer("g1", far).expect("an answer");
    assert_eq!(told.code, Code::CREATED, "{}", text_of(&told));
    net.advance(30);
    assert_eq!(net.nodes["fixed"].protected(), [FIXED]);
}
