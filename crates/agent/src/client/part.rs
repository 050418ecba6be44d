//! The part of a request that goes to one server under one mid, as a state machine (RFC 9132 §4.4).
//!
//! ```text
//! Asking --2.01, 2.04--> Accepted --refresh due, expired before the wish--> Asking (same mid)
//!   |  \--4.00, 4.03--> Refused       |  \--expiry with the wish--> Ended
//!   |   \--5.03-------> Asking, later |
//!   |    \--4.01, 5.00--> Postponed <--status 6-- Accepted    (see `setback`)
//!   |     \--4.09, retry-timer--> Deactivated <--status 7, retry-timer-- Accepted
//!   |            Asking <--the time is over--'
//!   \------------- withdraw --------> Withdrawing --2.02, or all has expired--> Ended
//! ```
//!
//! A part only knows what it wants from the server; the association asks it over every session
//! that is up until an answer comes ([`Part::wants`]).

mod answers;
mod behind;
mod held;
mod leaving;
mod setback;
mod timing;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dots::identifiers::{Cuid, Mid};
use dots::lifetime::Lifetime;
use dots::mitigation::{
    AttackStatus, ConflictInformation, DroppedCounters, MitigationRequest, RequestError, Status,
};
use dots::target::Target;

use self::behind::Behind;
use self::held::Held;
pub(super) use self::held::Stored;
pub(super) use self::leaving::Leaving;
pub(super) use self::timing::until;
use super::RequestId;
use super::state::{End, Pause, State};
use crate::relay::Relayed;
use crate::time::Now;

/// How often a server that does not notify is asked how a mitigation stands.
const POLLING: Duration = Duration::from_secs(15);
/// How old what a server last told may be: an observation that says nothing for so long is renewed
/// (RFC 7641 §3.3.1), since notifications get lost and the last one says that a mitigation is over. The default
/// freshness of RFC 7252 §5.10.5.
const FRESHNESS: Duration = Duration::from_secs(60);
/// How long an efficacy update is repeated. A server that does not know the request leaves it
/// without an answer (RFC 9132 §4.4.3).
const EFFICACY_PATIENCE: Duration = Duration::from_secs(30);

/// What a part wants to say to its server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    Put,
    Observe,
    /// An efficacy update (RFC 9132 §4.4.3).
    Update(AttackStatus),
    Delete,
}

/// What the person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) request: RequestId,
    pub(super) target: Target,
    /// False: only once the signal channel session is lost (RFC 9132 §4.4.1.1).
    pub(super) trigger_mitigation: bool,
    /// `None`: until it is withdrawn.
    pub(super) until: Option<Instant>,
    pub(super) relayed: Relayed,
}

impl Wish {
    /// Whether the newer of both takes the place of the other at a server, if they have an address in common
    /// (RFC 9132 §4.4.1.3). Under another cdid it is another client's, as far as is known here.
    pub(super) fn is_of_one_kind(&self, other: &Self) -> bool {
        (self.trigger_mitigation, &self.relayed.cdid)
            == (other.trigger_mitigation, &other.relayed.cdid)
    }
}

