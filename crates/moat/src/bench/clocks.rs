//! What a thread, or another process, has spent of a core.

use std::time::Duration;

use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use super::error::Error;

/// What the calling thread has spent so far: unlike time on the wall, it does not count what other programs took meanwhile.
pub(super) fn of_this_thread() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(spent.tv_sec).unwrap_or(0),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    )
}

/// What all threads of a process have spent so far, to the nanosecond: the first number of each `schedstat`.
pub(super) fn of_process(process: Pid) -> Result<Duration, Error> {
    let path = format!("/proc/{process}/task");
    let failed = || Error::system(format!("read {path}"));
    let mut spent = Duration::ZERO;
    for task in std::fs::read_dir(&path).map_err(failed())? {
        let file = task.map_err(failed())?.path().join("schedstat");
        let text = std::fs::read_to_string(file).map_err(failed())?;
        let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
        spent += Duration::from_nanos(nanoseconds.ok_or(Error::Text {
            what: "/proc/PID/task/TID/schedstat",
            text,
        })?);
    }
    Ok(spent)
}

/// Bytes of memory that a process has in use, as in `VmRSS`; `None` for this process.
pub(super) fn resident_bytes(process: Option<Pid>) -> Result<u64, Error> {
    let process = process.map_or("self".to_owned(), |process| process.to_string());
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).map_err(Error::system(format!("read {path}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: Option<u64> = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok());
    kilobytes.map(|number| number * 1024).ok_or(Error::Text {
        what: "/proc/PID/status",
        text,
    })
}
