//! What a run found, as JSON and as a table.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::lab::report::{on_one_line, verdict};

/// The result of a run. Field names are the JSON's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Name of the scenario.
    pub(crate) scenario: &'static str,
    /// Whether every check held.
    pub(crate) ok: bool,
    /// In the order in which they were made.
    pub(crate) checks: Vec<Check>,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    /// What it is.
    pub(crate) what: String,
    /// Whether it is as it must be.
    pub(crate) ok: bool,
    /// How it must be.
    pub(crate) expected: Value,
    /// How it is.
    pub(crate) seen: Value,
}

impl Report {
    /// One line.
    pub(crate) fn to_json(&self) -> String {
        on_one_line(self)
    }
}

/// A report for a person.
pub(crate) struct Table<'a>(pub(crate) &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "\nScenario {}\n", report.scenario)?;
        for Check {
            what,
            ok,
            expected,
            seen,
        } in &report.checks
        {
            if *ok {
                writeln!(f, "ok      {what}: {seen}")?;
            } else {
                writeln!(f, "FAILED  {what}: {seen}, and not {expected}")?;
            }
        }
        write!(f, "\n{}", verdict(report.ok))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_as_it_must_be_is_told_beside_that() {
        let report = Report {
            scenario: "pvd-two-uplinks",
            ok: false,
            checks: vec![Check {
                what: "resolvers".to_owned(),
                ok: false,
                expected: json!(["2001:db8:b::53"]),
                seen: json!([]),
            }],
        };
        let table = Table(&report).to_string();
        let line = "FAILED  resolvers: [], and not [\"2001:db8:b::53\"]";
        assert!(table.contains(line), "{table}");
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["checks"][0]["what"], "resolvers");
        assert_eq!(json["ok"], false);
    }
}