/// One request at one server, under one mid.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) mid: Mid,
    pub(super) wish: Wish,
    pub(super) state: State,
    pub(super) dropped: DroppedCounters,
    /// What the server last said it conflicts with.
    pub(super) conflict: Option<ConflictInformation>,
    /// When the server ends it without a refresh; while it is withdrawn, when it has it no more in
    /// any case. `None`: never, or not known.
    pub(super) expires: Option<Instant>,
    /// When to ask again; `None`: no refresh is needed.
    refresh: Option<Instant>,
    /// Whether what is accepted is asked for again: until the answer it stands as the server last
    /// said.
    is_refreshing: bool,
    /// The lifetime in seconds that the server last granted, if it is shorter than the one that was asked for.
    pub(super) shortened_to: Option<NonZeroU32>,
    /// When the server last granted it.
    granted_at: Option<Instant>,
    /// Whether it was ever granted, or comes from the store: to refuse it says nothing of what it asks.
    is_standing: bool,
    /// Since when it stands, if the server has neither refused nor ended it since.
    stood_since: Option<Instant>,
    /// How often in a row the server has refused or ended it.
    setbacks: u32,
    /// Not before this instant.
    pub(super) pause: Option<(Instant, Pause)>,
    /// Not to be looked at before this instant, because the server does not notify.
    observe_after: Option<Instant>,
    /// Until when what the server last told is fresh; `None`: it is not, or it has told nothing.
    fresh_until: Option<Instant>,
    /// What the server is to be told of the success, and until when that is tried.
    efficacy: Option<(AttackStatus, Instant)>,
    /// Since when an answer is awaited.
    pub(super) asking_since: Instant,
    /// Whether the server has told a status since it was last asked.
    is_status_told: bool,
    /// What it is withdrawn for, if it is.
    pub(super) leaving: Leaving,
    /// Under which cuid it was asked for, if another is used since (RFC 9132 §4.4.1.3). A restart
    /// forgets it.
    pub(super) cuid: Option<Cuid>,
    /// When its status was last asked for; the server answered or did not.
    pub(super) looked_at: Option<Instant>,
    /// Whether a copy of a request may still be under way.
    has_late_copies: bool,
    /// Until when it is watched that the server does not take up again what is over.
    watched: Option<Instant>,
    held: Held,
    /// What the provisioned server has of it, while an alternate one is asked.
    behind: Option<Behind>,
    /// Whether the alternate server has heard that it is withdrawn, and the provisioned one has not.
    is_alternate_told: bool,
}

impl Part {
    pub(super) fn new(now: Now, mid: Mid, wish: Wish) -> Self {
        Self {
            mid,
            wish,
            state: State::Asking,
            dropped: DroppedCounters::default(),
            conflict: None,
            expires: None,
            refresh: None,
            is_refreshing: false,
            shortened_to: None,
            granted_at: None,
            is_standing: false,
            stood_since: None,
            setbacks: 0,
            pause: None,
            observe_after: None,
            fresh_until: None,
            efficacy: None,
            asking_since: now.monotonic,
            is_status_told: false,
            leaving: Leaving::ForGood,
            cuid: None,
            looked_at: None,
            has_late_copies: false,
            watched: None,
            held: Held::Nothing,
            behind: None,
            is_alternate_told: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Refused { .. } | State::Ended(_))
    }

    /// Whether no answer is awaited: the server has answered, one way or another, or another one is
    /// asked instead.
    pub(super) fn is_settled(&self) -> bool {
        let is_asked = matches!(self.state, State::Asking | State::Withdrawing);
        !is_asked && !self.is_renewing() || self.is_moving()
    }

    /// Whether the server is being asked something it has not answered.
    pub(super) fn awaits_answer(&self) -> bool {
        !self.is_settled() && self.pause.is_none()
    }

    fn pause_until(&self) -> Option<Instant> {
        self.pause.as_ref().map(|(until, _)| *until)
    }

    /// Whether it is accepted, and being asked for again.
    fn is_renewing(&self) -> bool {
        self.is_refreshing && self.is_accepted()
    }

    /// Whether the server has granted it, and may have it still, as far as is known.
    pub(super) fn is_granted(&self) -> bool {
        self.held == Held::Granted
    }

