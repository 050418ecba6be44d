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

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use coap::Token;
use dots::identifiers::Mid;
use dtls::{CloseReason, PathMtu, Transport};

use super::association::{Association, Effect};
use super::part::Want;
use super::race::{Candidate, Goal};
use super::report::SessionState;
use super::{Connection, Connector, PathId};
use crate::content;
use crate::session::{Event, Output, SignalSession};
use crate::time::Now;

/// Sessions with one server that are up at a time, while the older is not given up.
const ESTABLISHED: usize = 2;

/// One signal channel session and the requests that are under way on it.
#[derive(Debug)]
pub(super) struct Live<S> {
    pub(super) path: PathId,
    /// Its place in the race.
    entry: usize,
    pub(super) candidate: Candidate,
    pub(super) session: SignalSession<S>,
    pub(super) established: Option<Instant>,
    /// Whether a request was answered over it.
    pub(super) has_answered: bool,
    /// What happened to its socket. One ICMP error can be forged and may pass.
    trouble: Option<String>,
    /// It was closed here because another serves.
    is_retired: bool,
    /// What each token asks for. An observation stays until the session ends.
    pub(super) pending: BTreeMap<Token, (Mid, Want)>,
}

impl<S: dtls::Session> Association<S> {
    pub(super) fn is_established(&self) -> bool {
        self.newest().is_some()
    }

    /// The session that came up last.
    fn newest(&self) -> Option<&Live<S>> {
        let up = self.sessions.iter().filter(|live| live.is_up());
        up.max_by_key(|live| (live.established, live.path))
    }

    pub(super) fn state(&self) -> SessionState {
        let up = self
            .newest()
            .and_then(|live| Some((live.candidate.address, live.established?)));
        match (up, self.sessions.first()) {
            (Some((remote, since)), _) => SessionState::Established { remote, since },
            (None, Some(live)) => SessionState::Connecting {
                remote: live.candidate.address,
            },
            (None, None) => SessionState::Down {
                retry: self.next_attempt(),
                reason: self.race.last_failure().map(str::to_owned),
            },
        }
    }

    /// What is wrong with the session that is up.
    pub(super) fn trouble(&self) -> Option<String> {
        let live = self.newest()?;
        if let Some(trouble) = &live.trouble {
            return Some(trouble.clone());
        }
        if live.session.is_peer_silent() {
            return Some("it answers no heartbeat any more".to_owned());
        }
        self.is_unanswered()
            .then(|| "a request has been unanswered for more than 10 s".to_owned())
    }

    pub(super) fn round_trip_estimate(&self) -> Option<Duration> {
        self.sessions
            .iter()
            .find_map(|live| live.session.round_trip_estimate())
    }

    /// The most octets of a message that needs no fragments, over the session that is up and over
    /// any that may take its place (RFC 9132 §7.3).
    pub(super) fn message_limit(&self) -> usize {
        let up = self.newest().map(|live| live.session.message_limit());
        let assumed = PathMtu::DEFAULT.data_limit();
        up.map_or(assumed, |limit| limit.min(assumed))
    }

