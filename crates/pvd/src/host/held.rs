//! Objects that hold for a time, in the order in which they were first advertised.

use std::time::{Duration, Instant};

use crate::bindings::router_advertisement::Lifetime;

/// When something ends; `None`: never.
pub(super) type Until = Option<Instant>;

/// When a lifetime that begins now is over.
pub(super) fn until(lifetime: Lifetime, now: Instant) -> Until {
    match lifetime {
        Lifetime::Infinite => None,
        Lifetime::Seconds(seconds) => now.checked_add(Duration::from_secs(seconds.into())),
    }
}

/// The earlier one.
pub(super) fn earliest(times: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    times.into_iter().flatten().min()
}

/// A few objects, told apart by a key.
#[derive(Clone, Debug)]
pub(super) struct Held<K, V> {
    entries: Vec<Entry<K, V>>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) until: Until,
}

impl<K, V> Default for Held<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<K: PartialEq, V: PartialEq> Held<K, V> {
    /// Takes what was advertised; a lifetime of 0 takes it away. Of more than `most` the older ones stay. Whether something is different
    /// now, other than when it ends.
    pub(super) fn renew(
        &mut self,
        key: K,
        value: V,
        lifetime: Lifetime,
        now: Instant,
        most: usize,
    ) -> bool {
        if lifetime == Lifetime::Seconds(0) {
            let before = self.entries.len();
            self.entries.retain(|entry| entry.key != key);
            return self.entries.len() < before;
        }
        let until = until(lifetime, now);
        let has_room = self.entries.len() < most;
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                entry.until = until;
                let is_same = entry.value == value;
                entry.value = value;
                !is_same
            }
            None if has_room => {
                self.entries.push(Entry { key, value, until });
                true
            }
            None => false,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.entries.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lets go what is over, and says whether something was.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.entries.len();
        let holds = |until: Until| until.is_none_or(|until| until > now);
        self.entries.retain(|entry| holds(entry.until));
        self.entries.len() < before
    }

    /// When the next one is over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.entries.iter().map(|entry| entry.until))
    }
}
