//! Whether a run showed what its scenario demands.

mod gateways;
pub(super) mod requests;
mod secrecy;
#[cfg(test)]
mod tests;

use super::plan::SOURCES;
use super::report::{Edge, Report, Signalling};
use super::scenario::{Provider, Scenario, Space};

/// Most that may remain of an attack at an edge that filters, in percent of before.
const MAX_ATTACK_REMAINING_PERCENT: f64 = 1.0;

/// Most legitimate loss, in percent.
const MAX_LEGIT_LOSS_PERCENT: f64 = 1.0;

/// Least that an attacked edge must see for the run to mean anything, in percent of what the attacker was to send: a busy
/// machine sends less, and this is still more than twice what a filter lets through of a source.
const MIN_ATTACK_PERCENT: f64 = 10.0;

/// Longest time from the alarm to the first dropped packet, in milliseconds: what a lost request and its copy take, and far
/// above what an idle machine needs, since a verdict must not depend on what else the machine does.
const MAX_ALARM_TO_DROP_MS: f64 = 10_000.0;

/// The checks that do not hold, in words; none if all is as it must be.
///
/// `flow_pps`: attack packets per second of each flow, that is, from one source to one address.
pub(super) fn failures(scenario: &Scenario, report: &Report, flow_pps: f64) -> Vec<String> {
    let mut failures = Failures::default();
    failures.requests(scenario, report);
    failures.servers(scenario, report);
    failures.gateways(scenario, report);
    failures.secrecy(scenario, report);
    failures.time(report);
    for (provider, edge) in scenario.providers.iter().zip(&report.edges) {
        match flows(scenario, provider) {
            0 => failures.quiet_edge(edge),
            flows => failures.attacked_edge(edge, flow_pps * flows as f64),
        }
        failures.any_edge(edge);
    }
    for (provider, signalling) in scenario.providers.iter().zip(&report.signalling) {
        failures.signalling(!scenario.sources(provider).is_empty(), signalling);
    }
    failures.0
}

/// How many flows of the attack come over an attachment: all of those to addresses that were assigned for it, and its share of
/// those to the site's own.
fn flows(scenario: &Scenario, provider: &Provider) -> usize {
    let families = 2;
    let to = |space: &Space| match space {
        Space::Assigned(pvd) if *pvd == provider.pvd => SOURCES.len() * families,
        Space::Assigned(_) => 0,
        Space::Own => SOURCES.len() * families / scenario.providers.len(),
    };
    scenario.attacked.iter().map(to).sum()
}

#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn unless(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.0.push(failure());
        }
    }

    /// Only those who should speak to the server over this attachment do, from the addresses that they should use.
    fn signalling(&mut self, is_expected: bool, signalling: &Signalling) {
        let Signalling {
            pvd,
            right_source,
            wrong_source,
        } = signalling;
        self.unless(*right_source > 0 || !is_expected, || {
            format!("{pvd}: no signalling came from its own address and link")
        });
        self.unless(*wrong_source == 0, || {
            format!("{pvd}: {wrong_source} signalling packets came from a wrong address or link")
        });
    }

    fn time(&mut self, report: &Report) {
        match report.alarm_to_drop_ms {
            None => self.0.push("the attack did not stop".to_owned()),
            Some(time) => {
                self.unless(time >= 0.0, || {
                    format!("the attack stopped {} ms before the alarm", -time)
                });
                self.unless(time <= MAX_ALARM_TO_DROP_MS, || {
                    format!("{time:.1} ms from the alarm to the first dropped packet, more than {MAX_ALARM_TO_DROP_MS}")
                });
            }
        }
    }

    fn attacked_edge(&mut self, edge: &Edge, flood_pps: f64) {
        let Edge {
            pvd,
            attack_pps_before,
            attack_pps_after,
            attack_pps_offered_after,
            attack_pps_withdrawn,
            ..
        } = edge;
        let enough = flood_pps * MIN_ATTACK_PERCENT / 100.0;
        self.unless(*attack_pps_before >= enough, || {
            format!("{pvd}: only {attack_pps_before:.0} of {flood_pps:.0} attack packets/s before the alarm")
        });
        self.unless(*attack_pps_offered_after >= enough, || {
            format!("{pvd}: only {attack_pps_offered_after:.0} of {flood_pps:.0} attack packets/s reached the filter")
        });
        self.unless(*attack_pps_after < attack_pps_before * MAX_ATTACK_REMAINING_PERCENT / 100.0, || {
            format!("{pvd}: {attack_pps_after:.0} attack packets/s still passed, of {attack_pps_before:.0}")
        });
        self.unless(*attack_pps_withdrawn >= enough, || {
            format!("{pvd}: still filters after the withdrawal ({attack_pps_withdrawn:.0} attack packets/s pass)")
        });
    }

    fn quiet_edge(&mut self, edge: &Edge) {
        let seen =
            edge.attack_pps_before + edge.attack_pps_offered_after + edge.attack_pps_withdrawn;
        self.unless(seen == 0.0, || {
            format!(
                "{}: saw attack packets although it is not attacked",
                edge.pvd
            )
        });
    }

    fn any_edge(&mut self, edge: &Edge) {
        let pvd = edge.pvd;
        for (when, loss, pps) in [
            (
                "before the attack",
                edge.legit_loss_percent_before,
                edge.legit_pps_before,
            ),
            (
                "with the filter",
                edge.legit_loss_percent_after,
                edge.legit_pps_after,
            ),
        ] {
            self.unless(pps > 0.0, || {
                format!("{pvd}: no legitimate requests came over its link {when}")
            });
            self.unless(loss <= MAX_LEGIT_LOSS_PERCENT, || {
                format!("{pvd}: {loss:.2} % of legitimate requests lost {when}")
            });
        }
        self.unless(edge.wrong_source_packets == 0, || {
            format!(
                "{pvd}: {} packets of the customer had a source that is not of its prefix",
                edge.wrong_source_packets
            )
        });
    }
}
