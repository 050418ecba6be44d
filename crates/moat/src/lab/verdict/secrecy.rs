//! Nothing of one provisioning domain reaches another's provider: no question for its names, no credentials, no identifiers
//! (RFC 9284 §5.1, §6).

use super::Failures;
use crate::lab::agents::customer;
use crate::lab::report::{Capture, Report};
use crate::lab::scenario::{Provider, Scenario};

impl Failures {
    /// At every edge and every server there was what is its own, and nothing else.
    pub(super) fn secrecy(&mut self, scenario: &Scenario, report: &Report) {
        for (provider, capture) in scenario.providers.iter().zip(&report.captures) {
            self.captured(scenario, provider, capture);
        }
        for provider in scenario.servers() {
            self.identified(scenario, report, provider);
        }
        for (provider, server) in scenario.servers().into_iter().zip(&report.servers) {
            let (name, own) = (server.server, customer(provider));
            for other in server.mitigated_for.iter().filter(|name| **name != own) {
                self.unless(false, || format!("{name}: mitigates for {other}"));
            }
            let others = report.servers.iter().filter(|other| other.server != name);
            for cuid in others.flat_map(|other| &other.cuids) {
                self.unless(!server.cuids.contains(cuid), || {
                    format!("{name}: was asked under the cuid {cuid} of another provider's client")
                });
            }
        }
    }

    fn captured(&mut self, scenario: &Scenario, provider: &Provider, capture: &Capture) {
        let Capture {
            pvd,
            lost,
            question_packets,
            question_packets_counted,
            ..
        } = capture;
        self.unless(*lost == 0, || format!("{pvd}: {lost} packets not captured"));
        self.unless(question_packets == question_packets_counted, || {
            format!("{pvd}: {question_packets} questions to name servers captured, {question_packets_counted} counted")
        });
        for name in capture.questions.iter().filter(|name| !is_of(pvd, name)) {
            self.unless(false, || {
                format!("{pvd}: a question for {name} went over its link")
            });
        }
        let is_expected = !scenario.sources(provider).is_empty();
        self.unless(
            !is_expected || !scenario.known.asks_names() || !capture.questions.is_empty(),
            || format!("{pvd}: no question to a name server went over its link"),
        );
        for other in &capture.of_others {
            self.unless(false, || {
                format!("{pvd}: {other} was seen on its link, where it does not belong")
            });
        }
    }

    /// Clients were recognised at the server of a provider, over one of its links: a search for what must not be there proves nothing
    /// if even that is not found. Over another link a session may have been resumed, without showing who it is.
    fn identified(&mut self, scenario: &Scenario, report: &Report, provider: &Provider) {
        let links = scenario.providers.iter().zip(&report.captures);
        let links: Vec<_> = links.filter(|(one, _)| one.node == provider.node).collect();
        let is_expected = links
            .iter()
            .any(|(one, _)| !scenario.sources(one).is_empty());
        let is_seen = links.iter().any(|(_, one)| one.own_identity_packets > 0);
        self.unless(!is_expected || is_seen, || {
            format!(
                "{}: the identity of its own customer was not seen",
                provider.pvd
            )
        });
    }
}

/// Whether a name is that of a provider or below it.
pub(super) fn is_of(provider: &str, name: &str) -> bool {
    name.strip_suffix(provider)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
