//! Notifications that wait for their turn (RFC 9132 §4.4.2.1: one a round trip, or one every 3 s
//! while there is no estimate of it).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use coap::{Response, Token};

/// Most notifications that wait; beyond it the oldest is lost, like one on the way.
const MOST_WAITING: usize = 64;

/// Holds notifications back. Of those for one observer only the newest waits, for it says all.
#[derive(Debug, Default)]
pub(super) struct NotificationQueue {
    waiting: VecDeque<(Token, Response)>,
    not_before: Option<Instant>,
}

impl NotificationQueue {
    pub(super) fn push(&mut self, token: Token, notification: Response) {
        if let Some(older) = self.waiting.iter_mut().find(|(to, _)| *to == token) {
            older.1 = notification;
            return;
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((token, notification));
    }

    /// The one whose turn it is; the next has its turn after `pause`.
    pub(super) fn pop(&mut self, now: Instant, pause: Duration) -> Option<(Token, Response)> {
        if self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.not_before = Some(now + pause);
        Some(next)
    }

    /// When [`NotificationQueue::pop`] has something again.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.waiting.is_empty())
    }
}
