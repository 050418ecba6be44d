//! Whether a run showed what its scenario demands.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::report::{Edge, Report};
use super::scenario::Scenario;

/// Most that may remain of an attack at an edge that filters, in percent of before.
const MAX_ATTACK_REMAINING_PERCENT: f64 = 1.0;

/// Most legitimate loss, in percent.
const MAX_LEGIT_LOSS_PERCENT: f64 = 1.0;

/// Least that an attacked edge must see for the run to mean anything, in percent of what the attacker was to send.
const MIN_ATTACK_PERCENT: f64 = 50.0;

/// Longest time from the alarm to the first dropped packet, in milliseconds. Ten times what is aimed at on an idle machine: a
/// verdict must not depend on what else the machine does.
const MAX_ALARM_TO_DROP_MS: f64 = 1000.0;

/// The checks that do not hold, in words; none if all is as it must be.
///
/// `flood_pps`: attack packets per second that were to reach each attacked edge.
pub(super) fn failures(scenario: &Scenario, report: &Report, flood_pps: f64) -> Vec<String> {
    let mut failures = Failures::default();
    failures.requests(scenario, report);
    failures.time(report);
    for (provider, edge) in scenario.providers.iter().zip(&report.edges) {
        if scenario.attacked.contains(&provider.pvd) {
            failures.attacked_edge(edge, flood_pps);
        } else {
            failures.quiet_edge(edge);
        }
        failures.any_edge(edge);
    }
    for signalling in &report.signalling {
        let pvd = signalling.pvd;
        failures.unless(signalling.right_source > 0, || {
            format!("{pvd}: no signalling came from its own address and link")
        });
        failures.unless(signalling.wrong_source == 0, || {
            format!(
                "{pvd}: {} signalling packets came from a wrong address or link",
                signalling.wrong_source
            )
        });
    }
    failures.0
}

