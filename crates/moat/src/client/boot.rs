//! The wall clock at the start: a device without a battery may begin in the past, until the network
//! tells it the time. What is stored would be wanted for longer by as much.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use agent::Now;

/// When the state was last written, in seconds since 1970; `None`: never, or nobody knows.
pub(super) fn last_written(state: &Path) -> Option<u64> {
    // What SQLite has written last may lie beside the file.
    let mut beside = state.as_os_str().to_owned();
    beside.push("-wal");
    let modified = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let last = modified(state).max(modified(Path::new(&beside)))?;
    Some(last.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// It cannot be earlier than when the state was last written.
pub(super) fn not_before(now: Now, written: Option<u64>) -> Now {
    Now {
        unix: now.unix.max(written.unwrap_or_default()),
        ..now
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_begins_in_the_past_prolongs_no_wish() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("client.db");
        let mut now = crate::clock::now();
        assert_eq!(
            not_before(now, last_written(&state)),
            now,
            "nothing is stored"
        );
        fs::write(&state, b"state").unwrap();
        let written_at = |path: &Path, unix| {
            let file = File::options().write(true).open(path).unwrap();
            let at = UNIX_EPOCH + Duration::from_secs(unix);
            file.set_modified(at).unwrap();
        };
        written_at(&state, 1_900_000_000);
        now.unix = 3;
        let wanted_until = 1_900_000_600;
        let left = |now: Now| now.seconds_until(now.instant_of(wanted_until));
        assert_eq!(left(not_before(now, last_written(&state))), 600);
        let beside = folder.path().join("client.db-wal");
        fs::write(&beside, b"newer").unwrap();
        written_at(&beside, 1_900_000_400);
        assert_eq!(left(not_before(now, last_written(&state))), 200);
        now.unix = 1_900_000_500;
        assert_eq!(left(not_before(now, last_written(&state))), 100);
    }
}
