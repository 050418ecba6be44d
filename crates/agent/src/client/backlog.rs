//! What is under way on one session, and what is still to be said over it.
//!
//! ```text
//! changed --looked at--> turns --said--> pending[token] --answer----> changed
//!                          ^               |  \--not wanted any more--> cancelled
//!                          |               \--an observation that is silent--.
//!                          |--no room: waits for its turn                    |
//!                          '-------------------------------------------------'
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use coap::Token;
use dots::identifiers::Mid;

use super::part::{Part, Want};
use crate::time::Now;

/// Questions after a status that wait for an answer on one session at a time: fewer than requests may
/// wait, so that they leave room for one for help.
const LOOKS: usize = 8;

/// Something to be said. Who asks for help does not wait for those who ask how it goes, and of these
/// none for one that has just been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) is_look: bool,
    looked_at: Option<Instant>,
    pub(super) mid: Mid,
    pub(super) want: Want,
}

impl Turn {
    fn of(part: &Part, want: Want) -> Self {
        Self {
            is_look: want == Want::Observe,
            looked_at: part.looked_at,
            mid: part.mid,
            want,
        }
    }
}

/// What one session has to do.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Parts that may want something else than when they were last looked at.
    changed: BTreeSet<Mid>,
    turns: BTreeSet<Turn>,
    /// The turns of each part.
    turns_of: BTreeMap<Mid, Vec<Turn>>,
    /// What each token asks for. An observation stays until the session ends.
    pending: BTreeMap<Token, (Mid, Want)>,
    tokens: BTreeMap<(Mid, Want), Token>,
    /// Those of them that ask for a status and have no answer yet.
    looking: BTreeSet<Token>,
}

impl Backlog {
    /// Parts are to be looked at again.
    pub(super) fn touch(&mut self, mids: impl IntoIterator<Item = Mid>) {
        self.changed.extend(mids);
    }

    pub(super) fn take_changed(&mut self) -> BTreeSet<Mid> {
        std::mem::take(&mut self.changed)
    }

    /// Looks at what a part wants over this session now; `None`: nothing. Returns what is under way
    /// and not wanted any more.
    pub(super) fn look(&mut self, now: Now, mid: Mid, part: Option<&Part>) -> Vec<(Token, Want)> {
        for turn in self.turns_of.remove(&mid).unwrap_or_default() {
            self.turns.remove(&turn);
        }
        let is_wanted = |want: Want| part.is_some_and(|it| it.wants(now).any(|each| each == want));
        let under_way = self.tokens.range((mid, Want::Put)..=(mid, Want::Delete));
        let unwanted = under_way.filter(|((_, want), _)| !is_wanted(*want));
        let unwanted: Vec<_> = unwanted.map(|((_, want), token)| (*token, *want)).collect();
        for (token, _) in &unwanted {
            self.forget(token);
        }
        let Some(part) = part else { return unwanted };
        let is_said = |want: &Want| {
            let token = self.tokens.get(&(mid, *want));
            let is_to_renew = *want == Want::Observe && part.is_stale();
            token.is_some_and(|token| !is_to_renew || self.looking.contains(token))
        };
        let unsaid = part.wants(now).filter(|want| !is_said(want));
        let turns: Vec<Turn> = unsaid.map(|want| Turn::of(part, want)).collect();
        self.turns.extend(turns.iter().copied());
        if !turns.is_empty() {
            self.turns_of.insert(mid, turns);
        }
        unwanted
    }

    /// What is said next.
    pub(super) fn next(&self) -> Option<Turn> {
        let has_room = self.looking.len() < LOOKS;
        let next = self.turns.first().copied();
        next.filter(|turn| has_room || !turn.is_look)
    }

    /// The token of an observation that is renewed.
    pub(super) fn renewed(&self, turn: Turn) -> Option<Token> {
        self.tokens.get(&(turn.mid, turn.want)).copied()
    }

    /// It was said, and its answer will carry this token.
    pub(super) fn said(&mut self, turn: Turn, token: Token) {
        self.skip(turn);
        self.pending.insert(token, (turn.mid, turn.want));
        self.tokens.insert((turn.mid, turn.want), token);
        if turn.is_look {
            self.looking.insert(token);
        }
    }

    /// It cannot be said as its part stands.
    pub(super) fn skip(&mut self, turn: Turn) {
        self.turns.remove(&turn);
        if let Some(turns) = self.turns_of.get_mut(&turn.mid) {
            turns.retain(|other| *other != turn);
            if turns.is_empty() {
                self.turns_of.remove(&turn.mid);
            }
        }
    }

    /// What an answer is for.
    pub(super) fn answered(&mut self, token: &Token) -> Option<(Mid, Want)> {
        self.looking.remove(token);
        self.pending.get(token).copied()
    }

    /// No answer comes any more. What its part wants is to be looked at.
    pub(super) fn end(&mut self, token: &Token) -> Option<(Mid, Want)> {
        let (mid, want) = self.forget(token)?;
        self.changed.insert(mid);
        Some((mid, want))
    }

    /// Nothing that is under way is of any use. Returns its tokens.
    pub(super) fn end_all(&mut self) -> Vec<Token> {
        let tokens: Vec<Token> = self.pending.keys().copied().collect();
        for token in &tokens {
            self.end(token);
        }
        tokens
    }

    fn forget(&mut self, token: &Token) -> Option<(Mid, Want)> {
        self.looking.remove(token);
        let asked = self.pending.remove(token)?;
        self.tokens.remove(&asked);
        Some(asked)
    }
}
