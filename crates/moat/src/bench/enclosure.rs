//! The outside: namespaces and a work folder around a run, of which nothing is left whatever ends it.
//!
//! The run reads a pipe from here, its lifeline. When that ends, by Ctrl-C or because this process is gone, the run exits; it is the
//! first process of its process namespace, so the kernel ends all the others.

use std::path::Path;
use std::process::{ExitCode, Stdio};

use tokio::process::Command;

use super::error::Error;
use super::{EXIT_COULD_NOT_RUN, SignalArgs};
use crate::shutdown;

/// Where system programs are although an ordinary user's PATH may not name it.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";

/// Own processes, and an own network with an own filter.
const NAMESPACES: &[&str] = &["--fork", "--pid", "--kill-child", "--mount-proc", "--net"];

/// Who is not root makes the others in one of these.
const USER_NAMESPACE: &[&str] = &["--user", "--map-root-user"];

/// Runs the benchmark and prints its result. Call it outside of any tokio runtime.
///
/// # Errors
/// When it could not be started; what goes wrong later is said on stderr.
pub(crate) fn run(args: &SignalArgs) -> Result<ExitCode, Error> {
    let folder = tempfile::Builder::new()
        .prefix("moat-bench-")
        .tempdir_in(&args.dir)
        .map_err(Error::system(format!(
            "make a work folder in {}",
            args.dir.display()
        )))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("start the runtime"))?;
    runtime.block_on(supervise(args, folder.path()))
}

async fn supervise(args: &SignalArgs, folder: &Path) -> Result<ExitCode, Error> {
    let mut stop = shutdown::signals().map_err(Error::system("listen for signals"))?;
    let moat = std::env::current_exe().map_err(Error::system("find this program's own file"))?;
    let mut command = unshare().await?;
    command.arg(moat).arg("bench-inside");
    command.args(args.json.then_some("--json"));
    command.args(["--seconds", &args.seconds.to_string()]);
    command.args(["--sessions", &args.sessions.to_string()]);
    command.arg("--folder").arg(folder);
    // A process group of its own: Ctrl-C must reach only this process, which then ends the run in order.
    command.stdin(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(Error::system("start unshare"))?;
    let mut lifeline = child.stdin.take();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = stop.recv() => drop(lifeline.take()),
        }
    };
    let status = status.map_err(Error::system("wait for the benchmark"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(EXIT_COULD_NOT_RUN)))
}

/// The command that makes the namespaces which this machine grants this user.
async fn unshare() -> Result<Command, Error> {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{path}:{SYSTEM_PATH}");
    let prepared = |namespaces: &[&[&str]]| {
        let mut command = Command::new("unshare");
        command.env("PATH", &path);
        command.args(namespaces.concat()).arg("--");
        command
    };
    let mut reason = String::new();
    for namespaces in [&[NAMESPACES][..], &[NAMESPACES, USER_NAMESPACE]] {
        let probe = prepared(namespaces).arg("true").output().await;
        let output = probe.map_err(Error::system("start unshare"))?;
        if output.status.success() {
            return Ok(prepared(namespaces));
        }
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .clone_into(&mut reason);
    }
    Err(Error::NamespacesRefused { reason })
}
