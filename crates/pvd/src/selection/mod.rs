//! Which PvD what is new is sent by, when a node is attached to several: whom the administrator prefers, as long as it works.
//!
//! ```text
//! PvDs of the host --> Candidate --+--> order: wish, link, proof, router, name
//! answers to probes --> Probing ---+--> health
//!                                       |
//!            the preferred one fails, or its link or router is gone --> the next one, at once
//!            a better one works for RETURN_AFTER without a break    --> the better one; each time it fails makes that longer
//! ```
//! Nobody changes what exists: a connection stays in the PvD in which it was begun. All PvDs but the preferred one may be used
//! beside it by who chooses them ([`Mode::Parallel`]), or wait ([`Mode::Sequential`]).

mod candidate;
mod probing;
mod settings;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::InterfaceName;
use candidate::Standing;
pub use candidate::{Candidate, Key, NoWish, Wish};
pub use probing::{Answer, LOST_IN_A_ROW, PATIENCE, Probe, ProbeNumber};
use probing::{Pace, Probing};
pub use settings::{Mode, Settings};
use standing::Tier;
pub use standing::{Criterion, Health, Place, Reason};

/// How long a better PvD has to work without a break before it takes the place of one that works.
pub const RETURN_AFTER: Duration = Duration::from_secs(30);
/// Each failure within [`FORGET_AFTER`] doubles it, but not beyond 16 times.
const MOST_DOUBLINGS: u32 = 4;
/// A PvD that has not failed for so long begins anew.
pub const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// When a node comes to its networks, they come one after the other; within this time a better one is taken at once.
const BEGINNING: Duration = Duration::from_secs(5);
/// PvDs in which something is asked, the best ones: whoever advertises many makes nobody ask more.
const MOST_PROBED: usize = 8;
/// PvDs of one interface in which something is asked for the first time...
const MOST_NEW: usize = 5;
/// ...within this time.
const NEW_WITHIN: Duration = Duration::from_secs(10);
/// PvDs whose failures are remembered, also while they are away; of more the oldest are forgotten.
const MOST_REMEMBERED: usize = 64;

#[derive(Debug)]
struct Record {
    candidate: Candidate,
    probing: Probing,
    /// Since when it works without a break.
    steady_since: Instant,
    /// Since when it is better than the preferred one.
    better_since: Option<Instant>,
}

impl Record {
    fn health(&self) -> Health {
        Health::of(&self.candidate, &self.probing)
    }

    fn tier(&self) -> Tier {
        self.health().tier()
    }

