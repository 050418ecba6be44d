//! Whose names are believed: a list that the administrator wrote (RFC 8973 §8.1).

use std::str::FromStr;

use pvd::{HostName, NameError};

/// The names that discovery may bring; without any, every name is taken.
///
/// Whoever answers first in a network can send a name and has a certificate for it. The list is what
/// keeps such a name out; that the certificate is for the name is the session's to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedNames(Vec<TrustedName>);

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedName {
    /// This name alone.
    Exactly(HostName),
    /// All names below this one, and not the name itself; written `*.example.com`.
    Below(HostName),
}

impl FromStr for TrustedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_prefix("*.") {
            Some(domain) => Ok(Self::Below(domain.parse()?)),
            None => Ok(Self::Exactly(text.parse()?)),
        }
    }
}

impl TrustedName {
    fn accepts(&self, name: &HostName) -> bool {
        match self {
            Self::Exactly(trusted) => trusted == name,
            Self::Below(domain) => domain != name && name.name().is_within(domain.name()),
        }
    }
}

impl TrustedNames {
    /// The names of such a list.
    pub fn new(names: Vec<TrustedName>) -> Self {
        Self(names)
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a server of this name may be used.
    pub fn accept(&self, name: &HostName) -> bool {
        self.is_empty() || self.0.iter().any(|trusted| trusted.accepts(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(list: &[&str], name: &str) -> bool {
        let names = list.iter().map(|text| text.parse().unwrap()).collect();
        TrustedNames::new(names).accept(&name.parse().unwrap())
    }

    /// Covers: Y-016
    #[test]
    fn a_list_lets_in_its_names_and_subdomains_where_it_says_so() {
        assert!(accepted(&[], "anything.example"));
        let exact = ["dots.example.com"];
        assert!(accepted(&exact, "DOTS.example.com"));
        assert!(!accepted(&exact, "a.dots.example.com"));
        assert!(!accepted(&exact, "dots.example.com.evil.example"));
        let below = ["*.example.com"];
        assert!(accepted(&below, "dots-1.example.com"));
        assert!(accepted(&below, "dots-2.west.example.com"));
        assert!(!accepted(&below, "example.com"));
        assert!(!accepted(&below, "dots-1.badexample.com"));
    }
}
