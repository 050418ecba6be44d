//! Who wants to be told about which mitigations (RFC 7641, RFC 9132 §4.4.2.1).
//!
//! ```text
//! change --> topic is due, now or when its pause is over --> one report for all its observers
//! ```

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use coap::Token;
use dots::identifiers::Mid;
use dots::mitigation::MitigationStatus;
use dots::query::Content;

use super::SessionId;
use super::record::Identity;

/// Observe sequence numbers have 24 bits (RFC 7641 §3.4).
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// How many mitigations that are over wait to be told with one notification; of more, those with
/// the highest `mid`.
const MOST_ENDED: usize = 16;

/// What identifies an observer at a server (RFC 7641 §4.1).
pub(super) type ObserverId = (SessionId, Token);

/// What is looked at: the mitigation of this `mid`, or all of the client, and which part. Never those of another
/// client, whoever takes the `cuid` later.
pub(super) type Topic = (Identity, Option<Mid>, Content);

/// How the observers of a topic look at each of its mitigations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View {
    is_list: bool,
    content: Content,
}

/// The views that there are.
const VIEWS: [(bool, Content); 6] = [
    (false, Content::All),
    (false, Content::NonConfig),
    (false, Content::Config),
    (true, Content::All),
    (true, Content::NonConfig),
    (true, Content::Config),
];

impl View {
    pub(super) fn of((_, mid, content): &Topic) -> Self {
        Self {
            is_list: mid.is_none(),
            content: *content,
        }
    }
}

/// How many observers there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObserverLimits {
    pub(super) of_session: usize,
    pub(super) of_customer: usize,
}

/// One topic and those who look at it.
#[derive(Debug, Default)]
struct Observed {
    /// With the last value of the Observe option.
    observers: BTreeMap<ObserverId, u32>,
    ended: BTreeMap<Mid, MitigationStatus>,
    due: Option<Instant>,
    not_before: Option<Instant>,
}

/// All observations of a server.
#[derive(Debug, Default)]
pub(super) struct Observations {
    topics: BTreeMap<Topic, Observed>,
    by_observer: BTreeMap<ObserverId, Topic>,
    by_due: BTreeSet<(Instant, Topic)>,
    of_customer: BTreeMap<String, usize>,
}

impl Observations {
    /// Registers an observer, or renews it. `None` when there are too many already: the request
    /// is then answered like a plain GET (RFC 7641 §4.1).
    pub(super) fn register(
        &mut self,
        observer: ObserverId,
        topic: Topic,
        limits: ObserverLimits,
    ) -> Option<u32> {
        let before = self.deregister(observer);
        let count = self.of_customer.get(&topic.0.customer).copied();
        let count = count.unwrap_or_default();
        let is_full =
            self.of_session(observer.0).count() >= limits.of_session || count >= limits.of_customer;
        if before.is_none() && is_full {
            return None;
        }
        let sequence = next(before.unwrap_or_default());
        self.of_customer.insert(topic.0.customer.clone(), count + 1);
        self.by_observer.insert(observer, topic.clone());
        let observed = self.topics.entry(topic).or_default();
        observed.observers.insert(observer, sequence);
        Some(sequence)
    }

    /// Forgets an observer; returns the last value of its Observe option.
    pub(super) fn deregister(&mut self, observer: ObserverId) -> Option<u32> {
        let topic = self.by_observer.remove(&observer)?;
        if let Some(count) = self.of_customer.get_mut(&topic.0.customer) {
            *count -= 1;
            if *count == 0 {
                self.of_customer.remove(&topic.0.customer);
            }
        }
        let Entry::Occupied(mut observed) = self.topics.entry(topic) else {
            return None;
        };
        let sequence = observed.get_mut().observers.remove(&observer);
        if observed.get().observers.is_empty() {
            let (topic, observed) = observed.remove_entry();
            if let Some(at) = observed.due {
                self.by_due.remove(&(at, topic));
            }
        }
        sequence
    }

