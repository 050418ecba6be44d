//! What stands in the cells of a table.

use dots::mitigation::Status;

use crate::control::{AskedView, Dropped};

/// Targets that a table shows of a request that names more.
const SHOWN_TARGETS: usize = 2;
/// So much may two lifetimes differ that were rounded on the way.
const ROUNDED_SECONDS: u64 = 2;

pub(super) fn because(reason: &str, section: Option<&str>) -> String {
    section.map_or_else(
        || reason.to_owned(),
        |section| format!("{reason} ({section})"),
    )
}

/// What is protected, as it was said on the command line.
pub(super) fn scope(targets: &[String], ports: &[String], protocols: &[String]) -> String {
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
pub(super) fn left(view: &AskedView) -> String {
    match view.wanted {
        Some(seconds) => format!("{seconds} s"),
        None if view.accepted == Some(true) => "indefinite".to_owned(),
        None => String::new(),
    }
}

/// Who was asked, and where a request goes after a redirect.
pub(super) fn server(view: &AskedView) -> String {
    let to = view.redirected_to.iter();
    let to: String = to.map(|to| format!(" -> {to}")).collect();
    format!("{}{to}", view.server)
}

/// What a server that refused had to say.
pub(super) fn refusal(view: &AskedView) -> Option<String> {
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

/// Whether what is preconfigured has neither started nor ended.
fn waits(view: &AskedView) -> bool {
    let parked = Status::AttackMitigationSignalLoss.to_string();
    let status = view.status.as_deref();
    status.is_none_or(|status| status == parked || status == "asking")
}

/// What a person should know besides the status.
pub(super) fn note(view: &AskedView, refusal: Option<String>) -> String {
    let preconfigured =
        (view.preconfigured && waits(view)).then(|| "starts when the session is lost".to_owned());
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
pub(super) fn dropped(dropped: &Dropped) -> String {
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
    use serde_json::{Value, json};

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
                json!({"preconfigured": true, "accepted": true, "wanted": 60,
                       "status": Status::AttackMitigationSignalLoss.to_string()}),
                "starts when the session is lost",
            ),
            (
                json!({"preconfigured": true, "accepted": true, "wanted": 60,
                       "status": Status::AttackSuccessfullyMitigated.to_string()}),
                "",
            ),
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
