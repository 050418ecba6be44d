//! The outside: an [enclosure](crate::enclosure) and a work folder around a run, of which nothing is left whatever ends it.

use std::path::Path;
use std::process::ExitCode;

use tokio::sync::mpsc;

use super::SignalArgs;
use super::error::Error;
use crate::enclosure::Enclosure;

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
    let run = Enclosure::find([]).await?.start(|command| {
        command.arg("bench-inside");
        command.args(args.json.then_some("--json"));
        command.args(["--seconds", &args.seconds.to_string()]);
        command.args(["--sessions", &args.sessions.to_string()]);
        command.arg("--folder").arg(folder);
    })?;
    let (_, nothing) = mpsc::channel(1);
    Ok(run.end(nothing).await.map(ExitCode::from)?)
}
