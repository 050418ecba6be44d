//! The sessions of a server by the addresses between which they run: one port of a NAT may be two peers' to two addresses
//! of ours.
//!
//! ```text
//! addresses: established <-- datagram --> newcomer, in its handshake
//!                \--- closed, once the newcomer is established
//! ```
//!
//! A newcomer may be a peer that started anew, or a replayed ClientHello (RFC 6347 §4.2.8): only
//! its handshake tells.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use coap::{Exchange, Response, Token};
use dtls::Transport;

use super::SessionId;
use super::session_limits::{SessionLimits, Shares, TooManySessions, is_same_source};
use crate::session::{Event, Output, SessionParameters, SignalSession};

/// Between which addresses a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// The peer.
    pub remote: SocketAddr,
    /// The address of ours that the peer speaks to, and must be answered from. `None`: the
    /// socket is bound to it.
    pub local: Option<IpAddr>,
}

/// What leaves a session: something for its peer, or for the server.
#[derive(Debug)]
pub struct SessionOutput {
    /// Which session.
    pub session: SessionId,
    /// Between which addresses it runs.
    pub flow: Flow,
    /// What it is.
    pub output: Output,
}

/// What went wrong with messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageFaults {
    /// Those of peers that were no CoAP.
    pub malformed: u64,
    /// Answers that their peers could not take, as one too large without block-wise transfer; they
    /// got 5.00.
    pub unsendable: u64,
}

impl MessageFaults {
    fn count(&mut self, counters: &coap::Counters) {
        self.malformed += counters.malformed;
        self.unsendable += counters.unsendable_responses;
    }
}

/// All sessions that one socket serves.
#[derive(Debug)]
pub struct Sessions<S> {
    parameters: SessionParameters,
    limits: SessionLimits,
    next: SessionId,
    step: u64,
    by_id: BTreeMap<SessionId, Held<S>>,
    by_flow: BTreeMap<Flow, OfFlow>,
    /// In the order in which they began.
    handshakes: BTreeSet<SessionId>,
    shares: Shares,
    by_timeout: BTreeSet<(Instant, SessionId)>,
    outputs: VecDeque<SessionOutput>,
    /// Of sessions that are over.
    faults_before: MessageFaults,
    seeds: fastrand::Rng,
}

#[derive(Debug)]
struct Held<S> {
    session: SignalSession<S>,
    flow: Flow,
    /// The message that its handshake began with, as long as that is not done.
    opening: Option<Box<[u8]>>,
    timeout: Option<Instant>,
}