    pub(super) fn owns(&self, path: PathId) -> bool {
        self.sessions.iter().any(|live| live.path == path)
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

    /// What the sessions there are leave to be desired.
    fn goal(&self) -> Goal {
        let is_unwell = |live: &Live<S>| live.trouble.is_some() || live.session.is_peer_silent();
        let mut up = self.sessions.iter().filter(|live| live.is_up()).peekable();
        if self.is_closed {
            Goal::Rest
        } else if up.peek().is_none() {
            Goal::Session
        } else if self.is_unanswered() || up.all(is_unwell) {
            Goal::Beside
        } else if self
            .newest()
            .is_some_and(|live| live.candidate.transport == Transport::Stream)
        {
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
        self.race.due(self.goal(), self.is_urgent())
    }

    /// Begins the attempts that are due.
    pub(super) fn open_sessions<C: Connector<Session = S>>(
        &mut self,
        now: Now,
        connector: &mut C,
        next_path: &mut PathId,
    ) {
        let (goal, is_urgent) = (self.goal(), self.is_urgent());
        while let Some((entry, candidate)) = self.race.begin(now.monotonic, goal, is_urgent) {
            self.keep_resumptions();
            let resumption = self.resumptions.get(&candidate.transport);
            let connection = Connection {
                transport: candidate.transport,
                server_name: &self.id.server,
            };
            match connector.connect(now.monotonic, &self.id, connection, resumption) {
                Ok(secured) => {
                    let path = *next_path;
                    next_path.0 += 1;
                    self.open(now, (entry, candidate), path, secured, connector);
                }
                Err(error) => self.failed(entry, error.to_string()),
            }
        }
    }

    fn open<C: Connector<Session = S>>(
        &mut self,
        now: Now,
        (entry, candidate): (usize, Candidate),
        path: PathId,
        secured: S,
        connector: &C,
    ) {
        self.effects.push_back(Effect::Open {
            path,
            interface: self.interface.clone(),
            candidate,
        });
        let seed = self.seeds.u64(..);
        self.sessions.push(Live {
            path,
            entry,
            candidate,
            session: SignalSession::new(now.monotonic, secured, connector.parameters(), seed),
            established: None,
            has_answered: false,
            trouble: None,
            is_retired: false,
            pending: BTreeMap::new(),
        });
    }

    /// Notes what resumes the sessions that are up: the later it is asked for, the fresher it is.
    fn keep_resumptions(&mut self) {
        for live in self.sessions.iter().filter(|live| live.is_up()) {
            if let Some(fresh) = live.session.resumption() {
                self.resumptions.insert(live.candidate.transport, fresh);
            }
        }
    }

    fn failed(&mut self, entry: usize, reason: String) {
        self.effects.push_back(Effect::Session(Err(reason.clone())));
        self.race.failed(entry, reason);
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
                    self.drop_session(now, path, "it answers no heartbeat any more".to_owned());
                }
            }
            Event::Closed(reason) => {
                // Who answers and refuses may refuse the resumption.
                let timed_out = reason == CloseReason::HandshakeTimedOut;
                let refused = self
                    .live(path)
                    .filter(|live| live.established.is_none() && !live.is_retired && !timed_out)
                    .map(|live| live.candidate.transport);
                if let Some(transport) = refused {
                    self.resumptions.remove(&transport);
                }
                self.drop_session(now, path, reason.to_string());
            }
        }
    }

    /// A session that came up ends the race.
    fn on_established(&mut self, now: Now, path: PathId) {
        let is_replacement = self.is_established();
        for live in &mut self.sessions {
            if live.path == path {
                live.established = Some(now.monotonic);
                let address = live.candidate.address;
                self.effects.push_back(Effect::Session(Ok(address)));
                self.race
                    .established(now.monotonic, live.entry, is_replacement);
            } else if live.established.is_none() {
                live.retire(now);
            }
        }
        // What the server was asked over the old session counts as never asked.
        for part in self.parts.values_mut() {
            if !part.is_settled() {
                part.asking_since = now.monotonic;
            }
        }
    }

    /// Closes what a newer session has taken the place of. Under attack that is certain only when
    /// the new one has brought an answer: until then requests go over both (RFC 9132 §4.7).
    pub(super) fn retire_sessions(&mut self, now: Now) {
        let Some(newest) = self.newest() else { return };
        let (path, is_proven) = (newest.path, newest.has_answered || !self.is_asking());
        let kept = if is_proven { 1 } else { ESTABLISHED };
        let mut up: Vec<(Option<Instant>, PathId)> = self
            .sessions
            .iter()
            .filter(|live| live.is_up() && live.path != path)
            .map(|live| (live.established, live.path))
            .collect();
        up.sort_unstable();
        for (_, old) in up.into_iter().rev().skip(kept - 1) {
            if let Some(live) = self.live(old) {
                live.retire(now);
            }
        }
    }

    fn drop_session(&mut self, now: Now, path: PathId, reason: String) {
        let Some(at) = self.sessions.iter().position(|live| live.path == path) else {
            return;
        };
        let mut live = self.sessions.remove(at);
        if let Some(fresh) = live.session.resumption() {
            self.resumptions.insert(live.candidate.transport, fresh);
        }
        live.session.close(now.monotonic);
        while let Some(output) = live.session.poll_output() {
            if let Output::Transmit(datagram) = output {
                self.effects.push_back(Effect::Transmit(path, datagram));
            }
        }
        self.effects.push_back(Effect::Close(path));
        match live.established {
            // Another serves.
            _ if live.is_retired => {}
            None => self.failed(live.entry, reason),
            Some(_) if self.is_established() => {}
            Some(_) => {
                self.effects.push_back(Effect::Session(Err(reason.clone())));
                self.race.ended(reason);
            }
        }
    }

    /// Ends all sessions in order, at shutdown or when the PvD goes.
    pub(super) fn close(&mut self, now: Now) {
        self.is_closed = true;
        for live in &mut self.sessions {
            live.retire(now);
        }
        self.take_outputs(now);
    }
}

impl<S: dtls::Session> Live<S> {
    /// Whether requests can be sent over it.
    pub(super) fn is_up(&self) -> bool {
        self.established.is_some() && !self.is_retired
    }

    fn retire(&mut self, now: Now) {
        self.is_retired = true;
        self.session.close(now.monotonic);
    }
}

/// A client serves nothing but heartbeats.
fn refuse(request: &coap::Request) -> coap::Response {
    match crate::session::resource_of(request) {
        Ok(_) => content::diagnostic(coap::Code::METHOD_NOT_ALLOWED, "this is a DOTS client"),
        Err(_) => content::diagnostic(coap::Code::NOT_FOUND, "this is a DOTS client"),
    }
}
