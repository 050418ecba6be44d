//! How requests and sessions stand, for people.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::{ConflictInformation, DroppedCounters};
use dots::target::Target;
use dtls::{PathMtu, Transport};
use pvd::Learned;

use super::association::Association;
use super::redirect::Term;
use super::route::{Destination, Live};
use super::{RequestId, State, Waiting};
use crate::server_selection::{AssociationId, Selection};

/// How a request stands.
#[derive(Clone, Debug)]
pub struct RequestReport {
    /// Its number.
    pub id: RequestId,
    /// Whether a newer request has taken its place at a server.
    pub is_outdone: bool,
    /// What became of it at each server that was asked. A server that had to be asked in several
    /// messages has several parts, each with its own mid.
    pub parts: Vec<PartReport>,
    /// Who was not asked and what nobody protects, as it was last decided.
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
    /// The server that is asked instead.
    pub moved_to: Option<AssociationId>,
    /// Why there is no answer, while the server is being asked.
    pub waiting: Option<Waiting>,
    /// Whether the server has granted it, and may have it still, as far as is known.
    pub is_granted: bool,
    /// The lifetime in seconds that the server grants, if it is shorter than what it is asked for.
    pub shortened_to: Option<NonZeroU32>,
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
    /// How the server was found.
    pub learned: Learned,
    /// The sessions, those included that are being set up.
    pub connections: Vec<ConnectionReport>,
    /// Where the server has redirected its client to (RFC 9132 §4.6).
    pub redirect: Option<RedirectReport>,
}

/// One session, or an attempt to set one up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionReport {
    /// With whom.
    pub server_name: String,
    /// Over what.
    pub transport: Transport,
    /// From which address; `None`: the system chooses.
    pub source: Option<IpAddr>,
    /// With which address.
    pub remote: SocketAddr,
    /// Since when it is up; `None`: the handshake is under way.
    pub since: Option<Instant>,
    /// What is wrong with it.
    pub trouble: Option<String>,
    /// How many heartbeats in a row went unanswered.
    pub unanswered_heartbeats: u32,
    /// Its smoothed round-trip time, once known.
    pub round_trip: Option<Duration>,
}

/// A redirect that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectReport {
    /// The name of the other server.
    pub to: String,
    /// Until when, or longer while there is an attack; `None`: until the next redirect, or until
    /// the one request is over.
    pub until: Option<Instant>,
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

impl<S: dtls::Session> Association<S> {
    /// Whether requests can be sent to the server, or to the one that it redirected to.
    pub(super) fn is_established(&self) -> bool {
        self.up().is_some()
    }

    /// The session that came up last, with the alternate server if there is one.
    fn up(&self) -> Option<&Live<S>> {
        let up = self.sessions.iter().filter(|live| live.is_up());
        up.max_by_key(|live| (live.destination, live.established, live.path))
    }

    /// The names of the servers that there are sessions with.
    pub(super) fn established_names(&self) -> Vec<String> {
        let up = self.sessions.iter().filter(|live| live.is_up());
        up.map(|live| self.name_of(live)).collect()
    }

    fn name_of(&self, live: &Live<S>) -> String {
        match (&self.alternate, live.destination) {
            (Some(alternate), Destination::Alternate) => alternate.route.name.clone(),
            _ => self.id.server.clone(),
        }
    }

    /// The most octets of a message that needs no fragments, over the session that is up and over
    /// any that may take its place (RFC 9132 §7.3).
    pub(super) fn message_limit(&self) -> usize {
        let up = self.up().map(|live| live.session.message_limit());
        let assumed = PathMtu::DEFAULT.data_limit();
        up.map_or(assumed, |limit| limit.min(assumed))
    }

    /// Why the last attempt or session with a destination ended.
    pub(super) fn last_failure(&self, destination: Destination) -> Option<String> {
        let alternate = self.alternate.as_ref().map(|it| &it.route);
        let route = match destination {
            Destination::Provisioned => Some(&self.provisioned),
            Destination::Alternate => alternate,
        };
        route?.race.last_failure().map(str::to_owned)
    }

    pub(super) fn report(&self, learned: Learned) -> SessionReport {
        let up = self.up();
        let unanswered = "a request has been unanswered for more than 10 s";
        let unanswered = up
            .filter(|live| self.is_unanswered(live.destination))
            .map(|_| unanswered.to_owned());
        SessionReport {
            association: self.id.clone(),
            cuid: self.cuid.clone(),
            state: self.state(up),
            trouble: up.and_then(Live::complaint).or(unanswered),
            round_trip: up.and_then(|live| live.session.round_trip_estimate()),
            learned,
            connections: self
                .sessions
                .iter()
                .map(|live| ConnectionReport {
                    server_name: self.name_of(live),
                    transport: live.candidate.transport,
                    source: live.candidate.source,
                    remote: live.candidate.address,
                    since: live.established,
                    trouble: live.complaint(),
                    unanswered_heartbeats: live.session.unanswered_heartbeats(),
                    round_trip: live.session.round_trip_estimate(),
                })
                .collect(),
            redirect: self.alternate.as_ref().map(|alternate| RedirectReport {
                to: alternate.route.name.clone(),
                until: match &alternate.term {
                    Term::Until(at) => Some(*at),
                    Term::UntilNext | Term::Only(_) => None,
                },
            }),
        }
    }

    fn state(&self, up: Option<&Live<S>>) -> SessionState {
        let up = up.and_then(|live| Some((live.candidate.address, live.established?)));
        let mut begun = self.sessions.iter().filter(|live| !live.is_retired);
        match (up, begun.next()) {
            (Some((remote, since)), _) => SessionState::Established { remote, since },
            (None, Some(live)) => SessionState::Connecting {
                remote: live.candidate.address,
            },
            (None, None) => SessionState::Down {
                retry: self.next_attempt(),
                reason: self.last_failure(Destination::Provisioned),
            },
        }
    }
}
