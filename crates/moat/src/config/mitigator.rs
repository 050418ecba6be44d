//! `[mitigator.nftables]`: how the server drops packets.

use std::path::{Path, PathBuf};

use super::error::ProblemKind;
use super::reader::{Diagnostics, Table};
use super::value;

/// How the filter treats packets to the target of a mitigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sources that send more than this are blocked, others pass.
    LimitPerSource {
        /// Packets a second that one source may send.
        packets_per_second: u32,
        /// Packets beyond that at once.
        burst: u32,
        /// Seconds that an offender stays blocked after its last packet too many.
        block_seconds: u32,
        /// Most sources that are watched, for each mitigation and address family.
        sources: u32,
    },
    /// Everything is dropped.
    Drop,
}

/// `[mitigator.nftables]`: a filter on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nftables {
    /// The `nft` program: a name to look up in `PATH`, or a path.
    pub(crate) program: PathBuf,
    /// The table that moat makes, in family `inet`, and owns.
    pub(crate) table: String,
    /// What happens to packets in the scope of a mitigation.
    pub(crate) action: Action,
}

/// `[mitigator]` of a server's file; `None` inside when there is none.
pub(super) fn read(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Nftables>> {
    let Some(value) = table.take("mitigator") else {
        diagnostics.note(table.place(), ProblemKind::NoMitigator);
        return Some(None);
    };
    let mut table = value.table("a table: [mitigator.nftables]", diagnostics)?;
    let nftables = match table.take("nftables") {
        Some(value) => {
            let table = value.table("a table: [mitigator.nftables]", diagnostics)?;
            read_nftables(table, folder, diagnostics).map(Some)
        }
        None => {
            diagnostics.note(table.place(), ProblemKind::NoMitigator);
            Some(None)
        }
    };
    table.finish(diagnostics);
    nftables
}

fn read_nftables(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Nftables> {
    let program = match table.take("program") {
        Some(value) => value
            .parse("a program in quotes, like \"nft\"", diagnostics, |text| {
                value::program(folder, text)
            })
            .map(|program| program.value),
        None => Some(PathBuf::from("nft")),
    };
    let name = match table.take("table") {
        Some(value) => value
            .parse(
                "a name in quotes, like \"moat\"",
                diagnostics,
                value::nftables_table,
            )
            .map(|name| name.value),
        None => Some("moat".to_owned()),
    };
    let choices = "\"limit-per-source\" or \"drop\"";
    let limiting = match table.take("action") {
        Some(value) => value
            .parse(choices, diagnostics, |text| match text {
                "limit-per-source" => Ok(true),
                "drop" => Ok(false),
                _ => Err(ProblemKind::UnknownChoice {
                    text: text.to_owned(),
                    wanted: choices,
                }),
            })
            .map(|action| action.value),
        None => Some(true),
    };
    let mut number = |key, default, most, unit| match table.take(key) {
        Some(value) if limiting == Some(false) => {
            value.note(ProblemKind::UselessWithDrop, diagnostics);
            Some(default)
        }
        Some(value) => value.number(1..=most, unit, diagnostics),
        None => Some(default),
    };
    let packets_per_second = number("packets_per_second", 200, 10_000_000, "");
    let burst = number("burst", 20, 10_000_000, " packets");
    let block_seconds = number("block_seconds", 60, 86_400, " seconds");
    let sources = number("sources", 65_536, 16_777_216, "");
    table.finish(diagnostics);

    let action = if limiting? {
        Action::LimitPerSource {
            packets_per_second: packets_per_second?,
            burst: burst?,
            block_seconds: block_seconds?,
            sources: sources?,
        }
    } else {
        Action::Drop
    };
    Some(Nftables {
        program: program?,
        table: name?,
        action,
    })
}
