//! A running daemon.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};

use super::site::MOAT;
use super::{Outcome, PATIENCE};

/// A daemon in a process group of its own. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: String,
}

impl Daemon {
    pub(crate) fn launch(role: &str, config: &Path) -> Outcome<Self> {
        Self::start(Command::new(MOAT), role, config)
    }

    /// The same with so many files, as `--nofile` of prlimit(1) has it.
    pub(crate) fn launch_with_files(files: &str, role: &str, config: &Path) -> Outcome<Self> {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={files}")).arg(MOAT);
        Self::start(command, role, config)
    }

    /// One that is told everything on its command line.
    pub(crate) fn run(arguments: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(MOAT);
        command.args(arguments);
        Self::spawn(command)
    }

    /// `moat pvd watch` on an interface, with its socket there.
    pub(crate) fn watch(interface: &str, socket: &str, more: &[&str]) -> Outcome<Self> {
        let fixed = [
            "pvd",
            "watch",
            "--interface",
            interface,
            "--control",
            socket,
        ];
        Self::run(&[&fixed, more].concat())
    }

    fn start(mut command: Command, role: &str, config: &Path) -> Outcome<Self> {
        command.args([role, "--config"]).arg(config);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Outcome<Self> {
        let mut child = command
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no stderr")?;
        let (sender, lines) = channel();
        // It ends with the daemon.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let log = String::new();
        Ok(Daemon { child, lines, log })
    }

    /// Reads the log until a line holds `text`, and returns that line.
    pub(crate) fn wait_for(&mut self, text: &str) -> Outcome<String> {
        self.wait_within(text, PATIENCE)
    }

    /// As [`Daemon::wait_for`], of something that takes longer.
    pub(crate) fn wait_within(&mut self, text: &str, patience: Duration) -> Outcome<String> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                return Err(format!("the log never said {text:?}:\n{}", self.log).into());
            };
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Stops it where it is, until it is told to go on.
    pub(crate) fn stop(&self) -> Outcome {
        Ok(kill_process_group(
            Pid::from_child(&self.child),
            Signal::STOP,
        )?)
    }

    /// Asks it to stop in order.
    pub(crate) fn terminate(&self) -> Outcome {
        Ok(kill_process_group(
            Pid::from_child(&self.child),
            Signal::TERM,
        )?)
    }

    pub(crate) fn go_on(&self) -> Outcome {
        Ok(kill_process_group(
            Pid::from_child(&self.child),
            Signal::CONT,
        )?)
    }

    /// Kills it with all that it started, and returns its whole log.
    pub(crate) fn kill(mut self) -> Outcome<String> {
        self.end()?;
        while let Ok(line) = self.lines.recv() {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        Ok(std::mem::take(&mut self.log))
    }

    fn end(&mut self) -> Outcome {
        if self.is_running()? {
            let group = Pid::from_child(&self.child);
            kill_process_group(group, Signal::KILL)?;
            self.child.wait()?;
            // What it left behind is now ours, as we are the first process of the namespace.
            while waitpgid(group, WaitOptions::empty()).is_ok() {}
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The namespace takes what is left.
        drop(self.end());
    }
}
