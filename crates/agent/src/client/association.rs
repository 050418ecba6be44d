//! The client's side of one DOTS server: what is asked of it, and the sessions that carry that.
//!
//! The parts say what they want ([`super::part`]), the sessions are kept up ([`super::sessions`]),
//! and [`Association::settle`] brings both together ([`super::sending`]) after every event.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dots::identifiers::{Cuid, Mid};
use pvd::{InterfaceName, ProvisioningDomain};

use super::action::{Peer, Redirection};
use super::mids::Mids;
use super::part::{Leaving, Part, Wish};
use super::parts::{self, Parts};
use super::race::Candidate;
use super::redirect::{Alternate, Contacts};
use super::route::{Destination, Live, Route, Ways};
use super::state::Waiting;
use super::telling::Telling;
use super::{AssociationRecord, Connector, PathId, RequestId};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// A server that leaves a request unanswered so long may have lost the session: a second one
/// is opened beside it.
pub(super) const UNANSWERED_REQUEST: Duration = Duration::from_secs(10);

/// What an association wants done. [`super::Client`] passes it on.
#[derive(Debug)]
pub(super) enum Effect {
    Open {
        path: PathId,
        interface: Option<InterfaceName>,
        candidate: Candidate,
    },
    Transmit(PathId, Vec<u8>),
    Close(PathId),
    /// Cuid or reserved mids have changed.
    Remember,
    /// Find the addresses of this server.
    Resolve(String),
    Redirect(Redirection),
    SessionUp(Peer),
    /// A session or an attempt ended, and why.
    SessionDown(Peer, String),
}

/// One server of one PvD.
#[derive(Debug)]
pub(super) struct Association<S: dtls::Session> {
    pub(super) id: AssociationId,
    pub(super) cuid: Cuid,
    pub(super) parts: Parts,
    pub(super) telling: Telling,
    mids: Mids,
    pub(super) ways: Ways,
    pub(super) provisioned: Route<S::Resumption>,
    pub(super) alternate: Option<Alternate<S::Resumption>>,
    pub(super) contacts: Contacts,
    /// Until when it was looked who may go to another server.
    pub(super) placed: Option<Instant>,
    /// Which of its servers answered then.
    pub(super) reached: Option<[bool; 2]>,
    pub(super) sessions: Vec<Live<S>>,
    /// Where a request has been unanswered for too long.
    unanswered: BTreeSet<Destination>,
    /// Cuid collisions since a request was last granted.
    pub(super) collisions: u32,
    /// Whether status is asked for without what does not change (RFC 9132 §4.4.2): until the server
    /// shows that it does not understand the query.
    pub(super) filters_content: bool,
    pub(super) is_closed: bool,
    /// Its server is named no more: until when it goes on, only to withdraw.
    pub(super) leaving: Option<Instant>,
    /// What it was not told by then.
    pub(super) untold: Vec<Part>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) seeds: fastrand::Rng,
}

