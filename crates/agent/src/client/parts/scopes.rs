//! Which parts may share an address, a name or an alias with a target (RFC 9132 §4.4.1.3).

use std::collections::{BTreeMap, BTreeSet};

use dots::identifiers::Mid;
use dots::target::{AliasName, DomainName, Target, UriHost};
use ipnet::IpNet;

use crate::prefix_index::PrefixIndex;

/// What stands for addresses that are not known here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// An FQDN, or the host of a URI.
    Name(DomainName),
    Alias(AliasName),
}

fn named(target: &Target) -> impl Iterator<Item = Named> {
    let hosts = target.uris.iter().filter_map(|uri| match uri.host() {
        UriHost::Address(_) => None,
        UriHost::Name(name) => Some(name),
    });
    let names = target.fqdns.iter().chain(hosts).cloned().map(Named::Name);
    names.chain(target.aliases.iter().cloned().map(Named::Alias))
}

fn nets(target: &Target) -> impl Iterator<Item = IpNet> {
    let hosts = target.uris.iter().filter_map(|uri| match uri.host() {
        UriHost::Address(address) => Some(address),
        UriHost::Name(_) => None,
    });
    target
        .prefixes
        .iter()
        .chain(hosts)
        .map(|prefix| prefix.net())
}

/// A multimap from what targets name to the parts that do.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    prefixes: PrefixIndex<Mid>,
    names: BTreeMap<Named, BTreeSet<Mid>>,
}

impl Scopes {
    pub(super) fn insert(&mut self, target: &Target, mid: Mid) {
        for net in nets(target) {
            self.prefixes.insert(net, mid);
        }
        for name in named(target) {
            self.names.entry(name).or_default().insert(mid);
        }
    }

    pub(super) fn remove(&mut self, target: &Target, mid: Mid) {
        for net in nets(target) {
            self.prefixes.remove(net, &mid);
        }
        for name in named(target) {
            if let Some(mids) = self.names.get_mut(&name) {
                mids.remove(&mid);
                if mids.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
    }

    /// All that share something with a target.
    pub(super) fn near(&self, target: &Target) -> BTreeSet<Mid> {
        let by_prefix = nets(target).flat_map(|net| self.prefixes.overlapping(net));
        let by_name = named(target).filter_map(|name| self.names.get(&name));
        by_prefix.chain(by_name).flatten().copied().collect()
    }
}
