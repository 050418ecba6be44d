//! All scenarios, two at a time: each has namespaces of its own, and waits for most of the time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::EXIT_INTERRUPTED;
use super::error::Error;
use super::listed::Listed;
use crate::terminal::complain;

/// The most that run at a time. More would disturb each other's measurements on a small machine.
const AT_A_TIME: usize = 2;

/// How a run ended, and what it printed.
pub(super) struct Ended {
    pub(super) code: u8,
    pub(super) printed: String,
}

/// What is still to be run, and what was not printed yet.
struct Queue<P> {
    scenarios: Vec<Listed>,
    next: Cell<usize>,
    ended: RefCell<BTreeMap<usize, String>>,
    printed: Cell<usize>,
    worst: Cell<u8>,
    print: P,
}

/// Runs scenarios by `run`, has what they printed printed in their order, and returns the highest of their exit codes. After an
/// interruption or an error none is begun.
pub(super) async fn run_all(
    scenarios: Vec<Listed>,
    run: impl AsyncFn(Listed) -> Result<Ended, Error>,
    print: impl Fn(&str),
) -> Result<u8, Error> {
    let queue = Queue {
        scenarios,
        next: Cell::new(0),
        ended: RefCell::default(),
        printed: Cell::new(0),
        worst: Cell::new(0),
        print,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < AT_A_TIME {
        queue.work(&run).await?;
    } else {
        let (one, other) = tokio::join!(queue.work(&run), queue.work(&run));
        one.and(other)?;
    }
    Ok(queue.worst.get())
}

impl<P: Fn(&str)> Queue<P> {
    async fn work(&self, run: &impl AsyncFn(Listed) -> Result<Ended, Error>) -> Result<(), Error> {
        loop {
            let number = self.next.get();
            let Some(&scenario) = self.scenarios.get(number) else {
                return Ok(());
            };
            self.next.set(number + 1);
            let ended = run(scenario).await;
            if ended
                .as_ref()
                .map_or(true, |one| one.code == EXIT_INTERRUPTED)
            {
                self.next.set(self.scenarios.len());
            }
            let (ended, printed) = match ended {
                Ok(Ended { code, printed }) => (Ok(code), printed),
                // Reports of those behind it are not to wait for one.
                Err(error) => (Err(error), String::new()),
            };
            self.ended.borrow_mut().insert(number, printed);
            self.print_in_order();
            self.worst.set(self.worst.get().max(ended?));
        }
    }

    fn print_in_order(&self) {
        let mut ended = self.ended.borrow_mut();
        while let Some(text) = ended.remove(&self.printed.get()) {
            self.printed.set(self.printed.get() + 1);
            if !text.is_empty() {
                (self.print)(text.trim_end());
            }
        }
    }
}

/// Tells a line of a run's progress so that one sees of which.
pub(super) fn tell(scenario: Listed, line: &str) {
    complain!("{:24} {line}", scenario.name());
}

#[cfg(test)]
mod tests {
    use super::super::listed::all;
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn the_highest_exit_code_is_that_of_all_and_an_interruption_begins_no_other() {
        for (codes, worst, goes_on) in [
            ([0, 1, 0, 0, 0], 1, true),
            ([2, 0, 1, 0, 0], 2, true),
            ([EXIT_INTERRUPTED, 0, 0, 0, 0], EXIT_INTERRUPTED, false),
        ] {
            let scenarios: Vec<_> = all().take(codes.len()).collect();
            let begun = Cell::new(0);
            let run = async |scenario: Listed| {
                begun.set(begun.get() + 1);
                tokio::task::yield_now().await;
                let number = all().position(|one| one.name() == scenario.name());
                let printed = String::new();
                let code = codes[number.unwrap()];
                Ok(Ended { code, printed })
            };
            assert_eq!(block_on(run_all(scenarios, run, |_| {})).unwrap(), worst);
            assert_eq!(begun.get() == codes.len(), goes_on, "{codes:?}");
        }
    }

    #[test]
    fn an_error_keeps_no_report_back() {
        let run = async |scenario: Listed| {
            tokio::task::yield_now().await;
            if all()
                .next()
                .is_some_and(|first| first.name() == scenario.name())
            {
                return Err(Error::KeepAll);
            }
            tokio::task::yield_now().await;
            let printed = format!("{}\n", scenario.name());
            Ok(Ended { code: 0, printed })
        };
        let printed = RefCell::new(Vec::new());
        let print = |text: &str| printed.borrow_mut().push(text.to_owned());
        let two = all().take(2).collect();
        let ended = block_on(run_all(two, run, print));
        assert!(matches!(ended, Err(Error::KeepAll)));
        let is_alone = std::thread::available_parallelism().map_or(1, usize::from) < AT_A_TIME;
        assert_eq!(printed.borrow().is_empty(), is_alone);
    }
}
