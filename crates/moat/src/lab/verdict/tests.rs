//! A good report has no failures, and each deviation is one.

use super::*;
use crate::lab::agents::customer;
use crate::lab::plan::VICTIM_NUMBER;
use crate::lab::report::{Capture, NotAsked, Request, Server};
use crate::lab::scenario;

/// Of each flow; four of them attack the fixed network.
const FLOW: f64 = 5_000.0;
const FLOOD: f64 = 4.0 * FLOW;

fn request(provider: &Provider) -> Request {
    let victims = provider.assigned.hosts(VICTIM_NUMBER);
    Request {
        client: "home".to_owned(),
        pvd: provider.pvd.to_owned(),
        server: provider.dots_name.to_owned(),
        mid: 0,
        targets: vec![format!("{}/32", victims[0]), victims[1].to_string()],
        status: String::new(),
        reason: String::new(),
        accepted: true,
    }
}

/// What `residential` must find.
fn good() -> (&'static Scenario, Report) {
    let scenario = scenario::find("residential").unwrap();
    let edge = |provider: &Provider, attack| Edge {
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
    };
    let signalling = |provider: &Provider| Signalling {
        pvd: provider.pvd,
        right_source: 9,
        wrong_source: 0,
    };
    let capture = |provider: &Provider| Capture {
        pvd: provider.pvd,
        packets: 40,
        lost: 0,
        questions: vec![provider.dots_name.to_owned()],
        question_packets: 2,
        question_packets_counted: 2,
        own_identity_packets: 1,
        of_others: Vec::new(),
    };
    let server = |provider: &Provider, accepted: u8| Server {
        server: provider.dots_name,
        mitigations: (0..accepted).map(|_| request(provider).targets).collect(),
        mitigations_left: Vec::new(),
        mitigated_for: (0..accepted).map(|_| customer(provider)).collect(),
        cuids: vec![format!("cuid-of-{}", provider.node)],
        customers: vec![customer(provider)],
        sessions_established: 1,
        sessions_failed: 0,
        accepted: accepted.into(),
        refused: 0,
        names_asked: Vec::new(),
    };
    let [fixed, mobile] = scenario.providers else {
        panic!("two providers")
    };
    let report = Report {
        scenario: scenario.name,
        ok: false,
        alarm_to_drop_ms: Some(20.0),
        alarm_to_clear_ms: Some(30.0),
        requests: vec![request(fixed)],
        not_asked: vec![NotAsked {
            client: "home".to_owned(),
            pvd: mobile.pvd.to_owned(),
            reason: "none of its prefixes".to_owned(),
        }],
        edges: vec![edge(fixed, FLOOD), edge(mobile, 0.0)],
        signalling: vec![signalling(fixed), signalling(mobile)],
        captures: vec![capture(fixed), capture(mobile)],
        servers: vec![server(fixed, 1), server(mobile, 0)],
        gateways: Vec::new(),
        events: Vec::new(),
        failures: Vec::new(),
    };
    (scenario, report)
}

#[test]
fn a_run_in_which_all_is_as_it_must_be_has_no_failures() {
    let (scenario, report) = good();
    assert_eq!(failures(scenario, &report, FLOW), Vec::<String>::new());
}

/// Every number and name of the report matters.
#[test]
fn each_deviation_is_a_failure_in_words() {
    type Spoil = fn(&mut Report);
    let cases: [(Spoil, &str); 42] = [
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
                let mobile = &scenario::find("residential").unwrap().providers[1];
                report.requests.push(request(mobile));
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
            |report| report.not_asked[0].reason.clear(),
            "mobile.example: not asked by home, but",
        ),
        (
            |report| report.edges[0].attack_pps_before = 0.4 * FLOOD,
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
            "dots.fixed.example: still mitigates for 203.0.113.7/32",
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
        let (scenario, mut report) = good();
        spoil(&mut report);
        let failures = failures(scenario, &report, FLOW);
        assert!(
            failures.iter().any(|failure| failure.contains(expected)),
            "{expected:?} not in {failures:?}"
        );
    }
}
