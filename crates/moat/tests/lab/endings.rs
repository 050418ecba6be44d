//! How runs end, and that nothing is left of them.

use std::io::Write;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{Copy, Started, Traces, one_at_a_time};

#[test]
fn whatever_ends_a_run_nothing_is_left() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    for moment in [
        "building the network",
        "starting the DOTS client",
        "the attack starts",
        "asking for help",
    ] {
        for (signal, code) in [
            (Signal::INT, Some(130)),
            (Signal::TERM, Some(130)),
            (Signal::KILL, None),
        ] {
            let mut run = Started::new(&copy, &[]);
            if run.read_until(moment).is_none() {
                return;
            }
            assert_ne!(copy.processes(), Vec::<String>::new());
            run.signal(signal);
            assert_eq!(run.end(), code, "{signal:?} at \"{moment}\"");
            copy.assert_left_nothing(&before);
        }
    }
}

#[test]
fn an_interruption_ends_all_scenarios_that_are_running_and_begins_no_other() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    let mut run = Started::of(&copy, "all", &["--json"]);
    if run.read_until("the attack starts").is_none() {
        return;
    }
    assert_ne!(copy.processes(), Vec::<String>::new());
    run.signal(Signal::INT);
    assert_eq!(run.end(), Some(130));
    copy.assert_left_nothing(&before);
}

#[test]
fn a_kept_network_can_be_looked_into_until_enter() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let before = Traces::now();
    let mut run = Started::new(&copy, &["--keep"]);
    let Some(said) = run.read_until("Enter or Ctrl-C ends it.") else {
        return;
    };
    let look = said
        .lines()
        .map(str::trim)
        .find(|line| line.ends_with("ip netns list"))
        .unwrap();
    let output = Command::new("sh").args(["-c", look]).output().unwrap();
    let namespaces = String::from_utf8(output.stdout).unwrap();
    for name in [
        "home", "fixed", "mobile", "lan", "victim", "attacker", "visitor",
    ] {
        assert!(namespaces.contains(name), "{name} not in {namespaces}");
    }
    run.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(run.end(), Some(0));
    copy.assert_left_nothing(&before);
}

#[test]
fn a_network_that_nobody_can_end_is_not_kept() {
    let _one = one_at_a_time();
    let copy = Copy::new();
    let mut run = Started::new(&copy, &["--keep"]);
    drop(run.child.stdin.take());
    if run.read_until("The input has ended").is_none() {
        return;
    }
    assert_eq!(run.end(), Some(0));
    assert_eq!(copy.processes(), Vec::<String>::new());
}
