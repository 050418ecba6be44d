//! With which of a server's addresses, over what, and when a session is set up: the Happy Eyeballs
//! of RFC 9132 §4.3, and the pauses of §4.7.
//!
//! ```text
//!              goal, 60 s after the last round        100 ms, 2 s, or at once after a failure
//! resting ------------------------------------> round: UDP/IPv6 .. UDP/IPv4 .. TCP/IPv6 .. TCP/IPv4
//!    ^                                            |           the last winner's kind goes first
//!    '--one is established, or all have failed----'
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use dtls::Transport;

use super::action::Peer;

/// A set-up that failed is not tried again with the same address before this (RFC 9132 §4.7:
/// never more often than every 60 s, and rather every 300 s; a home under attack needs the former).
const SHORTEST_RETRY: Duration = Duration::from_secs(60);
/// Connection Attempt Delay while there is something to ask for (RFC 9132 §4.3).
const URGENT_DELAY: Duration = Duration::from_millis(100);
/// Connection Attempt Delay otherwise: the longest of RFC 8305 §8. Nobody waits, and a handshake
/// over UDP, of three round trips, is not to lose to one over TCP by its length alone.
const IDLE_DELAY: Duration = Duration::from_secs(2);
/// How long the kind that won is tried first (RFC 9132 §4.3 suggests this).
const OUTCOME_LIFETIME: Duration = Duration::from_secs(600);
/// How often a client on TCP looks whether UDP works (RFC 9132 §4.3).
const PROBE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// The same under attack, where TCP suffers most: the shortest that RFC 9132 §4.3 allows.
const URGENT_PROBE_INTERVAL: Duration = Duration::from_secs(300);
/// Where and how a server can be reached, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    pub(super) source: Option<IpAddr>,
}

impl Candidate {
    pub(super) fn peer(&self) -> Peer {
        Peer {
            transport: self.transport,
            address: self.address,
        }
    }

    /// The place in the order of RFC 9132 §4.3.
    fn kind(&self) -> (Transport, bool) {
        (self.transport, self.address.is_ipv4())
    }
}

/// What is to be brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nothing: the session that is up does.
    Rest,
    /// A session, for there is none.
    Session,
    /// One beside the session that is up, which does not do.
    Beside,
    /// One over UDP, for what is up goes over TCP.
    Datagram,
}

#[derive(Debug)]
struct Round {
    started: Instant,
    /// Only over UDP, which is no way to a session where UDP is dropped.
    is_probe: bool,
    waiting: VecDeque<usize>,
    running: BTreeSet<usize>,
    /// When the last attempt began, unless one has failed since.
    last_begun: Option<Instant>,
}

impl Round {
    /// Whether it can bring that about.
    fn serves(&self, goal: Goal) -> bool {
        self.is_probe == (goal == Goal::Datagram)
    }
}

/// The attempts to set up a session with one server.
#[derive(Debug)]
pub(super) struct Race {
    created: Instant,
    /// With each, when it was last tried. In order of preference.
    candidates: Vec<(Candidate, Option<Instant>)>,
    started: Option<Instant>,
    round: Option<Round>,
    /// The one whose session is up, which may be replaced at once, for it did not fail.
    free: Option<usize>,
    winner: Option<((Transport, bool), Instant)>,
    last_failure: Option<Failure>,
}

/// Why there is no session.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Whether somebody or something said it, in this round: that nothing came back says less.
    is_telling: bool,
}

impl Race {
    /// The first round is due at once.
    pub(super) fn new(now: Instant, mut candidates: Vec<Candidate>) -> Self {
        candidates.sort_by_key(Candidate::kind);
        Self {
            created: now,
            candidates: candidates.into_iter().map(|each| (each, None)).collect(),
            started: None,
            round: None,
            free: None,
            winner: None,
            last_failure: None,
        }
    }

    /// Whether these are the candidates.
    pub(super) fn has(&self, candidates: &[Candidate]) -> bool {
        let mut known = self.candidates.iter();
        self.candidates.len() == candidates.len()
            && known.all(|(known, _)| candidates.contains(known))
    }

    /// The place of the candidate that leads there.
    pub(super) fn place_of(&self, peer: Peer) -> Option<usize> {
        let mut candidates = self.candidates.iter();
        candidates.position(|(each, _)| each.peer() == peer)
    }

    /// Goes by other candidates from now on; what is among them still is not tried sooner for it.
    pub(super) fn renew(&mut self, now: Instant, candidates: Vec<Candidate>) {
        let old = std::mem::replace(self, Self::new(now, candidates));
        let place = |(candidate, _): &(Candidate, _)| {
            self.candidates
                .iter()
                .position(|(each, _)| each == candidate)
        };
        let places: Vec<Option<usize>> = old.candidates.iter().map(place).collect();
        for ((_, tried), place) in old.candidates.iter().zip(&places) {
            if let Some((_, again)) = place.and_then(|at| self.candidates.get_mut(at)) {
                *again = *tried;
            }
        }
        self.free = old.free.and_then(|at| places.get(at).copied().flatten());
        self.winner = old.winner;
        self.last_failure = old.last_failure;
    }

    /// Why the last attempt or session ended, until another session is up.
    pub(super) fn last_failure(&self) -> Option<&str> {
        if self.candidates.is_empty() {
            return Some("no address of the server is of a family that this PvD has an address of");
        }
        let failure = self.last_failure.as_ref();
        failure.map(|failure| failure.reason.as_str())
    }

