//! What is asked of one server, over each of its sessions that is up.
//!
//! ```text
//! Part::wants --> Backlog --> request --> the answer (see super::asking)
//! ```
//!
//! What there are too many of to observe is polled in turn, a few at a time.

use coap::SendError;

use super::association::Association;
use super::exchange::{self, Look};
use super::part::Want;
use super::redirect;
use crate::time::Now;

impl<S: dtls::Session> Association<S> {
    /// Says over every session that is up what the parts want and have not said there yet.
    pub(super) fn send_wants(&mut self, now: Now) {
        let changed = self.parts.take_unsaid();
        let (mut sent, mut late, mut unsayable) = (Vec::new(), Vec::new(), Vec::new());
        for live in self.sessions.iter_mut().filter(|live| live.is_up()) {
            live.backlog.touch(changed.iter().copied());
            for mid in live.backlog.take_changed() {
                let asked = redirect::destination(self.alternate.as_ref(), mid);
                let part = self.parts.get(mid);
                let part = part.filter(|part| part.is_said(live.destination, asked));
                // A request that nobody waits for any more is not repeated.
                for (token, want) in live.backlog.look(now, mid, part) {
                    live.session.cancel(&token);
                    if matches!(want, Want::Put | Want::Update(_)) {
                        late.push(mid);
                    }
                }
            }
            while let Some(turn) = live.backlog.next() {
                let part = self.parts.get(turn.mid);
                let mut say = |observes| {
                    let filters_content = self.filters_content;
                    let look = Look {
                        filters_content,
                        observes,
                    };
                    let request = exchange::request(now, &self.cuid, part?, (turn.want, look))?;
                    let session = &mut live.session;
                    Some(match live.backlog.renewed(turn) {
                        Some(token) => session
                            .renew(now.monotonic, &token, request)
                            .map(|()| token),
                        None => session.send_request(now.monotonic, request),
                    })
                };
                let said = match say(true) {
                    Some(Err(SendError::TooManyObservations { .. })) => say(false),
                    said => said,
                };
                match said {
                    Some(Ok(token)) => {
                        live.backlog.said(turn, token);
                        sent.push(turn);
                    }
                    // There will be room when others are answered.
                    Some(Err(SendError::TooManyOutstanding { .. })) => break,
                    Some(Err(_)) => {
                        live.backlog.skip(turn);
                        unsayable.push((turn.mid, turn.want));
                    }
                    None => live.backlog.skip(turn),
                }
            }
        }
        for turn in sent {
            if let Some(mut part) = self.parts.get_mut(turn.mid) {
                part.sent();
                if turn.is_look {
                    part.looked_at = Some(now.monotonic);
                }
            }
        }
        self.parts.change(late, |part| part.copied());
        for asked in unsayable {
            self.put_off(now, asked);
        }
    }
}
