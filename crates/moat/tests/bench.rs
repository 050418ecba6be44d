//! `moat bench signal`, whole but short: that it runs, what it says, and what is left afterwards, which is nothing. What the numbers
//! are is nobody's business here.
//!
//! On a machine that refuses namespaces these tests print `SKIPPED` and why.
#![allow(clippy::unwrap_used)] // test helpers may panic

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const MOAT: &str = env!("CARGO_BIN_EXE_moat");

/// What a machine without namespaces is told.
const REFUSED: &str = "this machine refuses the namespaces";

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
