//! `[[customer]]` of a server's file: who may ask, how it proves itself, and for what it may ask.

use std::num::NonZeroU32;
use std::path::Path;

use agent::server::Redirect;
use dots::identifiers::Cdid;
use ipnet::IpNet;

use super::credentials::{self, PreSharedKey, WrittenKey};
use super::limits::{Limits, to_usize};
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Place, Table};
use super::redirect;
use super::trusted_gateway;
use super::value;
use super::{note_double_names, note_doubles, prefixes, values};

/// A customer: a DOTS client domain.
#[derive(Debug)]
pub(crate) struct Customer {
    /// The DNS-ID of its certificate, or the common name when there is no DNS-ID, in lower case; only what it is called
    /// when it has no certificate.
    pub(crate) name: String,
    /// What it may prove itself with instead of a certificate.
    pub(crate) pre_shared_key: Option<PreSharedKey>,
    /// What gateways call its clients' domain.
    pub(crate) cdids: Vec<Cdid>,
    /// Where it is sent.
    pub(crate) redirect: Option<Redirect>,
    /// What it owns and may ask mitigation for, at least one.
    pub(crate) prefixes: Vec<IpNet>,
    /// Most mitigations it may have at a time.
    pub(crate) max_mitigations: usize,
}

/// A customer with the places that are compared with those of others. What is `None` was wrong.
struct Draft {
    place: Place,
    name: Option<Located<String>>,
    pre_shared_key: Option<Option<WrittenKey>>,
    cdids: Option<Vec<Located<Cdid>>>,
    prefixes: Option<Vec<Located<IpNet>>>,
    max_mitigations: Option<usize>,
    redirect: Option<Option<Redirect>>,
}

