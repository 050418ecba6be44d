//! `[mitigator.nftables]`: how the server drops packets.

use std::num::NonZeroU32;
use std::path::Path;

use mitigator::nftables::{Action, LimitPerSource, NftablesConfig};

use super::machine::{self, Capability};
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Table};
use super::value;

/// `[mitigator]` of a server's file; `None` inside when there is none.
pub(super) fn read(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<NftablesConfig> {
    let mut place = table.place().clone();
    let nftables = match table.take("mitigator") {
        Some(value) => {
            let mut table = value.table("a table: [mitigator.nftables]", diagnostics)?;
            let nftables = match table.take("nftables") {
                Some(value) => {
                    let table = value.table("a table: [mitigator.nftables]", diagnostics)?;
                    place = table.place().clone();
                    read_nftables(table, folder, diagnostics)
                }
                None => Some(NftablesConfig::default()),
            };
            table.finish(diagnostics);
            nftables?
        }
        None => NftablesConfig::default(),
    };
    if diagnostics.is_with_machine() {
        machine::note_program(&nftables.program, &place, diagnostics);
        let loss = "nothing is dropped";
        machine::note_capability(Capability::NetAdmin, loss, &place, diagnostics);
    }
    Some(nftables)
}

/// A number that is out of range is noted, and its default stands in for it until the file is refused.
fn read_nftables(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<NftablesConfig> {
    let mut config = NftablesConfig::default();
    if let Some(value) = table.take("program") {
        let program = |text: &str| value::program(folder, text);
        let program = value.parse("a program in quotes, like \"nft\"", diagnostics, program);
        config.program = program.map_or(config.program, |program| program.value);
    }
    if let Some(value) = table.take("table") {
        let name = value.parse(
            "a name in quotes, like \"moat\"",
            diagnostics,
            value::nftables_table,
        );
        config.table = name.map_or(config.table, |name| name.value);
    }
    if let Some(value) = table.take("action") {
        let choices = [
            (
                "limit-per-source",
                Action::LimitPerSource(LimitPerSource::default()),
            ),
            ("drop", Action::Drop),
        ];
        let wanted = "\"limit-per-source\" or \"drop\"";
        let action = value.choice(wanted, choices, diagnostics);
        config.action = action.map_or(config.action, |action| action.value);
    }
    let mut number = |key, most, unit, limit: Option<&mut NonZeroU32>| {
        let Some(value) = table.take(key) else { return };
        let Some(limit) = limit else {
            return value.note(ProblemKind::UselessWithDrop, diagnostics);
        };
        *limit = value
            .number(1..=most, unit, diagnostics)
            .and_then(NonZeroU32::new)
            .unwrap_or(*limit);
    };
    let mut limits = match &mut config.action {
        Action::LimitPerSource(limits) => Some(limits),
        Action::Drop => None,
    };
    const PACKETS: u32 = 10_000_000;
    number(
        "packets_per_second",
        PACKETS,
        "",
        limits.as_mut().map(|it| &mut it.packets_per_second),
    );
    number(
        "burst",
        PACKETS,
        " packets",
        limits.as_mut().map(|it| &mut it.burst),
    );
    number(
        "block_seconds",
        86_400,
        " seconds",
        limits.as_mut().map(|it| &mut it.block_seconds),
    );
    number(
        "sources",
        16_777_216,
        "",
        limits.as_mut().map(|it| &mut it.sources),
    );
    number(
        "all_sources",
        16_777_216,
        "",
        limits.as_mut().map(|it| &mut it.all_sources),
    );
    let untracked = limits
        .as_mut()
        .map(|it| &mut it.untracked_packets_per_second);
    number("untracked_packets_per_second", PACKETS, "", untracked);
    table.finish(diagnostics);
    Some(config)
}
