//! The sessions with one server: set up, watched, replaced (RFC 9132 §4.3, §4.7).
//!
//! ```text
//! none up ---race---> up --peer silent, no attack; closed by the peer---> none up
//!                     |--peer silent under attack, socket failed, request unanswered---> up + race
//!                     '--over TCP, time to look for UDP---> up + race
//! up + race --one more is up---> both, until the new one answers or nobody waits---> up
//! ```
//!
//! Under attack a silent session is not given up: requests go on over it, and over a second one
//! as soon as that is up (RFC 9132 §4.7).

use std::time::Instant;

use dots::identifiers::Mid;
use dtls::{CloseReason, Transport};

use super::association::{Association, Effect};
use super::backlog::Backlog;
use super::parts;
use super::race::{Candidate, Goal};
use super::route::{Destination, Live, Route};
use super::{Connection, Connector, PathId};
use crate::content;
use crate::session::{Event, Output, SignalSession};
use crate::time::Now;

impl<S: dtls::Session> Association<S> {
    /// The route to a destination.
    pub(super) fn route(&mut self, destination: Destination) -> Option<&mut Route<S::Resumption>> {
        match destination {
            Destination::Provisioned => Some(&mut self.provisioned),
            Destination::Alternate => self.alternate.as_mut().map(|it| &mut it.route),
        }
    }

    /// The session with a destination that came up last.
    pub(super) fn newest(&self, destination: Destination) -> Option<&Live<S>> {
        let with = self
            .sessions
            .iter()
            .filter(|live| live.destination == destination);
        let up = with.filter(|live| live.is_up());
        up.max_by_key(|live| (live.established, live.path))
    }

    /// Whether a part can be asked for now.
    pub(super) fn is_served(&self, mid: Mid) -> bool {
        self.newest(self.destination_of(mid)).is_some()
    }

    pub(super) fn live(&mut self, path: PathId) -> Option<&mut Live<S>> {
        self.sessions.iter_mut().find(|live| live.path == path)
    }

    pub(super) fn handle_datagram(&mut self, now: Now, path: PathId, datagram: &[u8]) {
        if let Some(live) = self.live(path) {
            live.session.handle_datagram(now.monotonic, datagram);
        }
    }

    /// The socket of a session cannot be used: the interface went, or the peer's port is closed.
    pub(super) fn handle_path_failure(&mut self, now: Now, path: PathId, reason: &str) {
        let Some(live) = self.live(path) else { return };
        if live.established.is_none() || live.candidate.transport == Transport::Stream {
            self.drop_session(now, path, reason.to_owned());
        } else if live.trouble.is_none() {
            live.trouble = Some(reason.to_owned());
        }
    }

    pub(super) fn handle_session_timeouts(&mut self, now: Now) {
        for live in &mut self.sessions {
            let timeout = live.session.poll_timeout();
            if timeout.is_some_and(|at| at <= now.monotonic) {
                live.session.handle_timeout(now.monotonic);
            }
        }
    }

    /// What the sessions with a destination leave to be desired.
    fn goal(&self, destination: Destination) -> Goal {
        if self.is_closed || self.leaving.is_some() || !self.is_wanted(destination) {
            return Goal::Rest;
        }
        let Some(newest) = self.newest(destination) else {
            return Goal::Session;
        };
        let with = self
            .sessions
            .iter()
            .filter(|live| live.destination == destination);
        let mut up = with.filter(|live| live.is_up());
        if self.is_unanswered(destination) || up.all(|live| live.trouble().is_some()) {
            Goal::Beside
        } else if newest.candidate.transport == Transport::Stream {
            Goal::Datagram
        } else {
            Goal::Rest
        }
    }

    /// Whether there is something to ask for.
    fn is_urgent(&self) -> bool {
        self.is_asking() || self.is_under_attack()
    }

