//! A report as a drawing.

use super::USUAL;
use super::inputs::Size;
use super::report::{Change, Decision, Lookup, Report};
use super::svg::{Curve, Drawing, Panel};

pub(super) fn draw(report: &Report) -> Drawing {
    let Report {
        lookups,
        decisions,
        changes,
        ..
    } = report;
    let Size {
        pvds,
        prefixes,
        requests,
    } = USUAL;
    let build = match report.setup.optimised {
        true => "",
        false => ", built without optimisation",
    };
    Drawing {
        title: format!(
            "moat {}{build}: what it costs to decide, and that networks change",
            report.setup.version
        ),
        rows: vec![
            vec![
                Panel {
                    title: "Longest prefix around an address".to_owned(),
                    axis: "prefixes",
                    curves: of_lookups(lookups),
                },
                Panel {
                    title: format!("Decision ({pvds} PvDs)"),
                    axis: "prefixes",
                    curves: of_decisions(&decisions.by_prefixes, |it| it.prefixes),
                },
                Panel {
                    title: format!("Decision ({prefixes} prefixes)"),
                    axis: "PvDs",
                    curves: of_decisions(&decisions.by_pvds, |it| it.pvds),
                },
            ],
            vec![
                Panel {
                    title: format!("Change ({pvds} PvDs, {requests} requests)"),
                    axis: "prefixes",
                    curves: of_changes(&changes.by_prefixes, |it| it.prefixes),
                },
                Panel {
                    title: format!("Change ({prefixes} prefixes, {requests} requests)"),
                    axis: "PvDs",
                    curves: of_changes(&changes.by_pvds, |it| it.pvds),
                },
                Panel {
                    title: format!("Change ({pvds} PvDs, {prefixes} prefixes)"),
                    axis: "standing requests",
                    curves: of_changes(&changes.by_requests, |it| it.requests),
                },
            ],
        ],
    }
}

fn of_lookups(lookups: &[Lookup]) -> Vec<Curve> {
    type Value = fn(&Lookup) -> f64;
    let curves: [(&'static str, Value); 5] = [
        ("moat", |it| it.moat_nanoseconds),
        ("prefix-trie", |it| it.prefix_trie_nanoseconds),
        ("moat, division", |it| it.division_nanoseconds),
        ("tree, by length", |it| it.tree_nanoseconds),
        ("scan", |it| it.scan_nanoseconds),
    ];
    let curves = curves.map(|(name, value)| curve(name, lookups, |it| it.prefixes, value));
    curves.into()
}

fn of_decisions(decisions: &[Decision], size: fn(&Decision) -> usize) -> Vec<Curve> {
    vec![
        curve("assigned", decisions, size, |it| it.assigned_nanoseconds),
        curve("independent", decisions, size, |it| {
            it.independent_nanoseconds
        }),
    ]
}

fn of_changes(changes: &[Change], size: fn(&Change) -> usize) -> Vec<Curve> {
    vec![
        curve("client", changes, size, |it| it.client_nanoseconds),
        curve("index alone", changes, size, |it| it.index_nanoseconds),
    ]
}

fn curve<T>(
    name: &'static str,
    rows: &[T],
    size: impl Fn(&T) -> usize,
    value: impl Fn(&T) -> f64,
) -> Curve {
    let point = |row| {
        (
            f64::from(u32::try_from(size(row)).unwrap_or(u32::MAX)),
            value(row),
        )
    };
    let points = rows.iter().map(point).collect();
    Curve { name, points }
}