    /// Whether the server has it on its books.
    fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted(_))
    }

    /// Whether the server has refused it.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused { .. })
    }

    /// Whether a newer request took its place.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self.state, State::Ended(End::Replaced { .. }))
    }

    /// Until when its server is left in peace by its own word, if nothing is in force there.
    pub(super) fn put_off_until(&self) -> Option<Instant> {
        match (&self.state, &self.pause) {
            (State::Deactivated { retry } | State::Postponed { retry, .. }, _) => Some(*retry),
            (State::Asking, Some((until, Pause::Busy | Pause::Told)))
                if self.held != Held::Granted =>
            {
                Some(*until)
            }
            _ => None,
        }
    }

    /// Whether it is wanted, and not being withdrawn.
    pub(super) fn is_going(&self) -> bool {
        !self.is_over() && self.state != State::Withdrawing
    }

    /// Whether there is an attack, as far as this part tells: a preconfigured request is none
    /// until the server has started it.
    pub(super) fn is_under_attack(&self) -> bool {
        let is_started = match self.state {
            State::Accepted(status) => !matches!(
                status,
                Status::AttackMitigationSignalLoss | Status::AttackMitigationWithdrawn
            ),
            _ => false,
        };
        !self.is_over() && (self.wish.trigger_mitigation || is_started)
    }

    /// Whether nothing is going on, and the server has said so.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_over() || !self.is_under_attack() && self.is_status_told
    }

    /// The person asks for the same again, until another instant. What the server is being asked is
    /// neither younger for that nor asked sooner than it said.
    pub(super) fn prolong(&mut self, now: Now, until: Option<Instant>) {
        self.wish.until = until;
        if self.is_accepted() && !self.is_refreshing {
            self.renew(now);
        }
    }

    /// The server is to be asked (again), as after it lost the request.
    pub(super) fn ask_again(&mut self, now: Now) {
        self.state = State::Asking;
        if self.held == Held::Granted {
            self.held = Held::Asked;
        }
        self.expires = None;
        self.is_refreshing = false;
        self.asking_since = now.monotonic;
        self.pause = None;
        self.observe_after = None;
        self.efficacy = None;
        self.is_status_told = false;
    }

    /// Whether what is observed is to be asked for, since the server has been silent.
    pub(super) fn is_stale(&self) -> bool {
        self.is_status_told && self.fresh_until.is_none()
    }

    pub(super) fn end(&mut self, end: End) {
        if !self.is_over() {
            self.state = State::Ended(end);
        }
    }

    /// The server is to be told whether the mitigation works. It decides what follows; nothing is
    /// withdrawn on our own view (RFC 9132 §4.4.2.2). Returns whether there is a mitigation.
    pub(super) fn report_efficacy(&mut self, now: Now, status: AttackStatus) -> bool {
        if self.is_accepted() {
            self.efficacy = Some((status, now.monotonic + EFFICACY_PATIENCE));
        }
        self.is_accepted()
    }

    /// What to tell or ask the server now.
    pub(super) fn wants(&self, now: Now) -> impl Iterator<Item = Want> + use<> {
        let [mut first, mut second] = [None, None];
        let observe = self.observe_after.is_none().then_some(Want::Observe);
        match self.state {
            State::Asking => first = Some(Want::Put),
            State::Accepted(_) => {
                let update = self.efficacy.map(|(status, _)| Want::Update(status));
                first = if self.is_refreshing {
                    Some(Want::Put)
                } else {
                    update
                };
                second = observe;
            }
            // The server may bring it back into force before it is asked again.
            State::Deactivated { .. } if self.granted_at.is_some() => second = observe,
            State::Withdrawing => first = Some(Want::Delete),
            State::Ended(_) if self.watched().is_some() => second = observe,
            State::Deactivated { .. }
            | State::Postponed { .. }
            | State::Refused { .. }
            | State::Ended(_) => {}
        }
        // An observation is nothing that a pause puts off.
        let is_paused = self.pause_until().is_some_and(|at| at > now.monotonic);
        if is_paused || self.is_moving() {
            first = None;
        }
        first.into_iter().chain(second)
    }

    /// The body of the PUT: what is wanted, for as long as it is still wanted.
    pub(super) fn request(
        &self,
        now: Now,
        efficacy: Option<AttackStatus>,
    ) -> Result<MitigationRequest, RequestError> {
        let lifetime = match self.wish.until {
            None => Lifetime::Indefinite,
            Some(at) => {
                let left = NonZeroU32::new(now.seconds_until(at));
                Lifetime::Seconds(left.unwrap_or(NonZeroU32::MIN))
            }
        };
        let (target, trigger) = (self.wish.target.clone(), self.wish.trigger_mitigation);
        MitigationRequest::new(target, lifetime, trigger, efficacy)
    }
}
