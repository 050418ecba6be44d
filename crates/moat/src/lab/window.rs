//! What was counted in stretches of a run, and the report's numbers from it.

use super::measure::{self, Snapshot};
use super::plan::{OWN_NETS, SOURCES, VICTIM_NUMBER, VISITOR_NETS};
use super::report::{Edge, Signalling};
use super::scenario::Provider;
use super::topology::edge::Counter;
use super::traffic::Visits;

/// Counts over a stretch of time. One snapshot for each provider at its start and end.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) start: Vec<Snapshot>,
    pub(super) end: Vec<Snapshot>,
    pub(super) visits: Vec<Visits>,
}

impl Window {
    /// Packets per second at an edge.
    fn rate(&self, number: usize, counters: &[Counter]) -> f64 {
        let (Some(start), Some(end)) = (self.start.get(number), self.end.get(number)) else {
            return 0.0;
        };
        counters
            .iter()
            .map(|counter| end.rate_since(start, *counter))
            .sum()
    }

    /// Loss of the visitor's requests that come over an attachment, in percent: those to what was assigned for it, and of those to
    /// the site's own addresses the ones from the sources that are routed there.
    fn loss(&self, number: usize, provider: &Provider) -> f64 {
        let assigned = provider.assigned.hosts(VICTIM_NUMBER);
        let own = OWN_NETS.hosts(VICTIM_NUMBER);
        let sources = SOURCES
            .get(number)
            .map(|number| VISITOR_NETS.hosts(*number));
        let sources = sources.into_iter().flatten().collect::<Vec<_>>();
        let is_here = |visits: &&Visits| {
            assigned.contains(&visits.to)
                || own.contains(&visits.to) && sources.contains(&visits.from)
        };
        measure::loss_percent(self.visits.iter().filter(is_here))
    }
}

/// All that was counted in a run.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) baseline: Window,
    pub(super) before: Window,
    pub(super) filtered: Window,
    pub(super) withdrawn: Window,
    pub(super) end: Vec<Snapshot>,
}

impl Windows {
    pub(super) fn edge(&self, number: usize, provider: &Provider) -> Edge {
        let legitimate = [Counter::RequestsPassed, Counter::ResponsesPassed];
        Edge {
            pvd: provider.pvd,
            attack_pps_before: self.before.rate(number, &[Counter::AttackPassed]),
            attack_pps_after: self.filtered.rate(number, &[Counter::AttackPassed]),
            attack_pps_offered_after: self.filtered.rate(number, &[Counter::AttackOffered]),
            legit_loss_percent_before: self.baseline.loss(number, provider),
            legit_loss_percent_after: self.filtered.loss(number, provider),
            legit_pps_before: self.baseline.rate(number, &legitimate),
            legit_pps_after: self.filtered.rate(number, &legitimate),
            attack_pps_withdrawn: self.withdrawn.rate(number, &[Counter::AttackPassed]),
            wrong_source_packets: self.total(number, Counter::WrongSource),
        }
    }

    pub(super) fn signalling(&self, number: usize, provider: &Provider) -> Signalling {
        Signalling {
            pvd: provider.pvd,
            right_source: self.total(number, Counter::SignallingRight),
            wrong_source: self.total(number, Counter::SignallingWrong),
        }
    }

    pub(super) fn questions(&self, number: usize) -> u64 {
        self.total(number, Counter::Questions)
    }

    fn total(&self, number: usize, counter: Counter) -> u64 {
        self.end
            .get(number)
            .map_or(0, |snapshot| snapshot.packets(counter))
    }
}