/// The sessions between two addresses.
#[derive(Debug, Default)]
struct OfFlow {
    established: Option<SessionId>,
    newcomer: Option<SessionId>,
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
            next: SessionId(shard),
            step: shards.max(1),
            by_id: BTreeMap::new(),
            by_flow: BTreeMap::new(),
            handshakes: BTreeSet::new(),
            shares: Shares::default(),
            by_timeout: BTreeSet::new(),
            outputs: VecDeque::new(),
            faults_before: MessageFaults::default(),
            seeds: fastrand::Rng::with_seed(seed),
        }
    }

    /// How many sessions there are, those still in their handshake included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What went wrong with messages, in all sessions so far.
    pub fn message_faults(&self) -> MessageFaults {
        let mut faults = self.faults_before;
        for held in self.by_id.values() {
            faults.count(held.session.counters());
        }
        faults
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Adds the session of a peer whose address is verified, and whose handshake began with the
    /// message `opening`. A session that the address has already goes on until this one is
    /// established; another handshake of the address gives way at once, and where there are too many
    /// the oldest of its source, or of all.
    pub fn insert(
        &mut self,
        now: Instant,
        flow: Flow,
        secured: S,
        opening: &[u8],
    ) -> Result<SessionId, TooManySessions> {
        let before = self.by_flow.get(&flow);
        let before = before.and_then(|here| here.newcomer);
        let of_source = self.shares.giving_way(flow.remote.ip(), &self.limits);
        let is_full = self.handshakes.len() >= self.limits.handshakes;
        let oldest = self.handshakes.first().copied().filter(|_| is_full);
        let giving_way = before.or(of_source).or(oldest);
        self.check_limits(flow.remote.ip(), giving_way)?;
        if let Some(id) = giving_way {
            self.supersede(id);
        }
        let id = self.next;
        self.next = SessionId(id.0 + self.step);
        let seed = self.seeds.u64(..);
        let session = SignalSession::new(now, secured, &self.parameters, seed);
        let held = Held {
            session,
            flow,
            opening: Some(opening.into()),
            timeout: None,
        };
        self.by_id.insert(id, held);
        self.by_flow.entry(flow).or_default().newcomer = Some(id);
        self.handshakes.insert(id);
        self.shares.change(flow.remote.ip(), |share| {
            share.sessions += 1;
            share.handshakes.insert(id);
        });
        self.settle(id);
        Ok(id)
    }

    /// Whether the message `opening` between these addresses is no repetition of one that a handshake
    /// began with.
    pub fn is_new_opening(&self, flow: Flow, opening: &[u8]) -> bool {
        let newcomer = self.by_flow.get(&flow).and_then(|here| here.newcomer);
        let held = newcomer.and_then(|id| self.by_id.get(&id));
        held.is_none_or(|held| held.opening.as_deref() != Some(opening))
    }

    /// The sessions, those in their handshake included, each with its peer and its transport.
    pub fn peers(&self) -> impl Iterator<Item = (SessionId, SocketAddr, Transport)> {
        let peer =
            |(id, held): (&SessionId, &Held<S>)| (*id, held.flow.remote, held.session.transport());
        self.by_id.iter().map(peer)
    }

    /// Whether the handshake of a session is done.
    pub fn is_established(&self, id: SessionId) -> bool {
        self.by_id
            .get(&id)
            .is_some_and(|held| held.session.is_established())
    }

    /// A datagram came. Each session between its addresses drops what is not its own. False: there is
    /// none, not even in its handshake.
    pub fn handle_datagram(&mut self, now: Instant, flow: Flow, datagram: &[u8]) -> bool {
        let Some(here) = self.by_flow.get(&flow) else {
            return false;
        };
        for id in [here.established, here.newcomer].into_iter().flatten() {
            self.with(id, |session| session.handle_datagram(now, datagram));
        }
        true
    }

    /// Octets came in on the connection of one session, or none: it has ended. A peer that connects
    /// anew from the same port has another.
    pub fn handle_chunk(&mut self, now: Instant, id: SessionId, chunk: &[u8]) {
        self.with(id, |session| session.handle_datagram(now, chunk));
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

    /// Whether there is room for a session of this source when another one gives way.
    fn check_limits(
        &self,
        source_address: IpAddr,
        giving_way: Option<SessionId>,
    ) -> Result<(), TooManySessions> {
        let giving_way = giving_way.and_then(|id| self.by_id.get(&id));
        let is_same = |other: &&Held<S>| is_same_source(other.flow.remote.ip(), source_address);
        let of_source = self.shares.sessions(source_address)
            - usize::from(giving_way.filter(is_same).is_some());
        let limits = self.limits;
        let sessions = self.by_id.len() - usize::from(giving_way.is_some());
        let limit = if sessions >= limits.sessions {
            limits.sessions
        } else if of_source >= limits.sessions_per_source {
            limits.sessions_per_source
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
        while let Some((flow, output)) = self.poll_session(id) {
            match &output {
                Output::Event(Event::Established(_)) => self.on_established(id, flow),
                Output::Event(Event::Closed(_)) => drop(self.drop_session(id)),
                Output::Event(_) | Output::Transmit(_) => {}
            }
            self.outputs.push_back(SessionOutput {
                session: id,
                flow,
                output,
            });
        }
        let Some(held) = self.by_id.get_mut(&id) else {
            return;
        };
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
    }

    /// What a session gives out next; nothing more once it is over.
    fn poll_session(&mut self, id: SessionId) -> Option<(Flow, Output)> {
        let held = self.by_id.get_mut(&id)?;
        Some((held.flow, held.session.poll_output()?))
    }

    /// The handshake of a session is done: it takes the place of the one before it.
    fn on_established(&mut self, id: SessionId, flow: Flow) {
        if let Some(held) = self.by_id.get_mut(&id) {
            held.opening = None;
        }
        self.handshakes.remove(&id);
        self.shares.change(flow.remote.ip(), |share| {
            share.handshakes.remove(&id);
        });
        let here = self.by_flow.entry(flow).or_default();
        here.newcomer = None;
        if let Some(before) = here.established.replace(id) {
            self.supersede(before);
        }
    }

    /// Ends a session whose place another one takes, without a word to the peer, which is not
    /// listening to it. Whoever it belonged to has not said that it goes: its address may be somebody
    /// else's by now (RFC 9132 §4.7).
    fn supersede(&mut self, id: SessionId) {
        let Some(flow) = self.drop_session(id) else {
            return;
        };
        let closed = Event::Closed(dtls::CloseReason::Superseded);
        self.outputs.push_back(SessionOutput {
            session: id,
            flow,
            output: Output::Event(closed),
        });
    }

    fn drop_session(&mut self, id: SessionId) -> Option<Flow> {
        let held = self.by_id.remove(&id)?;
        self.faults_before.count(held.session.counters());
        if let Some(at) = held.timeout {
            self.by_timeout.remove(&(at, id));
        }
        self.handshakes.remove(&id);
        self.shares.change(held.flow.remote.ip(), |share| {
            share.sessions -= 1;
            share.handshakes.remove(&id);
        });
        if let Entry::Occupied(mut here) = self.by_flow.entry(held.flow) {
            let OfFlow {
                established,
                newcomer,
            } = here.get_mut();
            established.take_if(|other| *other == id);
            newcomer.take_if(|other| *other == id);
            if established.is_none() && newcomer.is_none() {
                here.remove();
            }
        }
        Some(held.flow)
    }
}
