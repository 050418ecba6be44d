//! `target-fqdn` (RFC 9132 §4.4.1.1).

use std::fmt;
use std::str::FromStr;

use super::TargetError;
use crate::identifiers::serde_as_text;

const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// A fully qualified domain name in lower case, without the final dot, at most 253 bytes.
///
/// Labels are as in `inet:domain-name` (RFC 6991 §4); internationalised names are given as A-labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// The name, without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with(['-', '_'])
}

impl FromStr for DomainName {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_NAME_BYTES || !name.split('.').all(is_label) {
            return Err(TargetError::NotADomainName);
        }
        // No top-level domain is a number, but `getaddrinfo` takes 127.1 for an address.
        let last = name.rsplit('.').next().unwrap_or(name);
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TargetError::AddressAsDomainName);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(DomainName);
