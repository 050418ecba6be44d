//! Child processes: each is waited for, none outlives its owner, and what it wrote is shown when it fails.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::error::Error;

/// How many lines of a log are shown.
const TAIL_LINES: usize = 12;

/// How often something is looked at while waiting for it.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Longest time that a program may take, or an answer; a client itself gives servers ten seconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Runs a program that must succeed and returns its stdout.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    output_with_input(command, "")
}

/// As [`output`], with `input` on its stdin.
pub(crate) fn output_with_input(command: &mut Command, input: &str) -> Result<String, Error> {
    let output = end_within(command, input, LIMIT)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(command, output.status.to_string(), &output))
    }
}

/// Runs a program that may fail, with `input` on its stdin, and ends it after `limit`, which is an error.
pub(crate) fn end_within(
    command: &mut Command,
    input: &str,
    limit: Duration,
) -> Result<Output, Error> {
    let line = command_line(command);
    let failure = || Error::io(format!("run {line}"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failure())?;
    // Inputs here are smaller than a pipe's buffer, so that this cannot block. A program that does not read says why by itself.
    let _ = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(input.as_bytes()));
    // Answers are smaller than a pipe's buffer, so that it can end before they are read.
    let ended = wait_for(limit, || child.try_wait().map_err(failure()))?;
    if ended.is_none() {
        child.kill().map_err(failure())?;
    }
    let output = child.wait_with_output().map_err(failure())?;
    match ended {
        Some(_) => Ok(output),
        None => {
            let outcome = format!("no end within {} s", limit.as_secs());
            Err(failed(command, outcome, &output))
        }
    }
}

fn failed(command: &Command, outcome: String, output: &Output) -> Error {
    Error::Command {
        command: command_line(command),
        outcome,
        output: tail(&String::from_utf8_lossy(&output.stderr)),
    }
}

/// A program of the system, to be started from a copy in `folder`. AppArmor's profiles name programs by their path, and what Debian's allow a
/// server at its own does not include the lab's folders.
pub(crate) fn system_program(name: &str, folder: &Path) -> Result<Command, Error> {
    let copy = folder.join(name);
    if !copy.exists() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        let found = folders.find(|folder| folder.join(name).is_file());
        let original = found.unwrap_or_default().join(name);
        // By another process: what this one has open for writing while a thread of it forks cannot be executed.
        output(Command::new("cp").arg(original).arg(&copy))?;
    }
    Ok(Command::new(copy))
}

/// The arguments as one line for a person.
pub(crate) fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines, each on a line of its own and indented.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
    shown.map(|line| format!("\n    {line}")).collect()
}

/// Polls until `done` gives a value. `None` when `limit` has passed without.
pub(crate) fn wait_for<T>(
    limit: Duration,
    mut done: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = done()? {
            return Ok(Some(value));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(POLL_INTERVAL);
    }
}

/// A running process with its stderr in a log. Killed and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. Its stdin is empty unless `command` says otherwise.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self, Error> {
        let file =
            File::create(log).map_err(Error::io(format!("make the log {}", log.display())))?;
        let what = format!("start {}", command_line(command));
        let child = command.stderr(file).spawn().map_err(Error::io(what))?;
        Ok(Process {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of its log with a heading, for error messages.
    pub(crate) fn log_tail(&self) -> String {
        format!("\n  {} ends with:{}", self.log.display(), tail(&self.log()))
    }

    /// An error if it is not running any more.
    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        match self.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(&status.to_string())),
        }
    }

    /// Its exit status once it has ended.
    pub(crate) fn try_wait(&mut self) -> Result<Option<std::process::ExitStatus>, Error> {
        self.child
            .try_wait()
            .map_err(Error::io(format!("wait for {}", self.name)))
    }

    fn ended(&self, outcome: &str) -> Error {
        Error::EndedEarly {
            name: self.name.clone(),
            outcome: outcome.to_owned(),
            log: self.log.clone(),
            tail: tail(&self.log()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that answers each line on its stdin with one line of JSON on its stdout.
#[derive(Debug)]
pub(crate) struct Conversation {
    process: Process,
    questions: ChildStdin,
    answers: Receiver<String>,
    limit: Duration,
}

impl Conversation {
    /// `process` has both ends piped.
    pub(crate) fn new(mut process: Process) -> Result<Self, Error> {
        match (process.child.stdin.take(), process.child.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Conversation {
                process,
                questions,
                answers: lines(answers),
                limit: LIMIT,
            }),
            _ => Err(process.ended("no pipes")),
        }
    }

    /// Asks one question and waits for the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T, Error> {
        // A failure means that it has ended, and so have its answers.
        let _ = writeln!(self.questions, "{question}");
        match self.answers.recv_timeout(self.limit) {
            Ok(answer) => parse(&self.process.name, &answer),
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout {
                what: format!("an answer of {}", self.process.name),
                limit: self.limit,
                logs: self.process.log_tail(),
            }),
            Err(RecvTimeoutError::Disconnected) => {
                // Let it end by itself, so that its own reason is the one shown.
                let ended = wait_for(Duration::from_secs(1), || self.process.try_wait())?;
                Err(self
                    .process
                    .ended(&ended.map_or("no answer".to_owned(), |status| status.to_string())))
            }
        }
    }
}

/// What a process prints, read by a thread that ends with it.
fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    receiver
}

/// Parses the JSON that a program answered with.
pub(crate) fn parse<T: DeserializeOwned>(command: &str, answer: &str) -> Result<T, Error> {
    serde_json::from_str(answer).map_err(|source| Error::Answer {
        command: command.to_owned(),
        source,
        answer: answer.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn a_program_that_hangs_is_ended_and_named() {
        let mut command = Command::new("sh");
        command.args(["-c", "cat >/dev/null; exec sleep 60"]);
        let error = end_within(&mut command, "input", SHORT).unwrap_err();
        assert!(
            error.to_string().contains("sleep 60: no end within"),
            "{error}"
        );
    }

    #[test]
    fn a_program_of_the_system_is_started_from_a_copy_in_the_work_folder() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut command = system_program("true", folder.path()).unwrap();
            assert_eq!(command.get_program(), folder.path().join("true"));
            assert!(command.status().unwrap().success());
        }
        let error = system_program("no-such-program", folder.path()).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "read question; echo 1; read question; exec sleep 60"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = Process::start("who is silent", &mut command, &folder.path().join("log"));
        let mut conversation = Conversation::new(process.unwrap()).unwrap();
        assert_eq!(conversation.ask::<u32>("first").unwrap(), 1);
        conversation.limit = SHORT;
        let error = conversation.ask::<u32>("second").unwrap_err();
        assert!(error.to_string().contains("who is silent"), "{error}");
    }
}
