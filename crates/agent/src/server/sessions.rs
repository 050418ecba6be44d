//! The sessions of a server by the address of their peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use coap::{Exchange, Response, Token};

use super::SessionId;
use crate::session::{Event, Output, SessionParameters, SignalSession};

/// The server holds as many sessions as it may: in all, with this source, or in their handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more sessions from {source_address}: the limit is {limit}")]
pub struct TooManySessions {
    /// The address that wanted one more.
    pub source_address: IpAddr,
    /// The limit that was met.
    pub limit: usize,
}

/// Between which addresses a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The peer.
    pub remote: SocketAddr,
    /// The address of ours that the peer speaks to, and must be answered from. `None`: the
    /// socket is bound to it.
    pub local: Option<IpAddr>,
}

/// How many sessions the network may make a server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// In all.
    pub sessions: usize,
    /// With one source address.
    pub sessions_per_source: usize,
    /// In their handshake.
    pub handshakes: usize,
}

/// What leaves the sessions.
#[derive(Debug)]
pub enum SessionOutput {
    /// A datagram.
    Transmit(Flow, Vec<u8>),
    /// Something for the server.
    Event(SessionId, Event),
}

/// All sessions that one socket serves.
#[derive(Debug)]
pub struct Sessions<S> {
    parameters: SessionParameters,
    limits: SessionLimits,
    established: usize,
    next: SessionId,
    step: u64,
    by_id: BTreeMap<SessionId, Held<S>>,
    by_remote: BTreeMap<SocketAddr, SessionId>,
    by_timeout: BTreeSet<(Instant, SessionId)>,
    outputs: VecDeque<SessionOutput>,
    seeds: fastrand::Rng,
}

#[derive(Debug)]
struct Held<S> {
    session: SignalSession<S>,
    flow: Flow,
    established: bool,
    timeout: Option<Instant>,
}

impl<S: dtls::Session> Sessions<S> {
    /// No sessions yet. Of `shards` tables, the one numbered `shard` gives out identifiers that
    /// no other gives out.
    pub fn new(
        parameters: SessionParameters,
        limits: SessionLimits,
        (shard, shards): (u64, u64),
        seed: u64,
    ) -> Self {
        Self {
            parameters,
            limits,
            established: 0,
            next: SessionId(shard),
            step: shards.max(1),
            by_id: BTreeMap::new(),
            by_remote: BTreeMap::new(),
            by_timeout: BTreeSet::new(),
            outputs: VecDeque::new(),
            seeds: fastrand::Rng::with_seed(seed),
        }
    }

    /// How many sessions there are, those still in their handshake included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Adds the session of a peer whose address is verified. A session that the same address
    /// had before is over: its peer started anew (RFC 6347 §4.2.8).
    pub fn insert(
        &mut self,
        now: Instant,
        flow: Flow,
        secured: S,
    ) -> Result<SessionId, TooManySessions> {
        let remote = flow.remote;
        if let Some(before) = self.by_remote.get(&remote).copied() {
            self.drop_session(before);
            let closed = Event::Closed(dtls::CloseReason::Local);
            self.outputs.push_back(SessionOutput::Event(before, closed));
        }
        self.check_limits(remote.ip())?;
        let id = self.next;
        self.next = SessionId(id.0 + self.step);
        let seed = self.seeds.u64(..);
        let session = SignalSession::new(now, secured, &self.parameters, seed);
        let held = Held {
            session,
            flow,
            established: false,
            timeout: None,
        };
        self.by_id.insert(id, held);
        self.by_remote.insert(remote, id);
        self.settle(id);
        Ok(id)
    }

    /// The session of a peer.
    pub fn of_remote(&self, remote: SocketAddr) -> Option<SessionId> {
        self.by_remote.get(&remote).copied()
    }

    /// Whether the handshake of a session is done.
    pub fn is_established(&self, id: SessionId) -> bool {
        self.by_id
            .get(&id)
            .is_some_and(|held| held.session.is_established())
    }

