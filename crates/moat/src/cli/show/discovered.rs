//! What discovery found.

use super::table;
use crate::discovery::{FamilyReport, Report};
use crate::terminal::say;

/// A row for each place where a server may be.
pub(in crate::cli) fn discovered(report: &Report) {
    let rows: Vec<_> = report.families.iter().flat_map(rows).collect();
    table(["FAMILY", "SERVER", "AT", "LEARNED BY", "ASK AGAIN"], &rows);
    for family in &report.families {
        for name in &family.refused {
            say!("{}: {name} was named and is not trusted", family.family);
        }
        if family.how.is_none() {
            say!("{}: no DOTS server on {}", family.family, report.interface);
        }
    }
}

fn rows(family: &FamilyReport) -> Vec<[String; 5]> {
    let again = match family.expires_in {
        Some(seconds) => format!("in {seconds} s"),
        None => "when the network changes".to_owned(),
    };
    let mut rows = Vec::new();
    for server in &family.servers {
        for endpoint in &server.endpoints {
            rows.push([
                family.family.to_owned(),
                server.name.clone(),
                endpoint.clone(),
                family.how.clone().unwrap_or_default(),
                again.clone(),
            ]);
        }
    }
    rows
}
