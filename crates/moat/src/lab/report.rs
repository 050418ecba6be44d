//! What a run found, as JSON and as a table.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of a run. Field names are the JSON's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Name of the scenario.
    pub(crate) scenario: &'static str,
    /// Whether every check held.
    pub(crate) ok: bool,
    /// From the call of `moat mitigate` to the first attack packet that was dropped for good, in milliseconds.
    pub(crate) alarm_to_drop_ms: Option<f64>,
    /// The same until every flow of the attack was dropped.
    pub(crate) alarm_to_clear_ms: Option<f64>,
    /// Who was asked.
    pub(crate) requests: Vec<Request>,
    /// Who was not.
    pub(crate) not_asked: Vec<NotAsked>,
    /// One entry for each attachment.
    pub(crate) edges: Vec<Edge>,
    /// One entry for each attachment.
    pub(crate) signalling: Vec<Signalling>,
    /// One entry for each attachment.
    pub(crate) captures: Vec<Capture>,
    /// One entry for each DOTS server of a provider.
    pub(crate) servers: Vec<Server>,
    /// One entry for each DOTS gateway, with what it is to the inside.
    pub(crate) gateways: Vec<Server>,
    /// What happened besides the attack.
    pub(crate) events: Vec<String>,
    /// The checks that failed, in words.
    pub(crate) failures: Vec<String>,
}

/// A mitigation request to one server, as `moat mitigate` tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Who asked.
    #[serde(default)]
    pub(crate) client: String,
    pub(crate) pvd: String,
    pub(crate) server: String,
    pub(crate) mid: u32,
    pub(crate) targets: Vec<String>,
    pub(crate) status: String,
    pub(crate) reason: String,
    /// Whether the server said yes.
    #[serde(default)]
    pub(crate) accepted: bool,
}

/// A PvD whose server was not asked, as `moat mitigate` tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotAsked {
    /// Who did not ask.
    #[serde(default)]
    pub(crate) client: String,
    pub(crate) pvd: String,
    pub(crate) reason: String,
}

/// What was measured at a provider's edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Edge {
    pub(crate) pvd: &'static str,
    /// Attack packets per second towards the customer before help was asked for.
    pub(crate) attack_pps_before: f64,
    /// The same while the filter was in force.
    pub(crate) attack_pps_after: f64,
    /// Attack packets per second that reached the edge while the filter was in force.
    pub(crate) attack_pps_offered_after: f64,
    /// Requests of the visitor without response before the attack, in percent.
    pub(crate) legit_loss_percent_before: f64,
    /// The same while the filter was in force.
    pub(crate) legit_loss_percent_after: f64,
    /// Legitimate packets per second, both directions, before the attack.
    pub(crate) legit_pps_before: f64,
    /// The same while the filter was in force.
    pub(crate) legit_pps_after: f64,
    /// Attack packets per second towards the customer after the withdrawal.
    pub(crate) attack_pps_withdrawn: f64,
    /// Packets from the customer that the ingress filter dropped in the whole run.
    pub(crate) wrong_source_packets: u64,
}

/// Signal channel packets towards the DOTS server that a provider's edge saw in the whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Signalling {
    pub(crate) pvd: &'static str,
    /// From this provider's address, over its link, to its server.
    pub(crate) right_source: u64,
    /// All others.
    pub(crate) wrong_source: u64,
}

/// What was captured at a provider's edge of all that came from the customer in the whole run, without the attack and visits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Capture {
    pub(crate) pvd: &'static str,
    pub(crate) packets: u64,
    /// Packets that could not be kept.
    pub(crate) lost: u64,
    /// Names that name servers were asked for.
    pub(crate) questions: Vec<String>,
    /// In how many packets they were asked for.
    pub(crate) question_packets: u64,
    /// How many such packets the packet filter of the edge counted.
    pub(crate) question_packets_counted: u64,
    /// Packets with the name by which clients are customers of this provider.
    pub(crate) own_identity_packets: u64,
    /// What was there of other providers: names, identities, public keys, client identifiers.
    pub(crate) of_others: Vec<String>,
}

