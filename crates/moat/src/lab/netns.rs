//! Named network namespaces, and running programs in them.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::error::Error;
use super::process;

/// A network namespace that `ip netns` knows by name.
#[derive(Debug)]
pub(crate) struct Netns {
    name: String,
    handle: File,
}

impl Netns {
    /// Makes it.
    pub(crate) fn add(name: &str) -> Result<Self, Error> {
        process::output(Command::new("ip").args(["netns", "add", name]))?;
        let handle = File::open(Path::new("/run/netns").join(name))
            .map_err(Error::io(format!("open the network namespace {name}")))?;
        Ok(Netns {
            name: name.to_owned(),
            handle,
        })
    }

    /// Runs `action` on a thread that is in this namespace; processes and sockets made by it are there too.
    ///
    /// `ip netns exec` would do the same, but costs a process and two mounts, which the time to the first dropped packet would
    /// include.
    pub(crate) fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let what = || format!("enter the network namespace {}", self.name);
        let thread = || {
            move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(Error::io(what()))?;
            Ok(action())
        };
        let joined = std::thread::scope(|scope| scope.spawn(thread).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs a program here that must succeed, with `input` on its stdin, and returns its stdout.
    pub(crate) fn output_of(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, Error> {
        self.enter(|| process::output_with_input(Command::new(program).args(arguments), input))?
    }

    /// Sets kernel parameters by their path below /proc/sys, before anything else is there.
    pub(crate) fn set_parameters(&self, parameters: &[(&str, &str)]) -> Result<(), Error> {
        self.enter(|| {
            for (name, value) in parameters {
                let path = Path::new("/proc/sys").join(name);
                File::options()
                    .write(true)
                    .open(&path)
                    .and_then(|mut file| file.write_all(value.as_bytes()))
                    .map_err(Error::io(format!("set {} to {value}", path.display())))?;
            }
            Ok(())
        })?
    }

    /// Starts a program here that stays; see [`process::Process`].
    pub(crate) fn start(
        &self,
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<process::Process, Error> {
        self.enter(|| process::Process::start(name, command, log))?
    }

    /// Starts a program here that answers on stdout to lines on stdin.
    pub(crate) fn converse(
        &self,
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<process::Conversation, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        process::Conversation::new(self.start(name, command, log)?)
    }
}
