//! What a client waits for.

use tokio::sync::mpsc;

use super::names::Found;
use super::paths::Incoming;
use super::provisioned::Provisioned;
use crate::discovery::NetworkReport;

/// What reaches a client from outside.
#[derive(Debug)]
pub(crate) enum Event {
    Received(Incoming),
    Found(Found),
    Reported(NetworkReport),
    Provisioned(Provisioned),
}

/// Where it comes from.
#[derive(Debug)]
pub(crate) struct Events {
    pub(super) incoming: mpsc::Receiver<Incoming>,
    pub(super) found: mpsc::Receiver<Found>,
    pub(super) reports: mpsc::Receiver<NetworkReport>,
    pub(super) provisioned: mpsc::Receiver<Provisioned>,
}

impl Events {
    /// The next one. The daemon holds the other ends of the first three, so these never close before it.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            Some(received) = self.incoming.recv() => Event::Received(received),
            Some(found) = self.found.recv() => Event::Found(found),
            Some(report) = self.reports.recv() => Event::Reported(report),
            Some(report) = self.provisioned.recv() => Event::Provisioned(report),
        }
    }
}
