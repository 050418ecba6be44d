//! Why a body is not the message that it should be, and where. The peer is told 4.00 (RFC 9132 §4.4.1.3,
//! §4.5.2), or 4.22 about an [unacceptable](DecodeError::Unacceptable) value.

use std::fmt;
use std::net::AddrParseError;

use crate::configuration::ValueError;
use crate::identifiers::IdentifierError;
use crate::key::Key;
use crate::lifetime::LifetimeError;
use crate::limits;
use crate::target::TargetError;

/// One step from a container to what it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of this key.
    Key(Key),
    /// The entry with this position, from 0.
    Index(usize),
}

/// A place in a message, such as `scope[0].target-prefix[1]`; the outermost container is left out.
///
/// It holds keys and positions only, never text of the peer, so it can go into logs and responses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location(Vec<Step>);

impl Location {
    /// The steps from the outermost container inwards.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("message");
        }
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => key.fmt(f)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Why a well-formed value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// Not a target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Not an identifier.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// Not a lifetime.
    #[error(transparent)]
    Lifetime(#[from] LifetimeError),
    /// A code of a request that is not registered.
    #[error("unknown code {0}")]
    UnknownCode(u32),
    /// More than two fraction digits, more than 64 bits, or no exponent with its mantissa.
    #[error("not a decimal number with two fraction digits")]
    Decimal,
    /// Neither an IPv4 nor an IPv6 address.
    #[error("not an IP address")]
    Address,
}

impl From<AddrParseError> for InvalidValue {
    fn from(_: AddrParseError) -> Self {
        Self::Address
    }
}

/// Why a body is not the message that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The whole body is too long.
    #[error("body of {length} bytes, more than {}", limits::MESSAGE_BYTES)]
    TooLong {
        /// Bytes of the body.
        length: usize,
    },
    /// The body ends in the middle of a value.
    #[error("{at}: cut short")]
    Truncated {
        /// The value that has no end.
        at: Location,
    },
    /// Not well-formed CBOR (RFC 8949 §5.3.1).
    #[error("{at}: not well-formed CBOR")]
    Malformed {
        /// The broken value.
        at: Location,
    },
    /// A value of another CBOR type than RFC 9132 §6 gives the key.
    #[error("{at}: {expected} expected, found {found}")]
    WrongType {
        /// The value.
        at: Location,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A number too large for the attribute.
    #[error("{at}: number greater than {limit}")]
    OutOfRange {
        /// The number.
        at: Location,
        /// The greatest that it may be.
        limit: u64,
    },
    /// Containers within containers beyond [`limits::NESTING`].
    #[error("{at}: nested deeper than {}", limits::NESTING)]
    TooDeep {
        /// The innermost container that was entered.
        at: Location,
    },
    /// More entries than the list or map may have; for `scope` of a request that is one
    /// (RFC 9132 §4.4.1.1).
    #[error("{at}: more than {limit} {}", if *.limit == 1 { "entry" } else { "entries" })]
    TooMany {
        /// The list or map.
        at: Location,
        /// The most that it may have.
        limit: usize,
    },
    /// A text beyond [`limits::TEXT_BYTES`].
    #[error("{at}: text longer than {} bytes", limits::TEXT_BYTES)]
    TextTooLong {
        /// The text.
        at: Location,
    },
    /// One key twice in a map.
    #[error("{at}: present twice")]
    Duplicate {
        /// The second one.
        at: Location,
    },
    /// An attribute without a value (RFC 9132 §4.4.1.1).
    #[error("{at}: empty")]
    Empty {
        /// The empty list.
        at: Location,
    },
    /// A value that its attribute does not allow.
    #[error("{at}: {reason}")]
    Invalid {
        /// The value.
        at: Location,
        /// What is wrong with it.
        reason: InvalidValue,
    },
    /// Comprehension-required keys that mean nothing at their places (RFC 9132 §6).
    #[error("keys not understood: {}", NamedKeys(.0))]
    NotUnderstood(Vec<Location>),
    /// An attribute that the message must have.
    #[error("{at}: {key} is missing")]
    Missing {
        /// The container that should have it.
        at: Location,
        /// The attribute.
        key: Key,
    },
    /// A request that names no prefix, FQDN, URI or alias (RFC 9132 §4.4.1.1).
    #[error("{at}: none of target-prefix, target-fqdn, target-uri, alias-name")]
    NoTarget {
        /// The scope.
        at: Location,
    },
    /// A session configuration without any parameter (RFC 9132 §4.5.2).
    #[error("{at}: no parameter of the session")]
    NoParameter {
        /// The configuration.
        at: Location,
    },
    /// A number that its parameter cannot have. The only error that is answered with 4.22, so that the
    /// client asks which values are acceptable (RFC 9132 §4.5.2).
    #[error("{at}: {reason}")]
    Unacceptable {
        /// The number.
        at: Location,
        /// What is wrong with it.
        reason: ValueError,
    },
    /// Bytes after the end of the message.
    #[error("{count} bytes after the message")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

impl DecodeError {
    /// The diagnostic payload for the response: one line of ASCII, at most
    /// [`limits::DIAGNOSTIC_BYTES`] long, nothing of the peer's text in it (RFC 7252 §5.5.2).
    pub fn diagnostic(&self) -> String {
        let mut text = self.to_string();
        text.truncate(limits::DIAGNOSTIC_BYTES);
        text
    }
}

/// Keys with their numbers, because whoever sent an unknown key knows it by its number.
struct NamedKeys<'a>(&'a [Location]);

impl fmt::Display for NamedKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Location(steps)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            let Some((Step::Key(key), within)) = steps.split_last() else {
                continue;
            };
            write!(f, "{}", key.0)?;
            if let Some(name) = key.name() {
                write!(f, " ({name})")?;
            }
            if !within.is_empty() {
                write!(f, " in {}", Location(within.to_vec()))?;
            }
        }
        Ok(())
    }
}
