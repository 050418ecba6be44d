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
use serde_json::Value;

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

/// Runs a scenario to its end; `None` when namespaces are refused.
fn run(command: &mut Command, scenario: &str) -> Option<Value> {
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
    assert_eq!(stdout.trim().lines().count(), 1, "{stdout}");
    Some(serde_json::from_str(&stdout).unwrap())
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

#[test]
fn an_attack_on_the_fixed_network_is_dropped_at_its_edge_and_the_mobile_network_is_not_asked() {
    let _one = one_at_a_time();
    let Some(report) = run(&mut Command::new(MOAT), "residential") else {
        return;
    };
    assert_residential(&report);
    assert!(number(&report["alarm_to_drop_ms"]) >= 0.0);
}

#[test]
fn an_attack_on_both_networks_makes_two_requests_each_with_its_own_addresses() {
    let _one = one_at_a_time();
    let Some(report) = run(&mut Command::new(MOAT), "residential-both") else {
        return;
    };
    assert_eq!(report["ok"], true);
    assert_eq!(report["not_asked"].as_array().unwrap().len(), 0);
    let requests = report["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2);
    for (pvd, own) in [
        ("fixed.example", ["203.0.113.", "2001:db8:f:"]),
        ("mobile.example", ["198.51.100.", "2001:db8:a:"]),
    ] {
        let request = requests
            .iter()
            .find(|request| request["pvd"] == pvd)
            .unwrap();
        let targets: Vec<_> = request["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| target.as_str().unwrap())
            .collect();
        assert_eq!(targets.len(), 2);
        assert!(
            targets
                .iter()
                .all(|target| own.iter().any(|own| target.starts_with(own))),
            "{targets:?}"
        );
    }
    report["edges"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(assert_filtered);
    assert_signalling(&report);
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
    let Some(report) = run(&mut command, "residential") else {
        return;
    };
    assert_residential(&report);
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
        let mut command = Command::new(program);
        command.args(["lab", "run", "residential"]).args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
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
    for name in ["home", "fixed", "mobile", "victim", "attacker", "visitor"] {
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
