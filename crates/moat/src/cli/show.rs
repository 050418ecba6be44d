//! Tables for eyes, JSON for programs.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use super::EXIT_FAILED;
use crate::control::{
    AskedView, Dropped, Failure, MitigationView, NotAskedView, RequestView, SelectionView,
    ServerSessionView, SessionView, UnprotectedView,
};
use crate::lab;

/// Targets that a table shows of a request that names more.
const SHOWN_TARGETS: usize = 2;
/// So much may two lifetimes differ that were rounded on the way.
const ROUNDED_SECONDS: u64 = 2;

/// Prints a line. Whoever reads only the first ones, as `head` does, ends the program in silence.
pub(super) fn line(text: std::fmt::Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("moat: {error}");
        std::process::exit(EXIT_FAILED.into());
    }
}

/// Prints one JSON value on a line.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => say!("{text}"),
        Err(error) => eprintln!("moat: the answer is no JSON: {error}"),
    }
}

/// Says why a command came to nothing: to people on stderr, to a program on stdout.
pub(super) fn failure(failure: &Failure, as_json: bool) {
    if as_json {
        json(&json!({ "error": failure }));
    } else {
        eprintln!("moat: {}", failure.reason);
        failure.selection.iter().for_each(selection);
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
            .iter()
            .map(|scenario| json!({ "scenario": scenario.name, "summary": scenario.summary }))
            .collect();
        json(&list);
    } else {
        let rows: Vec<_> = scenarios
            .iter()
            .map(|scenario| [scenario.name.to_owned(), scenario.summary.to_owned()])
            .collect();
        table(["SCENARIO", "WHAT HAPPENS"], &rows);
    }
    ExitCode::SUCCESS
}

/// One request, and who else was considered.
pub(super) fn request(view: &RequestView) {
    say!("request {}", view.request);
    asked(&view.requests);
    not_asked(&view.not_asked);
    unprotected(&view.unprotected);
}

/// A request that was made, and what it took the place of.
pub(super) fn mitigated(view: &RequestView) {
    request(view);
    for older in &view.replaces {
        let scope = scope(&older.targets, &older.ports, &older.protocols);
        say!("replaces request {} ({scope})", older.request);
    }
}

/// Who is told how an attack goes.
pub(super) fn told(view: &RequestView) {
    let mitigating = |asked: &&AskedView| asked.accepted == Some(true);
    let servers: Vec<&str> = view
        .requests
        .iter()
        .filter(mitigating)
        .map(|asked| asked.server.as_str())
        .collect();
    say!("request {}: told {}", view.request, servers.join(", "));
}

pub(super) fn requests(views: &[RequestView]) {
    if views.is_empty() {
        say!("no requests");
    }
    let rows: Vec<_> = views
        .iter()
        .flat_map(|view| view.requests.iter().map(|asked| (view.request, asked)))
        .map(|(request, asked)| {
            [
                request.to_string(),
                asked.pvd.clone(),
                server(asked),
                asked.mid.map(|mid| mid.to_string()).unwrap_or_default(),
                scope(&asked.targets, &asked.ports, &asked.protocols),
                asked.status.clone().unwrap_or_default(),
                left(asked),
                dropped(&asked.dropped),
                note(asked, refusal(asked)),
            ]
        })
        .collect();
    let headline = [
        "REQUEST", "PVD", "SERVER", "MID", "TARGETS", "STATUS", "LEFT", "DROPPED", "NOTE",
    ];
    table(headline, &rows);
}