    fn can_be_asked(&self) -> bool {
        !self.candidate.resolvers.is_empty() && self.tier() != Tier::Apart
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Who is better than the preferred one.
#[derive(Debug)]
struct Challenger {
    key: Key,
    /// When it takes the place of the preferred one.
    takes_over: Instant,
}

/// By what PvDs are put in order.
type Rank = (Tier, Standing);

/// Who is used for what is new.
#[derive(Debug)]
pub struct Selection {
    settings: Settings,
    random: fastrand::Rng,
    records: BTreeMap<Key, Record>,
    failures: BTreeMap<Key, Failures>,
    preferred: Option<Key>,
    /// When there was none to prefer, and then one.
    began: Option<Instant>,
    challenger: Option<Challenger>,
    last_probe: u64,
    probes: VecDeque<Probe>,
    /// When PvDs of an interface were asked for the first time, the last [`MOST_NEW`] of them.
    new: BTreeMap<InterfaceName, VecDeque<Instant>>,
}

impl Selection {
    /// Of nothing yet.
    pub fn new(settings: Settings, random: fastrand::Rng) -> Self {
        Self {
            settings,
            random,
            records: BTreeMap::new(),
            failures: BTreeMap::new(),
            preferred: None,
            began: None,
            challenger: None,
            last_probe: 0,
            probes: VecDeque::new(),
            new: BTreeMap::new(),
        }
    }

    /// The PvD for what is new and wants no other; `None`: none leads anywhere.
    pub fn preferred(&self) -> Option<&Key> {
        self.preferred.as_ref()
    }

    /// All PvDs in their order, the preferred one first.
    pub fn ranking(&self) -> Vec<Place> {
        let mut order = self.order();
        order.sort_by_key(|(_, standing)| Some(&standing.key) != self.preferred.as_ref());
        let places = order.iter().enumerate().map(|(place, it)| {
            let key = &it.1.key;
            let is_preferred = self.preferred.as_ref() == Some(key);
            let neighbour = match place {
                0 => order.get(1),
                _ => order.first(),
            };
            let health = self.records.get(key).map(Record::health);
            Place {
                key: key.clone(),
                health: health.unwrap_or(Health::Unchecked),
                reason: self.reason(place == 0, it, neighbour),
                is_preferred,
                is_in_reserve: self.settings.mode == Mode::Sequential && !is_preferred,
            }
        });
        places.collect()
    }

    fn reason(&self, is_first: bool, it: &Rank, neighbour: Option<&Rank>) -> Reason {
        let key = &it.1.key;
        let Some(neighbour) = neighbour else {
            return Reason::Alone;
        };
        match &self.challenger {
            Some(_) if is_first => return Reason::InUse,
            Some(challenger) if challenger.key == *key => return Reason::Returns,
            _ => {}
        }
        let criterion = Criterion::between((it.0, &it.1), (neighbour.0, &neighbour.1));
        match (is_first, it < neighbour) {
            (true, true) => Reason::Before(criterion),
            (true, false) => Reason::InUse,
            (false, _) => Reason::After(criterion),
        }
    }

    /// The node is attached to these PvDs now, and to no others.
    pub fn handle_domains(&mut self, candidates: Vec<Candidate>, now: Instant) {
        let is_there = |key: &Key| candidates.iter().any(|it| it.key == *key);
        let gone = self.records.extract_if(.., |key, _| !is_there(key));
        for (key, record) in gone.collect::<Vec<_>>() {
            if record.tier() == Tier::Good {
                self.note_failure(&key, now);
            }
        }
        for candidate in candidates {
            let key = candidate.key.clone();
            let Some(record) = self.records.get_mut(&key) else {
                let probing = Probing::new(&mut self.random, now);
                let record = Record {
                    candidate,
                    probing,
                    steady_since: now,
                    better_since: None,
                };
                self.records.insert(key, record);
                continue;
            };
            let before = record.tier();
            record.candidate = candidate;
            if record.candidate.resolvers.is_empty() {
                record.probing = Probing::new(&mut self.random, now);
            }
            let after = record.tier();
            self.note_change(&key, before, after, now);
        }
        self.settle(now);
    }

    /// What came of a question; of one that nobody waits for any more it does not count.
    pub fn handle_answer(&mut self, number: ProbeNumber, answer: Answer, now: Instant) {
        for (key, record) in &mut self.records {
            let before = record.tier();
            if record.probing.hear(number, answer) {
                if answer == Answer::Lost {
                    record.steady_since = now;
                }
                let (key, after) = (key.clone(), record.tier());
                self.note_change(&key, before, after, now);
                break;
            }
        }
        self.settle(now);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.settle(now);
    }

    /// Who is to be asked next.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        self.probes.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let takes_over = self.challenger.as_ref().map(|it| it.takes_over);
        let order = self.order();
        let probed = self.probed(&order);
        let due = probed.map(|(key, record, pace)| self.due(key, record, pace));
        due.chain(takes_over).min()
    }

    /// All by what they are, the best one first.
    fn order(&self) -> Vec<Rank> {
        let records = self.records.values();
        let mut order: Vec<Rank> = records
            .map(|record| {
                (
                    record.tier(),
                    record.candidate.standing(&self.settings.wishes),
                )
            })
            .collect();
        order.sort();
        order
    }

    fn note_change(&mut self, key: &Key, before: Tier, after: Tier, now: Instant) {
        if before == Tier::Good && after != Tier::Good {
            self.note_failure(key, now);
        }
        if let (true, Some(record)) = (before != after, self.records.get_mut(key)) {
            record.steady_since = now;
        }
    }

    fn note_failure(&mut self, key: &Key, now: Instant) {
        let count = self.failures_of(key, now) + 1;
        if self.failures.len() >= MOST_REMEMBERED && !self.failures.contains_key(key) {
            let oldest = self.failures.iter().min_by_key(|(_, it)| it.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.failures.remove(&oldest);
            }
        }
        let failures = Failures { count, last: now };
        self.failures.insert(key.clone(), failures);
    }

    fn failures_of(&self, key: &Key, now: Instant) -> u32 {
        let failures = self.failures.get(key);
        let failures = failures.filter(|it| now.saturating_duration_since(it.last) < FORGET_AFTER);
        failures.map_or(0, |it| it.count)
    }

    /// Decides anew, and asks who is to be asked.
    fn settle(&mut self, now: Instant) {
        let order = self.order();
        self.decide(&order, now);
        let due: Vec<Key> = self
            .probed(&order)
            .filter(|(key, record, pace)| self.due(key, record, *pace) <= now)
            .map(|(key, ..)| key.clone())
            .collect();
        for key in due {
            if self.may_ask(&key, now) {
                self.ask(&key, now);
            }
        }
    }

    /// Whether there is room for it after those that were asked just now; then it is taken.
    fn may_ask(&mut self, key: &Key, now: Instant) -> bool {
        let record = self.records.get(key);
        if !record.is_some_and(|record| record.probing.is_new()) {
            return record.is_some();
        }
        let asked = self.new.entry(key.interface.clone()).or_default();
        let first = asked.front().filter(|_| asked.len() >= MOST_NEW);
        if first.is_some_and(|first| *first + NEW_WITHIN > now) {
            return false;
        }
        asked.push_back(now);
        asked.drain(..asked.len().saturating_sub(MOST_NEW));
        true
    }

    /// When something is to be asked in a PvD: in new ones not more often than their information is fetched (RFC 8801 §4.1), or whoever
    /// advertises ever other ones would have all nodes ask whom he likes.
    fn due(&self, key: &Key, record: &Record, pace: Pace) -> Instant {
        let due = record.probing.due(pace);
        let asked = self.new.get(&key.interface);
        let full = asked.filter(|asked| record.probing.is_new() && asked.len() >= MOST_NEW);
        let first = full.and_then(VecDeque::front);
        first.map_or(due, |first| due.max(*first + NEW_WITHIN))
    }

    fn decide(&mut self, order: &[Rank], now: Instant) {
        let leads = |(tier, _): &&Rank| *tier != Tier::Apart;
        let Some(best) = order.iter().find(leads) else {
            (self.preferred, self.challenger) = (None, None);
            return;
        };
        let is_incumbent = |(_, standing): &&Rank| Some(&standing.key) == self.preferred.as_ref();
        let incumbent = order.iter().filter(leads).find(is_incumbent);
        let Some(incumbent) = incumbent else {
            if self.preferred.is_none() {
                self.began = Some(now);
            }
            self.prefer(&best.1.key);
            return;
        };
        let key = &best.1.key;
        let is_taken_at_once = best.0 == Tier::Good
            && key != &incumbent.1.key
            && self.is_beginning(now)
            && self.failures_of(key, now) == 0;
        if best.0 < incumbent.0 || is_taken_at_once {
            self.prefer(key);
        } else {
            let better = order.iter().take_while(|it| it.1.key != incumbent.1.key);
            let better = better.filter(|(tier, _)| *tier == Tier::Good);
            let better: Vec<&Key> = better.map(|(_, standing)| &standing.key).collect();
            self.challenge(&better, now);
        }
    }

    fn prefer(&mut self, key: &Key) {
        self.preferred = Some(key.clone());
        self.challenger = None;
        for record in self.records.values_mut() {
            record.better_since = None;
        }
    }

    /// A better one takes over once it has been better, and has worked, for long enough. They wait side by side: one that comes and goes keeps
    /// no other from it.
    fn challenge(&mut self, better: &[&Key], now: Instant) {
        for (key, record) in &mut self.records {
            record.better_since = match better.contains(&key) {
                true => Some(record.better_since.unwrap_or(now)),
                false => None,
            };
        }
        let challengers = better.iter().filter_map(|key| {
            let record = self.records.get(key)?;
            let doublings = self.failures_of(key, now).saturating_sub(1);
            let wait = RETURN_AFTER * (1 << doublings.min(MOST_DOUBLINGS));
            Some(Challenger {
                key: (*key).clone(),
                takes_over: record.better_since?.max(record.steady_since) + wait,
            })
        });
        let challengers: Vec<_> = challengers.collect();
        let ready = challengers.iter().find(|it| it.takes_over <= now);
        match ready.map(|it| it.key.clone()) {
            Some(key) => self.prefer(&key),
            None => self.challenger = challengers.into_iter().min_by_key(|it| it.takes_over),
        }
    }

    fn is_beginning(&self, now: Instant) -> bool {
        self.began.is_some_and(|began| now < began + BEGINNING)
    }

    /// The PvDs in which something is asked, and how often.
    fn probed<'a>(
        &'a self,
        order: &'a [Rank],
    ) -> impl Iterator<Item = (&'a Key, &'a Record, Pace)> {
        let is_in_trouble = self.preferred.as_ref().is_some_and(|key| {
            let record = self.records.get(key);
            record.is_some_and(|it| it.probing.lost > 0)
        });
        // Of one alone nothing depends on the answer.
        let most = match self.settings.probes && order.len() > 1 {
            true => MOST_PROBED,
            false => 0,
        };
        let pace = move |key: &Key| {
            let is_used = self.preferred.as_ref() == Some(key);
            let is_next = self.challenger.as_ref().is_some_and(|it| it.key == *key);
            match is_used || is_next || is_in_trouble {
                true => Pace::InUse,
                false => Pace::InReserve,
            }
        };
        let records = order.iter().filter_map(|(_, standing)| {
            let record = self.records.get(&standing.key)?;
            record.can_be_asked().then_some((&standing.key, record))
        });
        let records = records.take(most);
        records.map(move |(key, record)| (key, record, pace(key)))
    }

    fn ask(&mut self, key: &Key, now: Instant) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        self.last_probe += 1;
        let number = ProbeNumber(self.last_probe);
        let turn = record.probing.ask(number, &mut self.random, now);
        let candidate = &record.candidate;
        let resolver = candidate
            .resolvers
            .iter()
            .cycle()
            .nth(turn % candidate.resolvers.len());
        if let Some(resolver) = resolver {
            self.probes.push_back(Probe {
                number,
                key: key.clone(),
                resolver: *resolver,
                addresses: candidate.addresses.clone(),
                next_hops: candidate.next_hops.clone(),
            });
        }
    }
}
