//! What a client waits for.

use tokio::sync::mpsc;

use super::names::Found;
use super::paths::Incoming;
use crate::discovery::NetworkReport;

/// What reaches a client from outside.
#[derive(Debug)]
pub(crate) enum Event {
    Received(Incoming),
    Found(Found),
    Reported(NetworkReport),
}

/// Where it comes from.
#[derive(Debug)]
pub(crate) struct Events {
    pub(super) incoming: mpsc::Receiver<Incoming>,
    pub(super) found: mpsc::Receiver<Found>,
    pub(super) reports: mpsc::Receiver<NetworkReport>,
}

impl Events {
    /// The next one. The daemon holds the other ends, so neither queue ever closes before it.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            Some(received) = self.incoming.recv() => Event::Received(received),
            Some(found) = self.found.recv() => Event::Found(found),
            Some(report) = self.reports.recv() => Event::Reported(report),
        }
    }
}
