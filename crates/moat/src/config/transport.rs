//! `transports` of either file: what carries the sessions (RFC 9132 §4.3, §7).

use std::collections::BTreeSet;

use dtls::Transport;

use super::note_doubles;
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Table};
use crate::words::TRANSPORTS;

/// What carries the sessions: at least one, UDP before TCP.
pub(crate) type Transports = BTreeSet<Transport>;

const WANTED: &str = "\"udp\" or \"tcp\"";

/// The list `transports`; both when there is none.
pub(super) fn read(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Transports> {
    let Some(list) = table.take("transports") else {
        return Some(Transports::from([Transport::Datagram, Transport::Stream]));
    };
    let entries = list.filled_list("a list, like [\"udp\", \"tcp\"]", WANTED, diagnostics);
    let mut complete = !entries.is_empty();
    let mut transports = Vec::new();
    for entry in entries {
        let transport = entry.choice(WANTED, TRANSPORTS, diagnostics);
        complete &= transport.is_some();
        transports.extend(transport);
    }
    note_doubles(&transports, diagnostics, |_, other, line| {
        ProblemKind::Twice { other, line }
    });
    complete.then(|| transports.into_iter().map(|one| one.value).collect())
}
