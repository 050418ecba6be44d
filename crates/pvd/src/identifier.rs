//! The identifier of an explicit PvD: a fully qualified domain name (RFC 8801 §3.1).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::name::{self, DomainName};

/// Longest domain name in presentation form, without the trailing dot (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 253;
/// Longest label of a domain name (RFC 1035 §2.3.4).
const LONGEST_LABEL: usize = 63;

/// The PvD ID of an explicit PvD.
///
/// Held in lower case and without a trailing dot, so that equality is the comparison of
/// RFC 8801 §3.4: case is ignored and the trailing dot does not count.
/// Copies share the text: a client keeps one beside whatever belongs to a PvD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PvdId(Arc<str>);

/// Why a text is not a PvD ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Nothing but dots, or nothing at all.
    #[error("a PvD ID is a domain name such as fixed.example, and this one is empty")]
    Empty,
    /// Longer than a domain name can be.
    #[error("a PvD ID has at most {LONGEST_NAME} characters, and this one has {0}")]
    TooLong(usize),
    /// An empty label, an overlong one, or one with a character that host names do not have.
    #[error("\"{0}\" cannot be a label of a domain name")]
    Label(String),
}

impl PvdId {
    /// The domain name in lower case, without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the name as it goes over the wire, uncompressed (RFC 8801 §3.1).
    pub fn write(&self, wire: &mut Vec<u8>) {
        name::write(self.0.split('.').map(str::as_bytes), wire);
    }
}

impl TryFrom<DomainName> for PvdId {
    type Error = IdentifierError;

    fn try_from(name: DomainName) -> Result<Self, Self::Error> {
        name.to_string().parse()
    }
}

impl FromStr for PvdId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if name.len() > LONGEST_NAME {
            return Err(IdentifierError::TooLong(name.len()));
        }
        for label in name.split('.') {
            let plain = label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if label.is_empty() || label.len() > LONGEST_LABEL || !plain {
                let shown = label.chars().take(LONGEST_LABEL).collect();
                return Err(IdentifierError::Label(shown));
            }
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for PvdId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Covers: P-009
    #[test]
    fn identifiers_compare_without_case_and_trailing_dot() {
        let one: PvdId = "Fixed.Example.".parse().unwrap();
        let other: PvdId = "fixed.example".parse().unwrap();
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "fixed.example");
    }

    #[test]
    fn what_is_no_domain_name_is_refused() {
        assert_eq!("".parse::<PvdId>(), Err(IdentifierError::Empty));
        assert_eq!(".".parse::<PvdId>(), Err(IdentifierError::Empty));
        assert_eq!(
            "a..b".parse::<PvdId>(),
            Err(IdentifierError::Label(String::new()))
        );
        assert_eq!(
            "a b.example".parse::<PvdId>(),
            Err(IdentifierError::Label("a b".into()))
        );
        assert_eq!(
            "a.".repeat(200).parse::<PvdId>(),
            Err(IdentifierError::TooLong(399))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".*") {
            if let Ok(id) = text.parse::<PvdId>() {
                prop_assert_eq!(id.as_str().parse::<PvdId>(), Ok(id));
            }
        }
    }
}
