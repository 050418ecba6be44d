//! DOTS servers that a network names without addresses: its own resolvers are asked for them, from within it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pvd::PvdId;
use pvd::information::DOTS_PORT;
use pvd::learned::server;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::provisioned::{Provisioned, Seen};
use crate::resolver::{Assurance, Link, Resolver};

/// Before a name is asked for again that is known, at least and at most.
const AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(86_400)];
/// The same of one that is not known, at first; then twice as long each time.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Reports the PvD with the servers that were found, and again when they are elsewhere. Ends when nobody listens.
pub(super) async fn look_up(
    pvd: PvdId,
    seen: Seen,
    assurance: Assurance,
    reports: mpsc::Sender<Provisioned>,
) {
    let mut told = None;
    let mut failures = 0;
    loop {
        let (found, again) = place(&pvd, &seen, &assurance).await;
        failures = if again.is_some() { 0 } else { failures + 1 };
        // What was found once serves while nobody answers.
        if told.is_none() || (again.is_some() && told.as_ref() != Some(&found)) {
            let report = Provisioned {
                pvd: pvd.clone(),
                seen: Some(found.clone()),
            };
            if reports.send(report).await.is_err() {
                return;
            }
            told = Some(found);
        }
        let [_, most] = AGAIN;
        let doubled = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        let pause = AFTER_FAILURE.saturating_mul(doubled).min(most);
        sleep(again.unwrap_or(pause)).await;
    }
}

/// The PvD with all servers that have a place, and, if each has, when to ask again.
async fn place(pvd: &PvdId, seen: &Seen, assurance: &Assurance) -> (Seen, Option<Duration>) {
    let mut found = seen.clone();
    let link = Link {
        interface: seen.domain.interface.clone(),
        addresses: seen.domain.addresses.clone(),
    };
    let resolver = match Resolver::new(&seen.resolvers, assurance, link) {
        Ok(resolver) if !seen.resolvers.is_empty() => resolver,
        Ok(_) => return (found, None),
        Err(error) => {
            tracing::warn!(%pvd, %error, "the network's resolvers cannot be used");
            return (found, None);
        }
    };
    let [least, most] = AGAIN;
    let mut again = Some(most);
    for entry in &seen.unplaced {
        let name = entry.name.to_string();
        match resolver.resolve(&name).await {
            Ok(answer) => {
                let addresses = answer.addresses.into_iter().filter(is_elsewhere);
                let addresses = addresses.map(|address| SocketAddr::new(address, DOTS_PORT));
                let addresses: Vec<_> = addresses.collect();
                found.domain.dots_servers.push(server(entry, &addresses));
                again = again.map(|again| again.min(answer.ttl).max(least));
            }
            Err(failure) => {
                tracing::warn!(%pvd, name, ?failure, "a DOTS server was named that is not found");
                again = None;
            }
        }
    }
    (found, again)
}

/// Not this node, and nobody in particular.
fn is_elsewhere(address: &IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}
