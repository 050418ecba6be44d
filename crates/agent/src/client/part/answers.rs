//! What a part makes of what its server says (RFC 9132 §4.4.1.3, §4.4.2).

use std::time::Duration;

use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{ConflictInformation, Granted, MitigationStatus, Status};

use super::timing::until;
use super::{FRESHNESS, Held, POLLING, Part};
use crate::client::exchange::SHORTEST_PAUSE;
use crate::client::state::{Pause, State};
use crate::time::Now;

/// No second copy of a request leaves sooner after the first.
const FIRST_COPY: Duration = Duration::from_millis(200);
/// The longest `retry-timer` that is believed: a day, since few mitigations in conflict last longer, and a
/// server may say 136 years.
const LONGEST_RETRY_TIMER: Duration = Duration::from_secs(86_400);

impl Part {
    /// 2.01 or 2.04: the server granted a lifetime, which may be shorter than asked
    /// (RFC 9132 §4.4.1.1). The request is then prolonged at half of it.
    pub(in crate::client) fn granted(&mut self, now: Now, granted: Granted) {
        if matches!(self.state, State::Withdrawing | State::Ended(_)) {
            return;
        }
        self.granted_at = Some(now.monotonic);
        self.is_standing = true;
        self.stood_since.get_or_insert(now.monotonic);
        self.held = Held::Granted;
        if self.asking_since + FIRST_COPY <= now.monotonic {
            self.copied();
        }
        if !std::mem::take(&mut self.is_refreshing) {
            self.efficacy = None;
        }
        self.conflict = granted.conflict;
        self.expires = until(now, granted.lifetime);
        // Who was asked for no more than it granted before may grant more.
        self.shortened_to = match (granted.lifetime, self.expires) {
            (Lifetime::Seconds(seconds), Some(end)) => {
                let is_as_before = self.shortened_to.is_some_and(|before| seconds <= before);
                (is_as_before || !self.is_wish_over(end)).then_some(seconds)
            }
            _ => None,
        };
        self.refresh = self.refresh_due(now);
        if !self.is_accepted() {
            self.state = State::Accepted(if self.wish.trigger_mitigation {
                Status::AttackMitigationInProgress
            } else {
                Status::AttackMitigationSignalLoss
            });
        }
    }

    /// The server does not enforce it because of a conflict (RFC 9132 §4.4.1.3, §4.4.2.1).
    pub(in crate::client) fn deactivated(
        &mut self,
        now: Now,
        retry: Duration,
        conflict: ConflictInformation,
    ) {
        if self.is_going() {
            self.state = State::Deactivated {
                retry: now.monotonic + retry.clamp(SHORTEST_PAUSE, LONGEST_RETRY_TIMER),
            };
            self.refresh = None;
            self.conflict = Some(conflict);
        }
    }

    /// Ask again after a while.
    pub(in crate::client) fn postpone(&mut self, now: Now, pause: Duration, reason: Pause) {
        self.pause = Some((now.monotonic + pause, reason));
    }

    /// The server does not notify: look again after a while (RFC 9132 §4.4.2.2).
    pub(in crate::client) fn observe_later(&mut self, now: Now) {
        self.observe_after = Some(now.monotonic + POLLING);
    }

    /// The server wants it where it cannot go: the same server is asked again later.
    pub(in crate::client) fn redirected(&mut self, now: Now, pause: Duration) {
        self.efficacy = None;
        if self.is_settled() {
            self.observe_later(now);
        } else {
            self.postpone(now, pause, Pause::Redirected);
        }
    }

    /// Whether it waits because of a redirect that was not followed.
    pub(in crate::client) fn is_redirected(&self) -> bool {
        self.is_going() && matches!(self.pause, Some((_, Pause::Redirected)))
    }

    /// The server has told something about how it stands.
    pub(in crate::client) fn heard(&mut self, now: Now) {
        self.fresh_until = Some(now.monotonic + FRESHNESS);
    }

    /// Another server is asked now: what was put off with the one before is due.
    pub(in crate::client) fn look_again(&mut self) {
        self.observe_after = None;
    }

    /// The efficacy update was answered, or is of no use.
    pub(in crate::client) fn updated(&mut self) {
        self.efficacy = None;
    }

    /// The server does not have it any more, but it is still wanted.
    pub(in crate::client) fn lost(&mut self, now: Now) {
        if self.is_accepted() {
            self.ask_again(now);
            self.postpone(now, SHORTEST_PAUSE, Pause::ShortLived);
        } else {
            self.observe_later(now);
        }
    }

    /// The status in a GET response or a notification (RFC 9132 §4.4.2).
    pub(in crate::client) fn observed(
        &mut self,
        now: Now,
        status: &MitigationStatus,
        dice: &mut fastrand::Rng,
    ) {
        if !matches!(self.state, State::Accepted(_) | State::Deactivated { .. }) {
            return self.lingers(now, status);
        }
        self.is_status_told = true;
        self.dropped = status.counters;
        self.conflict.clone_from(&status.conflict);
        if let RemainingLifetime::Seconds(left) = status.lifetime {
            self.expires = Some(now.monotonic + Duration::from_secs(left.into()));
        }
        let retry = status.conflict.as_ref().and_then(|it| it.retry_timer);
        self.state = match (status.status, retry) {
            (Status::AttackMitigationWithdrawn, Some(_)) if self.retry_at().is_some() => return,
            (Status::AttackMitigationWithdrawn, Some(seconds)) => {
                let retry = Duration::from_secs(seconds.into());
                let conflict = status.conflict.clone().unwrap_or_default();
                return self.deactivated(now, retry, conflict);
            }
            // A preconfigured request that an immediate one overlaps goes back to being parked.
            (parked @ Status::AttackMitigationWithdrawn, None) if !self.wish.trigger_mitigation => {
                State::Accepted(parked)
            }
            // Nothing was withdrawn here: it is still wanted.
            (
                ended @ (Status::DotsClientWithdrawnMitigation
                | Status::AttackMitigationTerminated
                | Status::AttackMitigationWithdrawn),
                _,
            ) => return self.ended(now, ended, dice),
            (going, _) => State::Accepted(going),
        };
        // While what is left only grows less, half of it never comes before the half of all.
        if self.is_accepted() && !self.is_refreshing {
            let due = self.refresh.into_iter().chain(self.refresh_due(now));
            self.refresh = due.min();
        }
    }
}
