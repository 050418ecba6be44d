//! Another host on a link: a network namespace with servers in it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::{Outcome, run, search_path};

/// A shell in a network namespace of its own. What it started goes with the namespace of the test.
pub(crate) struct Neighbour {
    shell: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Neighbour {
    /// A host at the other end of the new link `interface`; its own end is called `home`.
    pub(crate) fn behind(interface: &str, log: &Path) -> Outcome<Self> {
        let mut shell = Command::new("unshare")
            .args(["--net", "sh"])
            .env("PATH", search_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(log)?)
            .spawn()?;
        let commands = shell.stdin.take().ok_or("no stdin")?;
        let answers = BufReader::new(shell.stdout.take().ok_or("no stdout")?);
        let mut host = Self {
            shell,
            commands,
            answers,
        };
        // Once it answers, the namespace is there.
        host.run("ip link set lo up")?;
        let shell = host.shell.id().to_string();
        let ends = ["name", "home", "netns", &shell];
        run(
            "ip",
            &[
                &["link", "add", interface, "type", "veth", "peer"],
                &ends[..],
            ]
            .concat(),
        )?;
        // Addresses are to be there at once.
        let no_dad = format!("net.ipv6.conf.{interface}.accept_dad=0");
        run("sysctl", &["-qw", &no_dad])?;
        host.run("sysctl -qw net.ipv6.conf.home.accept_dad=0")?;
        host.run("ip link set home up")?;
        run("ip", &["link", "set", interface, "up"])?;
        Ok(host)
    }

    /// Opens sockets there, which stay there.
    pub(crate) fn within<T: Send>(&self, open: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        // What /proc shows may be of another process namespace.
        let shell = pidfd_open(Pid::from_child(&self.shell), PidfdFlags::empty())?;
        let opened = thread::scope(|scope| {
            let there = scope.spawn(|| {
                let kind = ThreadNameSpaceType::NETWORK;
                let moved = move_into_thread_name_spaces(shell.as_fd(), kind);
                moved.map_err(|error| error.to_string())?;
                open().map_err(|error| error.to_string())
            });
            there.join()
        });
        let opened: Result<T, String> = opened.map_err(|_| "it panicked")?;
        Ok(opened?)
    }

    /// Runs a line of shell there and waits until it is done.
    pub(crate) fn run(&mut self, line: &str) -> Outcome {
        writeln!(self.commands, "{line} >&2; echo $?")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim() {
            "0" => Ok(()),
            code => Err(format!("{line}: exit code {code}").into()),
        }
    }

    /// Starts a server there. It inherits what the shell has but its input.
    pub(crate) fn start(&mut self, line: &str) -> Outcome {
        self.run(&format!("{{ {line} </dev/null >&2 & }}"))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}
