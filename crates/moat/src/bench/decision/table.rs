//! A report for people.

use std::fmt;

use super::report::{Change, Decision, Lookup, Report};

/// Prints a report as tables.
pub(super) struct Table<'a>(pub(super) &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            setup,
            lookups: of_lookups,
            decisions: of_decisions,
            changes: of_changes,
        } = self.0;
        writeln!(
            f,
            "moat {}; {} s each, in the thread's own time",
            setup.version, setup.seconds
        )?;
        if !setup.optimised {
            writeln!(
                f,
                "built without optimisation: cargo run --release is what to compare"
            )?;
        }
        lookups(f, of_lookups)?;
        decisions(f, [&of_decisions.by_prefixes, &of_decisions.by_pvds])?;
        let of_changes = [
            &of_changes.by_prefixes,
            &of_changes.by_pvds,
            &of_changes.by_requests,
        ];
        changes(f, of_changes)
    }
}

fn lookups(f: &mut fmt::Formatter<'_>, rows: &[Lookup]) -> fmt::Result {
    writeln!(
        f,
        "\nLongest prefix around an address, in nanoseconds; ratios above 1 are in moat's favour\n\
         {:>9} {:>8} {:>9} {:>12} {:>15} {:>10}   {:>12} {:>6} {:>9}",
        "prefixes",
        "moat",
        "division",
        "prefix-trie",
        "tree by length",
        "scan",
        "/prefix-trie",
        "/tree",
        "/scan"
    )?;
    for row in rows {
        writeln!(
            f,
            "{:>9} {:>8.0} {:>9.0} {:>12.0} {:>15.0} {:>10.0}   {:>12.2} {:>6.1} {:>9.1}",
            row.prefixes,
            row.moat_nanoseconds,
            row.division_nanoseconds,
            row.prefix_trie_nanoseconds,
            row.tree_nanoseconds,
            row.scan_nanoseconds,
            row.ratio_to_prefix_trie,
            row.ratio_to_tree,
            row.ratio_to_scan,
        )?;
    }
    Ok(())
}

fn decisions(f: &mut fmt::Formatter<'_>, tables: [&Vec<Decision>; 2]) -> fmt::Result {
    writeln!(
        f,
        "\nDecision about an address, in microseconds\n{:>9} {:>5} {:>10} {:>12}",
        "prefixes", "PvDs", "assigned", "independent"
    )?;
    for row in tables.into_iter().flatten() {
        writeln!(
            f,
            "{:>9} {:>5} {:>10.1} {:>12.1}",
            row.prefixes,
            row.pvds,
            row.assigned_nanoseconds / 1e3,
            row.independent_nanoseconds / 1e3,
        )?;
    }
    Ok(())
}

fn changes(f: &mut fmt::Formatter<'_>, tables: [&Vec<Change>; 3]) -> fmt::Result {
    write!(
        f,
        "\nOne network gets another prefix, in microseconds\n{:>9} {:>5} {:>9} {:>12} {:>12}",
        "prefixes", "PvDs", "requests", "index", "client"
    )?;
    for row in tables.into_iter().flatten() {
        write!(
            f,
            "\n{:>9} {:>5} {:>9} {:>12.1} {:>12.1}",
            row.prefixes,
            row.pvds,
            row.requests,
            row.index_nanoseconds / 1e3,
            row.client_nanoseconds / 1e3,
        )?;
    }
    Ok(())
}
