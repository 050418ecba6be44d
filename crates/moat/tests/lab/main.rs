//! `moat lab run`, whole: real namespaces, agents and packets; and what is left afterwards, which is nothing.
//!
//! On a machine that refuses namespaces these tests print `SKIPPED` and why.
#![allow(clippy::unwrap_used)] // test helpers may panic

mod endings;
mod faults;
mod scenarios;
mod support;
