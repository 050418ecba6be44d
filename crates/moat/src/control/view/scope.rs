//! What is protected, and what was dropped for it.

use dots::mitigation::DroppedCounters;
use dots::target::Target;
use serde::{Deserialize, Serialize};

use crate::words;

/// What was dropped since the mitigation began; absent where the server does not count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    /// Packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packets_dropped: Option<u64>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_dropped: Option<u64>,
    /// Packets a second, the average of five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packets_dropped_per_second: Option<u64>,
    /// Bytes a second, the average of five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_dropped_per_second: Option<u64>,
}

impl From<DroppedCounters> for Dropped {
    fn from(counters: DroppedCounters) -> Self {
        Self {
            packets_dropped: counters.pkts,
            bytes_dropped: counters.bytes,
            packets_dropped_per_second: counters.pps,
            bytes_dropped_per_second: counters.bps,
        }
    }
}

/// Everything that a target names: prefixes, names, URIs, aliases.
pub(super) fn targets(target: &Target) -> Vec<String> {
    let prefixes = target.prefixes.iter().map(ToString::to_string);
    let fqdns = target.fqdns.iter().map(ToString::to_string);
    let uris = target.uris.iter().map(ToString::to_string);
    let aliases = target.aliases.iter().map(ToString::to_string);
    prefixes.chain(fqdns).chain(uris).chain(aliases).collect()
}

pub(super) fn ports(target: &Target) -> Vec<String> {
    target.port_ranges.iter().map(ToString::to_string).collect()
}

pub(super) fn protocols(target: &Target) -> Vec<String> {
    let names = target.protocols.iter().copied();
    names.map(words::name_of).collect()
}
