//! Runs of the lab, to their end or up to a moment, and what they leave on the machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal};
use serde_json::Value;

pub(crate) const MOAT: &str = env!("CARGO_BIN_EXE_moat");

/// What a machine without namespaces is told.
pub(crate) const REFUSED: &str = "lets neither this user nor a user namespace";

/// Runs measure time and load: one at a time.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy of the program that everybody may run, and by whose path its processes are found.
pub(crate) struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("temporary");
        std::fs::create_dir(&temporary).unwrap();
        for (folder, mode) in [(folder.path(), 0o755), (&temporary, 0o777)] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        // By another process: what this one has open for writing while it forks cannot be executed.
        let mut copy = Command::new("cp");
        let copied = copy.arg(MOAT).arg(folder.path().join("moat")).status();
        assert!(copied.unwrap().success());
        Copy { folder }
    }

    /// Where it makes its temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.path().join("temporary")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.env("TMPDIR", self.temporary());
        command
    }

    /// Neither processes nor files, nor anything else that was not there before.
    pub(crate) fn assert_left_nothing(&self, before: &Traces) {
        assert_eq!(self.processes(), Vec::<String>::new());
        let files: Vec<_> = std::fs::read_dir(self.temporary())
            .unwrap()
            .flatten()
            .collect();
        assert!(files.is_empty(), "{files:?}");
        assert_eq!(Traces::now(), *before);
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("moat")
    }

    /// Command lines of running processes that mention it.
    pub(crate) fn processes(&self) -> Vec<String> {
        let path = self.path().display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines =
            processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&path)).collect()
    }
}

/// Namespaces of a run, and its interfaces.
pub(crate) const NAMES: [&str; 14] = [
    "home",
    "fixed",
    "mobile",
    "victim",
    "attacker",
    "visitor",
    "internet",
    "fixed0",
    "mobile0",
    "plain",
    "broadband",
    "broadband0",
    "broadband-link",
    "mobile-link",
];

/// What a run could leave on the machine, which may have other things to do meanwhile.
#[derive(Debug, PartialEq)]
pub(crate) struct Traces {
    namespaces: Vec<String>,
    links: Vec<String>,
    mounts: bool,
    work_folder: bool,
}

impl Traces {
    pub(crate) fn now() -> Self {
        let ip = |arguments: &[&str]| {
            let output = Command::new("ip").args(arguments).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let is_ours = |line: &&str| {
            let name = line.split([' ', '@']).next();
            name.is_some_and(|name| NAMES.contains(&name))
        };
        let ours = |text: String| text.lines().filter(is_ours).map(str::to_owned).collect();
        Traces {
            namespaces: ours(ip(&["netns", "list"])),
            links: ours(ip(&["-brief", "link", "show"])),
            mounts: std::fs::read_to_string("/proc/self/mounts")
                .unwrap()
                .contains("moat-lab"),
            work_folder: Path::new("/run/moat-lab").exists(),
        }
    }
}

pub(crate) fn is_skipped(stderr: &str) -> bool {
    let refused = stderr.contains(REFUSED);
    if refused {
        skipped(stderr);
    }
    refused
}

/// Says why a test is not run; not by println!, which the test harness holds back.
pub(crate) fn skipped(why: &str) {
    let line = format!("SKIPPED: lab: {why}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Runs a scenario, or `all`, to its end: a report for each. `None` when namespaces are refused.
pub(crate) fn run(command: &mut Command, scenario: &str) -> Option<Vec<Value>> {
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
pub(crate) fn scenarios() -> Vec<String> {
    let output = Command::new(MOAT)
        .args(["lab", "list", "--json"])
        .output()
        .unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = texts(&list, "scenario");
    names.into_iter().map(str::to_owned).collect()
}

pub(crate) fn texts<'a>(values: &'a Value, field: &str) -> Vec<&'a str> {
    values
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value[field].as_str().unwrap())
        .collect()
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// A run in the background.
pub(crate) struct Started {
    pub(crate) child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Started {
    pub(crate) fn new(copy: &Copy, arguments: &[&str]) -> Self {
        Self::of(copy, "residential", arguments)
    }

    pub(crate) fn of(copy: &Copy, scenario: &str, arguments: &[&str]) -> Self {
        let mut command = copy.command();
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
    pub(crate) fn read_until(&mut self, text: &str) -> Option<String> {
        let mut read = String::new();
        while !read.contains(text) {
            if self.stderr.read_line(&mut read).unwrap() == 0 {
                assert!(is_skipped(&read), "it ended without \"{text}\": {read}");
                return None;
            }
        }
        Some(read)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Runs a line of shell in its namespaces.
    pub(crate) fn inside(&self, line: &str) {
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
    pub(crate) fn report(mut self) -> Value {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        let output = self.child.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits for its end and that of all its processes: stderr ends when the last of them is gone.
    pub(crate) fn end(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}