/// What a provider's DOTS server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Server {
    pub(crate) server: &'static str,
    /// The targets of each mitigation that it had while the filter was in force.
    pub(crate) mitigations: Vec<Vec<String>>,
    /// The same after the withdrawal.
    pub(crate) mitigations_left: Vec<Vec<String>>,
    /// The customers whose these are.
    pub(crate) mitigated_for: Vec<String>,
    /// The client identifiers (cuid) under which these were asked for.
    pub(crate) cuids: Vec<String>,
    /// The customers who had sessions.
    pub(crate) customers: Vec<String>,
    /// Sessions that came up in the whole run.
    pub(crate) sessions_established: u64,
    /// Sessions that did not come up, as those with credentials of another provider.
    pub(crate) sessions_failed: u64,
    /// Requests for a new mitigation that it accepted since shortly before the alarm.
    pub(crate) accepted: u64,
    /// Requests that it refused.
    pub(crate) refused: u64,
    /// What the name server of its network was asked for.
    pub(crate) names_asked: Vec<String>,
}

impl Report {
    /// One line.
    pub(crate) fn to_json(&self) -> String {
        on_one_line(self)
    }
}

/// A report for a program.
pub(super) fn on_one_line(report: &impl Serialize) -> String {
    // Serializing plain structs cannot fail; an empty line would be noticed by every reader.
    serde_json::to_string(report).unwrap_or_default()
}

/// How a scenario ended, for a person.
pub(super) fn verdict(ok: bool) -> &'static str {
    match ok {
        true => "OK: all checks held.",
        false => "The scenario FAILED.",
    }
}

