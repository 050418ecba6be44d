//! Running the `nft` program.
#![expect(
    clippy::disallowed_methods,
    reason = "who waits for another program needs a clock, and threads for its pipes"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::MitigatorError;

/// How much of nft's complaint goes into an error.
const STDERR_LINES: usize = 4;
const STDERR_CHARACTERS: usize = 400;

/// Where the program is on systems whose users do not have this directory in `PATH`.
const SYSTEM_PROGRAMS: &str = "/usr/sbin";

/// A script gets another second for each so many octets: a hundred thousand prefixes take the kernel
/// longer than any limit for one.
const OCTETS_PER_SECOND: u64 = 250_000;

#[derive(Debug)]
pub(super) struct Nft {
    program: PathBuf,
    time_limit: Duration,
}

impl Nft {
    pub(super) fn new(program: PathBuf, time_limit: Duration) -> Self {
        Nft {
            program,
            time_limit,
        }
    }

    /// Runs one script, which nft turns into one transaction.
    pub(super) fn run(&self, script: &str) -> Result<(), MitigatorError> {
        self.execute(&["-f", "-"], script).map(|_| ())
    }

    /// What nft lists, as JSON.
    pub(super) fn list(&self, arguments: &[&str]) -> Result<Vec<u8>, MitigatorError> {
        self.execute(&[&["-j"], arguments].concat(), "")
    }

    fn execute(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, MitigatorError> {
        let more = Duration::from_secs(input.len() as u64 / OCTETS_PER_SECOND);
        let limit = self.time_limit + more;
        let output =
            self.output(arguments, input, limit)
                .map_err(|source| match source.kind() {
                    ErrorKind::NotFound => MitigatorError::NotInstalled {
                        program: self.program.clone(),
                    },
                    ErrorKind::TimedOut => MitigatorError::TimedOut {
                        program: self.program.clone(),
                        limit,
                    },
                    _ => MitigatorError::Run {
                        program: self.program.clone(),
                        source,
                    },
                })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let stderr = excerpt(&output.stderr);
        Err(if stderr.contains("Operation not permitted") {
            MitigatorError::NotPermitted { stderr }
        } else if stderr.contains("No such file or directory") {
            MitigatorError::Missing { stderr }
        } else if stderr.contains("Message too long") {
            MitigatorError::TooLarge { stderr }
        } else {
            MitigatorError::Rejected { stderr }
        })
    }

    /// Threads read and write, since a program that hangs does neither; they end with it.
    fn output(&self, arguments: &[&str], input: &str, limit: Duration) -> io::Result<Output> {
        let mut child = self.spawn(arguments)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let input = input.to_owned();
        let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let (stdout, stderr) = (collect(stdout), collect(stderr));
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let read = stdout
            .recv_timeout(left())
            .and_then(|stdout| Ok((stdout, stderr.recv_timeout(left())?)));
        let Ok((stdout, stderr)) = read else {
            // It leads its group, so that what it started ends, too.
            let killed = kill_process_group(Pid::from_child(&child), Signal::KILL);
            child.wait()?;
            killed?;
            return Err(ErrorKind::TimedOut.into());
        };
        let status = child.wait()?;
        match writer.join() {
            // It gave up early; its exit status and message say why.
            Ok(Err(error)) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(Output {
                status,
                stdout: stdout?,
                stderr: stderr?,
            }),
        }
    }

    fn spawn(&self, arguments: &[&str]) -> io::Result<Child> {
        let spawn = |program: &Path| {
            Command::new(program)
                .args(arguments)
                .env("LC_ALL", "C")
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        };
        match spawn(&self.program) {
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && self.program.components().count() == 1 =>
            {
                spawn(&Path::new(SYSTEM_PROGRAMS).join(&self.program))
            }
            result => result,
        }
    }
}

/// All that comes, once it has ended.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut octets = Vec::new();
        let result = pipe.read_to_end(&mut octets).map(|_| octets);
        // Nobody waits any more for a program that was killed.
        drop(sender.send(result));
    });
    receiver
}

/// The first lines, in one line, without what could disturb a log.
fn excerpt(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(STDERR_LINES);
    let joined = lines.collect::<Vec<_>>().join(" | ");
    joined
        .chars()
        .filter(|c| !c.is_control())
        .take(STDERR_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_install() {
        let error = Nft::new("/nonexistent/nft".into(), Duration::from_secs(1))
            .run("")
            .map_err(|error| error.to_string());
        let text =
            "/nonexistent/nft is not there: install the package nftables, or set the path of nft";
        assert_eq!(error, Err(text.to_owned()));
    }

    #[test]
    fn a_refusal_is_quoted_in_one_bounded_line() {
        let long = format!(
            "Error: first\n\n  add \u{7}rule\n{}\n4\n5\n",
            "x".repeat(1000)
        );
        let text = excerpt(long.as_bytes());
        assert!(text.starts_with("Error: first | add rule | xxx"), "{text}");
        assert_eq!(text.chars().count(), STDERR_CHARACTERS);
    }
}
