//! The conformance report: for each requirement its level, the tests that cover it, or the reason why none does.
//!
//! Requirements are read from `../shared/spec/requirements.md` (not part of this project), coverage from the words
//! `Covers: S-017, S-018` in the comment above a test, reasons from `conformance/reasons.toml`.

mod coverage;
mod requirement;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use crate::coverage::Coverage;
use crate::requirement::{Level, Requirement};

/// Prints which test covers which requirement; exits 1 if a MUST has neither a test nor a reason
#[derive(Debug, Parser)]
struct Args {
    /// Only these sections or rows, as in S,X,B-001
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only rows with neither test nor reason
    #[arg(long)]
    uncovered: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Root of the project
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    /// The reasons are no TOML of `ID = "reason"`.
    #[error("conformance/reasons.toml: {0}")]
    Reasons(#[from] toml::de::Error),
    /// A test or a reason names a requirement that does not exist.
    #[error("there is no requirement {id}, which {place} names")]
    Unknown { id: String, place: String },
}

/// One row of the report.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'a str,
    level: Level,
    requirement: &'a str,
    covered_by: &'a BTreeSet<String>,
    reason: Option<&'a str>,
}

impl Row<'_> {
    /// A MUST without test and reason.
    fn is_open(&self) -> bool {
        self.level.is_binding() && self.covered_by.is_empty() && self.reason.is_none()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match report(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints the report. False: a MUST is open.
fn report(args: &Args) -> Result<bool, Error> {
    let list = args.root.join("../shared/spec/requirements.md");
    if !list.exists() {
        println!("SKIPPED: there is no {}", list.display());
        return Ok(true);
    }
    let requirements = requirement::parse(&read(&list)?);
    let coverage = coverage::scan(&args.root)?;
    let reasons: BTreeMap<String, String> =
        toml::from_str(&read(&args.root.join("conformance/reasons.toml"))?)?;
    check_names(&requirements, &coverage, &reasons)?;
    let nothing = BTreeSet::new();
    let rows: Vec<Row<'_>> = requirements
        .iter()
        .filter(|requirement| is_wanted(&args.only, &requirement.id))
        .map(|requirement| Row {
            id: &requirement.id,
            level: requirement.level,
            requirement: &requirement.text,
            covered_by: coverage.get(&requirement.id).unwrap_or(&nothing),
            reason: reasons.get(&requirement.id).map(String::as_str),
        })
        .filter(|row| !args.uncovered || row.covered_by.is_empty() && row.reason.is_none())
        .collect();
    if args.json {
        match serde_json::to_string(&rows) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("conformance: {error}"),
        }
    } else {
        rows.iter().for_each(print);
        summarise(&rows);
    }
    Ok(!rows.iter().any(Row::is_open))
}

fn print(row: &Row<'_>) {
    let mark = match (row.covered_by.is_empty(), row.reason) {
        (false, _) => "tested",
        (true, Some(_)) => "reason",
        (true, None) => "OPEN",
    };
    println!(
        "{:6} {:10} {mark:7}{}",
        row.id,
        row.level.name(),
        shorten(row.requirement)
    );
    for test in row.covered_by {
        println!("{:25}{test}", "");
    }
    if let Some(reason) = row.reason {
        println!("{:25}{reason}", "");
    }
}

fn summarise(rows: &[Row<'_>]) {
    let tested = rows.iter().filter(|row| !row.covered_by.is_empty()).count();
    let open = rows.iter().filter(|row| row.is_open()).count();
    println!(
        "\n{} requirements, {tested} with a test, {open} binding ones with neither test nor reason",
        rows.len()
    );
}

fn shorten(text: &str) -> String {
    const WIDTH: usize = 90;
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let cut: String = text.chars().take(WIDTH).collect();
    format!("{cut}...")
}

fn is_wanted(only: &[String], id: &str) -> bool {
    let section = id.split('-').next();
    only.is_empty()
        || only
            .iter()
            .any(|name| name == id || Some(name.as_str()) == section)
}

fn check_names(
    requirements: &[Requirement],
    coverage: &Coverage,
    reasons: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let known: BTreeSet<&str> = requirements.iter().map(|each| each.id.as_str()).collect();
    let tests = coverage
        .iter()
        .map(|(id, tests)| (id, tests.first().cloned().unwrap_or_default()));
    let reasons = reasons
        .keys()
        .map(|id| (id, "conformance/reasons.toml".to_owned()));
    for (id, place) in tests.chain(reasons) {
        if !known.contains(id.as_str()) {
            let id = id.clone();
            return Err(Error::Unknown { id, place });
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::Read {
        path: path.to_owned(),
        error,
    })
}