pub(super) fn mitigations(views: &[MitigationView]) {
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
pub(super) fn selection(view: &SelectionView) {
    asked(&view.asked);
    not_asked(&view.not_asked);
    unprotected(&view.unprotected);
}

fn asked(views: &[AskedView]) {
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            [
                view.pvd.clone(),
                server(view),
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

/// A row for each session, and for each server without one.
pub(super) fn client_sessions(views: &[SessionView]) {
    let seconds = |seconds: Option<u64>| seconds.map(|seconds| format!("{seconds} s"));
    let mut rows = Vec::new();
    for view in views {
        let redirected = view.redirected_to.iter();
        let redirected = redirected.map(|to| format!("redirected to {to}"));
        let why = |reason: &Option<String>| {
            let reasons = reason.iter().cloned().chain(redirected.clone());
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
                why(&connection.reason),
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
                why(&view.reason),
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

pub(super) fn server_sessions(views: &[ServerSessionView]) {
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
            ]
        })
        .collect();
    table(["SESSION", "CUSTOMER"], &rows);
}

/// What was counted, without what never happened.
pub(super) fn counters<'a>(counters: impl Iterator<Item = (&'a String, &'a Value)>) {
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
        "accepted" => "mitigations accepted",
        "refreshed" => "mitigations prolonged",
        "withdrawn" => "mitigations withdrawn",
        "ignored" => "efficacy updates for nothing known",
        "refused" => "requests answered",
        "commits" => "writes to disk",
        "changes_committed" => "changes written to disk",
        other => return other.replace('_', " "),
    };
    label.to_owned()
}

fn because(reason: &str, section: Option<&str>) -> String {
    section.map_or_else(
        || reason.to_owned(),
        |section| format!("{reason} ({section})"),
    )
}

/// What is protected, as it was said on the command line.
fn scope(targets: &[String], ports: &[String], protocols: &[String]) -> String {
    let (shown, more) = targets
        .split_at_checked(SHOWN_TARGETS)
        .unwrap_or((targets, &[]));
    let mut text = shown.join(" ");
    if !more.is_empty() {
        text.push_str(&format!(" and {} more", more.len()));
    }
    for (word, values) in [(" port ", ports), (" ", protocols)] {
        if !values.is_empty() {
            text.push_str(word);
            text.push_str(&values.join(","));
        }
    }
    text
}

/// How long a request is still wanted, at a server that has not ended it.
fn left(view: &AskedView) -> String {
    match view.wanted {
        Some(seconds) => format!("{seconds} s"),
        None if view.accepted == Some(true) => "indefinite".to_owned(),
        None => String::new(),
    }
}

/// Who was asked, and where a request goes after a redirect.
fn server(view: &AskedView) -> String {
    let to = view.redirected_to.iter();
    let to: String = to.map(|to| format!(" -> {to}")).collect();
    format!("{}{to}", view.server)
}

/// What a server that refused had to say.
fn refusal(view: &AskedView) -> Option<String> {
    (view.status.as_deref() == Some("refused")).then(|| view.reason.clone())
}

/// For how long a server grants a request at a time, where that is less than it is wanted.
fn granted(view: &AskedView) -> Option<String> {
    let seconds = view.lifetime.filter(|_| view.accepted == Some(true))?;
    let is_less = view
        .wanted
        .is_none_or(|wanted| seconds + ROUNDED_SECONDS < wanted);
    is_less.then(|| format!("granted for {seconds} s, and prolonged in time"))
}

/// What a person should know besides the status.
fn note(view: &AskedView, refusal: Option<String>) -> String {
    let is_over = ["withdrawing", "withdrawn", "expired"];
    let is_over = is_over.map(Some).contains(&view.status.as_deref());
    let preconfigured =
        (view.preconfigured && !is_over).then(|| "starts when the session is lost".to_owned());
    let notes = [
        refusal,
        preconfigured,
        granted(view),
        view.waiting.clone(),
        view.conflict.clone(),
    ];
    notes.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What was dropped: packets, bytes, and how many packets a second.
fn dropped(dropped: &Dropped) -> String {
    let parts = [
        dropped
            .packets_dropped
            .map(|packets| format!("{packets} packets")),
        dropped.bytes_dropped.map(bytes),
        dropped
            .packets_dropped_per_second
            .map(|rate| format!("{rate} packets/s")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Bytes in a unit that leaves few digits.
fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    let unit = UNITS.iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(size, name)| format!("{}.{} {name}", bytes / size, bytes % size / (size / 10)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_one_digit_behind_the_point() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_250_000, "1.2 MB"),
            (999_999_999, "999.9 MB"),
            (u64::MAX, "18446744.0 TB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    /// A request as a client shows it.
    fn asked(changes: &Value) -> AskedView {
        let mut value = json!({
            "pvd": "fixed.example", "server": "dots.fixed.example", "mid": 1,
            "targets": ["203.0.113.7/32"], "reason": "it assigned it",
        });
        for (key, change) in changes.as_object().unwrap() {
            value[key] = change.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_note_says_what_the_status_does_not() {
        let refused = "the server refused: 4.09 overlaps";
        let cases = [
            (
                json!({"status": "refused", "accepted": false, "reason": refused}),
                refused,
            ),
            (
                json!({"preconfigured": true, "status": "asking"}),
                "starts when the session is lost",
            ),
            (json!({"preconfigured": true, "status": "withdrawn"}), ""),
            (
                json!({"accepted": true, "lifetime": 3600, "wanted": 3600}),
                "",
            ),
            (json!({"accepted": true}), ""),
            (
                json!({"accepted": true, "lifetime": 86400}),
                "granted for 86400 s, and prolonged in time",
            ),
        ];
        for (changes, wanted) in cases {
            let view = asked(&changes);
            assert_eq!(note(&view, refusal(&view)), wanted);
        }
    }

    #[test]
    fn a_redirected_request_shows_where_it_goes() {
        assert_eq!(server(&asked(&json!({}))), "dots.fixed.example");
        assert_eq!(
            server(&asked(&json!({"redirected_to": "dots.two.example"}))),
            "dots.fixed.example -> dots.two.example"
        );
    }

    #[test]
    fn of_many_targets_two_are_shown() {
        let targets: Vec<String> = (0..37).map(|host| format!("203.0.113.{host}/32")).collect();
        let udp = ["udp".to_owned()];
        assert_eq!(
            scope(&targets, &[], &udp),
            "203.0.113.0/32 203.0.113.1/32 and 35 more udp"
        );
        assert_eq!(
            scope(&targets[..2], &[], &[]),
            "203.0.113.0/32 203.0.113.1/32"
        );
    }
}
