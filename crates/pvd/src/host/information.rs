//! The additional information of one PvD: when it is asked for, held and dropped (RFC 8801 §4.1).
//!
//! ```text
//!               announced             time, budget, an own address, a resolver
//!   Unannounced ----------> Due(at) ------------------------------------------> Asking(order)
//!        ^                  ^ ^ ^ ^                                             |  |  |
//!        |                  | | | `-- not reached: later each time -------------'  |  |
//!   not announced           | | `---- good: held; due again at chance in the ------'  |
//!   any more (from any      | |       second half of its validity                     |
//!   state; drops)           | |                                                       |
//!                           | `- held one expires (drops): due at once                |
//!                           |                                                         v
//!     another sequence number (drops):                     GivenUp, for the attachment (drops):
//!     due at chance within 2^(10+delay) ms                 TLS, HTTP, no object of this PvD,
//!                                                          or never reached
//! ```
//! What is asked when that changes is heard to its end: an object is thrown away, and a failure counts.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::order::{Failure, FailureKind, Fetched, Now, OrderNumber};
use crate::bindings::router_advertisement::Announced;
use crate::evidence::DataEvidence;
use crate::identifier::PvdId;
use crate::information::{AdditionalInformation, Refused};

/// After a server was not reached for the first time; doubled each time after.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// How often that is doubled: up to an hour and a half.
const MOST_DOUBLED: u32 = 9;

/// The longest validity that is believed: an instant has an end.
const FARTHEST: Duration = Duration::from_secs(1 << 40);

#[derive(Debug, Default)]
pub(super) struct Information {
    announced: Option<Announced>,
    held: Option<Obtained>,
    /// Somebody who proved to be the PvD has given one.
    has_answered: bool,
    past: Past,
    step: Step,
}

/// What is remembered of a PvD while the node is attached, also when it is not advertised for a while (RFC 8801 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// The sequence number that was announced last.
    number: Option<u16>,
    /// What was on the shelf by then is older than what is announced.
    outdated: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Unannounced,
    Due {
        at: Instant,
        tries: u32,
    },
    Asking {
        order: OrderNumber,
        tries: u32,
        fate: Fate,
    },
    GivenUp(Failure),
}

/// What is done with the object that is being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is held.
    Wanted,
    /// Another one was announced meanwhile, which is asked for then.
    Outdated(Instant),
    /// None is announced any more.
    Unannounced,
}

/// Additional information with what was proved of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Obtained {
    pub(super) information: AdditionalInformation,
    pub(super) data: DataEvidence,
    /// Keys that say nothing to us.
    pub(super) ignored: Vec<String>,
    /// The compact JWS that it came in.
    pub(super) signed: Option<Arc<str>>,
    until: Instant,
}

impl Information {
    /// Of a PvD that was there before.
    pub(super) fn after(past: Past) -> Self {
        Self {
            past,
            ..Self::default()
        }
    }

    pub(super) fn past(&self) -> Past {
        self.past
    }

    /// Whether the PvD has none for certain: its server was asked in vain (RFC 8801 §4.1).
    pub(super) fn is_denied(&self) -> bool {
        matches!(&self.step, Step::GivenUp(failure) if failure.is_final())
    }

    /// What the last Router Advertisement of the PvD said, when `shelved` objects had come to the shelf; whether it is something else than
    /// before.
    pub(super) fn announce(
        &mut self,
        announced: Option<Announced>,
        shelved: u64,
        random: &mut fastrand::Rng,
        now: Now,
    ) -> bool {
        let before = std::mem::replace(&mut self.announced, announced);
        if before != announced {
            self.follow(before, shelved, random, now);
        }
        before != announced
    }

    /// Something else is announced than before.
    fn follow(
        &mut self,
        before: Option<Announced>,
        shelved: u64,
        random: &mut fastrand::Rng,
        now: Now,
    ) {
        let announced = self.announced;
        let Some(announced) = announced else {
            self.held = None;
            if before.is_some() {
                self.past.outdated = shelved;
            }
            match &mut self.step {
                Step::Asking { fate, .. } => *fate = Fate::Unannounced,
                step => *step = Step::Unannounced,
            }
            return;
        };
        let number = announced.sequence_number;
        let last = self.past.number.replace(number);
        if last.is_some_and(|last| last != number) {
            self.past.outdated = shelved;
            let longest = Duration::from_millis(announced.delay.longest_milliseconds());
            self.change(now.instant + chance(random, Duration::ZERO..=longest));
            return;
        }
        match &mut self.step {
            step @ Step::Unannounced => {
                *step = Step::Due {
                    at: now.instant,
                    tries: 0,
                };
            }
            Step::Asking { fate, .. } if *fate == Fate::Unannounced => {
                *fate = Fate::Outdated(now.instant);
            }
            _ => {}
        }
    }

    /// There is another object than the one that is held, or is asked for.
    fn change(&mut self, at: Instant) {
        let had_one = self.held.take().is_some();
        match &mut self.step {
            Step::GivenUp(_) => {}
            // Who changes the number ever again cannot put off the question for ever.
            Step::Due { at: due, tries } if !had_one => (*due, *tries) = ((*due).min(at), 0),
            Step::Asking { fate, .. } => {
                *fate = Fate::Outdated(match *fate {
                    Fate::Outdated(before) => before.min(at),
                    Fate::Wanted | Fate::Unannounced => at,
                });
            }
            step => *step = Step::Due { at, tries: 0 },
        }
    }