    /// Forgets all that a session that is over observed.
    pub(super) fn forget_session(&mut self, session: SessionId) {
        let observers: Vec<ObserverId> = self.of_session(session).collect();
        for observer in observers {
            self.deregister(observer);
        }
    }

    /// A mitigation has changed, or is over and had this last status.
    pub(super) fn mark(
        &mut self,
        now: Instant,
        client: &Identity,
        mid: Mid,
        ended: Option<&MitigationStatus>,
    ) {
        for (_, topic) in views_of(&self.topics, client, mid) {
            let Some(observed) = self.topics.get_mut(&topic) else {
                continue;
            };
            if let Some(status) = ended {
                observed.ended.insert(mid, status.clone());
                if observed.ended.len() > MOST_ENDED {
                    observed.ended.pop_first();
                }
            }
            if observed.due.is_none() {
                let at = observed.not_before.map_or(now, |at| at.max(now));
                observed.due = Some(at);
                self.by_due.insert((at, topic));
            }
        }
    }

    /// The views of a mitigation that somebody observes.
    pub(super) fn views_of(&self, client: &Identity, mid: Mid) -> impl Iterator<Item = View> {
        views_of(&self.topics, client, mid)
            .into_iter()
            .map(|(view, _)| view)
    }

    /// The observers of a customer.
    pub(super) fn of_customer(&self, customer: &str) -> Vec<ObserverId> {
        let observers = self.by_observer.iter();
        let own = observers.filter(|(_, topic)| topic.0.customer == customer);
        own.map(|(observer, _)| *observer).collect()
    }

    /// Every topic is to be told.
    pub(super) fn mark_all(&mut self, now: Instant) {
        for (topic, observed) in &mut self.topics {
            if observed.due.is_none() {
                let at = observed.not_before.map_or(now, |at| at.max(now));
                observed.due = Some(at);
                self.by_due.insert((at, topic.clone()));
            }
        }
    }

    /// When [`Observations::pop_due`] has something.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(at, _)| *at)
    }

    /// A topic whose observers are to be told now, and what of it is over. Its next turn comes
    /// after `pause`.
    pub(super) fn pop_due(
        &mut self,
        now: Instant,
        pause: Duration,
    ) -> Option<(Topic, Vec<MitigationStatus>)> {
        self.by_due.first().filter(|(at, _)| *at <= now)?;
        let (_, topic) = self.by_due.pop_first()?;
        let observed = self.topics.get_mut(&topic)?;
        observed.due = None;
        observed.not_before = Some(now + pause);
        let ended = std::mem::take(&mut observed.ended).into_values().collect();
        Some((topic, ended))
    }

    /// The observers of a topic, each with the next value of its Observe option.
    pub(super) fn advance(&mut self, topic: &Topic) -> Vec<(ObserverId, u32)> {
        let observed = self.topics.get_mut(topic).into_iter();
        observed
            .flat_map(|observed| &mut observed.observers)
            .map(|(observer, sequence)| {
                *sequence = next(*sequence);
                (*observer, *sequence)
            })
            .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_observer.is_empty()
    }

    fn of_session(&self, session: SessionId) -> impl Iterator<Item = ObserverId> + '_ {
        self.by_observer
            .range((session, Token::EMPTY)..)
            .take_while(move |((of, _), _)| *of == session)
            .map(|(observer, _)| *observer)
    }
}

/// The topics that a mitigation belongs to, as far as they are observed.
fn views_of(topics: &BTreeMap<Topic, Observed>, client: &Identity, mid: Mid) -> Vec<(View, Topic)> {
    if topics.is_empty() {
        return Vec::new();
    }
    let views = VIEWS.map(|(is_list, content)| {
        let topic = (client.clone(), (!is_list).then_some(mid), content);
        (View::of(&topic), topic)
    });
    let observed = views.into_iter();
    observed
        .filter(|(_, topic)| topics.contains_key(topic))
        .collect()
}

fn next(sequence: u32) -> u32 {
    (sequence + 1) & SEQUENCE_MASK
}
