//! What each PvD is in the ranking, and why.

use std::fmt;

use super::candidate::{Candidate, Key, Standing};
use super::probing::Probing;

/// A PvD in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which PvD.
    pub key: Key,
    /// How it is.
    pub health: Health,
    /// Why it is here.
    pub reason: Reason,
    /// New connections that want no other are for it.
    pub is_preferred: bool,
    /// One PvD is used at a time, and it is another one.
    pub is_in_reserve: bool,
}

/// How a PvD is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its resolvers answer.
    Good,
    /// It was not found out.
    Unchecked,
    /// The last question was not answered.
    Doubtful,
    /// Nobody answers any more.
    Silent,
    /// It says that it does not lead to the internet.
    NoInternet,
    /// It has no default router.
    NoRouter,
    /// This node has no address in it.
    NoAddress,
}

impl fmt::Display for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Good => "good",
            Self::Unchecked => "unchecked",
            Self::Doubtful => "doubtful",
            Self::Silent => "silent",
            Self::NoInternet => "no-internet",
            Self::NoRouter => "no-router",
            Self::NoAddress => "no-address",
        })
    }
}

/// What is the same for all who may take each other's place without delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    Good,
    Silent,
    /// Nothing new is sent there that does not ask for it.
    Apart,
}

impl Health {
    pub(super) fn of(candidate: &Candidate, probing: &Probing) -> Self {
        match probing {
            _ if candidate.addresses.is_empty() => Self::NoAddress,
            _ if candidate.router.is_none() => Self::NoRouter,
            _ if candidate.has_no_internet => Self::NoInternet,
            probing if probing.is_silent() => Self::Silent,
            probing if probing.lost > 0 => Self::Doubtful,
            probing if probing.is_checked => Self::Good,
            _ => Self::Unchecked,
        }
    }

    pub(super) fn tier(self) -> Tier {
        match self {
            Self::Good | Self::Unchecked | Self::Doubtful => Tier::Good,
            Self::Silent => Tier::Silent,
            Self::NoInternet | Self::NoRouter | Self::NoAddress => Tier::Apart,
        }
    }
}

/// Why a PvD is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no other.
    Alone,
    /// It is before the next one by this.
    Before(Criterion),
    /// It is after the preferred one by this.
    After(Criterion),
    /// A better one has to be good for some time before it takes its place.
    InUse,
    /// It takes the place of the preferred one soon, if nothing fails until then.
    Returns,
}

/// By what one is before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// How it is.
    Health,
    /// The administrator's list.
    Wish,
    /// How hard it is to be a stranger on its link.
    Link,
    /// Somebody has proved to be it.
    Proof,
    /// What its routers say of themselves.
    Router,
    /// Nothing but the order of names.
    Name,
}

impl Criterion {
    /// The first one by which they differ.
    pub(super) fn between(one: (Tier, &Standing), other: (Tier, &Standing)) -> Self {
        let (tiers, one, other) = ((one.0, other.0), one.1, other.1);
        match () {
            () if tiers.0 != tiers.1 => Self::Health,
            () if one.wish != other.wish => Self::Wish,
            () if one.link != other.link => Self::Link,
            () if one.is_proved != other.is_proved => Self::Proof,
            () if one.router != other.router => Self::Router,
            () => Self::Name,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Alone => "there is no other",
            Self::Before(Criterion::Health) => "others do not work",
            Self::Before(Criterion::Wish) => "the administrator prefers it",
            Self::Before(Criterion::Link) => "it is harder to be a stranger on its link",
            Self::Before(Criterion::Proof) => "it has proved who it is",
            Self::Before(Criterion::Router) => "its router is to be preferred",
            Self::Before(Criterion::Name) => "nothing speaks for another",
            Self::After(Criterion::Health) => "it does not work, or leads nowhere else",
            Self::After(Criterion::Wish) => "the administrator prefers another",
            Self::After(Criterion::Link) => "it is easier to be a stranger on its link",
            Self::After(Criterion::Proof) => "it has not proved who it is",
            Self::After(Criterion::Router) => "another router is to be preferred",
            Self::After(Criterion::Name) => "nothing speaks for it",
            Self::InUse => "it works, and a better one has to work for a while first",
            Self::Returns => "it is used again when it has worked for a while",
        };
        formatter.write_str(text)
    }
}