/// A report for a person.
pub(crate) struct Table<'a>(pub(crate) &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "\nScenario {}\n", report.scenario)?;
        for Request {
            client,
            pvd,
            server,
            mid,
            targets,
            status,
            reason,
            ..
        } in &report.requests
        {
            writeln!(
                f,
                "Asked      {pvd}: {server}, request {mid} of {client}, for {}",
                targets.join(" and ")
            )?;
            writeln!(f, "           {status}; {reason}")?;
        }
        for NotAsked {
            client,
            pvd,
            reason,
        } in &report.not_asked
        {
            writeln!(f, "Not asked  {pvd} by {client}: {reason}")?;
        }
        let pvd_width = report
            .edges
            .iter()
            .map(|edge| edge.pvd.len())
            .max()
            .unwrap_or_default()
            .max("Edge".len());
        writeln!(f)?;
        writeln!(
            f,
            "{:pvd_width$}  {:>31}  {:>22}  {:>17}",
            "", "attack packets/s to customer", "legitimate loss", "signalling from"
        )?;
        writeln!(
            f,
            "{:pvd_width$}  {:>9} {:>9} {:>11}  {:>11} {:>10}  {:>8} {:>8}",
            "Edge", "before", "filtered", "withdrawn", "before", "filtered", "its side", "others"
        )?;
        for (edge, signalling) in report.edges.iter().zip(&report.signalling) {
            writeln!(
                f,
                "{:pvd_width$}  {:>9.0} {:>9.0} {:>11.0}  {:>9.2} % {:>8.2} %  {:>8} {:>8}",
                edge.pvd,
                edge.attack_pps_before,
                edge.attack_pps_after,
                edge.attack_pps_withdrawn,
                edge.legit_loss_percent_before,
                edge.legit_loss_percent_after,
                signalling.right_source,
                signalling.wrong_source,
            )?;
        }
        writeln!(f)?;
        if let (Some(first), Some(last)) = (report.alarm_to_drop_ms, report.alarm_to_clear_ms) {
            writeln!(
                f,
                "From the alarm to the first dropped packet {first:.1} ms, to the last flow dropped {last:.1} ms.\n"
            )?;
        }
        for event in &report.events {
            writeln!(f, "{event}")?;
        }
        for failure in &report.failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        f.write_str(verdict(report.ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            scenario: "residential",
            ok: false,
            alarm_to_drop_ms: Some(19.5),
            alarm_to_clear_ms: Some(23.0),
            requests: vec![Request {
                client: "home".to_owned(),
                pvd: "fixed.example".to_owned(),
                server: "dots.fixed.example".to_owned(),
                mid: 7,
                targets: vec!["203.0.113.7/32".to_owned()],
                status: "accepted".to_owned(),
                reason: "owns the target".to_owned(),
                accepted: true,
            }],
            not_asked: vec![NotAsked {
                client: "home".to_owned(),
                pvd: "mobile.example".to_owned(),
                reason: "owns no target".to_owned(),
            }],
            edges: vec![Edge {
                pvd: "fixed.example",
                attack_pps_before: 20_000.0,
                attack_pps_after: 3.0,
                attack_pps_offered_after: 20_000.0,
                legit_loss_percent_before: 0.0,
                legit_loss_percent_after: 0.5,
                legit_pps_before: 200.0,
                legit_pps_after: 199.0,
                attack_pps_withdrawn: 19_000.0,
                wrong_source_packets: 0,
            }],
            signalling: vec![Signalling {
                pvd: "fixed.example",
                right_source: 12,
                wrong_source: 0,
            }],
            captures: vec![Capture {
                pvd: "fixed.example",
                packets: 40,
                lost: 0,
                questions: Vec::new(),
                question_packets: 0,
                question_packets_counted: 0,
                own_identity_packets: 1,
                of_others: Vec::new(),
            }],
            servers: vec![Server {
                server: "dots.fixed.example",
                mitigations: vec![vec!["203.0.113.7/32".to_owned()]],
                mitigations_left: Vec::new(),
                mitigated_for: vec!["customer.fixed.example".to_owned()],
                cuids: vec!["dz6pHjaADkaFTbjr0JGBpw".to_owned()],
                customers: vec!["customer.fixed.example".to_owned()],
                sessions_established: 1,
                sessions_failed: 0,
                accepted: 1,
                refused: 0,
                names_asked: Vec::new(),
            }],
            gateways: Vec::new(),
            events: vec!["a link went down".to_owned()],
            failures: vec!["something".to_owned()],
        }
    }

    #[test]
    fn the_json_has_the_documented_fields() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        for pointer in [
            "/scenario",
            "/ok",
            "/alarm_to_drop_ms",
            "/requests/0/client",
            "/requests/0/pvd",
            "/requests/0/server",
            "/requests/0/mid",
            "/requests/0/targets/0",
            "/requests/0/status",
            "/requests/0/reason",
            "/not_asked/0/pvd",
            "/not_asked/0/reason",
            "/servers/0/mitigations/0/0",
            "/servers/0/cuids/0",
            "/captures/0/pvd",
            "/captures/0/questions",
            "/captures/0/own_identity_packets",
            "/captures/0/of_others",
            "/edges/0/pvd",
            "/edges/0/attack_pps_before",
            "/edges/0/attack_pps_after",
            "/edges/0/legit_loss_percent_after",
        ] {
            assert!(
                json.pointer(pointer).is_some_and(|value| !value.is_null()),
                "{pointer} is missing in {json}"
            );
        }
    }

    #[test]
    fn the_table_tells_who_was_asked_who_was_not_and_what_failed() {
        let table = Table(&report()).to_string();
        for text in [
            "fixed.example: dots.fixed.example, request 7 of home, for 203.0.113.7/32",
            "mobile.example by home: owns no target",
            "19.5 ms",
            "a link went down",
            "FAILED: something",
            "FAILED.",
        ] {
            assert!(table.contains(text), "{text:?} not in {table}");
        }
    }
}
