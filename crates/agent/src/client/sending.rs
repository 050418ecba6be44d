//! What is asked of one server, over each of its sessions that is up.
//!
//! ```text
//! Part::wants --> request --> pending[token] --> the answer (see super::asking)
//!                                '--not wanted any more--> cancelled
//! ```
//!
//! What there are too many of to observe is polled in turn, a few at a time.

use std::collections::{BTreeMap, BTreeSet};

use coap::SendError;
use dots::identifiers::Mid;

use super::association::Association;
use super::exchange::{self, Look};
use super::part::Want;
use super::route::Destination;
use crate::time::Now;

/// Questions after a status that wait for an answer on one session at a time: fewer than requests may
/// wait, so that one for help always finds room.
const LOOKS: usize = 8;

impl<S: dtls::Session> Association<S> {
    /// Says over every session that is up what the parts want and have not said there yet.
    pub(super) fn send_wants(&mut self, now: Now) {
        let destinations: BTreeMap<Mid, Destination> = self
            .parts
            .iter()
            .map(|part| (part.mid, self.destination_of(part.mid)))
            .collect();
        let (mut sent, mut late) = (Vec::new(), Vec::new());
        for live in self.sessions.iter_mut().filter(|live| live.is_up()) {
            let destination = live.destination;
            let serves = |mid: &Mid| destinations.get(mid) == Some(&destination);
            // A request that nobody waits for any more is not repeated.
            let parts = &self.parts;
            live.pending.retain(|token, (mid, want)| {
                let part = parts.get(*mid);
                let is_wanted = part.is_some_and(|part| part.wants(now).any(|each| each == *want));
                let goes_on = is_wanted && serves(mid);
                if !goes_on {
                    live.session.cancel(token);
                    live.looking.remove(token);
                    if matches!(want, Want::Put | Want::Update(_)) {
                        late.push(*mid);
                    }
                }
                goes_on
            });
            let said: BTreeSet<(Mid, Want)> = live.pending.values().copied().collect();
            let mut unsaid: Vec<_> = parts
                .iter()
                .filter(|part| serves(&part.mid))
                .flat_map(|part| part.wants(now).map(move |want| (want, part.mid, part)))
                .filter(|(want, mid, _)| !said.contains(&(*mid, *want)))
                .collect();
            // Who asks for help does not wait for those who ask how it goes, and of these none
            // for one that has just been told.
            unsaid.sort_by_key(|(want, mid, part)| (*want == Want::Observe, part.looked_at, *mid));
            for (want, mid, part) in unsaid {
                let is_look = want == Want::Observe;
                if is_look && live.looking.len() >= LOOKS {
                    break;
                }
                let mut say = |observes| {
                    let filters_content = self.filters_content;
                    let look = Look {
                        filters_content,
                        observes,
                    };
                    let request = exchange::request(now, &self.cuid, part, (want, look))?;
                    Some(live.session.send_request(now.monotonic, request))
                };
                let token = match say(true) {
                    Some(Err(SendError::TooManyObservations { .. })) => say(false),
                    said => said,
                };
                let Some(token) = token else { continue };
                match token {
                    Ok(token) => {
                        live.pending.insert(token, (mid, want));
                        if is_look {
                            live.looking.insert(token);
                        }
                        sent.push((mid, is_look));
                    }
                    // There will be room when others are answered.
                    Err(SendError::TooManyOutstanding { .. }) => break,
                    Err(_) => {}
                }
            }
        }
        for (mid, is_look) in sent {
            if let Some(mut part) = self.parts.get_mut(mid) {
                part.was_sent = true;
                if is_look {
                    part.looked_at = Some(now.monotonic);
                }
            }
        }
        for mid in late {
            if let Some(mut part) = self.parts.get_mut(mid) {
                part.copied();
            }
        }
    }
}
