//! What a thread, or another process, has spent of a core.

use std::collections::BTreeMap;
use std::ffi::OsString;
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

/// What a process has spent so far, by two clocks.
///
/// The one of each thread counts nanoseconds, and is gone with its thread. The one of the whole process keeps what threads
/// spent that have ended, and counts ticks.
#[derive(Debug)]
pub(super) struct Spent {
    threads: BTreeMap<OsString, Duration>,
    whole: Duration,
}

/// What `/proc/PID/stat` counts in: USER_HZ, which is 100 for every program on Linux.
const TICK: Duration = Duration::from_millis(10);

impl Spent {
    /// Reads both clocks of a process.
    pub(super) fn of(process: Pid) -> Result<Self, Error> {
        let path = format!("/proc/{process}/task");
        let failed = || Error::system(format!("read {path}"));
        let mut threads = BTreeMap::new();
        for task in std::fs::read_dir(&path).map_err(failed())? {
            let task = task.map_err(failed())?;
            let text = match std::fs::read_to_string(task.path().join("schedstat")) {
                Ok(text) => text,
                // A thread that watched over one nft has ended meanwhile.
                Err(error) if is_over(&error) => continue,
                Err(error) => return Err(failed()(error)),
            };
            let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
            let Some(nanoseconds) = nanoseconds else {
                let what = "/proc/PID/task/TID/schedstat";
                return Err(Error::Text { what, text });
            };
            threads.insert(task.file_name(), Duration::from_nanos(nanoseconds));
        }
        let whole = whole(process)?;
        Ok(Self { threads, whole })
    }

    /// What was spent since an earlier reading: by the threads that are left, or by all where that is more. What ended threads
    /// have spent is missed by at most two ticks.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        let of_threads = self.threads.iter().map(|(thread, spent)| {
            let before = earlier.threads.get(thread).copied().unwrap_or_default();
            spent.saturating_sub(before)
        });
        of_threads
            .sum::<Duration>()
            .max(self.whole.saturating_sub(earlier.whole))
    }
}

/// What all threads of a process have spent so far, those that have ended included: in user and in kernel mode
/// (proc_pid_stat(5), the fields 14 and 15).
fn whole(process: Pid) -> Result<Duration, Error> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).map_err(Error::system(format!("read {path}")))?;
    // The name of the program is in brackets and may have spaces.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(kernel))) => Ok(TICK * user + TICK * kernel),
        _ => Err(Error::Text {
            what: "/proc/PID/stat",
            text,
        }),
    }
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Spends so much of a core.
    fn spend(duration: Duration) {
        while of_this_thread() < duration {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn what_threads_spent_that_have_ended_is_counted() {
        const EACH: Duration = Duration::from_millis(60);
        let read = || Spent::of(rustix::process::getpid()).unwrap();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let (spent, ready) = std::sync::mpsc::channel();
        let older = thread::spawn(move || {
            spend(EACH);
            spent.send(()).unwrap();
            wait.recv().unwrap_err();
        });
        ready.recv().unwrap();
        let before = read();
        thread::spawn(|| spend(EACH)).join().unwrap();
        drop(end);
        older.join().unwrap();
        let after = read();
        assert!(after.since(&before) >= EACH - 2 * TICK);
    }
}
