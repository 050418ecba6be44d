//! How sessions with one server end: replaced, failed, silent, or with the client.

use std::time::Instant;

use super::PathId;
use super::association::{Association, Effect};
use super::race::Candidate;
use super::route::Destination;
use crate::session::Output;
use crate::time::Now;

/// Sessions with one server that are up at a time, while the older is not given up.
const ESTABLISHED: usize = 2;

impl<S: dtls::Session> Association<S> {
    /// An attempt failed. An alternate server that cannot be reached in any way is given up.
    pub(super) fn failed(
        &mut self,
        now: Now,
        (destination, entry, candidate): (Destination, usize, Candidate),
        (reason, is_telling): (&str, bool),
    ) {
        let failure = Effect::SessionDown(candidate.peer(), reason.to_owned());
        self.effects.push_back(failure);
        let route = self.route(destination);
        let is_over = route.is_some_and(|it| it.race.failed(entry, reason.to_owned(), is_telling));
        let is_without = self.newest(destination).is_none();
        if destination == Destination::Alternate && is_over && is_without {
            self.leave_alternate(now, reason);
        }
    }

    /// Closes what a newer session has taken the place of. Under attack that is certain only when
    /// the new one has brought an answer: until then requests go over both (RFC 9132 §4.7).
    pub(super) fn retire_sessions(&mut self, now: Now) {
        // With one that serves no more: it keeps its sessions until there is another.
        let redirected = !self.is_wanted(Destination::Provisioned);
        if redirected && self.newest(Destination::Alternate).is_some() {
            self.provisioned.race.given_up();
            for live in &mut self.sessions {
                if live.destination == Destination::Provisioned {
                    live.retire(now);
                }
            }
        }
        for destination in Destination::ALL {
            self.retire_older(now, destination);
        }
    }

    fn retire_older(&mut self, now: Now, destination: Destination) {
        let Some(newest) = self.newest(destination) else {
            return;
        };
        let (path, is_proven) = (newest.path, newest.has_answered || !self.is_asking());
        let kept = if is_proven { 1 } else { ESTABLISHED };
        let mut up: Vec<(Option<Instant>, PathId)> = self
            .sessions
            .iter()
            .filter(|live| live.is_up() && live.path != path && live.destination == destination)
            .map(|live| (live.established, live.path))
            .collect();
        up.sort_unstable();
        for (_, old) in up.into_iter().rev().skip(kept - 1) {
            if let Some(live) = self.live(old) {
                live.retire(now);
            }
        }
    }

    pub(super) fn drop_session(&mut self, now: Now, path: PathId, reason: String) {
        if let Some(live) = self.live(path) {
            live.session.close(now.monotonic);
            let outputs: Vec<Output> = std::iter::from_fn(|| live.session.poll_output()).collect();
            for output in outputs {
                if let Output::Transmit(datagram) = output {
                    self.effects.push_back(Effect::Transmit(path, datagram));
                }
            }
        }
        self.abandon_session(now, path, reason);
    }

    /// Forgets a session without a word: a server that still hears us would take a farewell for an
    /// end in order, and not start what is preconfigured for the loss (RFC 9132 §4.7).
    pub(super) fn abandon_session(&mut self, now: Now, path: PathId, reason: String) {
        let Some(at) = self.sessions.iter().position(|live| live.path == path) else {
            return;
        };
        let live = self.sessions.remove(at);
        let destination = live.destination;
        if let Some(fresh) = live.session.resumption()
            && let Some(route) = self.route(destination).filter(|_| !live.is_retired)
        {
            route.resumptions.insert(live.candidate.transport, fresh);
        }
        self.effects.push_back(Effect::Close(path));
        match live.established {
            // Another serves.
            _ if live.is_retired => {}
            None => {
                let place = (destination, live.entry, live.candidate);
                self.failed(now, place, (&reason, !live.has_timed_out));
            }
            Some(_) if self.newest(destination).is_some() => {}
            Some(_) => {
                let down = Effect::SessionDown(live.candidate.peer(), reason.clone());
                self.effects.push_back(down);
                if let Some(route) = self.route(destination) {
                    route.race.ended(reason);
                }
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
