//! The enclosure: namespaces around a run, so that nothing is left of it whatever ends it.
//!
//! ```text
//!  moat lab run  (outside)
//!   | spawns, holds the writing end of its stdin: the lifeline
//!   v
//!  unshare --fork --pid --kill-child --mount-proc --mount --net [--user --map-root-user]
//!   | child is process 1 of the new pid namespace; dies with unshare
//!   v
//!  moat lab-inside: /run is a private tmpfs (named network namespaces, work files)
//!   | reads the lifeline; at its end it exits, and the kernel kills all other processes of the pid namespace
//!   v
//!  moat server, moat client, traffic, ip, nft
//! ```
//!
//! Ctrl-C reaches only the outside, which drops the lifeline and waits; `kill -9` of the outside drops it too. What is written on the
//! lifeline: first a line with the process number of unshare, then an empty line for each Enter that the user presses, and [`NOBODY`]
//! where no Enter can come any more.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::all::{Ended, run_all, tell};
use super::error::Error;
use super::scenario::{self, Scenario};

/// The line on the lifeline that says: the input at which a user could press Enter has ended.
pub(super) const NOBODY: &str = "nobody";

/// The word that stands for all scenarios.
const ALL: &str = "all";

/// How a scenario is run.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    /// Its name, see [`super::scenarios`], or `all`.
    pub(crate) scenario: String,
    /// Whether stdout gets one JSON object, on a line of its own, for each scenario instead of a table.
    pub(crate) json: bool,
    /// Whether the network stays up after the run, until Enter or Ctrl-C.
    pub(crate) keep: bool,
}

/// Programs the lab is made with, and the Debian package of each.
const PROGRAMS: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
];

/// Where system programs are although an ordinary user's PATH may not name it.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";

/// The namespaces that root makes.
const NAMESPACES: &[&str] = &[
    "--fork",
    "--pid",
    "--kill-child",
    "--mount-proc",
    "--mount",
    "--net",
];

/// What everybody else must add: a user namespace, in which they may make the others.
const USER_NAMESPACE: &[&str] = &["--user", "--map-root-user"];

/// Runs a scenario, or [`ALL`] of them, and waits for the end. Nothing of it is left on return.
///
/// Returns the highest of the exit codes: 0 all checks held, 1 a check failed, 2 it could not run (the process inside has said
/// why), 130 interrupted, after which no further scenario is run. Call it outside of any tokio runtime.
///
/// # Errors
/// When a run could not be started; to be treated like exit code 2.
pub(crate) fn run(options: &RunOptions) -> Result<ExitCode, Error> {
    let is_all = options.scenario == ALL;
    let scenarios: Vec<_> = if is_all {
        if options.keep {
            return Err(Error::KeepAll);
        }
        scenario::scenarios().iter().collect()
    } else {
        vec![scenario::find(&options.scenario)?]
    };
    let path = search_path();
    let programs = scenarios.iter().flat_map(|one| one.known.programs());
    require_programs(&path, PROGRAMS.iter().chain(programs))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start the runtime"))?;
    runtime.block_on(async {
        let namespaces = usable_namespaces(&path).await?;
        let run = async |scenario: &'static Scenario| {
            let command = unshare(namespaces, &path);
            run_one(command, scenario, options).await
        };
        run_all(scenarios, run).await.map(ExitCode::from)
    })
}

