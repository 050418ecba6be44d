//! What the operator chooses.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How the nftables back end works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftablesConfig {
    /// The `nft` program: a path, or a name to look up in `PATH` and in `/usr/sbin`.
    pub program: PathBuf,
    /// Our table, in family `inet`. Nothing else may use it.
    pub table: TableName,
    /// What happens to packets in the scope of a mitigation.
    pub action: Action,
    /// How long the program may take for one change or one listing, and a second more for each
    /// 250,000 octets of a script; 30 s by default. Then it is killed, and what it has done is not
    /// known before the next call.
    pub time_limit: Duration,
}

impl Default for NftablesConfig {
    fn default() -> Self {
        NftablesConfig {
            program: "nft".into(),
            table: TableName::default(),
            action: Action::default(),
            time_limit: Duration::from_secs(30),
        }
    }
}

/// What happens to packets in the scope of a mitigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// All are dropped.
    Drop,
    /// Those of sources that send too many are dropped, all others pass.
    LimitPerSource(LimitPerSource),
}

impl Default for Action {
    fn default() -> Self {
        Action::LimitPerSource(LimitPerSource::default())
    }
}

impl Action {
    /// Says in the table how it was made: what was learnt under other limits is no use under these.
    /// At most 128 characters, nft's limit for a comment.
    pub(super) fn signature(&self) -> String {
        match self {
            Action::Drop => "moat 2 drop".to_owned(),
            Action::LimitPerSource(limit) => format!(
                "moat 2 limit {} {} {} {} {} {}",
                limit.packets_per_second,
                limit.burst,
                limit.block_seconds,
                limit.sources,
                limit.all_sources,
                limit.untracked_packets_per_second
            ),
        }
    }
}

/// Tells floods from clients by the rate of each source towards the scope of one mitigation.
///
/// A source that exceeds `packets_per_second` is blocked as a whole, until it has kept to the rate
/// for `block_seconds`. A source is an IPv4 address or an IPv6 /64, since whoever has one address
/// of a /64 usually has them all.
///
/// For each mitigation and address family up to `sources` sources are tracked, each until it has
/// been silent for `block_seconds`. A flood with forged sources fills that table; from then on the
/// sources without a place in it share `untracked_packets_per_second`, and those with a place go on
/// undisturbed. So of a flood from random addresses no more than `sources / block_seconds +
/// untracked_packets_per_second` packets a second pass in the long run (2,300 with the defaults),
/// and the table cannot grow.
///
/// All mitigations together track up to `all_sources` sources of each address family. The first
/// eight may have 1/64 of them each, the next sixteen 1/128, and so on: those after the 2,040th
/// track none, so that all sources of theirs share `untracked_packets_per_second`.
///
/// What it cannot tell apart: a flood of many real sources that each keep to the rate passes, which
/// a lower rate or [`Action::Drop`] helps against; and a flood that forges the address of a client
/// has that client blocked.
///
/// Kernel memory grows with the sources that are tracked: about 320 bytes for each, so that it is at
/// most 320 MiB for each address family with the default `all_sources`, when a flood has filled all
/// tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitPerSource {
    /// Most packets per second of one source; 200 by default.
    pub packets_per_second: NonZeroU32,
    /// How many packets beyond the rate may come at once; 20 by default.
    pub burst: NonZeroU32,
    /// How long a source is blocked after it last exceeded the rate, in seconds; 60 by default.
    pub block_seconds: NonZeroU32,
    /// How many sources are tracked for each mitigation and address family at most; 16,384 by
    /// default.
    pub sources: NonZeroU32,
    /// How many sources are tracked for all mitigations together, of each address family; 1,048,576
    /// by default. With fewer than 64 none is tracked.
    pub all_sources: NonZeroU32,
    /// Most packets per second of all sources that found no place, for each mitigation and address
    /// family; 2,000 by default.
    pub untracked_packets_per_second: NonZeroU32,
}

impl Default for LimitPerSource {
    fn default() -> Self {
        const fn number(value: u32) -> NonZeroU32 {
            match NonZeroU32::new(value) {
                Some(value) => value,
                None => NonZeroU32::MIN,
            }
        }
        LimitPerSource {
            packets_per_second: number(200),
            burst: number(20),
            block_seconds: number(60),
            sources: number(16_384),
            all_sources: number(1_048_576),
            untracked_packets_per_second: number(2_000),
        }
    }
}

/// The name of an nftables table: a letter from `a` to `z`, then up to 31 of `a` to `z`, `0` to `9`
/// and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    /// Longest name, in characters.
    pub const MAX_LENGTH: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TableName {
    fn default() -> Self {
        TableName("moat".to_owned())
    }
}

/// A text that is no [`TableName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a table name is a letter a-z, then at most {} of a-z, 0-9 and _", TableName::MAX_LENGTH - 1)]
pub struct TableNameError;

impl FromStr for TableName {
    type Err = TableNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'));
        if plain
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= Self::MAX_LENGTH
        {
            Ok(TableName(text.to_owned()))
        } else {
            Err(TableNameError)
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_is_a_plain_word() {
        assert_eq!(
            "moat_2".parse::<TableName>().map(|name| name.to_string()),
            Ok("moat_2".to_owned())
        );
        for bad in [
            "",
            "2moat",
            "_m",
            "moat x",
            "moat;",
            "Moat",
            &"m".repeat(33),
        ] {
            assert_eq!(bad.parse::<TableName>(), Err(TableNameError), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_signature_fits_a_comment() {
        let max = NonZeroU32::MAX;
        let limit = LimitPerSource {
            packets_per_second: max,
            burst: max,
            block_seconds: max,
            sources: max,
            all_sources: max,
            untracked_packets_per_second: max,
        };
        assert!(Action::LimitPerSource(limit).signature().len() <= 128);
    }
}
