//! What a mitigation protects, as two columns: both are null where that is what was asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agent::server::{MitigationRecord, Scope};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::target::{DomainName, Target, TargetPrefix};

/// The columns `scope` and `addresses`.
pub(super) fn columns(record: &MitigationRecord) -> (Option<Vec<u8>>, Option<String>) {
    let scope = &record.scope;
    if Scope::new(&record.request.target, None).as_ref() == Ok(scope) {
        return (None, None);
    }
    let target = Target {
        fqdns: scope.names.keys().cloned().collect(),
        ..scope.fixed.clone()
    };
    let request = MitigationRequest::new(target, Lifetime::Indefinite, true, None);
    let mut addresses = String::new();
    for (name, prefixes) in &scope.names {
        addresses.push_str(name.as_str());
        for prefix in prefixes {
            // Writing to a string does not fail.
            let _written = write!(addresses, " {prefix}");
        }
        addresses.push('\n');
    }
    (
        request.ok().map(|request| request.encode()),
        Some(addresses),
    )
}

/// The scope of what the column `scope` holds; `None` if `addresses` does not fit it.
pub(super) fn from_columns(target: Target, addresses: Option<&str>) -> Option<Scope> {
    let lines = addresses.unwrap_or_default().lines();
    let names: Option<BTreeMap<DomainName, Vec<TargetPrefix>>> = lines
        .map(|line| {
            let (name, prefixes) = line.split_once(' ').unwrap_or((line, ""));
            let prefixes = prefixes.split_whitespace().map(str::parse);
            Some((name.parse().ok()?, prefixes.collect::<Result<_, _>>().ok()?))
        })
        .collect();
    let (fqdns, names) = (&target.fqdns, names?);
    let fits = fqdns.len() == names.len() && fqdns.iter().all(|name| names.contains_key(name));
    let fixed = Target {
        fqdns: Vec::new(),
        ..target
    };
    fits.then_some(Scope { fixed, names })
}