    /// What is under way.
    pub(super) fn order(&self) -> Option<OrderNumber> {
        match self.step {
            Step::Asking { order, .. } => Some(order),
            _ => None,
        }
    }

    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    pub(super) fn held(&self) -> Option<&Obtained> {
        self.held.as_ref()
    }

    /// The last object on the shelf that is older than what is announced.
    pub(super) fn outdated(&self) -> u64 {
        self.past.outdated
    }

    /// Whether somebody has proved to be the PvD, and it still says the same.
    pub(super) fn is_proved(&self) -> bool {
        let data = self.held.as_ref().map(|held| &held.data);
        data.is_some_and(|data| *data > DataEvidence::Absent)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.step, Step::Due { at, .. } if at <= now)
    }

    pub(super) fn ask(&mut self, order: OrderNumber) {
        if let Step::Due { tries, .. } = self.step {
            self.step = Step::Asking {
                order,
                tries,
                fate: Fate::Wanted,
            };
        }
    }

    pub(super) fn give_up(&mut self, failure: Failure) {
        self.held = None;
        self.step = Step::GivenUp(failure);
    }

    /// What came of the order that is under way. The failure, if the PvD is not to be asked again.
    pub(super) fn handle_fetched(
        &mut self,
        id: &PvdId,
        fetched: Fetched,
        attempts: u32,
        random: &mut fastrand::Rng,
        now: Now,
    ) -> Option<Failure> {
        let Step::Asking { tries, fate, .. } = self.step else {
            return None;
        };
        let failure = match judge(id, fetched, now) {
            Ok((obtained, validity)) => {
                self.step = match fate {
                    Fate::Unannounced => Step::Unannounced,
                    Fate::Outdated(at) => Step::Due { at, tries: 0 },
                    Fate::Wanted => {
                        self.has_answered = true;
                        self.held = Some(obtained);
                        let at = now.instant + chance(random, validity / 2..=validity);
                        Step::Due { at, tries: 0 }
                    }
                };
                return None;
            }
            Err(failure) => failure,
        };
        let tries = tries + 1;
        // Who has answered once is a PvD's server, whose network may be flooded for a while.
        if failure.is_final() || (tries >= attempts && !self.has_answered) {
            self.give_up(failure.clone());
            return Some(failure);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (tries - 1).min(MOST_DOUBLED));
        let at = now.instant + chance(random, pause..=pause * 3 / 2);
        self.step = match fate {
            Fate::Unannounced => Step::Unannounced,
            Fate::Wanted | Fate::Outdated(_) => Step::Due { at, tries },
        };
        None
    }

    /// Drops what has expired, and says whether something has.
    pub(super) fn handle_timeout(&mut self, now: Now) -> bool {
        let is_over = self.held.as_ref().is_some_and(|held| held.is_over(now));
        if is_over {
            self.held = None;
            if let Step::Due { at, tries: 0 } = &mut self.step {
                *at = now.instant.min(*at);
            }
        }
        is_over
    }

    /// When it next has to do something by itself, other than asking.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.until)
    }
}

/// The additional information of this PvD in what was fetched, with how long it is valid.
pub(super) fn judge(
    id: &PvdId,
    fetched: Fetched,
    now: Now,
) -> Result<(Obtained, Duration), Failure> {
    match fetched {
        Fetched::Object {
            bytes,
            data,
            signed,
        } => {
            let obtained = Obtained::read(&bytes, data, signed, now)
                .map_err(|refused| Failure::new(FailureKind::Object, &refused))?;
            let is = &obtained.information.identifier;
            if is != id {
                let other = format!("it is that of {is}");
                return Err(Failure::new(FailureKind::Object, &other));
            }
            let validity = validity(obtained.information.expires, now);
            Ok((obtained, validity))
        }
        Fetched::Failed(failure) => Err(failure),
    }
}

fn validity(expires: SystemTime, now: Now) -> Duration {
    let validity = expires.duration_since(now.system);
    validity.unwrap_or_default().min(FARTHEST)
}

impl Obtained {
    /// An object of whatever PvD.
    ///
    /// # Errors
    /// [`Refused`]
    pub(super) fn read(
        bytes: &[u8],
        data: DataEvidence,
        signed: Option<Arc<str>>,
        now: Now,
    ) -> Result<Self, Refused> {
        let read = AdditionalInformation::read(bytes, now.system)?;
        Ok(Self {
            until: now.instant + validity(read.information.expires, now),
            information: read.information,
            data,
            ignored: read.ignored,
            signed,
        })
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        // Of the two clocks the wall clock may have been set.
        self.until <= now.instant || self.information.expires <= now.system
    }
}

/// A time of these, each as likely as the other.
fn chance(random: &mut fastrand::Rng, range: RangeInclusive<Duration>) -> Duration {
    let width = range.end().saturating_sub(*range.start());
    let nanoseconds = u64::try_from(width.as_nanos()).unwrap_or(u64::MAX);
    *range.start() + Duration::from_nanos(random.u64(0..=nanoseconds))
}
