//! How far a part of a request has come, and what it waits for.

use std::fmt;
use std::time::Instant;

use coap::Code;
use dots::mitigation::Status;

use super::RequestId;
use crate::server_selection::AssociationId;

/// How far a part has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The server has not answered yet.
    Asking,
    /// The server accepted it, and this is the last status it gave.
    Accepted(Status),
    /// It is not in force because of a conflict, and is asked for again then (RFC 9132 §4.4.1.3).
    Deactivated {
        /// When the server's `retry-timer` is over.
        retry: Instant,
    },
    /// The server refused or ended it, and it is still wanted: it is asked for again then.
    Postponed {
        /// When.
        retry: Instant,
        /// What the server said.
        after: Setback,
    },
    /// The server refused it, and no repetition can mend that.
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

impl State {
    /// The response code and the diagnostic payload of a server that refused, for good or for now.
    pub fn refusal(&self) -> Option<(Code, &str)> {
        match self {
            Self::Refused { code, diagnostic }
            | Self::Postponed {
                after: Setback::Refused { code, diagnostic },
                ..
            } => Some((*code, diagnostic)),
            _ => None,
        }
    }

    /// How far it is from a mitigation, to tell the worst of several parts.
    pub(super) fn badness(&self) -> u8 {
        match self {
            Self::Accepted(_) => 0,
            Self::Withdrawing => 1,
            Self::Asking => 2,
            Self::Deactivated { .. } => 3,
            Self::Postponed { .. } => 4,
            Self::Ended(_) => 5,
            Self::Refused { .. } => 6,
        }
    }
}

/// What a server says that does not protect what is still wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// It refused.
    Refused {
        /// Its response code.
        code: Code,
        /// Its diagnostic payload.
        diagnostic: String,
    },
    /// It ended what it had granted, and told this status.
    Ended(Status),
}

impl fmt::Display for Setback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, diagnostic } => refusal(formatter, *code, diagnostic),
            Self::Ended(status) => write!(formatter, "the server ended it: {status}"),
        }
    }
}

fn refusal(formatter: &mut fmt::Formatter<'_>, code: Code, diagnostic: &str) -> fmt::Result {
    write!(formatter, "the server refused: {code}")?;
    match diagnostic {
        "" => Ok(()),
        said => write!(formatter, " {said}"),
    }
}

/// Why a mitigation is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was withdrawn here.
    Withdrawn,
    /// Its lifetime ran out.
    Expired,
    /// A newer request of this client took its place, because both name a common address; ports
    /// and protocols do not matter (RFC 9132 §4.4.1.3).
    Replaced {
        /// The newer request.
        by: RequestId,
    },
    /// Another server of the same PvD, or of another attachment to its provider, is asked instead: this one had no
    /// session while it was asked, or sent it to one that had just been contacted (RFC 9132 §4.6).
    Moved {
        /// The other server.
        to: AssociationId,
    },
    /// Its network is gone, or has assigned the target no more (RFC 9284 §5.1).
    NotAsked,
}

/// Why a part that asks has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// There is no session with the server.
    NoSession {
        /// Why the last attempt or session ended.
        reason: Option<String>,
        /// When the next attempt begins; `None`: one is under way, or there is no usable address.
        retry: Option<Instant>,
    },
    /// It has been sent, and no answer has come.
    Unanswered {
        /// Since when it is sent over the present session.
        since: Instant,
    },
    /// It is not sent before this instant.
    Paused {
        /// The instant.
        until: Instant,
        /// Why not.
        reason: Pause,
    },
}

/// Why a server is left in peace for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It said so: 5.03 with Max-Age (RFC 9132 §4.4.3).
    Busy,
    /// It said so before the client was started again.
    Told,
    /// It rejected the message.
    Rejected,
    /// It accepted, but for how long cannot be read.
    Unreadable,
    /// Another client of the server has the cuid; a fresh one is tried (RFC 9132 §4.4.1.3).
    CuidCollision,
    /// It does not know the request any more, or grants very short lifetimes.
    ShortLived,
    /// It wanted the request to go where it cannot (RFC 9132 §4.6).
    Redirected,
    /// It refused to prolong what is in force.
    Refused {
        /// Its response code.
        code: Code,
        /// Its diagnostic payload.
        diagnostic: String,
    },
}

impl fmt::Display for Pause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Busy => "the server is busy and said when to ask again",
            Self::Told => "the server said, before a restart, when to ask again",
            Self::Rejected => "the server rejected the message",
            Self::Unreadable => "the answer of the server cannot be read",
            Self::CuidCollision => "another client uses the same cuid; a fresh one is tried",
            Self::ShortLived => "the server ends it early",
            Self::Redirected => "the server redirects to one that cannot be used",
            Self::Refused { code, diagnostic } => return refusal(formatter, *code, diagnostic),
        })
    }
}