#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn unless(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.0.push(failure());
        }
    }

    /// Every request went to exactly the servers it must go to, for exactly their addresses, and the others are accounted for.
    fn requests(&mut self, scenario: &Scenario, report: &Report) {
        for provider in scenario.providers {
            let pvd = provider.pvd;
            let requests: Vec<_> = report
                .requests
                .iter()
                .filter(|request| request.pvd == pvd)
                .collect();
            let reasons: Vec<_> = report
                .not_asked
                .iter()
                .filter(|entry| entry.pvd == pvd)
                .collect();
            if scenario.asked.contains(&pvd) {
                self.unless(requests.len() == 1, || {
                    format!("{pvd}: {} requests instead of 1", requests.len())
                });
                self.unless(reasons.is_empty(), || {
                    format!("{pvd}: said not to be asked")
                });
                for request in requests {
                    self.unless(request.accepted, || {
                        format!("{pvd}: the request was not accepted ({})", request.status)
                    });
                    self.unless(request.server == provider.dots_name, || {
                        format!("{pvd}: the request went to {}", request.server)
                    });
                    let expected = provider
                        .victims()
                        .iter()
                        .filter_map(|victim| host(victim))
                        .collect();
                    self.unless(hosts(&request.targets).as_ref() == Some(&expected), || {
                        format!(
                            "{pvd}: asked for {} instead of its own addresses",
                            request.targets.join(" ")
                        )
                    });
                }
            } else {
                self.unless(requests.is_empty(), || {
                    format!("{pvd}: was asked although it must not be")
                });
                let told = reasons.len() == 1
                    && reasons.iter().all(|entry| !entry.reason.trim().is_empty());
                self.unless(told, || {
                    format!("{pvd}: not asked, but the answer does not say so once and why")
                });
            }
        }
        for pvd in report.requests.iter().map(|request| &request.pvd) {
            let known = scenario
                .providers
                .iter()
                .any(|provider| provider.pvd == pvd);
            self.unless(known, || {
                format!("{pvd}: asked, but is no provider of this scenario")
            });
        }
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
        for (when, loss) in [
            ("before the attack", edge.legit_loss_percent_before),
            ("with the filter", edge.legit_loss_percent_after),
        ] {
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

/// The single address that a target is, written with or without a prefix length.
fn host(target: &str) -> Option<IpAddr> {
    target.parse().ok().or_else(|| {
        let net: IpNet = target.parse().ok()?;
        (net.prefix_len() == net.max_prefix_len()).then_some(net.addr())
    })
}

/// `None` when one of them is not a single address.
fn hosts(targets: &[String]) -> Option<BTreeSet<IpAddr>> {
    targets.iter().map(|target| host(target)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::report::{NotAsked, Request, Signalling};
    use crate::lab::scenario::{self, Provider};

    const FLOOD: f64 = 20_000.0;

    fn request(provider: &Provider) -> Request {
        Request {
            pvd: provider.pvd.to_owned(),
            server: provider.dots_name.to_owned(),
            mid: 0,
            targets: vec![
                format!("{}/32", provider.v4.victim),
                provider.v6.victim.to_owned(),
            ],
            status: String::new(),
            reason: String::new(),
            accepted: true,
        }
    }

    /// What `residential` must find.
    fn good() -> (&'static Scenario, Report) {
        let scenario = scenario::find("residential").unwrap();
        let edge = |provider: &Provider, attack| Edge {
            pvd: provider.pvd,
            attack_pps_before: attack,
            attack_pps_after: 0.0,
            attack_pps_offered_after: attack,
            legit_loss_percent_before: 0.0,
            legit_loss_percent_after: 1.0,
            legit_pps_before: 200.0,
            legit_pps_after: 200.0,
            attack_pps_withdrawn: attack,
            wrong_source_packets: 0,
        };
        let signalling = |provider: &Provider| Signalling {
            pvd: provider.pvd,
            right_source: 9,
            wrong_source: 0,
        };
        let [fixed, mobile] = scenario.providers else {
            panic!("two providers")
        };
        let report = Report {
            scenario: scenario.name,
            ok: false,
            alarm_to_drop_ms: Some(20.0),
            alarm_to_clear_ms: Some(30.0),
            requests: vec![request(fixed)],
            not_asked: vec![NotAsked {
                pvd: mobile.pvd.to_owned(),
                reason: "none of its prefixes".to_owned(),
            }],
            edges: vec![edge(fixed, FLOOD), edge(mobile, 0.0)],
            signalling: vec![signalling(fixed), signalling(mobile)],
            failures: Vec::new(),
        };
        (scenario, report)
    }

    #[test]
    fn a_run_in_which_all_is_as_it_must_be_has_no_failures() {
        let (scenario, report) = good();
        assert_eq!(failures(scenario, &report, FLOOD), Vec::<String>::new());
    }

    /// Every number and name of the report matters.
    #[test]
    fn each_deviation_is_a_failure_in_words() {
        type Spoil = fn(&mut Report);
        let cases: [(Spoil, &str); 24] = [
            (|report| report.alarm_to_drop_ms = None, "did not stop"),
            (
                |report| report.alarm_to_drop_ms = Some(-1.0),
                "before the alarm",
            ),
            (
                |report| report.alarm_to_drop_ms = Some(MAX_ALARM_TO_DROP_MS + 1.0),
                "from the alarm",
            ),
            (
                |report| report.requests[0].accepted = false,
                "was not accepted",
            ),
            (
                |report| report.requests.clear(),
                "fixed.example: 0 requests instead of 1",
            ),
            (
                |report| report.requests.push(report.requests[0].clone()),
                "fixed.example: 2 requests instead of 1",
            ),
            (
                |report| report.requests.push(request(&scenario::MOBILE)),
                "mobile.example: was asked",
            ),
            (
                |report| report.requests[0].pvd = "other.example".to_owned(),
                "other.example: asked",
            ),
            (
                |report| report.requests[0].server = "dots.mobile.example".to_owned(),
                "went to dots.mobile.example",
            ),
            (
                |report| drop(report.requests[0].targets.pop()),
                "instead of its own addresses",
            ),
            (
                |report| report.requests[0].targets.push("198.51.100.7".to_owned()),
                "instead of its own addresses",
            ),
            (
                |report| report.requests[0].targets[0] = "203.0.113.0/28".to_owned(),
                "instead of its own addresses",
            ),
            (
                |report| report.not_asked.clear(),
                "mobile.example: not asked, but",
            ),
            (
                |report| report.not_asked[0].reason.clear(),
                "mobile.example: not asked, but",
            ),
            (
                |report| report.edges[0].attack_pps_before = 0.4 * FLOOD,
                "before the alarm",
            ),
            (
                |report| report.edges[0].attack_pps_offered_after = 0.0,
                "reached the filter",
            ),
            (
                |report| report.edges[0].attack_pps_withdrawn = 0.0,
                "still filters",
            ),
            (
                |report| report.edges[0].wrong_source_packets = 3,
                "fixed.example: 3 packets of the customer",
            ),
            (
                |report| report.edges[0].legit_loss_percent_before = 2.0,
                "lost before the attack",
            ),
            (
                |report| report.signalling[0].right_source = 0,
                "fixed.example: no signalling",
            ),
            (
                |report| report.edges[0].attack_pps_after = 0.01 * FLOOD,
                "still passed",
            ),
            (
                |report| report.edges[1].legit_loss_percent_after = 1.01,
                "mobile.example: 1.01 % of legitimate",
            ),
            (
                |report| report.edges[1].attack_pps_before = 1.0,
                "not attacked",
            ),
            (
                |report| report.signalling[1].wrong_source = 2,
                "mobile.example: 2 signalling packets",
            ),
        ];
        for (spoil, expected) in cases {
            let (scenario, mut report) = good();
            spoil(&mut report);
            let failures = failures(scenario, &report, FLOOD);
            assert!(
                failures.iter().any(|failure| failure.contains(expected)),
                "{expected:?} not in {failures:?}"
            );
        }
    }
}
