//! What every daemon needs: a thread for its tasks, and words for what the system refuses.

use std::io;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::config::Problem;

/// The system refused something that every daemon needs.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub(crate) struct SystemError {
    /// What was tried.
    what: &'static str,
    /// What the system said.
    error: io::Error,
}

/// Says what was tried.
pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> SystemError {
    move |error| SystemError { what, error }
}

/// Runs a daemon in this thread, after the warnings about its configuration.
///
/// # Errors
/// Those of the daemon.
pub(crate) fn run<E: From<SystemError>>(
    warnings: &[Problem],
    daemon: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(system("start the runtime"))?;
    LocalSet::new().block_on(&runtime, daemon)
}
