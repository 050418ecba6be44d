//! The outside of runs: an [enclosure](crate::enclosure) for each scenario.
//!
//! ```text
//!  moat lab run  (outside)
//!   | the lifeline
//!   v
//!  moat lab-inside: /run is a private tmpfs (named network namespaces, work files)
//!   v
//!  moat server, moat client, traffic, ip, nft
//! ```
//!
//! What is written on the lifeline: first a line with the process number of unshare, then an empty line for each Enter that the user
//! presses, and [`NOBODY`] where no Enter can come any more.

use std::path::Path;
use std::process::{ExitCode, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::all::{Ended, run_all, tell};
use super::error::Error;
use super::listed::{self, Listed};
use super::{or_in_json, print};
use crate::enclosure::Enclosure;

/// The line on the lifeline that says: the input at which a user could press Enter has ended.
pub(super) const NOBODY: &str = "nobody";

/// The word that stands for all scenarios.
const ALL: &str = "all";

/// Where a kernel with IPv6 has its parameters.
const IPV6_PARAMETERS: &str = "/proc/sys/net/ipv6";

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

/// Runs a scenario, or [`ALL`] of them, and waits for the end. Nothing of it is left on return.
///
/// Returns the highest of the exit codes: 0 all checks held, 1 a check failed, 2 it could not run (the process inside has said
/// why), 130 interrupted, after which no further scenario is run. Call it outside of any tokio runtime.
///
/// # Errors
/// When a run could not be started, unless that was said in JSON; to be treated like exit code 2.
pub(crate) fn run(options: &RunOptions) -> Result<ExitCode, Error> {
    or_in_json(run_them(options), options.json, &options.scenario)
}

fn run_them(options: &RunOptions) -> Result<ExitCode, Error> {
    let is_all = options.scenario == ALL;
    let scenarios: Vec<_> = if is_all {
        if options.keep {
            return Err(Error::KeepAll);
        }
        listed::all().collect()
    } else {
        vec![listed::find(&options.scenario)?]
    };
    require_ipv6(Path::new(IPV6_PARAMETERS))?;
    let programs: Vec<_> = scenarios.iter().flat_map(|one| one.programs()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start the runtime"))?;
    runtime.block_on(async {
        let enclosure = Enclosure::find(programs).await?;
        let run = async |scenario: Listed| run_one(&enclosure, scenario, options).await;
        run_all(scenarios, run, print).await.map(ExitCode::from)
    })
}

/// The networks are of both families. Where IPv6 is only off by default the namespaces have it.
fn require_ipv6(parameters: &Path) -> Result<(), Error> {
    if parameters.is_dir() {
        Ok(())
    } else {
        Err(Error::NoIpv6)
    }
}

/// Runs one in an enclosure. Of all, each says what it prints at its end, and whose progress it is.
async fn run_one(
    enclosure: &Enclosure,
    scenario: Listed,
    options: &RunOptions,
) -> Result<Ended, Error> {
    let mut run = enclosure.start(|command| {
        command.arg("lab-inside").arg(scenario.name());
        command
            .args(options.json.then_some("--json"))
            .args(options.keep.then_some("--keep"))
            .args(enclosure.has_users().then_some("--in-user-namespace"));
        if options.scenario == ALL {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
    })?;
    let (stdout, stderr) = (run.child.stdout.take(), run.child.stderr.take());
    let said = what_is_said(run.child.id(), options.keep);
    let mut printed = String::new();
    let (code, (), ()) = tokio::join!(
        run.end(said),
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

/// What goes on the lifeline: the number of the process around the inside, and what a user enters if there is a reason to wait for it.
fn what_is_said(process: Option<u32>, has_user: bool) -> mpsc::Receiver<String> {
    let (sender, said) = mpsc::channel(2);
    let process = process.map(|id| id.to_string()).unwrap_or_default();
    // There is room for two.
    let _ = sender.try_send(format!("{process}\n"));
    if has_user {
        // Not tokio's stdin: a pending read there would hold up the end of the runtime.
        std::thread::spawn(move || {
            let lines = std::io::stdin().lines().map_while(Result::ok);
            let entered = lines.map(|_| "\n".to_owned());
            let mut all = entered.chain([format!("{NOBODY}\n")]);
            while all
                .next()
                .is_some_and(|text| sender.blocking_send(text).is_ok())
            {}
        });
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_ipv6_is_refused_with_what_to_change() {
        let parameters = tempfile::tempdir().unwrap();
        assert!(require_ipv6(parameters.path()).is_ok());
        let error = require_ipv6(&parameters.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("ipv6.disable"), "{error}");
    }
}
