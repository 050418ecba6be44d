//! The client's side of one DOTS server: the session with it, kept up, and what is asked of it.
//!
//! ```text
//! Idle --connect--> Connecting --established--> Up --peer silent, no attack--> Idle, connect
//!   ^                   |                        |--peer silent, under attack--> Up + Connecting
//!   |--after 60 s-------' every address failed   '--closed by the peer---------> Idle, connect
//! ```
//!
//! Under attack a silent session is not given up: requests go on over it, and over a second one
//! as soon as that is up (RFC 9132 §4.7).

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use coap::Token;
use dots::identifiers::{Cuid, Mid};
use dtls::CloseReason;
use pvd::{InterfaceName, ProvisioningDomain};

use super::part::{Part, Want};
use super::setup::{Remote, Setup};
use super::{Connector, PathId, RequestId};
use crate::content;
use crate::server_selection::AssociationId;
use crate::session::{Event, Output, SignalSession};
use crate::time::Now;

/// A server that leaves a request unanswered so long may have lost the session: a second one
/// is opened beside it.
const UNANSWERED_REQUEST: Duration = Duration::from_secs(10);
/// Mids are made durable in blocks of this size, so that no request waits for the disk.
const MID_BLOCK: u32 = 64;

/// What an association wants done. [`super::Client`] passes it on.
#[derive(Debug)]
pub(super) enum Effect {
    Open {
        path: PathId,
        interface: Option<InterfaceName>,
        source: Option<IpAddr>,
        remote: SocketAddr,
    },
    Transmit(PathId, Vec<u8>),
    Close(PathId),
    /// Cuid or reserved mids have changed.
    Remember,
    /// A part has changed and is to be remembered.
    Changed(RequestId),
    /// The session with the server came up, or why it went down.
    Session(Result<SocketAddr, String>),
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

/// One signal channel session and the requests that are under way on it.
#[derive(Debug)]
pub(super) struct Live<S> {
    path: PathId,
    remote: SocketAddr,
    pub(super) session: SignalSession<S>,
    pub(super) established: Option<Instant>,
    /// What each token asks for. An observation stays until the session ends.
    pub(super) pending: BTreeMap<Token, (RequestId, Want)>,
}

/// One server of one PvD.
#[derive(Debug)]
pub(super) struct Association<S: dtls::Session> {
    pub(super) id: AssociationId,
    pub(super) cuid: Cuid,
    pub(super) parts: BTreeMap<RequestId, Part>,
    pub(super) reserved_mid: Mid,
    next_mid: u32,
    interface: Option<InterfaceName>,
    setup: Setup,
    /// What resumes the last session, so that the next begins sooner (RFC 9132 §4.7).
    resumption: Option<S::Resumption>,
    pub(super) sessions: Vec<Live<S>>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) seeds: fastrand::Rng,
}

