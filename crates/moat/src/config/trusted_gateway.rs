//! `[[gateway]]`: who is trusted to say for which customer it asks (RFC 9132 §4.4.1.2).

use std::path::Path;

use super::credentials::{self, PreSharedKey, WrittenKey};
use super::note_double_names;
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Place, Table};
use super::value;

/// A gateway of the provider's own.
#[derive(Debug)]
pub(crate) struct TrustedGateway {
    /// The DNS-ID of its certificate, or the common name when there is no DNS-ID, in lower case; only what it is called
    /// when it has no certificate.
    pub(crate) name: String,
    /// What it may prove itself with instead of a certificate.
    pub(crate) pre_shared_key: Option<PreSharedKey>,
}

/// A gateway with the places that are compared with those of others. What is `None` was wrong.
pub(super) struct Draft {
    place: Place,
    name: Option<Located<String>>,
    pub(super) pre_shared_key: Option<Option<WrittenKey>>,
}

impl Draft {
    pub(super) fn gateway(self) -> Option<TrustedGateway> {
        Some(TrustedGateway {
            name: self.name?.value,
            pre_shared_key: self.pre_shared_key?.map(|written| written.key),
        })
    }
}

/// Every `[[gateway]]`. Those without a pre-shared key need `has_certificate` of the server.
pub(super) fn read(
    table: &mut Table<'_>,
    has_certificate: bool,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<Draft>> {
    let Some(list) = table.take("gateway") else {
        return Some(Vec::new());
    };
    let list = list.filled_list(
        "a table for each gateway: [[gateway]]",
        "[[gateway]] instead",
        diagnostics,
    );
    let mut drafts = Vec::new();
    for value in list {
        let mut table = value.table("a table: [[gateway]]", diagnostics)?;
        let wanted = "a name in quotes, like \"gw1.provider.example\"";
        let name = table.require("name", "\"gw1.provider.example\"", diagnostics);
        drafts.push(Draft {
            place: table.place().clone(),
            name: name.and_then(|it| it.parse(wanted, diagnostics, value::customer_name)),
            pre_shared_key: credentials::pre_shared_key(&mut table, folder, diagnostics),
        });
        table.finish(diagnostics);
    }
    let names = drafts.iter().filter_map(|draft| draft.name.clone());
    note_double_names(&names.collect::<Vec<_>>(), diagnostics);
    for draft in drafts.iter().filter(|_| !has_certificate) {
        if let (Some(name), Some(None)) = (&draft.name, &draft.pre_shared_key) {
            let name = name.value.clone();
            diagnostics.note(
                &draft.place,
                ProblemKind::CustomerWithoutCredentials { name },
            );
        }
    }
    Some(drafts)
}
