//! Which PvD what is new is sent by: crates/pvd decides, this asks, and brings the kernel to it where that is wanted.

use std::time::Instant;

use pvd::host::View;
use pvd::selection::{Answer, Place, ProbeNumber, Selection, Settings};
use tokio::task::JoinSet;

use super::probe;
use super::routes::Routes;

/// The order of the PvDs, and what follows from it.
pub(super) struct Choice {
    selection: Selection,
    probes: JoinSet<(ProbeNumber, Answer)>,
    routes: Option<Routes>,
    ranking: Vec<Place>,
}

impl Choice {
    pub(super) fn new(settings: Settings, random: fastrand::Rng, keeps_routes: bool) -> Self {
        Self {
            selection: Selection::new(settings, random),
            probes: JoinSet::new(),
            routes: keeps_routes.then(Routes::start),
            ranking: Vec::new(),
        }
    }

    /// All PvDs in their order.
    pub(super) fn ranking(&self) -> &[Place] {
        &self.ranking
    }

    /// The node is attached to these PvDs now.
    pub(super) fn handle_domains(&mut self, views: &[View], now: Instant) {
        let candidates = views.iter().map(Into::into).collect();
        self.selection.handle_domains(candidates, now);
        self.ask();
        self.ranking = self.selection.ranking();
        if let Some(routes) = &mut self.routes {
            routes.set(views, self.selection.preferred());
        }
    }

    /// Waits for an answer. Whoever waits no longer is told the next time.
    pub(super) async fn answered(&mut self) -> (ProbeNumber, Answer) {
        loop {
            match self.probes.join_next().await {
                Some(Ok(answered)) => return answered,
                // The question is asked anew.
                Some(Err(error)) => tracing::warn!(%error, "a probe has failed"),
                None => std::future::pending().await,
            }
        }
    }

    /// What came of a question; whether the order is another one now.
    pub(super) fn handle_answer(
        &mut self,
        (number, answer): (ProbeNumber, Answer),
        now: Instant,
    ) -> bool {
        self.selection.handle_answer(number, answer, now);
        self.is_changed()
    }

    /// The time of [`Self::poll_timeout`] has come; whether the order is another one now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.selection.handle_timeout(now);
        self.is_changed()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.selection.poll_timeout()
    }

    fn is_changed(&mut self) -> bool {
        self.ask();
        self.selection.ranking() != self.ranking
    }

    fn ask(&mut self) {
        while let Some(probe) = self.selection.poll_probe() {
            self.probes.spawn_local(probe::ask(probe));
        }
    }

    /// Removes what is in the kernel.
    pub(super) async fn stop(mut self) {
        self.probes.shutdown().await;
        if let Some(routes) = self.routes {
            routes.stop().await;
        }
    }
}
