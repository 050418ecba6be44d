//! A good report has no failures, and each deviation is one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::*;
use crate::lab::agents::customer;
use crate::lab::report::{Capture, NotAsked, Request, Server};
use crate::lab::scenario::{self, Asked, DotsClient};

/// Of each flow; four of them attack the fixed network.
const FLOW: f64 = 5_000.0;
const FLOOD: f64 = 4.0 * FLOW;

fn texts(addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn request(scenario: &Scenario, asked: &Asked) -> Request {
    Request {
        client: asked.client.to_owned(),
        pvd: asked.pvd.to_owned(),
        server: scenario.dots_name(asked.pvd).unwrap().to_owned(),
        mid: 0,
        targets: texts(&requests::expected(scenario, asked.spaces)),
        status: String::new(),
        reason: String::new(),
        accepted: asked.is_accepted,
    }
}

/// Whom a client that is told of an attack must not ask.
fn not_asked(scenario: &Scenario, client: &DotsClient) -> Vec<NotAsked> {
    let is_asked = |pvd: &str| {
        let mut asked = scenario.asked.iter();
        asked.any(|one| one.client == client.name && one.pvd == pvd)
    };
    let upstreams = client.upstreams.iter().map(|one| one.pvd());
    let others = upstreams.filter(|pvd| client.is_alarmed && !is_asked(pvd));
    let entry = |pvd: &str| NotAsked {
        client: client.name.to_owned(),
        pvd: pvd.to_owned(),
        reason: "none of its prefixes".to_owned(),
    };
    others.map(entry).collect()
}

fn edge(scenario: &Scenario, provider: &Provider) -> Edge {
    let attack = FLOW * flows(scenario, provider) as f64;
    Edge {
        pvd: provider.pvd,
        attack_pps_before: attack,
        attack_pps_after: 0.0,
        attack_pps_offered_after: attack,
        legit_loss_percent_before: 0.0,
        legit_loss_percent_after: 1.0,
        legit_pps_before: 200.0,
        legit_pps_after: 200.0,
        attack_pps_withdrawn: attack,
        wrong_source_packets: 0,
    }
}

fn capture(provider: &Provider) -> Capture {
    Capture {
        pvd: provider.pvd,
        packets: 40,
        lost: 0,
        questions: vec![format!("dots.{}", provider.pvd)],
        question_packets: 2,
        question_packets_counted: 2,
        own_identity_packets: 1,
        of_others: Vec::new(),
    }
}

fn server(scenario: &Scenario, provider: &Provider) -> Server {
    let mitigated = scenario.mitigated(provider.dots_name);
    let customers = vec![customer(provider)];
    Server {
        server: provider.dots_name,
        mitigations: mitigated.iter().map(texts).collect(),
        mitigations_left: Vec::new(),
        mitigated_for: mitigated.iter().flat_map(|_| customers.clone()).collect(),
        cuids: vec![format!("cuid-of-{}", provider.node)],
        customers,
        sessions_established: 1,
        sessions_failed: 0,
        accepted: mitigated.iter().len() as u64,
        refused: 0,
        names_asked: vec![format!("dots.{}", provider.pvd)],
    }
}

/// What a scenario must find.
fn good(name: &str) -> (&'static Scenario, Report) {
    let scenario = scenario::find(name).unwrap();
    let providers = || scenario.providers.iter();
    let clients = scenario.clients.iter();
    let gateways = scenario.gateways.iter();
    let report = Report {
        scenario: scenario.name,
        ok: false,
        alarm_to_drop_ms: Some(20.0),
        alarm_to_clear_ms: Some(30.0),
        requests: scenario
            .asked
            .iter()
            .map(|one| request(scenario, one))
            .collect(),
        not_asked: clients.flat_map(|one| not_asked(scenario, one)).collect(),
        edges: providers().map(|one| edge(scenario, one)).collect(),
        signalling: providers()
            .map(|one| Signalling {
                pvd: one.pvd,
                right_source: 9,
                wrong_source: 0,
            })
            .collect(),
        captures: providers().map(capture).collect(),
        servers: scenario
            .servers()
            .into_iter()
            .map(|one| server(scenario, one))
            .collect(),
        gateways: gateways
            .map(|one| gateways::tests::inside(one, scenario))
            .collect(),
        events: Vec::new(),
        failures: Vec::new(),
    };
    (scenario, report)
}

#[test]
fn a_run_in_which_all_is_as_it_must_be_has_no_failures() {
    for scenario in scenario::SCENARIOS {
        let (scenario, report) = good(scenario.name);
        let failures = failures(scenario, &report, FLOW);
        assert_eq!(failures, Vec::<String>::new(), "{}", scenario.name);
    }
}

/// A deviation from what a scenario must find is a failure in these words.
fn assert_failure(scenario: &str, spoil: fn(&mut Report), expected: &str) {
    let (scenario, mut report) = good(scenario);
    spoil(&mut report);
    let failures = failures(scenario, &report, FLOW);
    assert!(
        failures.iter().any(|failure| failure.contains(expected)),
        "{expected:?} not in {failures:?}"
    );
}

/// What not every scenario has: gateways, which reject, and name servers.
#[test]
fn each_deviation_from_what_only_some_scenarios_have_is_a_failure_in_words() {
    type Spoil = fn(&mut Report);
    let cases: [(&str, Spoil, &str); 4] = [
        (
            "multi-cpe-pa-nofilter",
            |report| report.requests[1].accepted = true,
            "rtr2.site.example: a request was accepted that must be rejected",
        ),
        (
            "residential-discovery",
            |report| report.captures[1].questions.clear(),
            "mobile.example: no question to a name server went over its link",
        ),
        (
            "residential-discovery",
            |report| report.servers[0].names_asked.clear(),
            "dots.fixed.example: its name server was asked for nothing",
        ),
        (
            "multi-cpe-pa-filter",
            |report| report.gateways[1].mitigations.clear(),
            "dots.rtr2.site.example: relays [], not what it must",
        ),
    ];
    for (scenario, spoil, expected) in cases {
        assert_failure(scenario, spoil, expected);
    }
}

/// Every number and name of the report matters.
#[test]
fn each_deviation_is_a_failure_in_words() {
    type Spoil = fn(&mut Report);
    let cases: [(Spoil, &str); 44] = [
        (|report| report.alarm_to_drop_ms = None, "did not stop"),
        (
            |report| report.alarm_to_drop_ms = Some(-1.0),
            "before the alarm",
        ),
        (
            |report| report.alarm_to_drop_ms = Some(MAX_ALARM_TO_DROP_MS + 1.0),
            "from the alarm",
        ),
        (
            |report| report.requests[0].accepted = false,
            "was not accepted",
        ),
        (
            |report| report.requests.clear(),
            "fixed.example: 0 requests of home instead of 1",
        ),
        (
            |report| report.requests.push(report.requests[0].clone()),
            "fixed.example: 2 requests of home instead of 1",
        ),
        (
            |report| {
                let mut request = report.requests[0].clone();
                request.pvd = "mobile.example".to_owned();
                report.requests.push(request);
            },
            "mobile.example: was asked",
        ),
        (
            |report| report.requests[0].pvd = "other.example".to_owned(),
            "home: asked other.example",
        ),
        (
            |report| report.requests[0].server = "dots.mobile.example".to_owned(),
            "went to dots.mobile.example",
        ),
        (
            |report| drop(report.requests[0].targets.pop()),
            "instead of its own addresses",
        ),
        (
            |report| report.requests[0].targets.push("198.51.100.7".to_owned()),
            "instead of its own addresses",
        ),
        (
            |report| report.requests[0].targets[0] = "203.0.113.0/28".to_owned(),
            "instead of its own addresses",
        ),
        (
            |report| report.not_asked.clear(),
            "mobile.example: not asked by home, but",
        ),
        (
            |report| report.not_asked[0].pvd = "fixed.example".to_owned(),
            "fixed.example: said not to be asked by home",
        ),
        (
            |report| report.servers[1].customers.clear(),
            "dots.mobile.example: has no session with its customer",
        ),
        (
            |report| report.not_asked[0].reason.clear(),
            "mobile.example: not asked by home, but",
        ),
        (
            |report| report.edges[0].attack_pps_before = 0.09 * FLOOD,
            "before the alarm",
        ),
        (
            |report| report.edges[0].attack_pps_offered_after = 0.0,
            "reached the filter",
        ),
        (
            |report| report.edges[0].attack_pps_withdrawn = 0.0,
            "still filters",
        ),
        (
            |report| report.edges[0].wrong_source_packets = 3,
            "fixed.example: 3 packets of the customer",
        ),
        (
            |report| report.edges[0].legit_loss_percent_before = 2.0,
            "lost before the attack",
        ),
        (
            |report| report.edges[0].legit_pps_before = 0.0,
            "fixed.example: no legitimate requests came over its link before the attack",
        ),
        (
            |report| report.edges[1].legit_pps_after = 0.0,
            "mobile.example: no legitimate requests came over its link with the filter",
        ),
        (
            |report| report.signalling[0].right_source = 0,
            "fixed.example: no signalling",
        ),
        (
            |report| report.edges[0].attack_pps_after = 0.01 * FLOOD,
            "still passed",
        ),
        (
            |report| report.edges[1].legit_loss_percent_after = 1.01,
            "mobile.example: 1.01 % of legitimate",
        ),
        (
            |report| report.edges[1].attack_pps_before = 1.0,
            "not attacked",
        ),
        (
            |report| report.requests[0].client = "c9".to_owned(),
            "c9: asked",
        ),
        (
            |report| report.servers[1].mitigations = report.servers[0].mitigations.clone(),
            "dots.mobile.example: mitigates for",
        ),
        (
            |report| report.servers[0].mitigations.clear(),
            "dots.fixed.example: mitigates for nothing",
        ),
        (
            |report| report.servers[0].mitigations_left = report.servers[0].mitigations.clone(),
            "dots.fixed.example: still mitigates for 203.0.113.7",
        ),
        (
            |report| report.servers[1].accepted = 1,
            "dots.mobile.example: accepted 1",
        ),
        (
            |report| report.servers[1].names_asked = vec!["dots.fixed.example".to_owned()],
            "dots.mobile.example: its name server was asked for dots.fixed.example",
        ),
        (
            |report| report.servers[1].refused = 1,
            "dots.mobile.example: refused 1",
        ),
        (
            |report| report.servers[1].sessions_failed = 1,
            "dots.mobile.example: 1 sessions failed",
        ),
        (
            |report| report.servers[1].customers = report.servers[0].customers.clone(),
            "dots.mobile.example: has sessions with customer.fixed.example",
        ),
        (
            |report| report.signalling[1].wrong_source = 2,
            "mobile.example: 2 signalling packets",
        ),
        (
            |report| report.captures[1].lost = 1,
            "mobile.example: 1 packets not captured",
        ),
        (
            |report| report.captures[1].question_packets_counted = 3,
            "mobile.example: 2 questions to name servers captured, 3 counted",
        ),
        (
            |report| report.captures[1].questions[0] = "dots.fixed.example".to_owned(),
            "mobile.example: a question for dots.fixed.example",
        ),
        (
            |report| report.captures[1].own_identity_packets = 0,
            "mobile.example: the identity of its own customer was not seen",
        ),
        (
            |report| report.captures[1].of_others = vec!["fixed.example".to_owned()],
            "mobile.example: fixed.example was seen",
        ),
        (
            |report| report.servers[1].cuids = report.servers[0].cuids.clone(),
            "dots.mobile.example: was asked under the cuid",
        ),
        (
            |report| report.servers[1].mitigated_for = report.servers[0].mitigated_for.clone(),
            "dots.mobile.example: mitigates for customer.fixed.example",
        ),
    ];
    for (spoil, expected) in cases {
        assert_failure("residential", spoil, expected);
    }
}
