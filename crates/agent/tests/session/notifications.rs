//! The pace of notifications (RFC 9132 §4.4.2.1).

use super::bench::{Bench, token};
use crate::world::{millis, seconds};

/// Covers: S-045
#[test]
fn without_a_round_trip_estimate_one_notification_leaves_every_3_s_and_the_newest_for_each() {
    let mut bench = Bench::new();
    bench.notify(1, 1);
    assert_eq!(bench.notified(), [(token(1), 1)], "the first at once");
    for sequence in 2..=5 {
        bench.notify(1, sequence);
        bench.notify(2, sequence);
    }
    assert_eq!(bench.notified(), []);
    bench.advance(millis(2999), true);
    assert_eq!(bench.notified(), []);
    bench.advance(millis(1), true);
    assert_eq!(bench.notified(), [(token(1), 5)]);
    bench.advance(seconds(3), true);
    assert_eq!(bench.notified(), [(token(2), 5)]);
    bench.advance(seconds(10), true);
    assert_eq!(bench.notified(), []);
    bench.notify(1, 6);
    assert_eq!(
        bench.notified(),
        [(token(1), 6)],
        "after a pause at once again"
    );
}

/// Covers: S-038, S-045
#[test]
fn with_an_estimate_notifications_leave_once_a_round_trip() {
    let mut bench = Bench::new();
    bench.advance(seconds(60), true);
    for observer in 1..=5 {
        bench.notify(observer, 1);
    }
    bench.advance(seconds(2), true);
    assert_eq!(bench.notified().len(), 5);
}

///
#[test]
fn notifications_that_nobody_takes_do_not_pile_up() {
    let mut bench = Bench::new();
    for observer in 0..10_000 {
        bench.notify(observer, 1);
    }
    assert_eq!(bench.notified().len(), 1);
    bench.advance(seconds(29), true);
    bench.notified();
    bench.advance(seconds(600), true);
    let late = bench.notified();
    assert!(late.len() < 64, "{}", late.len());
    assert_eq!(late.last(), Some(&(token(9_999), 1)));
}
