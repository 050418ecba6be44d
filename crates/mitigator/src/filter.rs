//! What to drop: the scope of one mitigation, resolved to addresses.

use std::fmt;
use std::str::FromStr;

use dots::target::{PortRange, Protocol};
use ipnet::IpNet;

/// Names one filter. One to 64 characters of `a` to `z`, `0` to `9` and `_`: nothing else ever
/// reaches a rule set as a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterId(String);

impl FilterId {
    /// Longest identifier, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no [`FilterId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterIdError {
    /// Empty, or longer than [`FilterId::MAX_LENGTH`].
    #[error(
        "a filter identifier has 1 to {} characters, not {length}",
        FilterId::MAX_LENGTH
    )]
    Length {
        /// The length it has, in bytes.
        length: usize,
    },
    /// A character outside the set.
    #[error("a filter identifier has only a-z, 0-9 and _, not {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}

impl FromStr for FilterId {
    type Err = FilterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MAX_LENGTH {
            return Err(FilterIdError::Length { length: text.len() });
        }
        match text
            .chars()
            .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_'))
        {
            Some(character) => Err(FilterIdError::Character { character }),
            None => Ok(FilterId(text.to_owned())),
        }
    }
}

impl fmt::Display for FilterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The resolved scope of one mitigation. A packet is in scope when its destination address is in
/// one of the prefixes, and its protocol is one of the protocols, and its destination port is in
/// one of the ranges.
///
/// - Without protocols every protocol is in scope; without ranges every port is.
/// - Ports say nothing about a protocol that has none: with the protocols UDP and ICMP and port 53,
///   UDP to port 53 and all of ICMP are in scope. Ports without protocols mean TCP, UDP, SCTP and
///   DCCP (RFC 9132 §4.4.1.1).
/// - A fragment that is not the first carries no port and is out of scope of a filter with ports,
///   unless the machine reassembles before it filters, which a Linux box with connection tracking
///   does.
/// - Without prefixes nothing is in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Names the filter.
    pub id: FilterId,
    /// Destination prefixes.
    pub prefixes: Vec<IpNet>,
    /// Destination ports.
    pub port_ranges: Vec<PortRange>,
    /// Protocols.
    pub protocols: Vec<Protocol>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_a_plain_name() {
        for good in ["a", "m_7_0", "0", &"z".repeat(64)] {
            assert_eq!(
                good.parse::<FilterId>().map(|id| id.to_string()),
                Ok(good.to_owned())
            );
        }
    }

    #[test]
    fn nothing_that_nft_could_read_as_syntax_is_an_identifier() {
        for bad in [
            "x;y", "x y", "x}", "x\"", "x\n", "X", "x-y", "x/y", "@x", "x\0", "\u{e9}", "$x", "#",
        ] {
            assert!(
                matches!(
                    bad.parse::<FilterId>(),
                    Err(FilterIdError::Character { .. })
                ),
                "{bad:?}"
            );
        }
        for bad in ["", &"z".repeat(65)] {
            assert!(
                matches!(bad.parse::<FilterId>(), Err(FilterIdError::Length { .. })),
                "{bad:?}"
            );
        }
    }
}
