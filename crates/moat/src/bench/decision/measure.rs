//! How long something takes, in the time that the thread itself has spent: what others do on the machine counts little.

use std::time::Duration;

use crate::bench::clocks::of_this_thread;

/// The fastest of so many rounds is what it takes: others can only slow it down.
const ROUNDS: u32 = 5;
/// How often it is done between two looks at the clock, at most.
const LARGEST_BATCH: u32 = 1 << 12;

/// Nanoseconds for each time that `act` is called, with a number that goes up.
pub(super) fn nanoseconds(patience: Duration, mut act: impl FnMut(usize)) -> f64 {
    let mut number = 0;
    let mut batch = 1;
    fastest(|| {
        let begun = of_this_thread();
        let mut done = 0;
        loop {
            for _ in 0..batch {
                act(number);
                number += 1;
            }
            done += batch;
            let spent = of_this_thread().saturating_sub(begun);
            if spent >= patience / ROUNDS {
                return (spent, done);
            }
            batch = LARGEST_BATCH.min(batch * 2);
        }
    })
}

/// The same for something long, of which each time needs something that `prepare` makes meanwhile.
pub(super) fn nanoseconds_prepared<T>(
    patience: Duration,
    mut prepare: impl FnMut() -> T,
    mut act: impl FnMut(T),
) -> f64 {
    fastest(|| {
        let (mut spent, mut done, begun) = (Duration::ZERO, 0, of_this_thread());
        while done == 0 || of_this_thread().saturating_sub(begun) < patience / ROUNDS {
            let prepared = prepare();
            let before = of_this_thread();
            act(prepared);
            spent += of_this_thread().saturating_sub(before);
            done += 1;
        }
        (spent, done)
    })
}

fn fastest(mut round: impl FnMut() -> (Duration, u32)) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let (spent, done) = round();
        spent.as_secs_f64() * 1e9 / f64::from(done)
    });
    rounds.fold(f64::INFINITY, f64::min)
}
