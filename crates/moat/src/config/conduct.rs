//! How the server treats requests once it has taken them: how long, in which order, and when they end.

use std::num::NonZeroU32;
use std::time::Duration;

use agent::server::ConflictPolicy;

use super::reader::{Diagnostics, Table};

/// How the server treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conduct {
    /// The longest lifetime it grants, also to a request for an indefinite one; whole seconds (RFC 9132 §4.4.1.1).
    pub(crate) max_lifetime: NonZeroU32,
    /// What becomes of requests of different clients for the same addresses (RFC 9132 §4.4.1.3).
    pub(crate) on_conflict: ConflictPolicy,
    /// How long a mitigation goes on after its withdrawal, at most 300 s (RFC 9132 §4.4.4).
    pub(crate) terminating: Duration,
    /// How long nothing is dropped before an attack counts as over; zero: it never does (RFC 9132 §4.4.2, status 3).
    pub(crate) attack_stopped_after: Duration,
    /// How long a client whose session broke may stay away, or any client after a restart, before its preconfigured
    /// requests start (RFC 9132 §4.7).
    pub(crate) lost_after: Duration,
}

/// Reads what is written of it at the top of a server's or a gateway's file. A gateway mitigates
/// nothing: when that ends, those say who do.
pub(super) fn read(
    table: &mut Table<'_>,
    mitigates: bool,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Conduct> {
    let max_lifetime = match table.take("max_lifetime") {
        Some(value) => value.number(1..=u32::MAX, " seconds", diagnostics),
        None => Some(86_400),
    };
    let choices = [
        ("both", ConflictPolicy::Both),
        ("first", ConflictPolicy::First),
        ("last", ConflictPolicy::Last),
    ];
    let on_conflict = match table.take("on_conflict") {
        Some(value) => value
            .choice("\"both\", \"first\" or \"last\"", choices, diagnostics)
            .map(|choice| choice.value),
        None => Some(ConflictPolicy::Both),
    };
    let (mut terminating, mut attack_stopped_after) = (Some(0), Some(0));
    if mitigates {
        terminating = match table.take("terminating") {
            Some(value) => value.number(0..=300, " seconds", diagnostics),
            None => Some(120),
        };
        attack_stopped_after = match table.take("attack_stopped_after") {
            Some(value) => value.number(0..=86_400, " seconds", diagnostics),
            None => Some(300),
        };
    }
    let lost_after = match table.take("lost_after") {
        Some(value) => value.number(0..=86_400, " seconds", diagnostics),
        None => Some(450),
    };
    Some(Conduct {
        max_lifetime: NonZeroU32::new(max_lifetime?)?,
        on_conflict: on_conflict?,
        terminating: Duration::from_secs(terminating?.into()),
        attack_stopped_after: Duration::from_secs(attack_stopped_after?.into()),
        lost_after: Duration::from_secs(lost_after?.into()),
    })
}
