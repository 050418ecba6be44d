//! Which core the servers run on, and which the load generator.

use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use super::error::Error;

/// A core for the servers, one after the other, and another for the generator.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cores {
    /// Number of the servers' core.
    pub(super) server: usize,
    /// Number of the generator's core; the servers' own when the machine gives us no other.
    pub(super) generator: usize,
}

impl Cores {
    /// The first and the last core that this process may use.
    pub(super) fn choose() -> Result<Self, Error> {
        let allowed = sched_getaffinity(None).map_err(Error::system("ask for the cores"))?;
        let mut numbers = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = numbers.next().unwrap_or(0);
        let generator = numbers.next_back().unwrap_or(server);
        Ok(Cores { server, generator })
    }

    /// Puts the calling thread, which is the generator, on its core.
    pub(super) fn enter_generator(&self) -> Result<(), Error> {
        pin(self.generator)
    }

    /// Does something on the servers' core. Processes that it starts stay there.
    pub(super) fn on_server<T: Send>(
        &self,
        action: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let pinned = || pin(self.server).and_then(|()| action());
        let joined = thread::scope(|scope| scope.spawn(pinned).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Threads and processes that this thread starts inherit it.
fn pin(core: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(Error::system(format!("use core {core} alone")))
}
