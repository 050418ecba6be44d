//! `[routing]` of a client's file: that routes follow the source address (RFC 8028 §3).

use super::machine::{self, Capability};
use super::reader::{Diagnostics, Table};

/// Where the kernel looks up routes by source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Routing {
    /// The routing table of the first PvD in the file; each further one has the next.
    pub(crate) first_table: u32,
    /// The priority of the first rule; [`PRIORITIES`] of them are used.
    pub(crate) first_priority: u32,
}

/// One for what is no default route, and one for each length of a prefix, 0 to 128.
pub(crate) const PRIORITIES: u32 = 1 + 129;
/// The kernel's own rule for the table `main`.
const MAIN: u32 = 32_766;
/// `main`, `local` and the others of the kernel are below.
const LOWEST_TABLE: u32 = 256;
const HIGHEST_TABLE: u32 = 1 << 30;

/// `None` inside without such a table.
pub(super) fn read(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Routing>> {
    let Some(value) = table.take("routing") else {
        return Some(None);
    };
    let mut table = value.table("a table: [routing]", diagnostics)?;
    if diagnostics.is_with_machine() {
        let loss = "routes do not follow the source address";
        machine::note_capability(Capability::NetAdmin, loss, table.place(), diagnostics);
    }
    let first_table = match table.take("first_table") {
        Some(value) => value.number(LOWEST_TABLE..=HIGHEST_TABLE, "", diagnostics),
        None => Some(4646),
    };
    let first_priority = match table.take("first_priority") {
        Some(value) => value.number(1..=MAIN - PRIORITIES, "", diagnostics),
        None => Some(4646),
    };
    table.finish(diagnostics);
    Some(Some(Routing {
        first_table: first_table?,
        first_priority: first_priority?,
    }))
}
