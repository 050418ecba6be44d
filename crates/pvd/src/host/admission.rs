//! Who gets a place where an interface has PvDs as many as it may have.
//!
//! Somebody who forges Router Advertisements under ever new names fills all places at once, and a network that comes later, or was
//! there before, must not suffer from it. What tells a network from him is that it goes on: it advertises again, and
//! answers when it is asked. So while there is no room:
//!
//! ```text
//!   stranger --> remembered (name and time, in a table of fixed size) --> asked: Solicit, every 10 s
//!                    | heard again, 4 s later or more
//!                    v
//!                takes the place of a PvD that did not answer three solicitations; of several, of the one heard
//!                for the shortest time. Nobody gives way who has proved to be who he is, or answers.
//! ```

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::domain::AGAIN;
use super::identity::Identity;

/// Between two solicitations.
const BETWEEN_SOLICITATIONS: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Admission {
    /// Strangers cannot know which names share a place in the table.
    key: u64,
    /// A fingerprint and the second of each place; a newcomer takes the place of who was there.
    strangers: Vec<(u32, u32)>,
    /// Since when there is no room.
    since: Option<Instant>,
    /// The last three times that routers were asked, the latest first.
    solicited: [Option<Instant>; 3],
}

impl Admission {
    pub(super) fn new(key: u64) -> Self {
        Self {
            key,
            strangers: Vec::new(),
            since: None,
            solicited: [None; 3],
        }
    }

    /// There is room: nobody needs to be remembered.
    pub(super) fn end(&mut self) {
        *self = Self::new(self.key);
    }

    /// Whether a stranger was heard before, long enough ago; he is remembered.
    pub(super) fn was_heard_before(
        &mut self,
        stranger: &Identity,
        places: usize,
        now: Instant,
    ) -> bool {
        let since = *self.since.get_or_insert(now);
        self.strangers.resize(places, (0, 0));
        let mut hasher = DefaultHasher::new();
        (self.key, stranger).hash(&mut hasher);
        let hash = hasher.finish();
        // Never 0, which is a free place.
        let fingerprint = (hash >> 32) as u32 | 1;
        let place = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default();
        let second = now.duration_since(since).as_secs();
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        let places = places.max(1);
        let Some(place) = self.strangers.get_mut(place % places) else {
            return false;
        };
        if place.0 != fingerprint {
            *place = (fingerprint, second);
            return false;
        }
        u64::from(second.saturating_sub(place.1)) >= AGAIN.as_secs()
    }

    /// Whether the routers are to be asked now.
    pub(super) fn solicits(&mut self, now: Instant) -> bool {
        let [last, before, _] = self.solicited;
        let is_due = last.is_none_or(|last| last + BETWEEN_SOLICITATIONS <= now);
        if is_due {
            self.solicited = [Some(now), last, before];
        }
        is_due
    }

    /// Whether somebody who was last heard then has not answered.
    pub(super) fn is_silent(&self, last_heard: Instant) -> bool {
        let [_, _, first] = self.solicited;
        first.is_some_and(|first| last_heard < first)
    }
}
