//! The request for mitigation, its refresh and the efficacy update (RFC 9132 §4.4.1, §4.4.3).

use serde::Serialize;

use super::{AttackStatus, scope};
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::{DecodeError, InvalidValue};
use crate::json;
use crate::key::Key;
use crate::lifetime::Lifetime;
use crate::limits;
use crate::target::Target;

/// Why something is not a mitigation request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No prefix, FQDN, URI or alias is named (RFC 9132 §4.4.1.1).
    #[error("a mitigation request needs a prefix, FQDN, URI or alias")]
    NoTarget,
    /// A list of the target is longer than [`limits::LIST_ENTRIES`].
    #[error("more than {} entries in one list of the target", limits::LIST_ENTRIES)]
    TooManyTargets,
}

/// The body of a PUT on `mitigate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
#[non_exhaustive]
pub struct MitigationRequest {
    /// What to protect; at least one resource is named.
    #[serde(flatten)]
    pub target: Target,
    /// For how long.
    pub lifetime: Lifetime,
    /// False: keep it until the signal channel session is lost.
    pub trigger_mitigation: bool,
    /// What makes this an efficacy update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack_status: Option<AttackStatus>,
}

json::scope_message!(MitigationRequest);

impl MitigationRequest {
    /// Refuses a target that names no resource or too many.
    pub fn new(
        target: Target,
        lifetime: Lifetime,
        trigger_mitigation: bool,
        attack_status: Option<AttackStatus>,
    ) -> Result<Self, RequestError> {
        if !target.is_resource_named() {
            return Err(RequestError::NoTarget);
        }
        if target.longest_list() > limits::LIST_ENTRIES {
            return Err(RequestError::TooManyTargets);
        }
        Ok(Self {
            target,
            lifetime,
            trigger_mitigation,
            attack_status,
        })
    }

    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        scope::encode(&[self], |request, map| request.write(map))
    }

    /// Reads a CBOR body. Every error is answered with 4.00 (RFC 9132 §4.4.1.3).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        scope::decode_one(bytes, |reader| Self::read(reader, None))
    }

    /// Reads the CBOR body of an efficacy update, a PUT with If-Match on a request that has this lifetime.
    /// Every error is answered with 4.00 (RFC 9132 §4.4.3).
    ///
    /// §4.4.1.1 wants a lifetime in every request, §4.4.3 lets it alone differ from that of the request,
    /// and Figure 16 has none. So it may be absent here, and means the lifetime that was asked for before:
    /// the RFC's own example is then valid, and nobody gets more than what was asked for. The default of
    /// the YANG module would change what the client did not mention.
    pub fn decode_efficacy_update(bytes: &[u8], lifetime: Lifetime) -> Result<Self, DecodeError> {
        scope::decode_one(bytes, |reader| {
            let update = Self::read(reader, Some(lifetime))?;
            match update.attack_status {
                Some(_) => Ok(update),
                None => Err(reader.missing(Key::ATTACK_STATUS)),
            }
        })
    }

    fn write(&self, map: &mut MapWriter) {
        self.target.write(map);
        map.signed(Key::LIFETIME, self.lifetime.to_number());
        map.optional_unsigned(
            Key::ATTACK_STATUS,
            self.attack_status.map(AttackStatus::code),
        );
        // True is what absence means.
        if !self.trigger_mitigation {
            map.boolean(Key::TRIGGER_MITIGATION, false);
        }
    }

    fn read(reader: &mut Reader<'_>, unchanged: Option<Lifetime>) -> Result<Self, DecodeError> {
        let mut target = Target::default();
        let (mut lifetime, mut trigger_mitigation, mut attack_status) = (None, true, None);
        reader.map(|reader, key| {
            match key {
                Key::LIFETIME => lifetime = Some(reader.signed_as(Lifetime::from_number)?),
                Key::ATTACK_STATUS => {
                    let code = reader.unsigned32()?;
                    let known = AttackStatus::from_code(code);
                    attack_status =
                        Some(known.ok_or_else(|| reader.invalid(InvalidValue::UnknownCode(code)))?);
                }
                Key::TRIGGER_MITIGATION => trigger_mitigation = reader.boolean()?,
                key => return target.read(reader, key),
            }
            Ok(Entry::Taken)
        })?;
        if !target.is_resource_named() {
            return Err(DecodeError::NoTarget { at: reader.at() });
        }
        let lifetime = lifetime
            .or(unchanged)
            .ok_or_else(|| reader.missing(Key::LIFETIME))?;
        Ok(Self {
            target,
            lifetime,
            trigger_mitigation,
            attack_status,
        })
    }
}