    /// When the next attempt to set up a session begins.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        let due = |route: &Route<_>, destination| {
            route.race.due(self.goal(destination), self.is_urgent())
        };
        let alternate = self.alternate.as_ref();
        [
            due(&self.provisioned, Destination::Provisioned),
            alternate.and_then(|it| due(&it.route, Destination::Alternate)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Begins the attempts that are due.
    pub(super) fn open_sessions<C: Connector<Session = S>>(
        &mut self,
        now: Now,
        connector: &mut C,
        next_path: &mut PathId,
    ) {
        self.keep_resumptions();
        for destination in Destination::ALL {
            let (goal, is_urgent) = (self.goal(destination), self.is_urgent());
            let id = self.id.clone();
            while let Some(route) = self.route(destination)
                && let Some((entry, candidate)) = route.race.begin(now.monotonic, goal, is_urgent)
            {
                let resumption = route.resumptions.get(&candidate.transport);
                let connection = Connection {
                    transport: candidate.transport,
                    server_name: &route.name,
                };
                match connector.connect(now.monotonic, &id, connection, resumption) {
                    Ok(secured) => {
                        let path = *next_path;
                        next_path.0 += 1;
                        let place = (destination, entry, candidate);
                        self.open(now, place, path, secured, connector);
                    }
                    Err(error) => {
                        let place = (destination, entry, candidate);
                        self.failed(now, place, (&error.to_string(), true));
                    }
                }
            }
        }
    }

    fn open<C: Connector<Session = S>>(
        &mut self,
        now: Now,
        (destination, entry, candidate): (Destination, usize, Candidate),
        path: PathId,
        secured: S,
        connector: &C,
    ) {
        self.effects.push_back(Effect::Open {
            path,
            interface: self.ways.interface.clone(),
            candidate,
        });
        let seed = self.seeds.u64(..);
        self.sessions.push(Live {
            path,
            destination,
            entry,
            candidate,
            session: SignalSession::new(now.monotonic, secured, connector.parameters(), seed),
            established: None,
            has_answered: false,
            trouble: None,
            has_timed_out: false,
            is_retired: false,
            backlog: Backlog::default(),
        });
    }

    /// Notes what resumes the sessions that are up: the later it is asked for, the fresher it is.
    fn keep_resumptions(&mut self) {
        let fresh: Vec<_> = self
            .sessions
            .iter()
            .filter(|live| live.is_up())
            .filter_map(|live| {
                let kind = (live.destination, live.candidate.transport);
                Some((kind, live.session.resumption()?))
            })
            .collect();
        for ((destination, transport), resumption) in fresh {
            if let Some(route) = self.route(destination) {
                route.resumptions.insert(transport, resumption);
            }
        }
    }

    pub(super) fn take_outputs(&mut self, now: Now) {
        let paths: Vec<PathId> = self.sessions.iter().map(|live| live.path).collect();
        for path in paths {
            while let Some(output) = self.live(path).and_then(|live| live.session.poll_output()) {
                match output {
                    Output::Transmit(datagram) => {
                        self.effects.push_back(Effect::Transmit(path, datagram));
                    }
                    Output::Event(event) => self.on_event(now, path, event),
                }
            }
        }
    }

    fn on_event(&mut self, now: Now, path: PathId, event: Event) {
        match event {
            Event::Established(_) => self.on_established(now, path),
            Event::Request {
                exchange, request, ..
            } => {
                let refusal = refuse(&request);
                if let Some(live) = self.live(path) {
                    live.session.respond(now.monotonic, exchange, refusal);
                }
            }
            Event::Response { token, response } => self.on_response(now, path, token, &response),
            Event::RequestFailed { token, .. } => self.on_request_failed(now, path, token),
            // A client notifies nobody.
            Event::NotificationRejected { .. } => {}
            Event::PeerSilent => {
                // Under attack the link may be saturated: the session stays.
                if !self.is_under_attack() {
                    let reason = "it answers no heartbeat any more".to_owned();
                    self.abandon_session(now, path, reason);
                }
            }
            Event::Closed(reason) => {
                // Who answers and refuses may refuse the resumption.
                let timed_out = reason == CloseReason::HandshakeTimedOut;
                let refused = self
                    .live(path)
                    .filter(|live| live.established.is_none() && !live.is_retired && !timed_out)
                    .map(|live| (live.destination, live.candidate.transport));
                if let Some(live) = self.live(path) {
                    live.has_timed_out = timed_out;
                }
                if let Some((destination, transport)) = refused
                    && let Some(route) = self.route(destination)
                {
                    route.resumptions.remove(&transport);
                }
                self.drop_session(now, path, reason.to_string());
            }
        }
    }

    /// A session that came up ends the race.
    fn on_established(&mut self, now: Now, path: PathId) {
        let Some(live) = self.live(path) else { return };
        let (destination, entry) = (live.destination, live.entry);
        let peer = live.candidate.peer();
        let is_replacement = self.newest(destination).is_some();
        for live in &mut self.sessions {
            if live.path == path {
                live.established = Some(now.monotonic);
                live.backlog.touch(parts::mids(self.parts.iter()));
            } else if live.established.is_none() && live.destination == destination {
                live.retire(now);
            }
        }
        self.effects.push_back(Effect::SessionUp(peer));
        if let Some(route) = self.route(destination) {
            let name = route.name.clone();
            route.race.established(now.monotonic, entry, is_replacement);
            self.contacts.note(now, &name);
        }
        // What the server was asked over the old session counts as never asked.
        let asked = parts::mids(self.parts.iter().filter(|part| !part.is_settled()));
        self.parts
            .change(asked, |part| part.asking_since = now.monotonic);
    }
}

/// A client serves nothing but heartbeats.
fn refuse(request: &coap::Request) -> coap::Response {
    match crate::session::resource_of(request) {
        Ok(_) => content::diagnostic(coap::Code::METHOD_NOT_ALLOWED, "this is a DOTS client"),
        Err(_) => content::diagnostic(coap::Code::NOT_FOUND, "this is a DOTS client"),
    }
}
