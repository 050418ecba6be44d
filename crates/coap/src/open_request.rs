use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::identifier::MessageId;
use crate::message::set_message_id;
use crate::observation::{Freshest, Interest};
use crate::parameters::after;
use crate::retransmission::Retransmission;

/// Message IDs of one request that are remembered. Older copies are no longer under way.
const REMEMBERED_COPIES: usize = 16;

/// A request of ours whose token is in use.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    pub(crate) phase: Phase,
    pub(crate) interest: Interest,
    /// The latest copy.
    pub(crate) datagram: Vec<u8>,
    /// Of its copies, oldest first.
    pub(crate) message_ids: VecDeque<MessageId>,
    pub(crate) first_sent: Instant,
    /// Copies sent, at least 1.
    pub(crate) copies: u32,
    /// Set while the server has us on its list of observers.
    pub(crate) freshest: Option<Freshest>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Confirming(Retransmission),
    Acknowledged { expires: Instant },
    Repeating { next: Instant, interval: Duration },
    Waiting { expires: Instant },
    Observing,
}

impl OpenRequest {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Confirming(retransmission) => Some(retransmission.deadline()),
            Phase::Repeating { next, .. } => Some(*next),
            Phase::Acknowledged { expires } | Phase::Waiting { expires } => Some(*expires),
            Phase::Observing => None,
        }
    }

    /// Time since the request, if it is unanswered and only one copy can be answered (Karn's rule).
    pub(crate) fn sample(&self, now: Instant) -> Option<Duration> {
        self.since_first(now).filter(|_| self.copies == 1)
    }

    /// Time since the first copy, if none is answered.
    pub(crate) fn since_first(&self, now: Instant) -> Option<Duration> {
        let unanswered = !matches!(self.phase, Phase::Acknowledged { .. } | Phase::Observing);
        unanswered.then(|| now.saturating_duration_since(self.first_sent))
    }

    /// What is known of the path has changed: the next copy goes out within `wait`.
    pub(crate) fn hasten(&mut self, now: Instant, wait: Duration) {
        if let Phase::Repeating { next, interval } = &mut self.phase
            && wait < *interval
        {
            *interval = wait;
            *next = after(now, wait).min(*next);
        }
    }

    /// Whether a notification is to be delivered. While a registration is unanswered, one as old as
    /// the last may be its answer, because a server need not count up where nothing changed.
    pub(crate) fn admit_notification(&mut self, value: u32, now: Instant) -> bool {
        let answers = !matches!(self.phase, Phase::Observing);
        let fresh = self.freshest.is_none_or(|freshest| {
            freshest.is_older_than(value, now) || (answers && freshest.value == value)
        });
        if fresh {
            self.freshest = Some(Freshest { value, at: now });
        }
        fresh
    }

    /// Leaves the token to the observation.
    pub(crate) fn settle(&mut self) {
        self.phase = Phase::Observing;
        self.datagram = Vec::new();
        self.message_ids.clear();
    }

    /// The request once more, under a fresh Message ID.
    pub(crate) fn next_copy(&mut self, message_id: MessageId) -> Vec<u8> {
        self.copies = self.copies.saturating_add(1);
        if self.message_ids.len() == REMEMBERED_COPIES {
            self.message_ids.pop_front();
        }
        self.message_ids.push_back(message_id);
        set_message_id(&mut self.datagram, message_id);
        self.datagram.clone()
    }
}
