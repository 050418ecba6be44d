//! The clock of the client: a device without a battery begins in the past, until the network tells it the time.
//! What is stored would be wanted for longer by as much.

use agent::Now;

use crate::clock;

/// Time of day that is not earlier than the last commit to the state, and the time since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    floor: Now,
}

impl Clock {
    /// Begins at the start of the process. `written`: the last commit, in seconds since 1970.
    pub(super) fn new(written: Option<u64>) -> Self {
        Self::from(clock::now(), written)
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
    pub(super) fn now(&self) -> Now {
        self.at(clock::now())
    }

    /// What this clock shows when the system's shows `system`.
    fn at(&self, system: Now) -> Now {
        Now {
            unix: system.unix.max(running_on(self.floor, system)),
            ..system
        }
    }
}

/// What a clock shows `now` that has shown `then` and was not set since.
pub(super) fn running_on(then: Now, now: Now) -> u64 {
    let elapsed = now.monotonic.saturating_duration_since(then.monotonic);
    then.unix.saturating_add(elapsed.as_secs())
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
            ..*START.get_or_init(clock::now)
        }
    }
}
