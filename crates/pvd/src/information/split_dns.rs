//! Claims to answer for parts of a domain that the world sees otherwise (RFC 9704).

use std::fmt;
use std::str::FromStr;

use crate::name::{DomainName, NameError};

use super::fields::{Fields, Ignored, Unreadable, list, shown, written};
use super::json::Json;
use super::registry::Dictionary;

/// One claim of the network that its resolver answers for names of somebody. It counts only once the DNS of the parent
/// confirms it, and is no more than a wish until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitDnsClaim {
    /// The name that the resolver's certificate carries.
    pub resolver: DomainName,
    /// The domain of which names are claimed.
    pub parent: DomainName,
    /// What is claimed of it.
    pub subdomains: Vec<ClaimedName>,
    /// The hash of the confirmation, as `SHA384`.
    pub algorithm: String,
    /// What is hashed along.
    pub salt: String,
}

/// Names that are claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimedName {
    /// All of the parent: `*`.
    Everything,
    /// This name below the parent, and all below it.
    Below(DomainName),
}

impl FromStr for ClaimedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "*" => Ok(Self::Everything),
            name => name.parse().map(Self::Below),
        }
    }
}

impl fmt::Display for ClaimedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => formatter.write_str("*"),
            Self::Below(name) => name.fmt(formatter),
        }
    }
}

pub(super) fn claim(
    value: Json,
    place: &str,
    ignored: &mut Ignored,
) -> Result<SplitDnsClaim, Unreadable> {
    let mut fields = Fields::open(Dictionary::SplitDnsClaim, place, value, ignored)?;
    let name = written("is no domain name");
    let names = list(written("is neither a domain name nor \"*\""));
    Ok(SplitDnsClaim {
        resolver: fields.mandatory("resolver", &name)?,
        parent: fields.mandatory("parent", &name)?,
        subdomains: fields.mandatory("subdomains", names)?,
        algorithm: fields.mandatory("algorithm", shown)?,
        salt: fields.mandatory("salt", shown)?,
    })
}
