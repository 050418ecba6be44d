//! `[pvd.discover]` of a client's file: what a network itself is asked for (RFC 8973).

use std::path::Path;

use discovery::{DomainName, TrustedName, TrustedNames};

use super::credentials::{self, Credentials};
use super::machine::{self, Capability};
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Table};
use super::value;

/// How the DOTS servers of a network are found, and who the client is to them.
#[derive(Debug)]
pub(crate) struct Discover {
    /// Whose names are believed; all without a list (RFC 8973 §8.1).
    pub(crate) trusted: TrustedNames,
    /// The domain to look in when DHCP names none (RFC 8973 §6).
    pub(crate) domain: Option<DomainName>,
    /// For every server of this network.
    pub(crate) credentials: Credentials,
}

/// `None` inside without such a table.
pub(super) fn read(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Discover>> {
    let Some(value) = table.take("discover") else {
        return Some(None);
    };
    if !table.has("interface") {
        let (key, example) = ("interface", "\"eth0\"");
        diagnostics.note(table.place(), ProblemKind::MissingKey { key, example });
    }
    let mut table = value.table("a table: [pvd.discover]", diagnostics)?;
    if diagnostics.is_with_machine() {
        let loss = "no network is asked by DHCP";
        machine::note_capability(Capability::NetRaw, loss, table.place(), diagnostics);
    }
    let trusted = trusted_names(&mut table, diagnostics);
    let domain = match table.take("domain") {
        Some(value) => {
            let wanted = "a domain name in quotes, like \"fixed.example\"";
            let domain = value.parse(wanted, diagnostics, value::discovery_domain);
            domain.map(|domain| Some(domain.value))
        }
        None => Some(None),
    };
    let credentials = credentials::of_client(&mut table, folder, diagnostics);
    table.finish(diagnostics);
    Some(Some(Discover {
        trusted: trusted?,
        domain: domain?,
        credentials: credentials?,
    }))
}

fn trusted_names(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<TrustedNames> {
    let Some(list) = table.take("trusted_names") else {
        return Some(TrustedNames::default());
    };
    let wanted = "a name in quotes, like \"dots.fixed.example\" or \"*.fixed.example\"";
    let entries = list.filled_list("a list, like [\"*.fixed.example\"]", wanted, diagnostics);
    // An empty list would believe every name.
    let mut names = (!entries.is_empty()).then(Vec::<TrustedName>::new);
    for entry in entries {
        let name = entry.parse(wanted, diagnostics, value::trusted_name);
        names = names.zip(name).map(|(mut names, name)| {
            names.push(name.value);
            names
        });
    }
    names.map(TrustedNames::new)
}
