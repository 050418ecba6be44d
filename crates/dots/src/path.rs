//! Uri-Path of the signal channel's resources (RFC 9132 §4.2, §4.4.1.1, §4.5.2).
//!
//! ```text
//! .well-known / dots / mitigate [ / cdid=TEXT ] [ / cuid=TEXT [ / mid=NUMBER ] ]
//!                    / config [ / sid=NUMBER ]
//!                    / hb
//! ```

use std::fmt;

use crate::decimal;
use crate::identifiers::{Cdid, Cuid, IdentifierError, Mid, Sid};

/// What a request is about. Which parameters are mandatory depends on the method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Mitigation requests: one, all of a client, or (for want of a cuid) none.
    Mitigate {
        /// The client's domain, said by a server-domain gateway.
        cdid: Option<Cdid>,
        /// The client.
        cuid: Option<Cuid>,
        /// The request; never without a cuid.
        mid: Option<Mid>,
    },
    /// Session configuration.
    Config {
        /// Which configuration.
        sid: Option<Sid>,
    },
    /// Heartbeat.
    Heartbeat,
}

/// A parameter of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// `cdid=`
    Cdid,
    /// `cuid=`
    Cuid,
    /// `mid=`
    Mid,
    /// `sid=`
    Sid,
}

impl Parameter {
    fn name(self) -> &'static str {
        match self {
            Self::Cdid => "cdid",
            Self::Cuid => "cuid",
            Self::Mid => "mid",
            Self::Sid => "sid",
        }
    }

    fn of_segment(segment: &str) -> Option<(Self, &str)> {
        let (name, value) = segment.split_once('=')?;
        let all = [Self::Cdid, Self::Cuid, Self::Mid, Self::Sid];
        all.into_iter()
            .find(|parameter| parameter.name() == name)
            .map(|parameter| (parameter, value))
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a path is no resource; its text is the diagnostic payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Answered with 4.04: there is no such resource.
    #[error("no such resource")]
    NotFound,
    /// Answered with 4.00: the resource exists, its parameters are wrong.
    #[error("Uri-Path: {0}")]
    Invalid(ParameterError),
}

/// What is wrong with the parameters of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A segment that is no parameter of this resource.
    #[error("unknown parameter")]
    Unknown,
    /// A parameter twice, or not in the order cdid, cuid, mid.
    #[error("{0} is not in its place")]
    Order(Parameter),
    /// A mid without the cuid that it must follow.
    #[error("mid without cuid")]
    MidWithoutCuid,
    /// Not a decimal number of 32 bits.
    #[error("{0} is not a number from 0 to 4294967295")]
    NotANumber(Parameter),
    /// Not an identifier.
    #[error("{parameter} {error}")]
    Identifier {
        /// Which one.
        parameter: Parameter,
        /// What is wrong with it.
        error: IdentifierError,
    },
}

impl From<ParameterError> for PathError {
    fn from(error: ParameterError) -> Self {
        Self::Invalid(error)
    }
}

/// A version segment that some deployed agents send.
const TOLERATED_VERSION: &str = "v1";

impl Resource {
    /// Reads the Uri-Path options of a request.
    pub fn parse<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Self, PathError> {
        let mut segments = segments.into_iter();
        if segments.next() != Some(".well-known") || segments.next() != Some("dots") {
            return Err(PathError::NotFound);
        }
        let suffix = match segments.next() {
            Some(TOLERATED_VERSION) => segments.next(),
            suffix => suffix,
        };
        match suffix {
            Some("mitigate") => Self::parse_mitigate(segments),
            Some("config") => Self::parse_config(segments),
            Some("hb") => match segments.next() {
                Some(_) => Err(ParameterError::Unknown.into()),
                None => Ok(Self::Heartbeat),
            },
            _ => Err(PathError::NotFound),
        }
    }

    fn parse_mitigate<'a>(segments: impl Iterator<Item = &'a str>) -> Result<Self, PathError> {
        let (mut cdid, mut cuid, mut mid) = (None, None, None);
        let mut last = None;
        for segment in segments {
            let (parameter, value) =
                Parameter::of_segment(segment).ok_or(ParameterError::Unknown)?;
            let misplaced = last >= Some(parameter);
            last = Some(parameter);
            let identifier = |error| ParameterError::Identifier { parameter, error };
            match parameter {
                Parameter::Sid => return Err(ParameterError::Unknown.into()),
                _ if misplaced => return Err(ParameterError::Order(parameter).into()),
                Parameter::Cdid => cdid = Some(value.parse().map_err(identifier)?),
                Parameter::Cuid => cuid = Some(value.parse().map_err(identifier)?),
                Parameter::Mid => mid = Some(Mid(number(parameter, value)?)),
            }
        }
        if mid.is_some() && cuid.is_none() {
            return Err(ParameterError::MidWithoutCuid.into());
        }
        Ok(Self::Mitigate { cdid, cuid, mid })
    }

    fn parse_config<'a>(segments: impl Iterator<Item = &'a str>) -> Result<Self, PathError> {
        let mut sid = None;
        for segment in segments {
            match Parameter::of_segment(segment) {
                Some((Parameter::Sid, _)) if sid.is_some() => {
                    return Err(ParameterError::Order(Parameter::Sid).into());
                }
                Some((Parameter::Sid, value)) => sid = Some(Sid(number(Parameter::Sid, value)?)),
                _ => return Err(ParameterError::Unknown.into()),
            }
        }
        Ok(Self::Config { sid })
    }

    /// The Uri-Path options of a request, in their order.
    pub fn segments(&self) -> Vec<String> {
        let mut segments = vec![".well-known".to_owned(), "dots".to_owned()];
        match self {
            Self::Mitigate { cdid, cuid, mid } => {
                segments.push("mitigate".to_owned());
                segments.extend(cdid.iter().map(|cdid| format!("cdid={cdid}")));
                segments.extend(cuid.iter().map(|cuid| format!("cuid={cuid}")));
                segments.extend(mid.iter().map(|mid| format!("mid={mid}")));
            }
            Self::Config { sid } => {
                segments.push("config".to_owned());
                segments.extend(sid.iter().map(|sid| format!("sid={sid}")));
            }
            Self::Heartbeat => segments.push("hb".to_owned()),
        }
        segments
    }
}

fn number(parameter: Parameter, value: &str) -> Result<u32, ParameterError> {
    if value.is_empty() {
        return Err(ParameterError::Identifier {
            parameter,
            error: IdentifierError::Empty,
        });
    }
    decimal::parse(value).ok_or(ParameterError::NotANumber(parameter))
}
