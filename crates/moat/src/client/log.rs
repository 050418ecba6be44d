//! One structured line for each thing that happened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::client::{Client, Connector, Note, Redirection, SessionReport, State};
use agent::server_selection::AssociationId;
use dtls::Transport;

use crate::control;

/// Attempts that fail for the same reason within this time are of one round, and one line.
const ROUND: Duration = Duration::from_secs(10);

/// The log, and what it said last of each server without a session.
#[derive(Debug, Default)]
pub(super) struct Log {
    failures: BTreeMap<AssociationId, (Instant, String)>,
}

impl Log {
    /// Says what happened.
    pub(super) fn note<C: Connector>(&mut self, now: Instant, note: &Note, agent: &Client<C>) {
        match note {
            Note::Conflict(id, association, mid, Some(conflict)) => {
                let cause = conflict.cause.map(|cause| cause.to_string());
                tracing::warn!(request = %id, pvd = %association.pvd, server = association.server, %mid, cause, retry_after = conflict.retry_timer, "conflict");
            }
            Note::Conflict(id, association, mid, None) => {
                tracing::info!(request = %id, pvd = %association.pvd, server = association.server, %mid, "no conflict any more");
            }
            Note::Redirect(association, Redirection::Followed { to }) => {
                tracing::warn!(pvd = %association.pvd, server = association.server, to, "redirected");
            }
            Note::Redirect(association, Redirection::Ignored { to }) => {
                tracing::error!(pvd = %association.pvd, server = association.server, to, "redirected to a server that was contacted a moment ago; the servers may be redirecting in circles");
            }
            Note::Redirect(association, Redirection::Left { from, reason }) => {
                tracing::info!(pvd = %association.pvd, server = association.server, from, reason, "back from a redirect");
            }
            Note::SessionUp(association, remote) => {
                self.failures.remove(association);
                let transport = transport(&agent.sessions(), association, *remote);
                tracing::info!(pvd = %association.pvd, server = association.server, transport, %remote, "session established");
            }
            Note::SessionDown(association, reason)
                if self.is_repeated(now, association, reason) =>
            {
                tracing::debug!(pvd = %association.pvd, server = association.server, reason, "no session");
            }
            Note::SessionDown(association, reason) => {
                tracing::warn!(pvd = %association.pvd, server = association.server, reason, "no session");
            }
            Note::Request(id, association, mid, state) => {
                let reason = match state {
                    State::Refused { code, diagnostic } => Some(format!("{code} {diagnostic}")),
                    _ => None,
                };
                let state = control::status(state);
                tracing::info!(request = %id, pvd = %association.pvd, server = association.server, %mid, state, reason, "request");
            }
        }
    }

    /// Whether the same was said a moment ago.
    fn is_repeated(&mut self, now: Instant, association: &AssociationId, reason: &str) -> bool {
        if let Some((said, last)) = self.failures.get(association)
            && last == reason
            && now.saturating_duration_since(*said) < ROUND
        {
            return true;
        }
        let failure = (now, reason.to_owned());
        self.failures.insert(association.clone(), failure);
        false
    }
}

/// Over what the session runs that came up last with an address.
fn transport(
    sessions: &[SessionReport],
    association: &AssociationId,
    remote: SocketAddr,
) -> Option<&'static str> {
    let session = sessions.iter().find(|it| it.association == *association)?;
    let up = session.connections.iter().filter(|it| it.remote == remote);
    let last = up
        .filter(|it| it.since.is_some())
        .max_by_key(|it| it.since)?;
    Some(match last.transport {
        Transport::Datagram => "udp",
        Transport::Stream => "tcp",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempts_of_one_round_are_one_line() {
        let now = crate::clock::now().monotonic;
        let association = AssociationId {
            pvd: "fixed.example".parse().unwrap(),
            server: "dots.fixed.example".to_owned(),
        };
        let mut log = Log::default();
        let mut again = |at: Instant, reason| log.is_repeated(at, &association, reason);
        assert!(!again(now, "connection refused"));
        assert!(again(now + Duration::from_secs(3), "connection refused"));
        assert!(!again(now + Duration::from_secs(4), "no answer"));
        assert!(!again(now + Duration::from_secs(15), "no answer"));
    }
}
