//! What is wrong, in the network or in how the lab is called, must be said and must be seen in the exit code.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Copy, MOAT, Started, is_skipped, one_at_a_time, scenarios, skipped};

/// What is wrong in the network, or at a server, fails the run, whatever the client says: the edges do count packets with a wrong
/// source, and who listens there does notice a question, or credentials, that belong to another provider.
///
/// Covers: M-001, M-004, M-011, M-024
#[test]
fn a_fault_fails_the_verdict() {
    let _one = one_at_a_time();
    if !rustix::process::geteuid().is_root() {
        skipped("only root can interfere from outside");
        return;
    }
    let attack = "the attack starts";
    let visitor = "starting a visitor";
    for (scenario, moment, fault, failure) in [
        (
            "residential",
            attack,
            "MOAT mitigate 198.51.100.7 --control /run/moat-lab/home.sock",
            "dots.mobile.example: mitigates for 198.51.100.7/32",
        ),
        (
            "enterprise-gateway-pa",
            attack,
            "MOAT mitigate 203.0.113.7 --control /run/moat-lab/c3.sock",
            "dots.isp1.example: mitigates for 203.0.113.7/32",
        ),
        (
            "enterprise-direct-pa",
            attack,
            "ip netns exec cpe ip -6 rule del priority 102",
            "had a source that is not of its prefix",
        ),
        (
            "enterprise-direct-pi",
            attack,
            "ip netns exec c1 bash -c 'printf \"\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4dots\\4isp2\\7example\\0\\0\\1\\0\\1\" > /dev/udp/203.0.113.254/53'",
            "isp1.example: a question for dots.isp2.example went over its link",
        ),
        (
            "residential",
            attack,
            "cd /run/moat-lab/fixed; ip netns exec home timeout 20 openssl s_client -dtls1_2 -bind 198.51.100.1:0 -connect 198.51.100.129:4646 \
             -cert home.pem -key home-key.pem </dev/null 2>/dev/null || true",
            "mobile.example: public key 0 for fixed.example was seen on its link",
        ),
        (
            "enterprise-direct-pi",
            attack,
            "ip netns exec isp2 nft 'add table inet hole; add chain inet hole in { type filter hook input priority 0; }; \
             add rule inet hole in meta l4proto { tcp, udp } th dport 4646 drop'",
            "attack packets/s still passed",
        ),
        (
            "residential",
            attack,
            "ip netns exec home bash -c 'echo > /dev/udp/198.51.100.129/4646'",
            "fixed.example: 1 signalling packets came from a wrong address",
        ),
        (
            "residential",
            visitor,
            "ip netns exec internet nft 'add table inet hole; add chain inet hole on { type filter hook forward priority 0; }; \
             add rule inet hole on ip6 saddr 2001:db8:bad::/48 drop'",
            "nothing of the attack from 2001:db8:bad::b to",
        ),
        (
            "failover",
            "the link fixed0 goes down",
            "MOAT withdraw 1 --control /run/moat-lab/home.sock >/dev/null 2>&1 &",
            "not so: While the link fixed0 was down, every server had what it had before",
        ),
        (
            "renumber",
            visitor,
            "MOAT mitigate 203.0.113.40 --control /run/moat-lab/home.sock",
            "not so: dots.fixed.example was asked for addresses that fixed.example had assigned",
        ),
    ] {
        let copy = Copy::new();
        let mut run = Started::of(&copy, scenario, &["--json"]);
        if run.read_until(moment).is_none() {
            return;
        }
        let fault = fault.replace("MOAT", &copy.path().display().to_string());
        run.inside(&fault);
        let report = run.report();
        assert_eq!(report["ok"], false, "{fault}: {report}");
        let failures = report["failures"].as_array().unwrap();
        let mut failures = failures.iter().map(|one| one.as_str().unwrap());
        assert!(
            failures.any(|one| one.contains(failure)),
            "{fault}: {report}"
        );
    }
}

/// Runs scenarios on a machine with a program `ip` that does nothing right, in a folder that must last as long.
fn run_with_broken_ip(folder: &Path, scenario: &str) -> Command {
    let broken = folder.join("ip");
    std::fs::write(&broken, "#!/bin/sh\necho out of order >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(MOAT);
    command
        .args(["lab", "run", scenario, "--json"])
        .env("PATH", format!("{}:{path}", folder.display()));
    command
}

#[test]
fn what_goes_wrong_inside_is_told_in_json_with_the_scenario_of_which_it_is_told() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    for (scenario, expected) in [
        ("residential", vec!["residential".to_owned()]),
        ("all", scenarios()),
    ] {
        let output = run_with_broken_ip(folder.path(), scenario)
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        if is_skipped(&stdout) {
            return;
        }
        assert_eq!(output.status.code(), Some(2), "{stdout}");
        let said: Result<Vec<Value>, _> = stdout.lines().map(serde_json::from_str).collect();
        let said = said.unwrap();
        let names: Vec<_> = said
            .iter()
            .map(|one| one["scenario"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected);
        for one in &said {
            let reason = one["error"]["reason"].as_str().unwrap();
            assert!(reason.contains("out of order"), "{reason}");
        }
    }
}

/// As with `moat lab run all --json | head -c 0`.
#[test]
fn who_stops_reading_stops_no_scenario_and_changes_no_exit_code() {
    let _one = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let mut command = run_with_broken_ip(folder.path(), "all");
    let mut run = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(run.stdout.take());
    let output = run.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    if is_skipped(&stderr) {
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for scenario in scenarios() {
        assert!(stderr.contains(&scenario), "{scenario} not in {stderr}");
    }
}

/// There is no such scenario and no such folder, so that nothing happens where they are not refused.
#[test]
fn who_calls_the_inside_of_a_run_by_hand_is_refused() {
    for line in [
        "lab-inside atlantis",
        "bench-inside --seconds 1 --sessions 2 --folder /nonexistent/folder",
    ] {
        let mut command = Command::new(MOAT);
        command.args(line.split(' ')).stdin(Stdio::null());
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("in namespaces of its own"), "{stderr}");
    }
}

#[test]
fn an_unknown_scenario_is_refused_with_the_names_of_those_there_are() {
    let output = Command::new(MOAT)
        .args(["lab", "run", "atlantis"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("atlantis") && stderr.contains("residential-both"),
        "{stderr}"
    );
}