    /// A datagram came for a session.
    pub fn handle_datagram(&mut self, now: Instant, id: SessionId, datagram: &[u8]) {
        self.with(id, |session| session.handle_datagram(now, datagram));
    }

    /// Answers a request.
    pub fn respond(&mut self, now: Instant, id: SessionId, exchange: Exchange, response: Response) {
        self.with(id, |session| session.respond(now, exchange, response));
    }

    /// Leaves a request without an answer.
    pub fn ignore(&mut self, now: Instant, id: SessionId, exchange: Exchange) {
        self.with(id, |session| session.ignore(now, exchange));
    }

    /// Tells an observer.
    pub fn notify(&mut self, now: Instant, id: SessionId, token: &Token, response: Response) {
        self.with(id, |session| session.notify(now, token, response));
    }

    /// Whether the client of a session is under attack.
    pub fn set_mitigating(&mut self, now: Instant, id: SessionId, is_mitigating: bool) {
        self.with(id, |session| session.set_mitigating(now, is_mitigating));
    }

    /// Ends a session.
    pub fn close(&mut self, now: Instant, id: SessionId) {
        self.with(id, |session| session.close(now));
    }

    /// The instant of [`Sessions::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Each session once: one whose clock lags ours may still ask for an instant that is past.
        let due: Vec<SessionId> = self
            .by_timeout
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| *id)
            .collect();
        for id in due {
            self.with(id, |session| session.handle_timeout(now));
        }
    }

    /// When [`Sessions::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.by_timeout.first().map(|(at, _)| *at)
    }

    /// What leaves the sessions; poll until `None` after each call.
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    fn check_limits(&self, source_address: IpAddr) -> Result<(), TooManySessions> {
        let first = SocketAddr::new(source_address, 0);
        let last = SocketAddr::new(source_address, u16::MAX);
        let of_source = self.by_remote.range(first..=last).count();
        let limits = self.limits;
        let limit = if self.by_id.len() >= limits.sessions {
            limits.sessions
        } else if of_source >= limits.sessions_per_source {
            limits.sessions_per_source
        } else if self.by_id.len() - self.established >= limits.handshakes {
            limits.handshakes
        } else {
            return Ok(());
        };
        Err(TooManySessions {
            source_address,
            limit,
        })
    }

    fn with(&mut self, id: SessionId, act: impl FnOnce(&mut SignalSession<S>)) {
        if let Some(held) = self.by_id.get_mut(&id) {
            act(&mut held.session);
            self.settle(id);
        }
    }

    /// Takes what a session gives out and notes when it wants to be woken.
    fn settle(&mut self, id: SessionId) {
        let Some(held) = self.by_id.get_mut(&id) else {
            return;
        };
        let mut closed = false;
        while let Some(output) = held.session.poll_output() {
            self.outputs.push_back(match output {
                Output::Transmit(datagram) => SessionOutput::Transmit(held.flow, datagram),
                Output::Event(event) => {
                    closed |= matches!(event, Event::Closed(_));
                    if matches!(event, Event::Established(_)) {
                        held.established = true;
                        self.established += 1;
                    }
                    SessionOutput::Event(id, event)
                }
            });
        }
        let timeout = held.session.poll_timeout();
        if timeout != held.timeout {
            if let Some(before) = held.timeout.take() {
                self.by_timeout.remove(&(before, id));
            }
            if let Some(at) = timeout {
                self.by_timeout.insert((at, id));
            }
            held.timeout = timeout;
        }
        if closed {
            self.drop_session(id);
        }
    }

    fn drop_session(&mut self, id: SessionId) {
        if let Some(held) = self.by_id.remove(&id) {
            self.established -= usize::from(held.established);
            if let Some(at) = held.timeout {
                self.by_timeout.remove(&(at, id));
            }
            if self.by_remote.get(&held.flow.remote) == Some(&id) {
                self.by_remote.remove(&held.flow.remote);
            }
        }
    }
}