impl<S: dtls::Session> Association<S> {
    pub(super) fn new(
        now: Now,
        domain: &ProvisioningDomain,
        server: &pvd::DotsServer,
        (cuid, reserved): (Cuid, Mid),
        seed: u64,
    ) -> Self {
        let remotes = server
            .addresses
            .iter()
            .map(|address| Remote {
                address: *address,
                source: domain.source_towards(address.ip()),
            })
            // Without an address of that family in the PvD its ingress filter drops all we send.
            .filter(|remote| remote.source.is_some() || domain.addresses.is_empty())
            .collect();
        Self {
            id: AssociationId {
                pvd: domain.id.clone(),
                server: server.name.clone(),
            },
            cuid,
            parts: BTreeMap::new(),
            next_mid: reserved.0,
            reserved_mid: reserved,
            interface: domain.interface.clone(),
            setup: Setup::new(now.monotonic, remotes),
            resumption: None,
            sessions: Vec::new(),
            effects: VecDeque::new(),
            seeds: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn is_established(&self) -> bool {
        self.sessions.iter().any(|live| live.established.is_some())
    }

    pub(super) fn state(&self) -> SessionState {
        let up = self
            .sessions
            .iter()
            .find_map(|live| live.established.map(|since| (live.remote, since)));
        match (up, self.sessions.first()) {
            (Some((remote, since)), _) => SessionState::Established { remote, since },
            (None, Some(live)) => SessionState::Connecting {
                remote: live.remote,
            },
            (None, None) => SessionState::Down {
                retry: self.setup.retry(),
                reason: self.setup.last_failure().map(str::to_owned),
            },
        }
    }

    pub(super) fn round_trip_estimate(&self) -> Option<Duration> {
        self.sessions
            .iter()
            .find_map(|live| live.session.round_trip_estimate())
    }

    pub(super) fn owns(&self, path: PathId) -> bool {
        self.sessions.iter().any(|live| live.path == path)
    }

    /// A number for a new request: strictly increasing, also over restarts (RFC 9132 §4.4.1.1).
    pub(super) fn take_mid(&mut self) -> Mid {
        if self.next_mid >= Mid::ROLLOVER.0 && !self.is_under_attack() {
            self.next_mid = 0;
            self.reserved_mid = Mid(0);
        }
        let mid = Mid(self.next_mid);
        self.next_mid = self.next_mid.saturating_add(1);
        self.reserve_mids();
        mid
    }

    /// Makes sure that no restart gives out a number again.
    fn reserve_mids(&mut self) {
        if self.next_mid.saturating_add(MID_BLOCK / 2) > self.reserved_mid.0 {
            self.reserved_mid = Mid(self.next_mid.saturating_add(MID_BLOCK));
            self.effects.push_back(Effect::Remember);
        }
    }

    /// Keeps mids ahead of one that the store knows.
    pub(super) fn restore(&mut self, id: RequestId, part: Part) {
        self.next_mid = self.next_mid.max(part.mid.0.saturating_add(1));
        self.reserve_mids();
        self.parts.insert(id, part);
    }

    /// Whether a mitigation of this server is in force or being asked for.
    fn is_under_attack(&self) -> bool {
        self.parts.values().any(|part| !part.is_over())
    }

    pub(super) fn handle_datagram(&mut self, now: Now, path: PathId, datagram: &[u8]) {
        if let Some(live) = self.sessions.iter_mut().find(|live| live.path == path) {
            live.session.handle_datagram(now.monotonic, datagram);
        }
    }

    /// The socket of a session cannot be used: the interface went, or the peer's port is closed.
    pub(super) fn handle_path_failure(&mut self, now: Now, path: PathId, reason: &str) {
        let Some(live) = self.sessions.iter().find(|live| live.path == path) else {
            return;
        };
        // An ICMP error on an established session can be forged and may pass; silence decides.
        if live.established.is_none() {
            self.drop_session(now, path, reason.to_owned());
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        for live in &mut self.sessions {
            if live
                .session
                .poll_timeout()
                .is_some_and(|at| at <= now.monotonic)
            {
                live.session.handle_timeout(now.monotonic);
            }
        }
        for (id, part) in &mut self.parts {
            if part.next_timeout().is_some_and(|at| at <= now.monotonic) {
                let was_over = part.is_over();
                part.handle_timeout(now);
                if part.is_over() && !was_over {
                    self.effects.push_back(Effect::Changed(*id));
                }
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self
            .sessions
            .iter()
            .filter_map(|live| live.session.poll_timeout());
        let parts = self.parts.values().filter_map(Part::next_timeout);
        let unanswered = self.unanswered_at();
        sessions
            .chain(parts)
            .chain(self.setup.retry())
            .chain(unanswered)
            .min()
    }

    /// Brings everything to where it should be: events taken, sessions opened, wants sent. To be
    /// called after every change; calling it once more changes nothing.
    pub(super) fn settle<C: Connector<Session = S>>(
        &mut self,
        now: Now,
        connector: &mut C,
        next_path: &mut PathId,
    ) {
        self.take_outputs(now);
        let is_mitigating = self.is_under_attack();
        for live in &mut self.sessions {
            live.session.set_mitigating(now.monotonic, is_mitigating);
        }
        if self.unanswered_at().is_some_and(|at| at <= now.monotonic) {
            self.open_beside(now);
        }
        if self.setup.take_due(now.monotonic) && self.needs_session() {
            self.connect(now, connector, next_path);
            self.take_outputs(now);
        }
        self.send_wants(now);
        self.take_outputs(now);
    }

    /// When a request has been unanswered for so long that a second session is worth a try.
    fn unanswered_at(&self) -> Option<Instant> {
        let waiting = self
            .parts
            .values()
            .filter(|part| part.awaits_answer())
            .map(|part| part.asking_since)
            .min()?;
        (self.sessions.len() == 1 && self.is_established() && self.setup.retry().is_none())
            .then(|| waiting + UNANSWERED_REQUEST)
    }

    /// Whether the session there is, if any, does not do.
    fn needs_session(&self) -> bool {
        !self.is_established()
            || self
                .sessions
                .iter()
                .any(|live| live.session.is_peer_silent())
            || self.parts.values().any(Part::awaits_answer)
    }

    /// Plans a session beside the one there is.
    fn open_beside(&mut self, now: Now) {
        if self.sessions.len() < 2 {
            self.setup.replace(now.monotonic);
        }
    }

    fn connect<C: Connector<Session = S>>(
        &mut self,
        now: Now,
        connector: &mut C,
        next_path: &mut PathId,
    ) {
        let Some(Remote {
            address: remote,
            source,
        }) = self.setup.begin(now.monotonic)
        else {
            return;
        };
        let mut established = self.sessions.iter();
        if let Some(fresh) = established.find_map(|live| live.session.resumption()) {
            self.resumption = Some(fresh);
        }
        let resumption = self.resumption.as_ref();
        let secured = match connector.connect(now.monotonic, &self.id, resumption) {
            Ok(secured) => secured,
            Err(error) => {
                self.failed(now, error.to_string());
                return;
            }
        };
        let path = *next_path;
        next_path.0 += 1;
        self.effects.push_back(Effect::Open {
            path,
            interface: self.interface.clone(),
            source,
            remote,
        });
        let seed = self.seeds.u64(..);
        self.sessions.push(Live {
            path,
            remote,
            session: SignalSession::new(now.monotonic, secured, connector.parameters(), seed),
            established: None,
            pending: BTreeMap::new(),
        });
    }

    fn failed(&mut self, now: Now, reason: String) {
        self.effects.push_back(Effect::Session(Err(reason.clone())));
        self.setup.failed(now.monotonic, reason);
    }

    fn take_outputs(&mut self, now: Now) {
        let paths: Vec<PathId> = self.sessions.iter().map(|live| live.path).collect();
        for path in paths {
            while let Some(output) = self
                .sessions
                .iter_mut()
                .find(|live| live.path == path)
                .and_then(|live| live.session.poll_output())
            {
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
                if self.is_under_attack() {
                    self.open_beside(now);
                } else {
                    self.drop_session(now, path, "it answers no heartbeat any more".to_owned());
                }
            }
            Event::Closed(reason) => {
                // Who answers and refuses may refuse the resumption.
                let timed_out = reason == CloseReason::HandshakeTimedOut;
                let was_established = self.live(path).is_some_and(|it| it.established.is_some());
                if !was_established && !timed_out {
                    self.resumption = None;
                }
                self.drop_session(now, path, describe(&reason));
            }
        }
    }

    /// A session that came up takes the place of the one before (RFC 9132 §4.7).
    fn on_established(&mut self, now: Now, path: PathId) {
        self.setup.established(self.is_established());
        let mut remote = None;
        for live in &mut self.sessions {
            if live.path == path {
                live.established = Some(now.monotonic);
                remote = Some(live.remote);
            } else {
                live.session.close(now.monotonic);
            }
        }
        if let Some(remote) = remote {
            self.effects.push_back(Effect::Session(Ok(remote)));
        }
        // What the server was asked over the old session counts as never asked.
        for part in self.parts.values_mut() {
            if !part.is_settled() {
                part.asking_since = now.monotonic;
            }
        }
    }

    fn drop_session(&mut self, now: Now, path: PathId, reason: String) {
        let Some(at) = self.sessions.iter().position(|live| live.path == path) else {
            return;
        };
        let live = self.sessions.remove(at);
        if let Some(fresh) = live.session.resumption() {
            self.resumption = Some(fresh);
        }
        self.effects.push_back(Effect::Close(path));
        match live.established {
            None => self.failed(now, reason),
            // Another has taken its place.
            Some(_) if self.is_established() => {}
            Some(_) => {
                self.effects.push_back(Effect::Session(Err(reason.clone())));
                self.setup.ended(now.monotonic, reason);
            }
        }
    }

    pub(super) fn live(&mut self, path: PathId) -> Option<&mut Live<S>> {
        self.sessions.iter_mut().find(|live| live.path == path)
    }

    /// Ends all sessions in order, at shutdown or when the PvD goes.
    pub(super) fn close(&mut self, now: Now) {
        for live in &mut self.sessions {
            live.session.close(now.monotonic);
            while let Some(output) = live.session.poll_output() {
                if let Output::Transmit(datagram) = output {
                    self.effects
                        .push_back(Effect::Transmit(live.path, datagram));
                }
            }
            self.effects.push_back(Effect::Close(live.path));
        }
        self.sessions.clear();
        self.setup.stop();
    }
}

/// A client serves nothing but heartbeats.
fn refuse(request: &coap::Request) -> coap::Response {
    match crate::session::resource_of(request) {
        Ok(_) => content::diagnostic(coap::Code::METHOD_NOT_ALLOWED, "this is a DOTS client"),
        Err(_) => content::diagnostic(coap::Code::NOT_FOUND, "this is a DOTS client"),
    }
}

fn describe(reason: &CloseReason) -> String {
    reason.to_string()
}
