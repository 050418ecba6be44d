//! Sessions, and what a server has counted.

use serde_json::{Value, json};

use super::table;
use crate::control::{ServerSessionView, SessionView};
use crate::terminal::say;

/// A row for each session, and for each server without one.
pub(in crate::cli) fn client_sessions(views: &[SessionView]) {
    let seconds = |seconds: Option<u64>| seconds.map(|seconds| format!("{seconds} s"));
    let mut rows = Vec::new();
    for view in views {
        let redirected = view.redirected_to.iter();
        let redirected = redirected.map(|to| format!("redirected to {to}"));
        let why = |reason: &Option<String>, unanswered: u32| {
            let missing =
                (unanswered > 0).then(|| format!("heartbeats without an answer: {unanswered}"));
            let reasons = reason.iter().cloned().chain(missing);
            let reasons = reasons.chain(redirected.clone());
            reasons.collect::<Vec<_>>().join("; ")
        };
        for connection in &view.connections {
            let state = match connection.established {
                Some(_) => "established",
                None => "connecting",
            };
            let round_trip = connection.round_trip_ms.map(|ms| format!("{ms} ms"));
            rows.push([
                view.pvd.clone(),
                connection.server.clone(),
                state.to_owned(),
                connection.transport.clone(),
                connection.source.clone().unwrap_or_default(),
                connection.remote.clone(),
                seconds(connection.established).unwrap_or_default(),
                round_trip.unwrap_or_default(),
                String::new(),
                why(&connection.reason, connection.unanswered_heartbeats),
            ]);
        }
        if view.connections.is_empty() {
            let [transport, source, remote, since, round_trip] = [const { String::new() }; 5];
            let retry = seconds(view.retry).map(|retry| format!("in {retry}"));
            rows.push([
                view.pvd.clone(),
                view.server.clone(),
                view.state.clone(),
                transport,
                source,
                remote,
                since,
                round_trip,
                retry.unwrap_or_default(),
                why(&view.reason, 0),
            ]);
        }
    }
    let headline = [
        "PVD",
        "SERVER",
        "STATE",
        "OVER",
        "FROM",
        "ADDRESS",
        "SINCE",
        "ROUND TRIP",
        "TRIED AGAIN",
        "REASON",
    ];
    table(headline, &rows);
}

pub(in crate::cli) fn server_sessions(views: &[ServerSessionView]) {
    if views.is_empty() {
        say!("no sessions");
    }
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            let customer = view.customer.clone();
            [
                view.session.to_string(),
                customer.unwrap_or_else(|| "(nobody's)".to_owned()),
                view.transport.clone().unwrap_or_default(),
                view.remote.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table(["SESSION", "CUSTOMER", "OVER", "ADDRESS"], &rows);
}

/// What was counted, without what never happened.
pub(in crate::cli) fn counters<'a>(counters: impl Iterator<Item = (&'a String, &'a Value)>) {
    let mut rows = Vec::new();
    for (name, value) in counters {
        let label = label(name);
        match value.as_object() {
            Some(kinds) => rows.extend(
                kinds
                    .iter()
                    .map(|(kind, count)| [format!("{label} with {kind}"), count.to_string()]),
            ),
            None if *value == json!(0) => {}
            None => rows.push([label, value.to_string()]),
        }
    }
    table(["COUNTED", "SINCE THE START"], &rows);
}

/// What a counter counts. One that a newer server has goes by its name.
fn label(counter: &str) -> String {
    let label = match counter {
        "stray_datagrams" => "datagrams without a session",
        "cookies_sent" => "ClientHellos answered with a cookie",
        "wrong_cookies" => "ClientHellos with a wrong or old cookie",
        "handshakes_begun" => "handshakes begun",
        "sessions_refused" => "sessions refused at a limit",
        "sessions_established" => "sessions established",
        "sessions_failed" => "sessions ended by a fault",
        "requests_dropped" => "requests dropped while busy",
        "malformed_messages" => "messages that were no CoAP",
        "unsendable_answers" => "answers too large for their peers",
        "accepted" => "mitigations accepted",
        "refreshed" => "mitigations prolonged",
        "told_under_attack" => "efficacy updates: the attack goes on",
        "told_mitigated" => "efficacy updates: the attack is mitigated",
        "withdrawn" => "mitigations withdrawn",
        "ignored" => "efficacy updates for nothing known",
        "refused" => "requests answered",
        "commits" => "writes to disk",
        "changes_committed" => "changes written to disk",
        other => return other.replace('_', " "),
    };
    label.to_owned()
}
