//! The status of mitigations (RFC 9132 §4.4.2).

use serde::{Serialize, Serializer};

use super::{ConflictInformation, Status, scope};
use crate::cbor::{Entry, MapWriter, Reader};
use crate::error::DecodeError;
use crate::identifiers::Mid;
use crate::json;
use crate::key::Key;
use crate::lifetime::RemainingLifetime;
use crate::limits;
use crate::target::Target;

/// The body of a 2.05 response to a GET on `mitigate`, and of each notification: at least one entry, since
/// a client without mitigations is told 4.04.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MitigationReport(pub Vec<MitigationStatus>);

/// How one mitigation goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MitigationStatus {
    /// Which request.
    pub mid: Mid,
    /// What it protects, as it was requested; empty if only the status was asked for.
    #[serde(flatten)]
    pub target: Target,
    /// False: it waits for the loss of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_mitigation: Option<bool>,
    /// When mitigation began, seconds since 1970-01-01T00:00:00Z; absent while it has not.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_as_text"
    )]
    pub mitigation_start: Option<u64>,
    /// How it goes.
    pub status: Status,
    /// How long it will go on.
    pub lifetime: RemainingLifetime,
    /// What was dropped.
    #[serde(flatten)]
    pub counters: DroppedCounters,
    /// A conflict with another request.
    #[serde(
        rename = "conflict-information",
        skip_serializing_if = "Option::is_none"
    )]
    pub conflict: Option<ConflictInformation>,
}

/// What was dropped since the mitigation began. Totals wrap around at 2^64; rates are averages of
/// five-minute buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DroppedCounters {
    /// Total bytes.
    #[serde(
        rename = "bytes-dropped",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_as_text"
    )]
    pub bytes: Option<u64>,
    /// Bytes (not bits) per second.
    #[serde(
        rename = "bps-dropped",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_as_text"
    )]
    pub bps: Option<u64>,
    /// Total packets.
    #[serde(
        rename = "pkts-dropped",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_as_text"
    )]
    pub pkts: Option<u64>,
    /// Packets per second.
    #[serde(
        rename = "pps-dropped",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_as_text"
    )]
    pub pps: Option<u64>,
}

/// JSON numbers do not hold 64 bits (RFC 7951 §6.1).
fn optional_as_text<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

impl Serialize for MitigationReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::scopes(&self.0, serializer)
    }
}

impl MitigationReport {
    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        scope::encode(&self.0, MitigationStatus::write)
    }

    /// The CBOR body of a report with these entries, if it has at most `limit` bytes. No entry is
    /// asked for after the one with which it gets longer.
    pub fn encode_up_to(
        limit: usize,
        entries: impl IntoIterator<Item = MitigationStatus>,
    ) -> Option<Vec<u8>> {
        scope::encode_up_to(limit, entries, MitigationStatus::write)
    }

    /// Reads a CBOR body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        scope::decode(bytes, limits::REPORT_ENTRIES, MitigationStatus::read).map(Self)
    }
}

/// The parts that the `c` parameter selects (RFC 9132 §4.4.2, Table 2).
///
/// The YANG module marks neither of them, since it is no datastore: configuration is what the client asked
/// for. The mid says which request is meant, and lifetime and status are mandatory in every status
/// message, so each part has all three.
impl MitigationStatus {
    /// What was asked for: what `c=c` shows.
    pub fn config_only(self) -> Self {
        Self {
            mitigation_start: None,
            counters: DroppedCounters::default(),
            conflict: None,
            ..self
        }
    }

    /// How it goes: what `c=n` shows.
    pub fn non_config_only(self) -> Self {
        Self {
            target: Target::default(),
            trigger_mitigation: None,
            ..self
        }
    }
}

impl MitigationStatus {
    fn write(&self, map: &mut MapWriter) {
        map.unsigned(Key::MID, self.mid.0);
        self.target.write(map);
        map.signed(Key::LIFETIME, self.lifetime.to_number());
        map.optional_unsigned(Key::MITIGATION_START, self.mitigation_start);
        map.unsigned(Key::STATUS, self.status.code());
        if let Some(conflict) = &self.conflict {
            conflict.write(map);
        }
        map.optional_unsigned(Key::BYTES_DROPPED, self.counters.bytes);
        map.optional_unsigned(Key::BPS_DROPPED, self.counters.bps);
        map.optional_unsigned(Key::PKTS_DROPPED, self.counters.pkts);
        map.optional_unsigned(Key::PPS_DROPPED, self.counters.pps);
        if let Some(trigger_mitigation) = self.trigger_mitigation {
            map.boolean(Key::TRIGGER_MITIGATION, trigger_mitigation);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut target = Target::default();
        let mut counters = DroppedCounters::default();
        let (mut mid, mut lifetime, mut status) = (None, None, None);
        let (mut mitigation_start, mut conflict, mut trigger_mitigation) = (None, None, None);
        reader.map(|reader, key| {
            match key {
                Key::MID => mid = Some(Mid(reader.unsigned32()?)),
                Key::LIFETIME => lifetime = Some(reader.signed_as(RemainingLifetime::from_number)?),
                Key::MITIGATION_START => mitigation_start = Some(reader.unsigned64()?),
                Key::STATUS => status = Some(Status::from_code(reader.unsigned32()?)),
                Key::CONFLICT_INFORMATION => conflict = Some(ConflictInformation::read(reader)?),
                Key::BYTES_DROPPED => counters.bytes = Some(reader.unsigned64()?),
                Key::BPS_DROPPED => counters.bps = Some(reader.unsigned64()?),
                Key::PKTS_DROPPED => counters.pkts = Some(reader.unsigned64()?),
                Key::PPS_DROPPED => counters.pps = Some(reader.unsigned64()?),
                Key::TRIGGER_MITIGATION => trigger_mitigation = Some(reader.boolean()?),
                key => return target.read(reader, key),
            }
            Ok(Entry::Taken)
        })?;
        Ok(Self {
            mid: mid.ok_or_else(|| reader.missing(Key::MID))?,
            target,
            trigger_mitigation,
            mitigation_start,
            status: status.ok_or_else(|| reader.missing(Key::STATUS))?,
            lifetime: lifetime.ok_or_else(|| reader.missing(Key::LIFETIME))?,
            counters,
            conflict,
        })
    }
}