impl<S: dtls::Session> Association<S> {
    pub(super) fn new(
        now: Now,
        domain: &ProvisioningDomain,
        server: &pvd::DotsServer,
        (cuid, reserved): (Cuid, Mid),
        configured: Arc<[String]>,
        seed: u64,
    ) -> Self {
        let ways = Ways::new(domain, server);
        let candidates = ways.candidates_at(&server.endpoints);
        Self {
            provisioned: Route::new(now.monotonic, server.name.clone(), candidates),
            ways,
            alternate: None,
            contacts: Contacts::new(configured),
            placed: None,
            reached: None,
            id: AssociationId {
                pvd: domain.id.clone(),
                server: server.name.clone(),
            },
            cuid,
            parts: Parts::default(),
            telling: Telling::default(),
            mids: Mids::new(reserved),
            sessions: Vec::new(),
            unanswered: BTreeSet::new(),
            collisions: 0,
            filters_content: true,
            is_closed: false,
            leaving: None,
            untold: Vec::new(),
            effects: VecDeque::new(),
            seeds: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) fn record(&self) -> AssociationRecord {
        AssociationRecord {
            association: self.id.clone(),
            cuid: self.cuid.clone(),
            reserved_mid: self.mids.reserved(),
        }
    }

    /// A new part, under a number of its own.
    pub(super) fn add(&mut self, now: Now, wish: Wish) {
        self.start_numbers_again(now);
        let mid = self.mids.take();
        self.parts.insert(Part::new(now, mid, wish));
        self.remember_mids();
    }

    /// The number of the next part.
    pub(super) fn next_mid(&self) -> Mid {
        self.mids.next()
    }

    /// A part that the store knows.
    pub(super) fn restore(&mut self, part: Part) {
        self.mids.keep_above(part.mid);
        self.remember_mids();
        self.telling.restored(&part);
        self.parts.insert(part);
    }

    fn remember_mids(&mut self) {
        if self.mids.take_change() {
            self.effects.push_back(Effect::Remember);
        }
    }

    /// In peace, as far as the server tells, numbers that are used up start again at 0, also those of the preconfigured
    /// requests: these are withdrawn and then asked for anew, for a lower number would not take the
    /// place of a higher one (RFC 9132 §4.4.1.1, §4.4.1.3).
    fn start_numbers_again(&mut self, now: Now) {
        if !self.mids.are_worn() || !self.parts.are_at_rest() {
            return;
        }
        self.mids.start_again();
        let going = parts::mids(self.parts.iter().filter(|part| part.is_going()));
        self.parts
            .change(going, |part| part.leave(now, Leaving::ToRenumber));
    }

    /// Whether a number was used and nothing is known of it: it left just before the process died, for a request
    /// does not wait for the disk.
    pub(super) fn has_forgotten(&self, mid: Mid) -> bool {
        self.parts.get(mid).is_none() && mid < self.mids.next()
    }

    /// Asks anew for what was withdrawn under a number that is of no use.
    fn renumber(&mut self, now: Now) {
        for old in self.parts.take_renumbered() {
            let mid = self.mids.take();
            self.parts.insert(Part::new(now, mid, old.wish));
        }
    }

    pub(super) fn parts_of(&self, id: RequestId) -> impl Iterator<Item = &Part> {
        self.parts.of(id)
    }

    /// Forgets all about a request.
    pub(super) fn forget(&mut self, id: RequestId) {
        for mid in parts::mids(self.parts.of(id)) {
            self.parts.remove(mid);
        }
    }

    /// Whether a mitigation of this server is in force or being asked for.
    pub(super) fn is_under_attack(&self) -> bool {
        self.parts.are_under_attack()
    }

    /// Whether a part waits for an answer.
    pub(super) fn is_asking(&self) -> bool {
        self.parts.awaiting().next().is_some()
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.handle_session_timeouts(now);
        let due = self.parts.due(now);
        self.parts.change(due, |part| part.handle_timeout(now));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self
            .sessions
            .iter()
            .filter_map(|live| live.session.poll_timeout());
        let unanswered = Destination::ALL
            .into_iter()
            .filter(|destination| !self.unanswered.contains(destination))
            .filter_map(|destination| self.unanswered_at(destination));
        sessions
            .chain(self.parts.next_timeout())
            .chain(unanswered)
            .chain(self.next_attempt())
            .chain(self.redirect_timeout())
            .chain(self.telling.next_timeout())
            .chain(self.leaving.filter(|_| !self.is_closed))
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
        self.settle_redirect(now);
        self.start_numbers_again(now);
        self.renumber(now);
        self.remember_mids();
        let is_mitigating = self.is_under_attack();
        for live in &mut self.sessions {
            live.session.set_mitigating(now.monotonic, is_mitigating);
        }
        let past = |destination: &Destination| {
            let at = self.unanswered_at(*destination);
            at.is_some_and(|at| at <= now.monotonic)
        };
        self.unanswered = Destination::ALL.into_iter().filter(past).collect();
        self.settle_leaving(now);
        self.open_sessions(now, connector, next_path);
        self.take_outputs(now);
        self.send_wants(now);
        self.retire_sessions(now);
        self.take_outputs(now);
    }

    /// When a request will have been unanswered for so long that a second session is worth a try.
    fn unanswered_at(&self, destination: Destination) -> Option<Instant> {
        self.newest(destination)?;
        let mut waiting = self.parts.awaiting();
        let awaited = |mid| {
            let asked = self.destination_of(mid);
            let part = self.parts.get(mid);
            part.map_or(asked, |part| part.awaited(asked))
        };
        let is_here = |mid| awaited(mid) == destination;
        let (waiting, _) = waiting.find(|(_, mid)| is_here(*mid))?;
        Some(waiting + UNANSWERED_REQUEST)
    }

    /// Whether a request has been unanswered for so long that the session may be lost.
    pub(super) fn is_unanswered(&self, destination: Destination) -> bool {
        self.unanswered.contains(&destination)
    }

    /// Why a part has no answer yet.
    pub(super) fn waiting(&self, part: &Part) -> Option<Waiting> {
        if part.is_settled() {
            return None;
        }
        Some(match part.pause.clone() {
            Some((until, reason)) => Waiting::Paused { until, reason },
            None if self.is_served(part.mid) => Waiting::Unanswered {
                since: part.asking_since,
            },
            None => Waiting::NoSession {
                reason: self.last_failure(self.destination_of(part.mid)),
                retry: self.next_attempt(),
            },
        })
    }
}
