//! Tables for eyes, JSON for programs.

mod cell;
mod discovered;
mod domain;
mod request;
mod session;

use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

pub(super) use self::discovered::discovered;
pub(super) use self::domain::{domain, domains, shelf};
pub(super) use self::request::{
    mitigated, mitigations, not_stored, request, requests, selection, told,
};
pub(super) use self::session::{client_sessions, counters, server_sessions};
use crate::control::Failure;
use crate::lab;
use crate::terminal::{complain, say};

/// Prints one JSON value on a line.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => say!("{text}"),
        Err(error) => complain!("moat: the answer is no JSON: {error}"),
    }
}

/// Says why a command came to nothing: to people on stderr, to a program on stdout.
pub(super) fn failure(failure: &Failure, as_json: bool) {
    if as_json {
        json(&json!({ "error": failure }));
    } else {
        complain!("moat: {}", failure.reason);
        failure.selection.as_deref().into_iter().for_each(selection);
    }
}

/// Prints rows in columns under a headline, without columns in which nothing stands; nothing without rows.
fn table<const N: usize>(headline: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    let used: [bool; N] = std::array::from_fn(|column| {
        let mut cells = rows.iter().filter_map(|row: &[String; N]| row.get(column));
        cells.any(|cell| !cell.is_empty())
    });
    let headline = headline.map(str::to_owned);
    let mut widths = [0; N];
    for row in std::iter::once(&headline).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in std::iter::once(&headline).chain(rows) {
        let mut line = String::new();
        for ((width, cell), used) in widths.iter().zip(row).zip(used) {
            if used {
                line.push_str(&format!("{cell:width$}  "));
            }
        }
        say!("{}", line.trim_end());
    }
}

pub(super) fn scenarios(as_json: bool) -> ExitCode {
    let scenarios = lab::scenarios();
    if as_json {
        let list: Vec<_> = scenarios
            .map(|scenario| json!({ "scenario": scenario.name(), "figure": scenario.figure(), "summary": scenario.summary() }))
            .collect();
        json(&list);
    } else {
        let rows: Vec<_> = scenarios
            .map(|scenario| {
                [scenario.name(), scenario.figure(), scenario.summary()].map(str::to_owned)
            })
            .collect();
        table(["SCENARIO", "FIGURE (RFC 9284)", "WHAT HAPPENS"], &rows);
    }
    ExitCode::SUCCESS
}
