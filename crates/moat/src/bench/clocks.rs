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
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            // A thread that watched over one nft has ended meanwhile; it had nothing to do.
            Err(error) if is_over(&error) => continue,
            Err(error) => return Err(failed()(error)),
        };
        let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
        spent += Duration::from_nanos(nanoseconds.ok_or(Error::Text {
            what: "/proc/PID/task/TID/schedstat",
            text,
        })?);
    }
    Ok(spent)
}

/// Whether an error of reading about a thread says that there is no such thread any more.
fn is_over(error: &std::io::Error) -> bool {
    let gone = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(gone)
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
