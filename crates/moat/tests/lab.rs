//! `moat lab run`, whole: real namespaces, agents and packets; and what is left afterwards, which is nothing.
//!
//! On a machine that refuses namespaces these tests print `SKIPPED` and why.
#![allow(clippy::unwrap_used)] // test helpers may panic

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

const MOAT: &str = env!("CARGO_BIN_EXE_moat");

/// What a machine without namespaces is told.
const REFUSED: &str = "lets neither this user nor a user namespace";

/// Runs measure time and load: one at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy of the program that everybody may run, and by whose path its processes are found.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::copy(MOAT, folder.path().join("moat")).unwrap();
        Copy { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("moat")
    }

    /// Command lines of running processes that mention it.
    fn processes(&self) -> Vec<String> {
        let path = self.path().display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines =
            processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&path)).collect()
    }
}

/// What a run could leave on the machine.
#[derive(Debug, PartialEq)]
struct Traces {
    namespaces: String,
    links: String,
    mounts: bool,
    work_folder: bool,
    temporary: Vec<PathBuf>,
}

impl Traces {
    fn now() -> Self {
        let ip = |arguments: &[&str]| {
            let output = Command::new("ip").args(arguments).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let temporary = std::fs::read_dir(std::env::temp_dir())
            .unwrap()
            .flatten()
            .map(|entry| entry.path());
        let is_ours = |path: &PathBuf| path.to_string_lossy().contains("moat");
        Traces {
            namespaces: ip(&["netns", "list"]),
            links: ip(&["-oneline", "link", "show"]),
            mounts: std::fs::read_to_string("/proc/self/mounts")
                .unwrap()
                .contains("moat-lab"),
            work_folder: Path::new("/run/moat-lab").exists(),
            temporary: temporary.filter(is_ours).collect(),
        }
    }
}

fn is_skipped(stderr: &str) -> bool {
    let skipped = stderr.contains(REFUSED);
    if skipped {
        println!("SKIPPED: {stderr}");
    }
    skipped
}

/// Runs a scenario, or `all`, to its end: a report for each. `None` when namespaces are refused.
fn run(command: &mut Command, scenario: &str) -> Option<Vec<Value>> {
    let output = command
        .args(["lab", "run", scenario, "--json"])
        .output()
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let (stdout, stderr) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    if is_skipped(&stderr) {
        return None;
    }
    assert_eq!(status.code(), Some(0), "{stdout}\n{stderr}");
    let reports = stdout.lines().map(serde_json::from_str);
    Some(reports.collect::<Result<_, _>>().unwrap())
}

/// Names of all scenarios.
fn scenarios() -> Vec<String> {
    let output = Command::new(MOAT)
        .args(["lab", "list", "--json"])
        .output()
        .unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = texts(&list, "scenario");
    names.into_iter().map(str::to_owned).collect()
}

fn texts<'a>(values: &'a Value, field: &str) -> Vec<&'a str> {
    values
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value[field].as_str().unwrap())
        .collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

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
        let counts: Vec<_> = gateways
            .map(|one| json!([one["accepted"], one["refused"]]))
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
/// Covers: M-001, M-003, M-004, M-005, M-006, M-007, M-008, M-009, M-010, M-011, M-012, M-013, M-014, M-016, M-017, M-018, M-020, M-021, M-022, M-023, M-024, M-025, M-027, M-028, M-029
/// Covers: Y-001, Y-004, Y-005, Y-006, Y-008, Y-010, Y-017, G-001, G-018
#[test]
fn all_scenarios_are_ok_and_say_who_was_asked_and_who_was_not() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    let Some(reports) = run(&mut Command::new(copy.path()), "all") else {
        return;
    };
    let names: Vec<_> = reports.iter().map(|one| one["scenario"].clone()).collect();
    assert_eq!(names, scenarios());
    for report in &reports {
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
    assert_eq!(copy.processes(), Vec::<String>::new());
    assert_eq!(Traces::now(), before);
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

/// What is wrong in the network, or at a server, fails the run, whatever the client says: the edges do count packets with a wrong
/// source, and who listens there does notice a question, or credentials, that belong to another provider.
///
/// Covers: M-001, M-004, M-011, M-024
#[test]
fn a_fault_fails_the_verdict() {
    let _one = one_at_a_time();
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can interfere from outside");
        return;
    }
    for (scenario, fault, failure) in [
        (
            "residential",
            "MOAT mitigate 198.51.100.7 --control /run/moat-lab/home.sock",
            "dots.mobile.example: mitigates for 198.51.100.7/32",
        ),
        (
            "enterprise-gateway-pa",
            "MOAT mitigate 203.0.113.7 --control /run/moat-lab/c3.sock",
            "dots.isp1.example: mitigates for 203.0.113.7/32",
        ),
        (
            "enterprise-direct-pa",
            "ip netns exec cpe ip -6 rule del priority 102",
            "had a source that is not of its prefix",
        ),
        (
            "enterprise-direct-pi",
            "ip netns exec c1 bash -c 'printf \"\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4dots\\4isp2\\7example\\0\\0\\1\\0\\1\" > /dev/udp/203.0.113.254/53'",
            "isp1.example: a question for dots.isp2.example went over its link",
        ),
        (
            "residential",
            "cd /run/moat-lab/fixed; ip netns exec home timeout 3 openssl s_client -dtls1_2 -bind 198.51.100.1:0 -connect 198.51.100.129:4646 \
             -cert home.pem -key home-key.pem </dev/null 2>/dev/null || true",
            "mobile.example: public key 0 for fixed.example was seen on its link",
        ),
        (
            "enterprise-direct-pi",
            "ip netns exec isp2 nft 'add table inet hole; add chain inet hole in { type filter hook input priority 0; }; \
             add rule inet hole in meta l4proto { tcp, udp } th dport 4646 drop'",
            "attack packets/s still passed",
        ),
    ] {
        let copy = Copy::new();
        let mut run = Started::of(&copy.path(), scenario, &["--json"]);
        if run.read_until("the attack starts").is_none() {
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

#[test]
fn an_ordinary_user_can_run_it_and_leaves_nothing() {
    let _one = one_at_a_time();
    if !rustix::process::geteuid().is_root() {
        println!("the other tests run as an ordinary user already");
        return;
    }
    let copy = Copy::new();
    let before = Traces::now();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(copy.path());
    // As a login of an ordinary user on Debian has it: without the folders of ip and nft.
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let Some(reports) = run(&mut command, "residential") else {
        return;
    };
    assert_residential(&reports[0]);
    assert_eq!(copy.processes(), Vec::<String>::new());
    assert_eq!(Traces::now(), before);
}

/// A run in the background.
struct Started {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Started {
    fn new(program: &Path, arguments: &[&str]) -> Self {
        Self::of(program, "residential", arguments)
    }

    fn of(program: &Path, scenario: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(["lab", "run", scenario]).args(arguments);
        // What it prints fits into the pipe.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Started { child, stderr }
    }

    /// Reads what it says until `text` comes; what was read, or `None` when namespaces are refused.
    fn read_until(&mut self, text: &str) -> Option<String> {
        let mut read = String::new();
        while !read.contains(text) {
            if self.stderr.read_line(&mut read).unwrap() == 0 {
                assert!(is_skipped(&read), "it ended without \"{text}\": {read}");
                return None;
            }
        }
        Some(read)
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Runs a line of shell in its namespaces.
    fn inside(&self, line: &str) {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let unshare = children.trim();
        let status = Command::new("nsenter")
            .args(["--target", unshare, "--mount"])
            .arg(format!("--pid=/proc/{unshare}/ns/pid_for_children"))
            .args(["sh", "-c", line])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{line}: {status}");
    }

    /// Waits for its end, and reads its report.
    fn report(mut self) -> Value {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        let output = self.child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits for its end and that of all its processes: stderr ends when the last of them is gone.
    fn end(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn whatever_ends_a_run_nothing_is_left() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    for moment in [
        "building the network",
        "starting the DOTS client",
        "the attack starts",
        "asking for help",
    ] {
        for (signal, code) in [
            (Signal::INT, Some(130)),
            (Signal::TERM, Some(130)),
            (Signal::KILL, None),
        ] {
            let mut run = Started::new(&copy.path(), &[]);
            if run.read_until(moment).is_none() {
                return;
            }
            assert_ne!(copy.processes(), Vec::<String>::new());
            run.signal(signal);
            assert_eq!(run.end(), code, "{signal:?} at \"{moment}\"");
            assert_eq!(
                copy.processes(),
                Vec::<String>::new(),
                "{signal:?} at \"{moment}\""
            );
            assert_eq!(Traces::now(), before, "{signal:?} at \"{moment}\"");
        }
    }
}

#[test]
fn an_interruption_ends_all_scenarios_that_are_running_and_begins_no_other() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    let mut run = Started::of(&copy.path(), "all", &["--json"]);
    if run.read_until("the attack starts").is_none() {
        return;
    }
    assert_ne!(copy.processes(), Vec::<String>::new());
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(130));
    assert_eq!(copy.processes(), Vec::<String>::new());
    assert_eq!(Traces::now(), before);
}

#[test]
fn a_kept_network_can_be_looked_into_until_enter() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    let mut run = Started::new(&copy.path(), &["--keep"]);
    let Some(said) = run.read_until("Enter or Ctrl-C ends it.") else {
        return;
    };
    let look = said
        .lines()
        .map(str::trim)
        .find(|line| line.ends_with("ip netns list"))
        .unwrap();
    let output = Command::new("sh").args(["-c", look]).output().unwrap();
    let namespaces = String::from_utf8(output.stdout).unwrap();
    for name in [
        "home", "fixed", "mobile", "lan", "victim", "attacker", "visitor",
    ] {
        assert!(namespaces.contains(name), "{name} not in {namespaces}");
    }
    run.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(run.end(), Some(0));
    assert_eq!(copy.processes(), Vec::<String>::new());
    assert_eq!(Traces::now(), before);
}

#[test]
fn a_network_that_nobody_can_end_is_not_kept() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let mut run = Started::new(&copy.path(), &["--keep"]);
    drop(run.child.stdin.take());
    if run.read_until("The input has ended").is_none() {
        return;
    }
    assert_eq!(run.end(), Some(0));
    assert_eq!(copy.processes(), Vec::<String>::new());
}

#[test]
fn what_goes_wrong_inside_is_told_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("ip");
    std::fs::write(&broken, "#!/bin/sh\necho out of order >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(MOAT)
        .args(["lab", "run", "residential", "--json"])
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .output()
        .unwrap();
    if is_skipped(&String::from_utf8_lossy(&output.stdout)) {
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let reason = said["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("out of order"), "{reason}");
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
