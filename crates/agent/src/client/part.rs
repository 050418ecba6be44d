//! The part of a request that goes to one server, as a state machine (RFC 9132 §4.4).
//!
//! ```text
//! Asking --2.01, 2.04--> Accepted --refresh due, expired before the wish--> Asking (same mid)
//!   |  \--4.xx-------> Refused        |  \--status 6, expiry with the wish--> Ended
//!   |   \--5.03------> Asking, later  |
//!   \------------- withdraw --------> Withdrawing --2.02, or all has expired--> Ended
//! ```
//!
//! A part only knows what it wants from the server; the association asks it over every session
//! that is up until an answer comes ([`Part::wants`]).

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use coap::Code;
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::mitigation::{DroppedCounters, MitigationRequest, MitigationStatus, Status};
use dots::target::Target;

use crate::time::Now;

/// How often a server that does not notify is asked how a mitigation stands.
const POLLING: Duration = Duration::from_secs(15);

/// How far a part has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The server has not answered yet.
    Asking,
    /// The server accepted it, and this is the last status it gave.
    Accepted(Status),
    /// The server refused it.
    Refused {
        /// Its response code.
        code: Code,
        /// Its diagnostic payload.
        diagnostic: String,
    },
    /// The server has been asked to stop.
    Withdrawing,
    /// Nothing is in force any more, and this is why.
    Ended(End),
}

/// Why a mitigation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was withdrawn here.
    Withdrawn,
    /// Its lifetime ran out.
    Expired,
    /// The server ended it.
    ByServer(Status),
    /// A newer request of this client took its place (RFC 9132 §4.4.1.3).
    Replaced,
}

/// What a part wants to say to its server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    Put,
    Observe,
    Delete,
}

/// One request at one server.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) mid: Mid,
    pub(super) target: Target,
    pub(super) state: State,
    pub(super) dropped: DroppedCounters,
    /// Until when the person wants it; `None`: until it is withdrawn.
    wanted_until: Option<Instant>,
    /// When the server ends it without a refresh.
    expires: Option<Instant>,
    /// When to ask again; `None`: no refresh is needed.
    refresh: Option<Instant>,
    /// Not before this instant, because the server is busy (RFC 9132 §4.4.3: Max-Age).
    not_before: Option<Instant>,
    /// Not to be looked at before this instant, because the server does not notify.
    observe_after: Option<Instant>,
    /// Since when an answer is awaited.
    pub(super) asking_since: Instant,
}

impl Part {
    pub(super) fn new(now: Now, mid: Mid, target: Target, lifetime: Lifetime) -> Self {
        Self {
            mid,
            target,
            state: State::Asking,
            dropped: DroppedCounters::default(),
            wanted_until: until(now.monotonic, lifetime),
            expires: None,
            refresh: None,
            not_before: None,
            observe_after: None,
            asking_since: now.monotonic,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Refused { .. } | State::Ended(_))
    }

