//! What the answers of one server change; what is asked of it, [`super::sending`] says.
//!
//! ```text
//! Part::wants --> request --> pending[token] --response--> Part
//!                                |  \--Reset------------> asked again after a pause
//!                                '--not wanted any more--> cancelled
//! ```

use coap::{Code, Response, Token};
use dots::identifiers::{Cuid, Mid};
use dots::mitigation::ConflictInformation;

use super::PathId;
use super::association::{Association, Effect};
use super::exchange::{self, PutAnswer, SHORTEST_PAUSE};
use super::part::{Leaving, Part, Want};
use super::parts;
use super::route::Destination;
use super::state::{End, Pause, State};
use crate::time::Now;

impl<S: dtls::Session> Association<S> {
    /// The peer rejected a request. It is not asked again at once, for it may do so for ever.
    pub(super) fn on_request_failed(&mut self, now: Now, path: PathId, token: Token) {
        let live = self.live(path);
        if let Some(asked) = live.and_then(|live| live.backlog.end(&token)) {
            self.put_off(now, asked);
        }
    }

    /// Asks for it no more for a while.
    pub(super) fn put_off(&mut self, now: Now, (mid, want): (Mid, Want)) {
        if let Some(mut part) = self.parts.get_mut(mid) {
            match want {
                Want::Put | Want::Delete => part.postpone(now, SHORTEST_PAUSE, Pause::Rejected),
                Want::Observe => part.observe_later(now),
                Want::Update(_) => part.updated(),
            }
        }
    }

    pub(super) fn on_response(
        &mut self,
        now: Now,
        path: PathId,
        token: Token,
        response: &Response,
    ) {
        let Some(live) = self.live(path) else {
            return;
        };
        let Some((mid, want)) = live.backlog.answered(&token) else {
            return;
        };
        live.has_answered = true;
        let origin = live.destination;
        let signal = Self::redirect_in(response);
        let goes_on = want == Want::Observe
            && response.code.is_success()
            && response.options.observe().is_some();
        if !goes_on {
            live.backlog.end(&token);
        }
        if signal.is_some() {
            live.session.cancel(&token);
        }
        let before = (self.filters_content, self.alternate_name());
        match signal {
            Some(signal) => {
                self.on_redirect(now, (origin, mid), &signal, response);
                if (want, origin) == (Want::Delete, Destination::Provisioned) {
                    let asked = self.destination_of(mid);
                    let of_it = |part: &mut Part| part.sent_on(now, asked);
                    self.parts.change([mid], of_it);
                }
            }
            None => self.take_answer(now, origin, (mid, want), goes_on, response),
        }
        // Whatever the answer means: what it did not change is not asked again at once.
        let part = self.parts.get(mid);
        let part = part.filter(|part| part.is_said(origin, self.destination_of(mid)));
        let is_same = part.is_some_and(|part| part.wants(now).any(|each| each == want))
            && before == (self.filters_content, self.alternate_name());
        if !goes_on && is_same {
            self.put_off(now, (mid, want));
        }
    }

    fn take_answer(
        &mut self,
        now: Now,
        origin: Destination,
        (mid, want): (Mid, Want),
        goes_on: bool,
        response: &Response,
    ) {
        let asked = self.destination_of(mid);
        match want {
            Want::Put => self.on_put_answer(now, mid, response),
            Want::Observe => self.on_status(now, mid, goes_on, response),
            Want::Update(_) => self.on_update_answer(now, mid, response),
            Want::Delete => {
                if let Some(mut part) = self.parts.get_mut(mid) {
                    if response.code.is_success() || response.code == Code::NOT_FOUND {
                        part.deleted_at(now, origin, asked);
                    } else {
                        let pause = exchange::max_age(response);
                        part.postpone(now, pause, exchange::pause_after(response));
                    }
                }
            }
        }
    }

