//! `provider_independent` and `[selection]` of a client's file: what is the site's own, and whom to ask
//! where RFC 9284 leaves a choice.

use std::collections::BTreeSet;

use agent::server_selection::{Disclosure, Independent, Policy, SameProvider, SeenOn};
use ipnet::IpNet;
use pvd::PvdId;

use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Table};
use super::{list_of_prefixes, prefixes, value};

/// What the decision is made by, besides the PvDs.
#[derive(Debug)]
pub(super) struct Selection {
    /// Prefixes that are the site's own, whatever provider carries them.
    pub(super) independent: Vec<Located<IpNet>>,
    /// The choices of the administrator.
    pub(super) policy: Policy,
    /// Who is preferred for what.
    pub(super) preferences: Vec<Preference>,
}

/// A prefix of a `[[selection.prefer]]`, and the PvDs that it names.
pub(super) type Preference = (Located<IpNet>, BTreeSet<PvdId>);

/// Reads what is written of it; `known` are the PvDs of the file.
pub(super) fn read(
    table: &mut Table<'_>,
    known: &[Located<PvdId>],
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Selection> {
    let independent = match table.take("provider_independent") {
        Some(list) => list_of_prefixes(list, diagnostics)?,
        None => Vec::new(),
    };
    let mut preferences = Vec::new();
    let policy = match table.take("selection") {
        Some(value) => read_policy(
            value.table("a table: [selection]", diagnostics)?,
            known,
            &mut preferences,
            diagnostics,
        )?,
        None => Policy::default(),
    };
    Some(Selection {
        independent,
        policy,
        preferences,
    })
}

fn read_policy(
    mut table: Table<'_>,
    known: &[Located<PvdId>],
    preferences: &mut Vec<Preference>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Policy> {
    let mut policy = Policy::default();
    if let Some(value) = table.take("independent") {
        let choices = [("all", Independent::All), ("one", Independent::One)];
        let chosen = value.choice("\"all\" or \"one\"", choices, diagnostics);
        policy.independent = chosen.map_or(policy.independent, |one| one.value);
    }
    if let Some(value) = table.take("seen_on") {
        let choices = [("ignored", SeenOn::Ignored), ("decides", SeenOn::Decides)];
        let chosen = value.choice("\"ignored\" or \"decides\"", choices, diagnostics);
        policy.seen_on = chosen.map_or(policy.seen_on, |one| one.value);
    }
    if let Some(value) = table.take("same_provider") {
        let choices = [("one", SameProvider::One), ("all", SameProvider::All)];
        let chosen = value.choice("\"one\" or \"all\"", choices, diagnostics);
        policy.same_provider = chosen.map_or(policy.same_provider, |one| one.value);
    }
    if let Some(value) = table.take("disclosure") {
        let choices = [
            ("owner", Disclosure::Owner),
            ("consented", Disclosure::Consented),
        ];
        let chosen = value.choice("\"owner\" or \"consented\"", choices, diagnostics);
        policy.disclosure = chosen.map_or(policy.disclosure, |one| one.value);
    }
    if let Some(list) = table.take("prefer") {
        for value in list.list(
            "a table for each preference: [[selection.prefer]]",
            diagnostics,
        ) {
            let table = value.table("a table: [[selection.prefer]]", diagnostics)?;
            preferences.extend(read_preference(table, known, diagnostics));
        }
    }
    table.finish(diagnostics);
    for (prefix, named) in &*preferences {
        policy.prefer(prefix.value, named.clone());
    }
    Some(policy)
}

fn read_preference(
    mut table: Table<'_>,
    known: &[Located<PvdId>],
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Preference> {
    let prefixes = prefixes(&mut table, diagnostics);
    let mut named = BTreeSet::new();
    if let Some(list) = table.require("pvds", "[\"fixed.example\"]", diagnostics) {
        let wanted = "an id of a [[pvd]] of this file, like \"fixed.example\"";
        for entry in list.filled_list("a list, like [\"fixed.example\"]", wanted, diagnostics) {
            let Some(id) = entry.parse(wanted, diagnostics, value::pvd_id) else {
                continue;
            };
            if !known.iter().any(|known| known.value == id.value) {
                let id_only = id.value.to_string();
                diagnostics.note(&id.place, ProblemKind::UnknownPvd { id: id_only });
            }
            named.insert(id.value);
        }
    }
    table.finish(diagnostics);
    let prefixes = prefixes.into_iter().flatten();
    prefixes.map(|prefix| (prefix, named.clone())).collect()
}
