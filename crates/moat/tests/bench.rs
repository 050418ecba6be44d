//! `moat bench signal` and `moat bench decision`, whole but short: that they run, what they say, and what is left afterwards, which is
//! nothing. What the numbers are is nobody's business here.
//!
//! On a machine that refuses namespaces these tests print `SKIPPED` and why.
#![allow(clippy::unwrap_used)] // test helpers may panic

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const MOAT: &str = env!("CARGO_BIN_EXE_moat");

/// What a machine without namespaces is told.
const REFUSED: &str = "lets neither this user nor a user namespace";

fn bench(folder: &Path, seconds: &str) -> Command {
    let mut command = Command::new(MOAT);
    command.args(["bench", "signal", "--json", "--seconds", seconds]);
    command.args(["--sessions", "20", "--dir"]).arg(folder);
    command.stdin(Stdio::null());
    command
}

/// Command lines of running processes that mention the folder.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&folder)).collect()
}

fn assert_nothing_is_left(folder: &TempDir) {
    assert_eq!(processes(folder.path()), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn skipped(stderr: &str) -> bool {
    let refused = stderr.contains(REFUSED);
    if refused {
        // Not by println!, which the test harness holds back.
        let line = format!("SKIPPED: bench: {stderr}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
    refused
}

fn positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

#[test]
fn a_short_run_measures_everything_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), "0.1").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    if skipped(&stderr) {
        return;
    }
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let rows = |name: &str| report[name].as_array().unwrap().clone();
    assert_eq!(rows("round_trips").len(), 4);
    for row in rows("round_trips") {
        assert!(positive(&row["moat"]["per_second"]), "{row}");
        assert!(positive(&row["moat"]["server_microseconds"]), "{row}");
        assert!(positive(&row["ratio_to_udp_echo"]), "{row}");
    }
    assert_eq!(rows("handshakes").len(), 2);
    for row in rows("handshakes") {
        assert!(positive(&row["moat_per_core_second"]), "{row}");
        assert!(positive(&row["ratio_to_library"]), "{row}");
    }
    let puts = report["durable_puts"]["kinds"].as_array().unwrap();
    assert_eq!(puts.len(), 3);
    for row in puts {
        // Nothing was acknowledged that was not committed.
        assert!(positive(&row["commits"]), "{row}");
        assert!(positive(&row["moat"]["per_second"]), "{row}");
    }
    for row in rows("idle_memory") {
        assert!(positive(&row["moat_bytes"]), "{row}");
        assert!(positive(&row["library_bytes"]), "{row}");
    }
    assert!(positive(&report["hello_microseconds"]), "{report}");
    assert!(positive(&report["flood"]["heartbeats"]), "{report}");
    assert!(report["flood"]["datagrams_dropped"].is_u64(), "{report}");
    assert_nothing_is_left(&folder);
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench(folder.path(), "3600");
    let mut run = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    if skipped(&line) {
        run.wait().unwrap();
        return;
    }
    assert!(line.contains("round trips"), "{line}");
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    // 130, or 2 where the signal has met a program that it was just starting.
    assert_ne!(run.wait().unwrap().code(), Some(0));
    assert_nothing_is_left(&folder);
}

/// Not even by the process that was to clean up, and while a server was writing.
#[test]
fn a_killed_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench(folder.path(), "0.5");
    let mut run = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("durable PUTs") {
        let read = stderr.read_line(&mut said).unwrap();
        if skipped(&said) {
            run.wait().unwrap();
            return;
        }
        assert_ne!(read, 0, "{said}");
    }
    let store = |entry: std::fs::DirEntry| entry.path().join("state/server.db");
    let is_writing = || {
        let mut entries = std::fs::read_dir(&folder).unwrap().flatten().map(store);
        entries.any(|store| store.exists())
    };
    while !is_writing() {
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    // It ends when the last of all processes is gone.
    stderr.read_to_string(&mut said).unwrap();
    assert_nothing_is_left(&folder);
}

fn decision(more: &[&str]) -> std::process::Output {
    let mut command = Command::new(MOAT);
    command.args(["bench", "decision", "--seconds", "0.1"]);
    command.args(["--prefixes", "200", "--pvds", "4", "--requests", "20"]);
    command.args(more).stdin(Stdio::null());
    command.output().unwrap()
}

/// Whether each element ends where it has to, and nothing is left open.
fn is_well_formed(text: &str) -> bool {
    let mut open = Vec::new();
    for tag in text.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else {
            return false;
        };
        let name = tag.split_whitespace().next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return false,
            None if !tag.ends_with('/') => open.push(name),
            _ => {}
        }
    }
    open.is_empty() && !text.contains("NaN") && !text.contains("inf")
}

/// Covers: M-005
#[test]
fn the_cost_of_decisions_is_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let drawing = folder.path().join("decision.svg");
    let output = decision(&["--json", "--plot", &drawing.display().to_string()]);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let column = |rows: &Value, name: &str| -> Vec<Value> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row[name].clone()).collect()
    };
    assert_eq!(column(&report["lookups"], "prefixes"), [10, 100, 200]);
    for name in ["moat", "division", "prefix_trie", "tree", "scan"] {
        let name = format!("{name}_nanoseconds");
        assert!(
            column(&report["lookups"], &name).iter().all(positive),
            "{report}"
        );
    }
    for (what, by, sizes) in [
        (
            "decisions",
            "by_prefixes",
            &["prefixes", "assigned_nanoseconds"],
        ),
        ("decisions", "by_pvds", &["pvds", "independent_nanoseconds"]),
        ("changes", "by_prefixes", &["prefixes", "index_nanoseconds"]),
        ("changes", "by_pvds", &["pvds", "client_nanoseconds"]),
        (
            "changes",
            "by_requests",
            &["requests", "client_nanoseconds"],
        ),
    ] {
        let rows = &report[what][by];
        for name in sizes {
            assert!(column(rows, name).iter().all(positive), "{rows}");
        }
    }
    assert_eq!(
        column(&report["changes"]["by_requests"], "requests"),
        [1, 10, 20]
    );

    let drawing = std::fs::read_to_string(drawing).unwrap();
    assert!(is_well_formed(&drawing), "{drawing}");
    assert_eq!(drawing.matches("<polyline").count(), 5 + 5 * 2);
}

#[test]
fn decisions_are_shown_as_tables_and_a_drawing_that_cannot_be_written_is_an_error() {
    let output = decision(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("prefix-trie"),
        "{text}"
    );
    let output = decision(&["--plot", "/proc/none/decision.svg"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("/proc/none/decision.svg"), "{text}");
}
