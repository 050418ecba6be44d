//! What is asked of one server, over each of its sessions that is up, and what its answers change.
//!
//! ```text
//! Part::wants --> request --> pending[token] --response--> Part
//!                                |  \--Reset------------> asked again after a pause
//!                                '--not wanted any more--> cancelled
//! ```

use std::collections::BTreeSet;

use coap::{Code, Token};
use dots::identifiers::Cuid;

use super::association::{Association, Effect};
use super::part::{Part, State, Want};
use super::{PathId, RequestId, exchange};
use crate::time::Now;

/// The class of the response codes 5.xx.
const SERVER_ERROR: u8 = 5;

impl<S: dtls::Session> Association<S> {
    /// Says over every session that is up what the parts want and have not said there yet.
    pub(super) fn send_wants(&mut self, now: Now) {
        for live in &mut self.sessions {
            if live.established.is_none() {
                continue;
            }
            // A request that nobody waits for any more is not repeated.
            let parts = &self.parts;
            live.pending.retain(|token, (id, want)| {
                let part = parts.get(id);
                let is_wanted = part.is_some_and(|part| part.wants(now) == Some(*want));
                if !is_wanted {
                    live.session.cancel(token);
                }
                is_wanted
            });
            let said: BTreeSet<(RequestId, Want)> = live.pending.values().copied().collect();
            let mut unsaid: Vec<_> = parts
                .iter()
                .filter_map(|(id, part)| Some((part.wants(now)?, *id, part)))
                .filter(|(want, id, _)| !said.contains(&(*id, *want)))
                .collect();
            // Who asks for help does not wait for those who ask how it goes.
            unsaid.sort_by_key(|(want, id, _)| (*want == Want::Observe, *id));
            for (want, id, part) in unsaid {
                let Some(request) = exchange::request(now, &self.cuid, part, want) else {
                    continue;
                };
                match live.session.send_request(now.monotonic, request) {
                    Ok(token) => {
                        live.pending.insert(token, (id, want));
                    }
                    // There will be room when others are answered.
                    Err(coap::SendError::TooManyOutstanding { .. }) => break,
                    Err(_) => {}
                }
            }
        }
    }

    /// The peer rejected a request. It is not asked again at once, for it may do so for ever.
    pub(super) fn on_request_failed(&mut self, now: Now, path: PathId, token: Token) {
        let pending = self.live(path).and_then(|live| live.pending.remove(&token));
        let Some((id, want)) = pending else { return };
        if let Some(part) = self.parts.get_mut(&id) {
            match want {
                Want::Put | Want::Delete => part.postpone(now, exchange::SHORTEST_PAUSE),
                Want::Observe => part.observe_later(now),
            }
        }
    }

    pub(super) fn on_response(
        &mut self,
        now: Now,
        path: PathId,
        token: Token,
        response: &coap::Response,
    ) {
        let Some(live) = self.live(path) else {
            return;
        };
        let Some((id, want)) = live.pending.get(&token).copied() else {
            return;
        };
        let goes_on = want == Want::Observe && response.options.observe().is_some();
        if !goes_on {
            live.pending.remove(&token);
        }
        let Some(part) = self.parts.get_mut(&id) else {
            return;
        };
        let before = part.state.clone();
        match want {
            Want::Put => match exchange::put_answer(response) {
                exchange::PutAnswer::Granted(granted) => {
                    part.granted(now, granted.lifetime);
                    self.replace_older(id);
                }
                exchange::PutAnswer::Refused { code, diagnostic } => part.refused(code, diagnostic),
                exchange::PutAnswer::Later(pause) => part.postpone(now, pause),
                exchange::PutAnswer::CuidCollision => return self.change_cuid(now),
            },
            Want::Observe => {
                if !goes_on {
                    part.observe_later(now);
                }
                observed(now, part, response);
            }
            Want::Delete if response.code.class() == SERVER_ERROR => {
                part.postpone(now, exchange::max_age(response));
            }
            Want::Delete => part.deleted(),
        }
        if self.parts.get(&id).is_some_and(|part| part.state != before) {
            self.effects.push_back(Effect::Changed(id));
        }
    }

    /// What a granted request overlaps, the server has deleted (RFC 9132 §4.4.1.3).
    fn replace_older(&mut self, granted: RequestId) {
        let Some(newer) = self.parts.get(&granted).cloned() else {
            return;
        };
        for (id, part) in &mut self.parts {
            let older = part.mid < newer.mid && !part.is_over();
            if older && part.target.overlaps(&newer.target) {
                part.replace();
                self.effects.push_back(Effect::Changed(*id));
            }
        }
    }

    /// RFC 9132 §4.4.1.3: the cuid is another client's; take a fresh one and ask again.
    fn change_cuid(&mut self, now: Now) {
        let mut digest = [0; 32];
        self.seeds.fill(&mut digest);
        self.cuid = Cuid::from_spki_sha256(&digest);
        self.effects.push_back(Effect::Remember);
        for live in &mut self.sessions {
            for token in std::mem::take(&mut live.pending).into_keys() {
                live.session.cancel(&token);
            }
        }
        for part in self.parts.values_mut() {
            // What is withdrawn stays withdrawn.
            if !part.is_over() && part.state != State::Withdrawing {
                part.ask_again(now);
                part.postpone(now, exchange::SHORTEST_PAUSE);
            }
        }
    }
}

fn observed(now: Now, part: &mut Part, response: &coap::Response) {
    if let Some(report) = exchange::report(response) {
        if let Some(status) = report.0.iter().find(|status| status.mid == part.mid) {
            part.observed(now, status);
        }
    } else if response.code == Code::NOT_FOUND && part.is_active() {
        // The server does not have it any more, but it is still wanted.
        part.ask_again(now);
        part.postpone(now, exchange::SHORTEST_PAUSE);
    }
}
