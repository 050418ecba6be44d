//! Uri-Query of a GET on `mitigate`: which part of the status is wanted (RFC 9132 §4.4.2, Table 2).

use crate::mitigation::MitigationStatus;

/// The `c` parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// What was requested: `c=c`
    Config,
    /// How it goes: `c=n`
    NonConfig,
    /// Both: `c=a`, or no parameter.
    #[default]
    All,
}

/// Why a query says nothing; answered with 4.00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not one of the three values.
    #[error("Uri-Query: c is neither c, n nor a")]
    NotContent,
    /// The parameter twice.
    #[error("Uri-Query: c is there twice")]
    Repeated,
}

impl Content {
    /// Reads the Uri-Query options of a request. Parameters of other names select nothing here.
    pub fn parse<'a>(queries: impl IntoIterator<Item = &'a str>) -> Result<Self, QueryError> {
        let mut content = None;
        for query in queries {
            let selected = match query.split_once('=').unwrap_or((query, "")) {
                ("c", "c") => Self::Config,
                ("c", "n") => Self::NonConfig,
                ("c", "a") => Self::All,
                ("c", _) => return Err(QueryError::NotContent),
                _ => continue,
            };
            if content.replace(selected).is_some() {
                return Err(QueryError::Repeated);
            }
        }
        Ok(content.unwrap_or_default())
    }

    /// The Uri-Query option of a request.
    pub fn query(self) -> &'static str {
        match self {
            Self::Config => "c=c",
            Self::NonConfig => "c=n",
            Self::All => "c=a",
        }
    }

    /// The part of an entry of a report that is wanted.
    pub fn of(self, entry: MitigationStatus) -> MitigationStatus {
        match self {
            Self::Config => entry.config_only(),
            Self::NonConfig => entry.non_config_only(),
            Self::All => entry,
        }
    }
}
