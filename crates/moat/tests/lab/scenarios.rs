//! What the scenarios must show.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Copy, Traces, number, one_at_a_time, run, scenarios, texts};

fn assert_residential(report: &Value) {
    assert_eq!(report["scenario"], "residential");
    assert_eq!(report["ok"], true);
    assert_eq!(texts(&report["requests"], "pvd"), ["fixed.example"]);
    assert_eq!(texts(&report["requests"], "server"), ["dots.fixed.example"]);
    assert_eq!(texts(&report["not_asked"], "pvd"), ["mobile.example"]);
    assert!(!texts(&report["not_asked"], "reason")[0].is_empty());
    assert_eq!(
        texts(&report["edges"], "pvd"),
        ["fixed.example", "mobile.example"]
    );
    assert_filtered(&report["edges"][0]);
    assert_eq!(number(&report["edges"][1]["attack_pps_before"]), 0.0);
    assert!(number(&report["edges"][1]["legit_loss_percent_after"]) <= 1.0);
    assert_signalling(report);
}

fn assert_filtered(edge: &Value) {
    let before = number(&edge["attack_pps_before"]);
    assert!(
        before > 0.0 && number(&edge["attack_pps_after"]) < before / 100.0,
        "{edge}"
    );
    assert!(number(&edge["legit_loss_percent_after"]) <= 1.0, "{edge}");
}

/// Each provider's edge saw signalling from its own address over its own link, and no other.
fn assert_signalling(report: &Value) {
    for signalling in report["signalling"].as_array().unwrap() {
        assert!(number(&signalling["right_source"]) > 0.0, "{signalling}");
        assert_eq!(number(&signalling["wrong_source"]), 0.0, "{signalling}");
    }
}

/// Each gateway that must have one has the one mitigation that was asked of it, and has rejected what is not its provider's.
fn assert_gateways(reports: &[Value]) {
    for (scenario, expected) in [
        ("enterprise-gateway-pa", json!([[2, 0]])),
        ("enterprise-gateway-pi", json!([[1, 0]])),
        ("multi-cpe-pa-nofilter", json!([[1, 0], [0, 1]])),
        ("multi-cpe-pa-filter", json!([[0, 0], [1, 0]])),
        ("multi-cpe-pi", json!([[1, 0], [1, 0]])),
        ("same-isp-gateways", json!([[1, 0], [0, 1]])),
    ] {
        let mut reports = reports.iter();
        let report = reports.find(|one| one["scenario"] == scenario).unwrap();
        let gateways = report["gateways"].as_array().unwrap().iter();
        // A copy of what is rejected is rejected, too.
        let rejected = |one: &Value| one["refused"].as_u64().unwrap().min(1);
        let counts: Vec<_> = gateways
            .map(|one| json!([one["accepted"], rejected(one)]))
            .collect();
        assert_eq!(json!(counts), expected, "{report}");
    }
}

/// At each provider's edge nothing was captured that belongs to another, its name server was asked for its own names only, and no
/// packet came from a wrong source.
fn assert_secrecy(report: &Value) {
    for capture in report["captures"].as_array().unwrap() {
        assert!(number(&capture["packets"]) > 0.0, "{capture}");
        assert_eq!(capture["of_others"], json!([]), "{capture}");
        let own = capture["pvd"].as_str().unwrap();
        let questions = capture["questions"].as_array().unwrap();
        let mut names = questions.iter().map(|name| name.as_str().unwrap());
        assert!(names.all(|name| name.ends_with(own)), "{capture}");
    }
    for edge in report["edges"].as_array().unwrap() {
        assert_eq!(edge["wrong_source_packets"], 0, "{edge}");
    }
}

/// Every figure of RFC 9284, and each row of its Table 1, with provider-assigned and provider-independent addresses: who was asked
/// and who was not, at the servers; what was dropped where; and no packet from a wrong source.
///
/// Covers: M-001, M-003, M-004, M-005, M-006, M-007, M-008, M-009, M-010, M-011, M-012, M-013, M-014, M-015, M-016, M-017, M-018, M-020, M-021, M-022, M-023, M-024, M-025, M-027, M-028, M-029
/// Covers: Y-001, Y-004, Y-005, Y-006, Y-008, Y-010, Y-017, G-001, G-018
/// Covers: P-005, P-007, P-008, P-014, P-016, P-018, P-031, P-033, P-034, P-035
#[test]
fn all_scenarios_are_ok_and_say_who_was_asked_and_who_was_not() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    let Some(reports) = run(&mut copy.command(), "all") else {
        return;
    };
    let names: Vec<_> = reports.iter().map(|one| one["scenario"].clone()).collect();
    assert_eq!(names, scenarios());
    let is_attack = |report: &&Value| report.get("checks").is_none();
    let (attacks, others): (Vec<_>, Vec<_>) = reports.iter().partition(is_attack);
    assert_ne!(others.len(), 0);
    for report in others {
        assert_eq!(report["ok"], true, "{report}");
        let checks = report["checks"].as_array().unwrap();
        let are_told = checks.iter().all(|one| one["expected"] == one["seen"]);
        assert!(are_told && !checks.is_empty(), "{report}");
    }
    for report in attacks {
        assert_eq!(report["ok"], true, "{report}");
        assert_ne!(texts(&report["requests"], "server"), [""; 0], "{report}");
        let reasons = texts(&report["not_asked"], "reason");
        assert!(!reasons.contains(&""), "{report}");
        assert_signalling(report);
        assert_secrecy(report);
    }
    assert_gateways(&reports);
    assert_residential(&reports[0]);
    assert_residential_both(&reports[1]);
    copy.assert_left_nothing(&before);
}

fn assert_residential_both(report: &Value) {
    assert_eq!(report["scenario"], "residential-both");
    assert_eq!(report["not_asked"].as_array().unwrap().len(), 0);
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 2);
    for (server, own) in servers.iter().zip([
        ["203.0.113.7/32", "2001:db8:f:100::7/128"],
        ["198.51.100.7/32", "2001:db8:a:100::7/128"],
    ]) {
        assert_eq!(server["mitigations"], json!([own]), "{server}");
    }
    let edges = report["edges"].as_array().unwrap();
    edges.iter().for_each(assert_filtered);
}

/// Also a scenario with a name server and a DHCP server of the system, which would rather change users and groups.
#[test]
fn an_ordinary_user_can_run_it_and_leaves_nothing() {
    let _one = one_at_a_time();
    if !rustix::process::geteuid().is_root() {
        println!("the other tests run as an ordinary user already");
        return;
    }
    let copy = Copy::new();
    let before = Traces::now();
    for scenario in ["residential", "residential-discovery"] {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(copy.path())
            .env("TMPDIR", copy.temporary());
        // As a login of an ordinary user on Debian has it: without the folders of ip and nft.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let Some(reports) = run(&mut command, scenario) else {
            return;
        };
        assert_eq!(reports[0]["scenario"], scenario);
        assert_eq!(reports[0]["ok"], true);
    }
    copy.assert_left_nothing(&before);
}
