//! The one place that reads the clocks.

use std::io;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use agent::Now;

/// This moment on both clocks. A wall clock before 1970 counts as 1970.
pub(crate) fn now() -> Now {
    Now {
        monotonic: Instant::now(),
        unix: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    }
}

/// The same moment, for the host of provisioning domains.
pub(crate) fn host_now() -> pvd::host::Now {
    pvd::host::Now {
        instant: Instant::now(),
        system: SystemTime::now(),
    }
}

/// A seed that no peer can guess.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(bytes)
}

/// The first eight bytes of a fresh seed, for the generators of the agents.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn short_seed() -> io::Result<u64> {
    let seed = seed()?;
    Ok(seed
        .iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Time of day that is not earlier than the last commit to the state, and the time since the start: a device
/// without a battery begins in the past, until the network tells it the time, and what is stored would be wanted
/// for longer by as much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    floor: Now,
}

impl Clock {
    /// Begins at the start of the process. `written`: the last commit, in seconds since 1970.
    pub(crate) fn new(written: Option<u64>) -> Self {
        Self::from(now(), written)
    }

    fn from(start: Now, written: Option<u64>) -> Self {
        Self {
            floor: Now {
                unix: written.unwrap_or_default(),
                ..start
            },
        }
    }

    /// This moment.
    pub(crate) fn now(&self) -> Now {
        self.at(now())
    }

    /// What this clock shows when the system's shows `system`.
    fn at(&self, system: Now) -> Now {
        Now {
            unix: system.unix.max(self.floor.unix_at(system.monotonic)),
            ..system
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_begins_in_the_past_runs_on_from_the_last_commit_until_it_is_set() {
        let system = |seconds, unix| Now {
            monotonic: start().monotonic + Duration::from_secs(seconds),
            unix,
        };
        let clock = Clock::from(start(), Some(1_900_000_000));
        assert_eq!(clock.at(system(0, 3)).unix, 1_900_000_000);
        assert_eq!(clock.at(system(600, 603)).unix, 1_900_000_600);
        let set = system(601, 1_900_080_000);
        assert_eq!(clock.at(set), set);
        let new = Clock::from(start(), None);
        assert_eq!(
            new.at(system(5, 8)).unix,
            8,
            "nothing is known of a new device"
        );
    }

    fn start() -> Now {
        static START: std::sync::OnceLock<Now> = std::sync::OnceLock::new();
        Now {
            unix: 3,
            ..*START.get_or_init(now)
        }
    }
}