/// Every `[[customer]]`. Those without a pre-shared key need `has_certificate` of the server, unless gateways ask
/// for them.
pub(super) fn read(
    table: &mut Table<'_>,
    limits: Limits,
    (has_certificate, gateways): (bool, &[trusted_gateway::Draft]),
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Customer>> {
    let Some(list) = table.take("customer") else {
        let advice = "write one for each network that may ask for help";
        let kind = ProblemKind::MissingTable {
            table: "customer",
            advice,
        };
        diagnostics.note(table.place(), kind);
        return None;
    };
    let list = list.filled_list(
        "a table for each customer: [[customer]]",
        "[[customer]] instead",
        diagnostics,
    );
    if list.is_empty() {
        // What is wrong with it was told.
        return None;
    }
    let mut drafts = Vec::new();
    for value in list {
        let table = value.table("a table: [[customer]]", diagnostics)?;
        drafts.push(read_customer(table, limits, folder, diagnostics));
    }
    let names: Vec<_> = drafts
        .iter()
        .filter_map(|draft| draft.name.clone())
        .collect();
    note_double_names(&names, diagnostics);
    let cdids = drafts.iter().flat_map(|draft| draft.cdids.iter().flatten());
    note_double_names(&cdids.cloned().collect::<Vec<_>>(), diagnostics);
    let keys = drafts.iter().map(|draft| &draft.pre_shared_key);
    let keys = keys.chain(gateways.iter().map(|gateway| &gateway.pre_shared_key));
    note_keys(keys.flatten().flatten(), diagnostics);
    if !has_certificate {
        drafts
            .iter()
            .for_each(|draft| note_unarmed(draft, diagnostics));
    }
    note_shared_prefixes(&drafts, diagnostics);
    let customer = |draft: Draft| {
        Some(Customer {
            name: draft.name?.value,
            pre_shared_key: draft.pre_shared_key?.map(|written| written.key),
            cdids: values(draft.cdids?),
            redirect: draft.redirect?,
            prefixes: values(draft.prefixes?),
            max_mitigations: draft.max_mitigations?,
        })
    };
    drafts.into_iter().map(customer).collect()
}

fn read_customer(
    mut table: Table<'_>,
    limits: Limits,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Draft {
    let place = table.place().clone();
    let name = table
        .require("name", "\"home.example.net\"", diagnostics)
        .and_then(|value| {
            value.parse(
                "a name in quotes, like \"home.example.net\"",
                diagnostics,
                value::customer_name,
            )
        });
    let pre_shared_key = credentials::pre_shared_key(&mut table, folder, diagnostics);
    let cdids = read_cdids(&mut table, diagnostics);
    let prefixes = prefixes(&mut table, diagnostics);
    let max_mitigations = match table.take("max_mitigations") {
        Some(value) => value
            .number(1..=limits.mitigations.get(), "", diagnostics)
            .and_then(NonZeroU32::new),
        None => Some(limits.mitigations_per_customer),
    }
    .map(to_usize);
    let redirect = redirect::read(&mut table, diagnostics);
    table.finish(diagnostics);
    Draft {
        place,
        name,
        pre_shared_key,
        cdids,
        prefixes,
        max_mitigations,
        redirect,
    }
}

fn read_cdids(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Located<Cdid>>> {
    let Some(list) = table.take("cdid") else {
        return Some(Vec::new());
    };
    let wanted = "a text in quotes, like \"7eeaf349529eb55ed50113\"";
    let list = list.filled_list("a list of texts in quotes", wanted, diagnostics);
    let cdid = |text: &str| {
        let cdid = text.parse::<Cdid>();
        cdid.map_err(|why| ProblemKind::NotACdid { why })
    };
    let cdids = list
        .into_iter()
        .map(|value| value.parse(wanted, diagnostics, cdid));
    cdids.collect()
}

/// Notes each identity and each key file that somebody before has.
fn note_keys<'a>(keys: impl Iterator<Item = &'a WrittenKey>, diagnostics: &mut Diagnostics<'_>) {
    let (mut identities, mut files) = (Vec::new(), Vec::new());
    for written in keys {
        identities.push(Located {
            value: &written.key.identity,
            place: written.identity_place.clone(),
        });
        files.push(Located {
            value: &written.key.file,
            place: written.file_place.clone(),
        });
    }
    note_double_names(&identities, diagnostics);
    note_doubles(&files, diagnostics, |_, other, line| {
        ProblemKind::KeyOfTwoCustomers { other, line }
    });
}

/// Notes a customer that could not prove itself to a server without a certificate, and for whom no gateway asks.
fn note_unarmed(draft: &Draft, diagnostics: &mut Diagnostics<'_>) {
    let has_cdid = draft.cdids.as_ref().is_none_or(|cdids| !cdids.is_empty());
    if let (Some(name), Some(None), false) = (&draft.name, &draft.pre_shared_key, has_cdid) {
        let kind = ProblemKind::CustomerWithoutCredentials {
            name: name.value.clone(),
        };
        diagnostics.note(&draft.place, kind);
    }
}

/// Notes each prefix that overlaps one of another customer. Sorted prefixes either nest or are apart, so that one
/// pass with the stack of those around the current one finds them also among a hundred thousand.
fn note_shared_prefixes(drafts: &[Draft], diagnostics: &mut Diagnostics<'_>) {
    let owned = |(owner, draft)| -> Vec<(usize, &Located<IpNet>)> {
        let draft: &Draft = draft;
        draft
            .prefixes
            .iter()
            .flatten()
            .map(|prefix| (owner, prefix))
            .collect()
    };
    let mut all: Vec<(usize, &Located<IpNet>)> =
        drafts.iter().enumerate().flat_map(owned).collect();
    all.sort_by_key(|(owner, prefix)| (prefix.value.network(), prefix.value.prefix_len(), *owner));
    let mut around: Vec<(usize, &Located<IpNet>)> = Vec::new();
    for (owner, prefix) in all {
        while around
            .last()
            .is_some_and(|(_, outer)| !outer.value.contains(&prefix.value))
        {
            around.pop();
        }
        if let Some((_, outer)) = around.iter().rev().find(|(other, _)| *other != owner) {
            let (with, other, line) = (
                outer.value,
                outer.place.key.clone(),
                diagnostics.line(&outer.place),
            );
            diagnostics.note(
                &prefix.place,
                ProblemKind::PrefixOfTwoCustomers {
                    prefix: prefix.value,
                    with,
                    other,
                    line,
                },
            );
        }
        around.push((owner, prefix));
    }
}
