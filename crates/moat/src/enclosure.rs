//! Enclosures: namespaces around a run of the lab or of a benchmark, so that nothing is left of it whatever ends it.
//!
//! ```text
//!  outside: holds the writing end of the inside's stdin, the lifeline
//!   | spawns
//!   v
//!  unshare --fork --pid --kill-child --mount-proc --mount --net [--user --map-root-user]
//!   | child is process 1 of the new process namespace; dies with unshare
//!   v
//!  inside: reads the lifeline; at its end it exits, and the kernel ends all other processes of the namespace
//! ```
//!
//! Ctrl-C reaches only the outside, which drops the lifeline and waits; `kill -9` of the outside drops it too.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::shutdown::{self, Signals};

/// Programs that every run needs, and the Debian package of each.
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

/// Why there is no enclosure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program is not installed.
    #[error(
        "the program \"{program}\" is needed: install the package {package} (apt-get install {package})"
    )]
    ProgramMissing {
        /// Its name.
        program: &'static str,
        /// The Debian package it is in.
        package: &'static str,
    },
    /// The kernel or its policy does not let this user make namespaces.
    #[error(
        "this machine lets neither this user nor a user namespace make network namespaces ({reason}); run this as root, or allow \
         user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000, on Ubuntu also \
         kernel.apparmor_restrict_unprivileged_userns=0"
    )]
    NamespacesRefused {
        /// What the last attempt said.
        reason: String,
    },
    /// A subcommand that takes over the machine it finds was called by somebody else.
    #[error(
        "this subcommand is for moat alone, in namespaces of its own; moat lab run and moat bench signal call it"
    )]
    NotInside,
    /// The process around the inside was killed.
    #[error("unshare: {outcome}")]
    Killed {
        /// How it ended.
        outcome: String,
    },
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::System { what, source }
    }
}

/// What this machine grants this user.
#[derive(Debug)]
pub(crate) struct Enclosure {
    path: OsString,
    has_users: bool,
}

impl Enclosure {
    /// Looks for the programs that every run needs, and these, each with its Debian package; and tries to make namespaces.
    ///
    /// # Errors
    /// [`Error::ProgramMissing`], [`Error::NamespacesRefused`].
    pub(crate) async fn find(
        programs: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Result<Self, Error> {
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push(SYSTEM_PATH);
        for (program, package) in PROGRAMS.into_iter().chain(programs) {
            if !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
                return Err(Error::ProgramMissing { program, package });
            }
        }
        let mut enclosure = Enclosure {
            path,
            has_users: false,
        };
        let mut reason = String::new();
        for has_users in [false, true] {
            enclosure.has_users = has_users;
            let probe = enclosure.unshare().arg("true").output().await;
            let output = probe.map_err(Error::system("start unshare"))?;
            if output.status.success() {
                return Ok(enclosure);
            }
            let said = String::from_utf8_lossy(&output.stderr);
            said.trim().clone_into(&mut reason);
        }
        Err(Error::NamespacesRefused { reason })
    }

    /// Whether what runs inside is root in a user namespace only.
    pub(crate) fn has_users(&self) -> bool {
        self.has_users
    }

    /// Starts this program in an enclosure; `configure` adds its arguments, and says where its output goes.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start(&self, configure: impl FnOnce(&mut Command)) -> Result<Run, Error> {
        let program = std::env::current_exe();
        let program = program.map_err(Error::system("find this program's own file"))?;
        let mut command = self.unshare();
        configure(command.arg(program));
        // A process group of its own: Ctrl-C must reach only this process, which then ends the run in order.
        command.stdin(Stdio::piped()).process_group(0);
        let stop = shutdown::signals().map_err(Error::system("listen for signals"))?;
        let child = command.spawn().map_err(Error::system("start unshare"))?;
        Ok(Run { child, stop })
    }

    fn unshare(&self) -> Command {
        let mut command = Command::new("unshare");
        command.env("PATH", &self.path).args(NAMESPACES);
        if self.has_users {
            command.args(USER_NAMESPACE);
        }
        command.arg("--");
        command
    }
}

/// What goes on in an enclosure.
#[derive(Debug)]
pub(crate) struct Run {
    /// The process around the inside.
    pub(crate) child: Child,
    stop: Signals,
}

impl Run {
    /// Waits for its end, which a signal brings about, and writes on the lifeline what is `said` meanwhile. Its exit code.
    ///
    /// # Errors
    /// [`Error::Killed`] when it has none.
    pub(crate) async fn end(mut self, mut said: mpsc::Receiver<String>) -> Result<u8, Error> {
        let mut lifeline = self.child.stdin.take();
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                () = self.stop.recv() => drop(lifeline.take()),
                Some(text) = said.recv() => if let Some(lifeline) = &mut lifeline {
                    // A failure means that the run is over, which its exit code tells better.
                    let _ = lifeline.write_all(text.as_bytes()).await;
                },
            }
        };
        let status = status.map_err(Error::system("wait for unshare"))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        code.ok_or_else(|| Error::Killed {
            outcome: status.to_string(),
        })
    }
}

/// The first thing inside: whoever is not process 1 was called by hand, and would take over the machine.
///
/// # Errors
/// [`Error::NotInside`].
pub(crate) fn require_inside() -> Result<(), Error> {
    if std::process::id() == 1 {
        Ok(())
    } else {
        Err(Error::NotInside)
    }
}
