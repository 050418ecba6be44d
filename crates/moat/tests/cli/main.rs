//! The command line as a person or a program meets it: what is printed where, and the exit code.
#![allow(clippy::unwrap_used, clippy::panic)] // test helpers may panic

mod daemon;
mod machine;
mod readme;
mod signing;
mod support;
mod usage;