/// Runs one by the `unshare` that makes its namespaces. Of all, each says what it prints at its end, and whose progress it is.
async fn run_one(
    mut command: Command,
    scenario: &'static Scenario,
    options: &RunOptions,
) -> Result<Ended, Error> {
    let executable = std::env::current_exe().map_err(Error::io("find this program's own file"))?;
    command.arg(executable).arg("lab-inside").arg(scenario.name);
    command
        .args(options.json.then_some("--json"))
        .args(options.keep.then_some("--keep"));
    // A process group of its own: Ctrl-C must reach only this process, which then ends the run in order.
    command.stdin(Stdio::piped()).process_group(0);
    if options.scenario == ALL {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut interruption = Interruption::new()?;
    let mut child = command.spawn().map_err(Error::io("start unshare"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut printed = String::new();
    let (code, (), ()) = tokio::join!(
        supervise(child, &mut interruption, options.keep),
        async {
            if let Some(mut stdout) = stdout {
                // What is missing, the reader of the reports misses.
                let _ = stdout.read_to_string(&mut printed).await;
            }
        },
        async {
            let mut lines = stderr.map(|stderr| BufReader::new(stderr).lines());
            while let Some(lines) = &mut lines
                && let Ok(Some(line)) = lines.next_line().await
            {
                tell(scenario, &line);
            }
        },
    );
    let code = code?;
    Ok(Ended { code, printed })
}

/// Waits for the end of the run; ends it by a signal, and passes on each Enter if there is a reason to.
async fn supervise(
    mut child: Child,
    interruption: &mut Interruption,
    keep: bool,
) -> Result<u8, Error> {
    let mut lifeline = child.stdin.take();
    let first = child.id().map(|id| format!("{id}\n")).unwrap_or_default();
    write(&mut lifeline, &first).await;
    let mut has_user = keep;
    let mut entered = if keep {
        lines_on_stdin()
    } else {
        mpsc::channel(1).1
    };
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = interruption.wait() => drop(lifeline.take()),
            line = entered.recv(), if has_user => match line {
                Some(()) => write(&mut lifeline, "\n").await,
                None => {
                    has_user = false;
                    write(&mut lifeline, &format!("{NOBODY}\n")).await;
                }
            },
        }
    };
    let status = status.map_err(Error::io("wait for the lab"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| Error::Command {
        command: "unshare".to_owned(),
        outcome: status.to_string(),
        output: String::new(),
    })
}

/// Writes on the lifeline. A failure means that the run is over, which its exit code tells better.
async fn write(lifeline: &mut Option<tokio::process::ChildStdin>, text: &str) {
    if let Some(lifeline) = lifeline {
        let _ = lifeline.write_all(text.as_bytes()).await;
    }
}

/// One message for each line that the user enters, as long as there is an input.
fn lines_on_stdin() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    // Not tokio's stdin: a pending read there would hold up the end of the runtime.
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The signals by which a user ends a program.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interruption {
    fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::io("listen for signals"));
        Ok(Interruption {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = self.hangup.recv() => (),
        }
    }
}

/// The user's PATH, then the system's.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(SYSTEM_PATH);
    path
}

fn require_programs<'a>(
    path: &OsString,
    programs: impl IntoIterator<Item = &'a (&'static str, &'static str)>,
) -> Result<(), Error> {
    for &(program, package) in programs {
        let found = std::env::split_paths(path).any(|folder| is_file(&folder.join(program)));
        if !found {
            return Err(Error::ProgramMissing { program, package });
        }
    }
    Ok(())
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// The first set of namespaces that this machine grants this user.
async fn usable_namespaces(path: &OsString) -> Result<&'static [&'static [&'static str]], Error> {
    const CANDIDATES: [&[&[&str]]; 2] = [&[NAMESPACES], &[NAMESPACES, USER_NAMESPACE]];
    let mut reason = String::new();
    for candidate in CANDIDATES {
        let mut probe = unshare(candidate, path);
        probe.arg("true");
        let output = probe.output().await.map_err(Error::io("start unshare"))?;
        if output.status.success() {
            return Ok(candidate);
        }
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .clone_into(&mut reason);
    }
    Err(Error::NamespacesRefused { reason })
}

fn unshare(namespaces: &[&[&str]], path: &OsString) -> Command {
    let mut command = Command::new("unshare");
    command.env("PATH", path);
    for options in namespaces {
        command.args(*options);
    }
    command.arg("--");
    command
}
