//! One structured line for each thing that happened.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent::client::{Note, Peer, Redirection, State};
use agent::server_selection::AssociationId;
use pvd::{PvdId, PvdSet, SharedAddress};

use crate::control;
use crate::words;

/// Attempts that fail for the same reason within this time are of one round, and one line.
const ROUND: Duration = Duration::from_secs(10);
/// Servers whose last failure is remembered; the oldest gives way.
const FAILURES: usize = 256;

/// The log, and what it said last of each server without a session.
#[derive(Debug, Default)]
pub(super) struct Log {
    failures: BTreeMap<AssociationId, (Instant, String)>,
    shared: Vec<SharedAddress>,
}

impl Log {
    /// The networks are these now. Says which servers cannot be told apart; those of the file were told when it was read.
    pub(super) fn networks(&mut self, pvds: &PvdSet) {
        let shared = pvds.shared_addresses();
        for it in shared.iter().filter(|it| !self.shared.contains(it)) {
            let address = it.address;
            let pvds: Vec<_> = it.pvds.iter().map(PvdId::as_str).collect();
            tracing::warn!(%address, ?pvds, "DOTS servers of several networks at one anycast address: nobody can tell which network answers");
        }
        self.shared = shared;
    }

    /// Says what happened.
    pub(super) fn note(&mut self, now: Instant, note: &Note) {
        match note {
            Note::Conflict(id, association, mid, Some(conflict)) => {
                let cause = conflict.cause.map(|cause| cause.to_string());
                tracing::warn!(request = %id, pvd = %association.pvd, server = association.server, %mid, cause, retry_after = conflict.retry_timer, "conflict");
            }
            Note::Conflict(id, association, mid, None) => {
                tracing::info!(request = %id, pvd = %association.pvd, server = association.server, %mid, "no conflict any more");
            }
            Note::Absent(id, association, mid) => {
                tracing::warn!(request = %id, pvd = %association.pvd, server = association.server, %mid, "asked of a server that is not known now: it is told when it is named again, and otherwise ends it by itself");
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
            Note::SessionUp(association, Peer { transport, address }) => {
                self.failures.remove(association);
                let transport = words::of_transport(*transport);
                tracing::info!(pvd = %association.pvd, server = association.server, transport, remote = %address, "session established");
            }
            Note::SessionDown(association, Peer { transport, address }, reason) => {
                let transport = words::of_transport(*transport);
                if self.is_repeated(now, association, reason) {
                    tracing::debug!(pvd = %association.pvd, server = association.server, transport, remote = %address, reason, "no session");
                } else {
                    tracing::warn!(pvd = %association.pvd, server = association.server, transport, remote = %address, reason, "no session");
                }
            }
            Note::Request(id, association, mid, state) => {
                let reason = match state {
                    State::Refused { code, diagnostic } => Some(format!("{code} {diagnostic}")),
                    State::Postponed { after, .. } => Some(after.to_string()),
                    _ => None,
                };
                let state = control::status(state);
                if reason.is_some() {
                    tracing::warn!(request = %id, pvd = %association.pvd, server = association.server, %mid, state, reason, "request");
                } else {
                    tracing::info!(request = %id, pvd = %association.pvd, server = association.server, %mid, state, "request");
                }
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
        if self.failures.len() > FAILURES
            && let Some(oldest) = self.failures.iter().min_by_key(|(_, (at, _))| *at)
            && let oldest = oldest.0.clone()
        {
            self.failures.remove(&oldest);
        }
        false
    }
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

    ///
    #[test]
    fn a_network_that_names_ever_new_servers_costs_no_memory() {
        let now = crate::clock::now().monotonic;
        let mut log = Log::default();
        for number in 0..1000 {
            let association = AssociationId {
                pvd: "fixed.example".parse().unwrap(),
                server: format!("dots{number}.fixed.example"),
            };
            let at = now + Duration::from_secs(number);
            log.is_repeated(at, &association, "no answer");
        }
        assert_eq!(log.failures.len(), FAILURES);
    }
}
