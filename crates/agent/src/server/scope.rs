//! What a mitigation protects: what was asked, with aliases, URIs and names made addresses
//! (RFC 9132 §4.4.1.1, §4.4.1.3).

use std::collections::{BTreeMap, BTreeSet};

use dots::limits;
use dots::target::{AliasName, DomainName, PortRange, Target, TargetPrefix, UriHost};
use ipnet::IpNet;

use super::resources::Alias;
use crate::prefix_index::outermost;

/// What a mitigation protects.
///
/// An attribute that one of the parts lacks is not narrowed by the others: ports of an alias do
/// not take protection from a prefix that was asked for on all ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// What is known without asking a resolver: prefixes, ports and protocols.
    pub fixed: Target,
    /// The addresses that each name stood for when it was last resolved.
    pub names: BTreeMap<DomainName, Vec<TargetPrefix>>,
}

/// Why a target is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// RFC 9132 §4.4.1.3.
    #[error("alias-name \"{0}\" was not created by this client")]
    UnknownAlias(AliasName),
    /// A list is too long once everything is put together.
    #[error(
        "more than {} entries in one list of the target, aliases included",
        limits::LIST_ENTRIES
    )]
    TooLong,
}

impl Scope {
    /// The scope of a request, its names not resolved yet.
    ///
    /// # Errors
    /// When an alias is unknown, or everything together is too much.
    pub fn new(
        asked: &Target,
        aliases: Option<&BTreeMap<AliasName, Alias>>,
    ) -> Result<Self, ScopeError> {
        let mut parts = Parts::default();
        parts.add(asked);
        for name in &asked.aliases {
            let alias = aliases.and_then(|aliases| aliases.get(name));
            let alias = alias.ok_or_else(|| ScopeError::UnknownAlias(name.clone()))?;
            parts.add(alias.target());
        }
        let scope = parts.combine();
        if scope.fixed.longest_list().max(scope.names.len()) > limits::LIST_ENTRIES {
            return Err(ScopeError::TooLong);
        }
        Ok(scope)
    }

    /// All prefixes.
    pub fn prefixes(&self) -> impl Iterator<Item = &TargetPrefix> {
        self.fixed
            .prefixes
            .iter()
            .chain(self.names.values().flatten())
    }

    /// The outermost prefixes, in order.
    pub(super) fn nets(&self) -> Vec<IpNet> {
        outermost(self.prefixes())
    }

    /// What the mitigator is to stop traffic to.
    pub fn target(&self) -> Target {
        let mut target = self.fixed.clone();
        let resolved: BTreeSet<TargetPrefix> = self.names.values().flatten().copied().collect();
        let known: BTreeSet<TargetPrefix> = target.prefixes.iter().copied().collect();
        target.prefixes.extend(resolved.difference(&known));
        target
    }

    /// How many prefixes, ports, protocols and names there are.
    pub(super) fn size(&self) -> usize {
        let fixed = &self.fixed;
        fixed.prefixes.len() + fixed.port_ranges.len() + fixed.protocols.len() + self.names.len()
    }
}

/// What a scope is put together from.
#[derive(Default)]
struct Parts {
    fixed: Target,
    names: BTreeSet<DomainName>,
    /// A part that names resources says nothing of ports, or of protocols: all are meant.
    all_ports: bool,
    all_protocols: bool,
}

impl Parts {
    /// The request itself, or an alias.
    fn add(&mut self, target: &Target) {
        self.fixed.prefixes.extend(&target.prefixes);
        self.names.extend(target.fqdns.iter().cloned());
        self.fixed.port_ranges.extend(&target.port_ranges);
        self.fixed.protocols.extend(&target.protocols);
        if !target.prefixes.is_empty() || !target.fqdns.is_empty() {
            self.all_ports |= target.port_ranges.is_empty();
            self.all_protocols |= target.protocols.is_empty();
        }
        for uri in &target.uris {
            match uri.host() {
                UriHost::Address(address) => self.fixed.prefixes.push(*address),
                UriHost::Name(name) => {
                    self.names.insert(name.clone());
                }
            }
            let port = uri.port().map(PortRange::single);
            self.fixed.port_ranges.extend(port);
            self.fixed.protocols.extend(uri.protocols());
            self.all_ports |= port.is_none();
            self.all_protocols |= uri.protocols().is_empty();
        }
    }

    fn combine(mut self) -> Scope {
        if self.all_ports {
            self.fixed.port_ranges.clear();
        }
        if self.all_protocols {
            self.fixed.protocols.clear();
        }
        keep_first(&mut self.fixed.prefixes);
        keep_first(&mut self.fixed.port_ranges);
        keep_first(&mut self.fixed.protocols);
        Scope {
            fixed: self.fixed,
            names: self
                .names
                .into_iter()
                .map(|name| (name, Vec::new()))
                .collect(),
        }
    }
}

/// Drops what is in the list before.
fn keep_first<T: Ord + Copy>(list: &mut Vec<T>) {
    let mut seen = BTreeSet::new();
    list.retain(|each| seen.insert(*each));
}
