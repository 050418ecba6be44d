//! The answer to an accepted request (RFC 9132 §4.4.1.3).

use serde::Serialize;

use super::{ConflictInformation, scope};
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::DecodeError;
use crate::identifiers::Mid;
use crate::json;
use crate::key::Key;
use crate::lifetime::Lifetime;

/// The body of a 2.01 or 2.04 response to a PUT on `mitigate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
pub struct Granted {
    /// Which request.
    pub mid: Mid,
    /// The lifetime that the server grants, whatever was asked for.
    pub lifetime: Lifetime,
    /// A conflict in spite of which the request was accepted.
    #[serde(
        rename = "conflict-information",
        skip_serializing_if = "Option::is_none"
    )]
    pub conflict: Option<ConflictInformation>,
}

json::scope_message!(Granted);

impl Granted {
    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        scope::encode(&[self], |granted, map| granted.write(map))
    }

    /// Reads a CBOR body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        scope::decode_one(bytes, Self::read)
    }

    fn write(&self, map: &mut MapWriter) {
        map.unsigned(Key::MID, self.mid.0);
        map.signed(Key::LIFETIME, self.lifetime.to_number());
        if let Some(conflict) = &self.conflict {
            conflict.write(map);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut mid, mut lifetime, mut conflict) = (None, None, None);
        reader.map(|reader, key| {
            match key {
                Key::MID => mid = Some(Mid(reader.unsigned32()?)),
                Key::LIFETIME => lifetime = Some(reader.signed_as(Lifetime::from_number)?),
                Key::CONFLICT_INFORMATION => conflict = Some(ConflictInformation::read(reader)?),
                _ => return Ok(Entry::Unknown),
            }
            Ok(Entry::Taken)
        })?;
        Ok(Self {
            mid: mid.ok_or_else(|| reader.missing(Key::MID))?,
            lifetime: lifetime.ok_or_else(|| reader.missing(Key::LIFETIME))?,
            conflict,
        })
    }
}
