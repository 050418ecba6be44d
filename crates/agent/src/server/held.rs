//! Requests of a gateway's clients that wait for the servers upstream.
//!
//! ```text
//! PUT --> held --they have answered----> answered (see `upstream`)
//!          |  \--a copy of it----------> the copy is held, for as long as the first would have been
//!          '--patience over------------> 2.01 if one has accepted, else 5.03
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use coap::Exchange;

use super::record::MitigationKey;
use super::{Action, Server, SessionId};
use crate::content;
use crate::time::Now;

/// A request that waits for the servers upstream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) session: SessionId,
    pub(super) exchange: Exchange,
    deadline: Instant,
}

/// The requests that wait for the servers upstream; one for each mitigation at most.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_key: BTreeMap<MitigationKey, Entry>,
    by_deadline: BTreeSet<(Instant, MitigationKey)>,
}

impl Held {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, key: MitigationKey, entry: Entry) {
        self.remove(&key);
        self.by_deadline.insert((entry.deadline, key.clone()));
        self.by_key.insert(key, entry);
    }

    pub(super) fn contains(&self, key: &MitigationKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn remove(&mut self, key: &MitigationKey) -> Option<Entry> {
        let entry = self.by_key.remove(key)?;
        self.by_deadline.remove(&(entry.deadline, key.clone()));
        Some(entry)
    }

    /// Nobody waits for these answers any more.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.by_key.retain(|key, entry| {
            let is_over = entry.session == session;
            if is_over {
                self.by_deadline.remove(&(entry.deadline, key.clone()));
            }
            !is_over
        });
    }
}

impl Server {
    /// Lets a request wait for the servers upstream. One that repeats another takes its place, and waits no longer: it is
    /// another copy of the same (RFC 9132 §4.4).
    pub(super) fn hold(
        &mut self,
        now: Now,
        key: MitigationKey,
        session: SessionId,
        exchange: Exchange,
    ) {
        let relaying = self.policy.relaying.as_ref();
        let patience = relaying.map_or(Duration::ZERO, |relaying| relaying.patience);
        let before = self.held.remove(&key);
        let deadline = before.as_ref().map(|before| before.deadline);
        let entry = Entry {
            session,
            exchange,
            deadline: deadline.unwrap_or(now.monotonic + patience),
        };
        self.held.insert(key, entry);
        if let Some(before) = before {
            self.act(Action::Ignore(before.session, before.exchange));
        }
    }

    /// The mitigation is over: who waits for it gets no answer.
    pub(super) fn drop_held(&mut self, key: &MitigationKey) {
        if let Some(entry) = self.held.remove(key) {
            self.act(Action::Ignore(entry.session, entry.exchange));
        }
    }

    /// Answers those who have waited long enough.
    pub(super) fn give_up_held(&mut self, now: Now) {
        while let Some((at, key)) = self.held.by_deadline.first().cloned() {
            if at > now.monotonic {
                return;
            }
            if !self.awaits_upstream(&key) {
                self.promise(now, &key);
            } else if let Some(entry) = self.held.remove(&key) {
                let reason = "no server upstream has answered yet; the request is kept";
                let response = content::unavailable(reason, content::RETRY);
                self.respond(entry.session, entry.exchange, Err(response));
            }
        }
    }
}
