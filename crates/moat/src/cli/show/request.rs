//! Requests, and the decisions behind them.

use super::cell::{because, dropped, left, note, refusal, scope, server};
use super::table;
use crate::control::{
    AskedView, MitigationView, NotAskedView, NotStoredView, RequestView, SelectionView,
    UnprotectedView,
};
use crate::terminal::say;

/// One request, and who else was considered.
pub(in crate::cli) fn request(view: &RequestView) {
    say!("request {}", view.request);
    remark(view.note.as_deref());
    asked(&view.requests);
    not_asked(&view.not_asked);
    unprotected(&view.unprotected);
}

/// A request that was made, and what it took the place of.
pub(in crate::cli) fn mitigated(view: &RequestView) {
    request(view);
    for older in &view.replaces {
        let scope = scope(&older.targets, &older.ports, &older.protocols);
        say!("replaces request {} ({scope})", older.request);
    }
}

/// Who is told how an attack goes.
pub(in crate::cli) fn told(view: &RequestView) {
    let mitigating = |asked: &&AskedView| asked.accepted == Some(true);
    let servers: Vec<&str> = view
        .requests
        .iter()
        .filter(mitigating)
        .map(|asked| asked.server.as_str())
        .collect();
    say!("request {}: told {}", view.request, servers.join(", "));
}

pub(in crate::cli) fn requests(views: &[RequestView]) {
    if views.is_empty() {
        say!("no requests");
    }
    let rows: Vec<_> = views
        .iter()
        .flat_map(|view| view.requests.iter().map(move |asked| (view, asked)))
        .map(|(view, asked)| {
            [
                view.request.to_string(),
                asked.pvd.clone(),
                server(asked),
                asked.mid.map(|mid| mid.to_string()).unwrap_or_default(),
                scope(&asked.targets, &asked.ports, &asked.protocols),
                asked.status.clone().unwrap_or_default(),
                left(asked),
                dropped(&asked.dropped),
                view.relayed_for.join(", "),
                note(asked, refusal(asked)),
            ]
        })
        .collect();
    let headline = [
        "REQUEST", "PVD", "SERVER", "MID", "TARGETS", "STATUS", "LEFT", "DROPPED", "FOR", "NOTE",
    ];
    table(headline, &rows);
}

/// What a restart of the client would not know.
pub(in crate::cli) fn not_stored(trouble: &NotStoredView) {
    let NotStoredView {
        reason, seconds, ..
    } = trouble;
    say!("not stored for {seconds} s, so that a restart would not know it all: {reason}");
}

pub(in crate::cli) fn mitigations(views: &[MitigationView]) {
    if views.is_empty() {
        say!("no mitigations");
    }
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            [
                view.customer.clone(),
                view.cuid.clone(),
                view.mid.to_string(),
                scope(&view.targets, &view.ports, &view.protocols),
                view.status.clone(),
                view.lifetime
                    .map_or("indefinite".to_owned(), |left| format!("{left} s")),
                dropped(&view.dropped),
            ]
        })
        .collect();
    let headline = [
        "CUSTOMER", "CUID", "MID", "TARGETS", "STATUS", "LEFT", "DROPPED",
    ];
    table(headline, &rows);
}

/// A decision that was not acted upon.
pub(in crate::cli) fn selection(view: &SelectionView) {
    remark(view.note.as_deref());
    asked(&view.asked);
    not_asked(&view.not_asked);
    unprotected(&view.unprotected);
}

fn remark(note: Option<&str>) {
    if let Some(note) = note {
        say!("note: {note}");
    }
}

fn asked(views: &[AskedView]) {
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            [
                view.pvd.clone(),
                server(view),
                view.learned.clone().unwrap_or_default(),
                scope(&view.targets, &view.ports, &view.protocols),
                view.status.clone().unwrap_or_default(),
                left(view),
                note(view, None),
                because(&view.reason, view.section.as_deref()),
            ]
        })
        .collect();
    let headline = [
        "ASKED IN PVD",
        "SERVER",
        "LEARNED BY",
        "TO PROTECT",
        "STATUS",
        "LEFT",
        "NOTE",
        "BECAUSE",
    ];
    table(headline, &rows);
}

fn not_asked(views: &[NotAskedView]) {
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            [
                view.pvd.clone(),
                view.server.clone().unwrap_or_default(),
                because(&view.reason, Some(&view.section)),
            ]
        })
        .collect();
    table(["NOT ASKED IN PVD", "SERVER", "BECAUSE"], &rows);
}

fn unprotected(views: &[UnprotectedView]) {
    let rows: Vec<_> = views
        .iter()
        .map(|view| [view.target.clone(), view.reason.clone()])
        .collect();
    table(["NOT PROTECTED", "BECAUSE"], &rows);
}
