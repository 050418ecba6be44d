//! What a request is in conflict with (RFC 9132 §4.4.1.3).

use serde::Serialize;

use super::{ConflictCause, ConflictStatus, scope};
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::DecodeError;
use crate::identifiers::{Mid, text_identifier};
use crate::json;
use crate::key::Key;
use crate::limits;
use crate::target::Target;

/// `conflict-information` of a response or notification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConflictInformation {
    /// Which of the requests is in force; for conflicts between clients.
    #[serde(rename = "conflict-status", skip_serializing_if = "Option::is_none")]
    pub status: Option<ConflictStatus>,
    /// Why they conflict.
    #[serde(rename = "conflict-cause", skip_serializing_if = "Option::is_none")]
    pub cause: Option<ConflictCause>,
    /// Seconds before which the same request must not be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_timer: Option<u32>,
    /// What exactly conflicts.
    #[serde(rename = "conflict-scope", skip_serializing_if = "Option::is_none")]
    pub scope: Option<ConflictScope>,
}

/// `conflict-scope`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConflictScope {
    /// The conflicting request, if it is the same client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<Mid>,
    /// The common targets.
    #[serde(flatten)]
    pub target: Target,
    /// The conflicting accept-lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acl_list: Vec<ConflictingAcl>,
}

/// One entry of `acl-list` in a `conflict-scope`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConflictingAcl {
    /// The list's name on the data channel.
    pub acl_name: AclName,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl_type: Option<AclType>,
}

text_identifier! {
    /// Name of an access control list on the data channel (RFC 8783 §7.2), at most 255 bytes.
    AclName, 255
}

text_identifier! {
    /// Type of an access control list, the name of an identity such as `ipv4-acl-type` (RFC 8519 §4.1),
    /// with or without its module.
    AclType, 255
}

/// The body of a 4.09 response to a PUT on `mitigate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
pub struct Refusal {
    /// What the request is in conflict with.
    #[serde(rename = "conflict-information")]
    pub conflict: ConflictInformation,
}

json::scope_message!(Refusal);

impl Refusal {
    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        scope::encode(&[self], |refusal, map| refusal.conflict.write(map))
    }

    /// Reads a CBOR body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        scope::decode_one(bytes, Self::read)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut conflict = None;
        reader.map(|reader, key| {
            match key {
                // Deployed servers repeat these of the refused request, where they say nothing.
                Key::MID | Key::LIFETIME => reader.skip()?,
                Key::CONFLICT_INFORMATION => conflict = Some(ConflictInformation::read(reader)?),
                _ => return Ok(Entry::Unknown),
            }
            Ok(Entry::Taken)
        })?;
        let conflict = conflict.ok_or_else(|| reader.missing(Key::CONFLICT_INFORMATION))?;
        Ok(Self { conflict })
    }
}

impl ConflictInformation {
    pub(super) fn write(&self, scope: &mut MapWriter) {
        let mut map = MapWriter::new();
        map.optional_unsigned(Key::CONFLICT_STATUS, self.status.map(ConflictStatus::code));
        map.optional_unsigned(Key::CONFLICT_CAUSE, self.cause.map(ConflictCause::code));
        map.optional_unsigned(Key::RETRY_TIMER, self.retry_timer);
        if let Some(scope) = &self.scope {
            scope.write(&mut map);
        }
        scope.map(Key::CONFLICT_INFORMATION, map);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut conflict = Self::default();
        reader.map(|reader, key| {
            match key {
                Key::CONFLICT_STATUS => {
                    conflict.status = Some(ConflictStatus::from_code(reader.unsigned32()?));
                }
                Key::CONFLICT_CAUSE => {
                    conflict.cause = Some(ConflictCause::from_code(reader.unsigned32()?));
                }
                Key::RETRY_TIMER => conflict.retry_timer = Some(reader.unsigned32()?),
                Key::CONFLICT_SCOPE => conflict.scope = Some(ConflictScope::read(reader)?),
                _ => return Ok(Entry::Unknown),
            }
            Ok(Entry::Taken)
        })?;
        Ok(conflict)
    }
}

impl ConflictScope {
    fn write(&self, conflict: &mut MapWriter) {
        let mut map = MapWriter::new();
        map.optional_unsigned(Key::MID, self.mid.map(|mid| mid.0));
        self.target.write(&mut map);
        map.maps(Key::ACL_LIST, &self.acl_list, ConflictingAcl::write);
        conflict.map(Key::CONFLICT_SCOPE, map);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut scope = Self::default();
        reader.map(|reader, key| {
            match key {
                Key::MID => scope.mid = Some(Mid(reader.unsigned32()?)),
                Key::ACL_LIST => {
                    scope.acl_list = reader.list(limits::LIST_ENTRIES, ConflictingAcl::read)?;
                }
                key => return scope.target.read(reader, key),
            }
            Ok(Entry::Taken)
        })?;
        Ok(scope)
    }
}

impl ConflictingAcl {
    fn write(&self, map: &mut MapWriter) {
        map.text(Key::ACL_NAME, self.acl_name.as_str());
        if let Some(acl_type) = &self.acl_type {
            map.text(Key::ACL_TYPE, acl_type.as_str());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut acl_name, mut acl_type) = (None, None);
        reader.map(|reader, key| {
            match key {
                Key::ACL_NAME => acl_name = Some(reader.text()?),
                Key::ACL_TYPE => acl_type = Some(reader.text()?),
                _ => return Ok(Entry::Unknown),
            }
            Ok(Entry::Taken)
        })?;
        let acl_name = acl_name.ok_or_else(|| reader.missing(Key::ACL_NAME))?;
        Ok(Self { acl_name, acl_type })
    }
}