    /// Whether the server has answered, one way or another.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.state, State::Asking | State::Withdrawing)
    }

    /// Whether the server is being asked something it has not answered.
    pub(super) fn awaits_answer(&self) -> bool {
        !self.is_settled() && self.not_before.is_none()
    }

    /// Whether traffic is, or may be, filtered for this part.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.state, State::Accepted(_))
    }

    /// The person asks for the same again: from now, for `lifetime`.
    pub(super) fn prolong(&mut self, now: Now, lifetime: Lifetime) {
        self.wanted_until = until(now.monotonic, lifetime);
        self.ask_again(now);
    }

    /// The server is to be asked (again), as after it lost the request.
    pub(super) fn ask_again(&mut self, now: Now) {
        self.state = State::Asking;
        self.asking_since = now.monotonic;
        self.not_before = None;
        self.observe_after = None;
    }

    pub(super) fn withdraw(&mut self, now: Now) {
        if !self.is_over() {
            self.state = State::Withdrawing;
            self.asking_since = now.monotonic;
            self.not_before = None;
        }
    }

    pub(super) fn replace(&mut self) {
        if !self.is_over() {
            self.state = State::Ended(End::Replaced);
        }
    }

    /// What to ask the server for, if anything.
    pub(super) fn wants(&self, now: Now) -> Option<Want> {
        if self.not_before.is_some_and(|at| at > now.monotonic) {
            return None;
        }
        match self.state {
            State::Asking => Some(Want::Put),
            State::Accepted(_) if self.refresh.is_some_and(|at| at <= now.monotonic) => {
                Some(Want::Put)
            }
            State::Accepted(_) => self.observe_after.is_none().then_some(Want::Observe),
            State::Withdrawing => Some(Want::Delete),
            State::Refused { .. } | State::Ended(_) => None,
        }
    }

    /// When the part changes by itself.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let pending = !self.is_over();
        [
            self.ends_at(),
            self.refresh,
            self.not_before,
            self.observe_after,
        ]
        .into_iter()
        .flatten()
        .filter(|_| pending)
        .min()
    }

    /// When the state comes to its end without the server.
    fn ends_at(&self) -> Option<Instant> {
        match self.state {
            State::Asking => self.wanted_until,
            State::Accepted(_) => self.expires,
            // By then the server has let it expire, whether it ever hears of the withdrawal.
            State::Withdrawing => self.expires.max(self.wanted_until),
            State::Refused { .. } | State::Ended(_) => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now.monotonic);
        if past(self.not_before) {
            self.not_before = None;
            self.asking_since = now.monotonic;
        }
        if past(self.observe_after) {
            self.observe_after = None;
        }
        if past(self.ends_at()) {
            match self.state {
                State::Accepted(_) if !self.is_wish_over(now.monotonic) => self.ask_again(now),
                State::Withdrawing => self.state = State::Ended(End::Withdrawn),
                _ => self.state = State::Ended(End::Expired),
            }
        }
        if past(self.refresh) {
            self.refresh = None;
            if self.is_active() {
                self.ask_again(now);
            }
        }
    }

    /// Whether what is wanted ends, to the second, at `end`: both ends count whole seconds.
    fn is_wish_over(&self, end: Instant) -> bool {
        self.wanted_until
            .is_some_and(|wanted| end + Duration::from_secs(2) >= wanted)
    }

    /// The body of the PUT: what is wanted, for as long as it is still wanted.
    pub(super) fn body(&self, now: Now) -> Option<MitigationRequest> {
        let lifetime = match self.wanted_until {
            None => Lifetime::Indefinite,
            Some(at) => Lifetime::Seconds(NonZeroU32::new(now.seconds_until(at))?),
        };
        MitigationRequest::new(self.target.clone(), lifetime, true, None).ok()
    }

    /// 2.01 or 2.04: the server granted this lifetime, which may be shorter than asked
    /// (RFC 9132 §4.4.1.1). The request is then prolonged at half of it.
    pub(super) fn granted(&mut self, now: Now, lifetime: Lifetime) {
        if matches!(self.state, State::Withdrawing | State::Ended(_)) {
            return;
        }
        self.expires = until(now.monotonic, lifetime);
        let enough = self
            .expires
            .is_none_or(|granted| self.is_wish_over(granted));
        self.refresh = match self.expires {
            Some(at) if !enough => {
                Some(now.monotonic + at.saturating_duration_since(now.monotonic) / 2)
            }
            _ => None,
        };
        if !matches!(self.state, State::Accepted(_)) {
            self.state = State::Accepted(Status::AttackMitigationInProgress);
        }
    }

    pub(super) fn refused(&mut self, code: Code, diagnostic: String) {
        if self.state == State::Asking {
            self.state = State::Refused { code, diagnostic };
        }
    }

    /// 5.03, or an answer that makes no sense: ask again after a while.
    pub(super) fn postpone(&mut self, now: Now, pause: Duration) {
        self.not_before = Some(now.monotonic + pause);
    }

    /// The server does not notify: look again after a while (RFC 9132 §4.4.2.2).
    pub(super) fn observe_later(&mut self, now: Now) {
        self.observe_after = Some(now.monotonic + POLLING);
    }

    /// 2.02.
    pub(super) fn deleted(&mut self) {
        if self.state == State::Withdrawing {
            self.state = State::Ended(End::Withdrawn);
        }
    }

    /// The status in a GET response or a notification (RFC 9132 §4.4.2).
    pub(super) fn observed(&mut self, now: Now, status: &MitigationStatus) {
        if !matches!(self.state, State::Accepted(_)) {
            return;
        }
        self.dropped = status.counters;
        self.state = match status.status {
            ended @ (Status::AttackMitigationTerminated | Status::AttackMitigationWithdrawn) => {
                State::Ended(End::ByServer(ended))
            }
            going => State::Accepted(going),
        };
        if let dots::lifetime::RemainingLifetime::Seconds(left) = status.lifetime {
            self.expires = Some(now.monotonic + Duration::from_secs(left.into()));
        }
    }

    /// How long the person still wants it, for the store: seconds since 1970.
    pub(super) fn wanted_until_unix(&self, now: Now) -> Option<u64> {
        self.wanted_until
            .map(|at| now.unix + u64::from(now.seconds_until(at)))
    }
}

fn until(now: Instant, lifetime: Lifetime) -> Option<Instant> {
    match lifetime {
        Lifetime::Seconds(seconds) => Some(now + Duration::from_secs(seconds.get().into())),
        Lifetime::Indefinite => None,
    }
}