    /// When an attempt is to begin; `None`: none is planned.
    pub(super) fn due(&self, goal: Goal, is_urgent: bool) -> Option<Instant> {
        if goal == Goal::Rest || self.candidates.is_empty() {
            return None;
        }
        if let Some(round) = self.round.as_ref().filter(|round| round.serves(goal)) {
            let (_, at) = self.next(round, is_urgent)?;
            return Some(at);
        }
        let after = |pause| self.started.map_or(self.created, |at| at + pause);
        match goal {
            Goal::Rest => None,
            Goal::Beside if self.free.is_some() => Some(self.created),
            // A probe is under way, and will not do.
            Goal::Session | Goal::Beside if self.round.is_some() => Some(self.created),
            Goal::Session | Goal::Beside => Some(after(SHORTEST_RETRY)),
            Goal::Datagram if self.candidates.iter().all(|(each, _)| !is_datagram(each)) => None,
            Goal::Datagram if is_urgent => Some(after(URGENT_PROBE_INTERVAL)),
            Goal::Datagram => Some(after(PROBE_INTERVAL)),
        }
    }

    /// The attempt of a round that begins next, and when.
    fn next(&self, round: &Round, is_urgent: bool) -> Option<(usize, Instant)> {
        let delay = if is_urgent { URGENT_DELAY } else { IDLE_DELAY };
        let pace = round.last_begun.map_or(round.started, |at| at + delay);
        let ready = round.waiting.iter().filter_map(|index| {
            let (_, tried) = self.candidates.get(*index)?;
            let rested = tried.filter(|_| self.free != Some(*index));
            let at = rested.map_or(self.created, |at| at + SHORTEST_RETRY);
            Some((*index, at.max(pace)))
        });
        ready.min_by_key(|(_, at)| *at)
    }

    /// The attempt that begins now, if one is due. Ask until there is none.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        goal: Goal,
        is_urgent: bool,
    ) -> Option<(usize, Candidate)> {
        self.due(goal, is_urgent).filter(|at| *at <= now)?;
        let round = match self.round.take() {
            Some(round) if round.serves(goal) => round,
            other => {
                let running = other.map(|round| round.running).unwrap_or_default();
                self.start(now, goal, running)
            }
        };
        let next = self.next(&round, is_urgent);
        let round = self.round.insert(round);
        let (index, _) = next.filter(|(_, at)| *at <= now)?;
        round.waiting.retain(|waiting| *waiting != index);
        round.running.insert(index);
        round.last_begun = Some(now);
        self.free = None;
        let (candidate, tried) = self.candidates.get_mut(index)?;
        *tried = Some(now);
        Some((index, *candidate))
    }

    /// A round beside the attempts of the last that go on.
    fn start(&mut self, now: Instant, goal: Goal, running: BTreeSet<usize>) -> Round {
        self.started = Some(now);
        if let Some(before) = &mut self.last_failure {
            before.is_telling = false;
        }
        if goal != Goal::Beside {
            self.free = None;
        }
        let first = self
            .winner
            .filter(|(_, until)| *until > now)
            .map(|(kind, _)| kind);
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        let kind = |index: &usize| self.candidates.get(*index).map(|(each, _)| each.kind());
        order.retain(|index| {
            goal != Goal::Datagram
                || kind(index).is_some_and(|(transport, _)| transport == Transport::Datagram)
        });
        order.retain(|index| !running.contains(index));
        order.sort_by_key(|index| first.is_some() && kind(index) != first);
        Round {
            started: now,
            is_probe: goal == Goal::Datagram,
            waiting: order.into(),
            running,
            last_begun: None,
        }
    }

    /// An attempt failed: the next one begins at once. A reason that tells something stays until the next
    /// round. Returns whether all of a round have failed.
    pub(super) fn failed(&mut self, index: usize, reason: String, is_telling: bool) -> bool {
        let before = self.last_failure.take();
        let before = before.filter(|before| before.is_telling && !is_telling);
        self.last_failure = before.or(Some(Failure { reason, is_telling }));
        let Some(round) = &mut self.round else {
            return false;
        };
        round.running.remove(&index);
        round.last_begun = None;
        let is_over = round.running.is_empty() && round.waiting.is_empty();
        if is_over {
            self.round = None;
        }
        is_over
    }

    /// A session came up, and perhaps took the place of another. The other attempts are given up.
    pub(super) fn established(&mut self, now: Instant, index: usize, is_replacement: bool) {
        self.round = None;
        self.free = (!is_replacement).then_some(index);
        self.last_failure = None;
        if let Some((candidate, _)) = self.candidates.get(index) {
            self.winner = Some((candidate.kind(), now + OUTCOME_LIFETIME));
        }
    }

    /// The attempts that were under way were given up: another server is asked.
    pub(super) fn given_up(&mut self) {
        self.round = None;
    }

    /// The session that was up is over.
    pub(super) fn ended(&mut self, reason: String) {
        self.free = None;
        let is_telling = true;
        self.last_failure = Some(Failure { reason, is_telling });
    }
}

fn is_datagram(candidate: &Candidate) -> bool {
    candidate.transport == Transport::Datagram
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
mod tests;
