//! How requests and sessions stand, for people.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::{ConflictInformation, DroppedCounters};
use dots::target::Target;

use super::{RequestId, State, Waiting};
use crate::server_selection::{AssociationId, Selection};

/// How a request stands.
#[derive(Clone, Debug)]
pub struct RequestReport {
    /// Its number.
    pub id: RequestId,
    /// What became of it at each server that was asked. A server that had to be asked in several
    /// messages has several parts, each with its own mid.
    pub parts: Vec<PartReport>,
    /// Who was not asked and what nobody protects. Empty after a restart of the client.
    pub selection: Selection,
}

impl RequestReport {
    /// How the request stands at each server, whose parts taken together stand as the worst of them.
    pub fn combined(&self) -> BTreeMap<AssociationId, State> {
        let mut combined: BTreeMap<AssociationId, State> = BTreeMap::new();
        for part in &self.parts {
            let name = part.association.clone();
            let worst = combined.entry(name).or_insert_with(|| part.state.clone());
            if part.state.badness() > worst.badness() {
                *worst = part.state.clone();
            }
        }
        combined
    }
}

/// How a part of a request stands at one server.
#[derive(Clone, Debug)]
pub struct PartReport {
    /// The server.
    pub association: AssociationId,
    /// The request's number there.
    pub mid: Mid,
    /// What that server protects: addresses, ports, protocols.
    pub target: Target,
    /// False: it waits for the loss of the session (RFC 9132 §4.4.1.1).
    pub trigger_mitigation: bool,
    /// How far it has come.
    pub state: State,
    /// Why there is no answer, while the server is being asked.
    pub waiting: Option<Waiting>,
    /// Until when the server keeps it without a refresh; `None`: it is not accepted, or has no end.
    pub expires: Option<Instant>,
    /// Until when it is wanted; `None`: until it is withdrawn.
    pub wanted_until: Option<Instant>,
    /// What the server says it conflicts with.
    pub conflict: Option<ConflictInformation>,
    /// What the server says it dropped.
    pub dropped: DroppedCounters,
}

/// How the session with one server stands.
#[derive(Clone, Debug)]
pub struct SessionReport {
    /// The server.
    pub association: AssociationId,
    /// The client's identifier there.
    pub cuid: Cuid,
    /// The session.
    pub state: SessionState,
    /// What is wrong with an established session: its socket failed, nothing is heard, or a
    /// request has no answer.
    pub trouble: Option<String>,
    /// The smoothed round-trip time, once known.
    pub round_trip: Option<Duration>,
}

/// How the session with a server stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing to do: no address, or waiting for the next attempt.
    Down {
        /// When it is tried again.
        retry: Option<Instant>,
        /// Why the last attempt or session ended.
        reason: Option<String>,
    },
    /// The handshake is under way.
    Connecting {
        /// With which address.
        remote: SocketAddr,
    },
    /// Requests can be sent.
    Established {
        /// With which address.
        remote: SocketAddr,
        /// Since when.
        since: Instant,
    },
}
