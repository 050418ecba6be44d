//! Whether packets of one PvD arrive, as far as its resolvers can say.
//!
//! ```text
//!            answered                       lost 3 times in a row
//! Unchecked ----------> Good <--> Doubtful -----------------------> Silent
//!                         ^                                            |
//!                         '---------------- answered ------------------'
//! ```
//! One question is under way at a time. How long to wait for the next says [`Pace`].

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::candidate::Key;
use crate::host::NextHops;
use crate::source_address::OwnAddress;

/// So many questions in a row without an answer are a silence.
pub const LOST_IN_A_ROW: u8 = 3;
/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Until a question is repeated that was not answered.
const AFTER_LOSS: Duration = Duration::from_secs(2);
/// Between two questions in a PvD that is used or may be soon.
const IN_USE: Duration = Duration::from_secs(10);
/// Between two questions in one that is held in reserve: it wakes a radio.
const IN_RESERVE: Duration = Duration::from_secs(300);
/// Between two questions in one that is silent.
const IN_SILENCE: Duration = Duration::from_secs(15);
/// Who asks is to say what came of it; if he never does, another question is asked.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// Within this time the first question is asked.
const AT_FIRST: Duration = Duration::from_secs(1);

/// Tells one question from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeNumber(pub(super) u64);

/// Somebody to be asked, inside one PvD only; whatever he answers shows that packets arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Of this question.
    pub number: ProbeNumber,
    /// The PvD, and the interface that it leaves by.
    pub key: Key,
    /// Who is asked.
    pub resolver: IpAddr,
    /// This node's addresses in the PvD.
    pub addresses: Vec<OwnAddress>,
    /// By whom.
    pub next_hops: NextHops,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody answered who has what he answers from.
    Heard,
    /// Nobody answered, or one who says that he cannot.
    Lost,
    /// It could not be asked inside the PvD; that says nothing.
    Unasked,
}

/// How much depends on a PvD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    InUse,
    InReserve,
}

#[derive(Debug)]
pub(super) struct Probing {
    /// Without an answer, in a row.
    pub(super) lost: u8,
    /// Whether anything was ever heard, or lost.
    pub(super) is_checked: bool,
    waiting: Option<ProbeNumber>,
    /// When the last question was asked, or the PvD came.
    last: Instant,
    was_asked: bool,
    /// The share of chance in when the next one is.
    jitter: f64,
    asked: usize,
}

impl Probing {
    pub(super) fn new(random: &mut fastrand::Rng, now: Instant) -> Self {
        Self {
            lost: 0,
            is_checked: false,
            waiting: None,
            last: now,
            was_asked: false,
            jitter: random.f64(),
            asked: 0,
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.lost >= LOST_IN_A_ROW
    }

    /// Whether nothing was asked yet.
    pub(super) fn is_new(&self) -> bool {
        !self.was_asked
    }

    /// When the next question is to be asked.
    pub(super) fn due(&self, pace: Pace) -> Instant {
        if self.waiting.is_some() {
            return self.last + GIVEN_UP;
        }
        let pause = match (self.was_asked, self.lost) {
            (false, _) => return self.last + AT_FIRST.mul_f64(self.jitter),
            (true, 0) if pace == Pace::InReserve => IN_RESERVE,
            (true, 0) => IN_USE,
            (true, 1..LOST_IN_A_ROW) => AFTER_LOSS,
            (true, _) => IN_SILENCE,
        };
        self.last + pause.mul_f64(0.75 + self.jitter / 2.0)
    }

    /// Notes that it is asked; which of its resolvers: they take turns, since one of them may be broken.
    pub(super) fn ask(
        &mut self,
        number: ProbeNumber,
        random: &mut fastrand::Rng,
        now: Instant,
    ) -> usize {
        self.waiting = Some(number);
        self.jitter = random.f64();
        (self.last, self.was_asked) = (now, true);
        let turn = self.asked;
        self.asked = self.asked.wrapping_add(1);
        turn
    }

    /// Whether the answer is to the question that is under way.
    pub(super) fn hear(&mut self, number: ProbeNumber, answer: Answer) -> bool {
        if self.waiting != Some(number) {
            return false;
        }
        self.waiting = None;
        match answer {
            Answer::Heard => (self.lost, self.is_checked) = (0, true),
            Answer::Lost => {
                self.lost = self.lost.saturating_add(1);
                self.is_checked = true;
            }
            Answer::Unasked => {}
        }
        true
    }
}