    fn on_put_answer(&mut self, now: Now, mid: Mid, response: &Response) {
        let answer = exchange::put_answer(response);
        if matches!(answer, PutAnswer::CuidCollision) {
            return self.change_cuid(now);
        }
        let newer = match &answer {
            PutAnswer::Refused(said) => newer_of(mid, said.conflict.as_ref()),
            _ => None,
        };
        let is_outdone =
            newer.is_some_and(|newer| self.parts.get(newer).is_some_and(Part::is_going));
        let is_forgotten = newer.is_some_and(|newer| self.has_forgotten(newer));
        let Some(mut part) = self.parts.get_mut(mid) else {
            return;
        };
        match answer {
            PutAnswer::Granted(granted) => {
                part.granted(now, granted);
                drop(part);
                self.collisions = 0;
                self.replace_older(mid);
            }
            PutAnswer::Deactivated { retry, conflict } => part.deactivated(now, retry, conflict),
            PutAnswer::Refused(said) if is_outdone => part.refused_for_good(said),
            // What is asked for under a higher number takes its place.
            PutAnswer::Refused(_) if is_forgotten => part.leave(now, Leaving::ToRenumber),
            PutAnswer::Refused(said) => part.refused(now, said, &mut self.seeds),
            PutAnswer::Later(pause, reason) => part.postpone(now, pause, reason),
            PutAnswer::CuidCollision => {}
        }
    }

    /// RFC 9132 §4.4.3. The server's own view decides how the part stands, which the observation
    /// tells; an update that it does not take is not repeated.
    fn on_update_answer(&mut self, now: Now, mid: Mid, response: &Response) {
        let Some(mut part) = self.parts.get_mut(mid) else {
            return;
        };
        match exchange::put_answer(response) {
            PutAnswer::Granted(granted) => part.granted(now, granted),
            PutAnswer::Deactivated { retry, conflict } => part.deactivated(now, retry, conflict),
            _ => part.updated(),
        }
    }

    /// A status, in a response or a notification (RFC 9132 §4.4.2).
    fn on_status(&mut self, now: Now, mid: Mid, goes_on: bool, response: &Response) {
        let Some(mut part) = self.parts.get_mut(mid) else {
            return;
        };
        let refuses_query = matches!(response.code, Code::BAD_REQUEST | Code::BAD_OPTION);
        if refuses_query && self.filters_content {
            // It may be the query that this server does not understand.
            self.filters_content = false;
            return;
        }
        part.heard(now);
        if !goes_on {
            part.observe_later(now);
        }
        if let Some(report) = exchange::report(response) {
            if let Some(status) = report.0.iter().find(|status| status.mid == part.mid) {
                part.observed(now, status, &mut self.seeds);
            }
        } else if response.code == Code::NOT_FOUND {
            part.lost(now);
        }
    }

    /// What a granted request overlaps, the server has deleted, if both are of one kind
    /// (RFC 9132 §4.4.1.3).
    fn replace_older(&mut self, granted: Mid) {
        let Some(newer) = self.parts.get(granted).map(|part| part.wish.clone()) else {
            return;
        };
        let is_replaced = |part: &&Part| {
            let is_other = part.wish.request != newer.request;
            part.mid < granted && part.wish.is_of_one_kind(&newer) && is_other
        };
        // An alternate server has deleted nothing at the provisioned one.
        let there = self.destination_of(granted);
        let replaced = self.parts.overlapping(&newer.target).filter(is_replaced);
        let replaced = replaced.filter(|part| self.destination_of(part.mid) == there);
        let replaced = parts::mids(replaced);
        let by = newer.request;
        self.parts
            .change(replaced, |part| part.end(End::Replaced { by }));
    }

    /// RFC 9132 §4.4.1.3: the cuid is another client's; take a fresh one and ask again, each time
    /// later. What is withdrawn was made under the old one.
    fn change_cuid(&mut self, now: Now) {
        let mut digest = [0; 32];
        self.seeds.fill(&mut digest);
        let old = std::mem::replace(&mut self.cuid, Cuid::from_spki_sha256(&digest));
        self.effects.push_back(Effect::Remember);
        for live in &mut self.sessions {
            for token in live.backlog.end_all() {
                live.session.cancel(&token);
            }
        }
        let pause = exchange::pause_after_refusals(self.collisions);
        self.collisions = self.collisions.saturating_add(1);
        let all = parts::mids(self.parts.iter());
        self.parts.change(all, |part| {
            // What is withdrawn stays withdrawn, and what is to wait waits.
            let waits = matches!(
                part.state,
                State::Deactivated { .. } | State::Postponed { .. }
            );
            if part.is_going() && !waits {
                part.ask_again(now);
                part.postpone(now, pause, Pause::CuidCollision);
            } else if part.state == State::Withdrawing {
                part.cuid.get_or_insert_with(|| old.clone());
            }
        });
    }
}

/// The newer request of this client that one is in conflict with (RFC 9132 §4.4.1.3).
fn newer_of(mid: Mid, conflict: Option<&ConflictInformation>) -> Option<Mid> {
    let scope = conflict?.scope.as_ref()?;
    scope.mid.filter(|newer| *newer > mid)
}
