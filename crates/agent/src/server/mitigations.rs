//! All mitigations of a server, indexed by client, scope and expiry.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::MitigationRequest;
use dots::target::{AliasName, DomainName, Target};
use ipnet::IpNet;

use super::mitigation::Mitigation;
use super::record::{Identity, MitigationKey};
use super::scope::Scope;
use crate::prefix_index::PrefixIndex;

/// Requests of which overlapping ones replace each other: those of one client, with the same
/// `trigger-mitigation` (RFC 9132 §4.4.1.3).
type Alternatives = (String, Cuid, bool);

fn alternatives(key: &MitigationKey, request: &MitigationRequest) -> Alternatives {
    (
        key.customer.clone(),
        key.cuid.clone(),
        request.trigger_mitigation,
    )
}

/// What the alternatives protect.
#[derive(Debug, Default)]
struct Own {
    prefixes: PrefixIndex<Mid>,
    names: BTreeMap<Named, BTreeSet<Mid>>,
}

impl Own {
    fn remove_name(&mut self, name: Named, mid: Mid) {
        if let Entry::Occupied(mut mids) = self.names.entry(name) {
            mids.get_mut().remove(&mid);
            if mids.get().is_empty() {
                mids.remove();
            }
        }
    }
}

/// What two requests share, whatever addresses it stands for (RFC 9132 §4.4.1.3).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// An FQDN, or the host of a URI.
    Name(DomainName),
    Alias(AliasName),
}

impl Named {
    fn all(asked: &Target, scope: &Scope) -> impl Iterator<Item = Self> {
        let names = scope.names.keys().cloned().map(Self::Name);
        names.chain(asked.aliases.iter().cloned().map(Self::Alias))
    }
}

/// All mitigations of a server, indexed by scope and by expiry.
#[derive(Debug, Default)]
pub(super) struct Mitigations {
    by_key: BTreeMap<MitigationKey, Mitigation>,
    by_prefix: PrefixIndex<MitigationKey>,
    by_client: BTreeMap<Alternatives, Own>,
    by_expiry: BTreeSet<(Instant, MitigationKey)>,
    /// The credential that uses a `cuid` of a customer, and for how many mitigations.
    owner_of_cuid: BTreeMap<(String, Cuid), ([u8; 32], usize)>,
    by_customer: BTreeMap<String, BTreeSet<MitigationKey>>,
    /// The place of the last one accepted.
    accepted: u64,
}

impl Mitigations {
    pub(super) fn get(&self, key: &MitigationKey) -> Option<&Mitigation> {
        self.by_key.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &MitigationKey) -> Option<&mut Mitigation> {
        self.by_key.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Mitigation> {
        self.by_key.values()
    }

    /// The place of the next one accepted.
    pub(super) fn next_place(&self) -> u64 {
        self.accepted.saturating_add(1)
    }

    /// Adds a mitigation.
    pub(super) fn insert(&mut self, mitigation: Mitigation) {
        self.remove(&mitigation.record.key);
        self.accepted = self.accepted.max(mitigation.record.accepted);
        self.put(mitigation);
    }

    /// Changes what a mitigation protects.
    pub(super) fn rescope(&mut self, key: &MitigationKey, scope: Scope) {
        if let Some(mut mitigation) = self.remove(key) {
            mitigation.record.scope = scope;
            self.put(mitigation);
        }
    }

    fn put(&mut self, mitigation: Mitigation) {
        let key = mitigation.record.key.clone();
        let own = alternatives(&key, &mitigation.record.request);
        let own = self.by_client.entry(own).or_default();
        for prefix in mitigation.nets() {
            self.by_prefix.insert(prefix, key.clone());
            own.prefixes.insert(prefix, key.mid);
        }
        for name in Named::all(&mitigation.record.request.target, &mitigation.record.scope) {
            own.names.entry(name).or_default().insert(key.mid);
        }
        if let Some(at) = mitigation.expires {
            self.by_expiry.insert((at, key.clone()));
        }
        self.owner_of_cuid
            .entry((key.customer.clone(), key.cuid.clone()))
            .or_insert((mitigation.record.credential, 0))
            .1 += 1;
        self.by_customer
            .entry(key.customer.clone())
            .or_default()
            .insert(key.clone());
        self.by_key.insert(key, mitigation);
    }

    pub(super) fn remove(&mut self, key: &MitigationKey) -> Option<Mitigation> {
        let mitigation = self.by_key.remove(key)?;
        let request = &mitigation.record.request;
        if let Entry::Occupied(mut own) = self.by_client.entry(alternatives(key, request)) {
            for prefix in mitigation.nets() {
                self.by_prefix.remove(prefix, key);
                own.get_mut().prefixes.remove(prefix, &key.mid);
            }
            for name in Named::all(&request.target, &mitigation.record.scope) {
                own.get_mut().remove_name(name, key.mid);
            }
            if own.get().prefixes.is_empty() && own.get().names.is_empty() {
                own.remove();
            }
        }
        if let Some(at) = mitigation.expires {
            self.by_expiry.remove(&(at, key.clone()));
        }
        let cuid = (key.customer.clone(), key.cuid.clone());
        if let Entry::Occupied(mut owner) = self.owner_of_cuid.entry(cuid) {
            owner.get_mut().1 -= 1;
            if owner.get().1 == 0 {
                owner.remove();
            }
        }
        if let Some(keys) = self.by_customer.get_mut(&key.customer) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_customer.remove(&key.customer);
            }
        }
        Some(mitigation)
    }

    /// Moves the expiry of a mitigation.
    pub(super) fn reschedule(&mut self, key: &MitigationKey, expires: Option<Instant>) {
        if let Some(mitigation) = self.by_key.get_mut(key) {
            if let Some(at) = mitigation.expires {
                self.by_expiry.remove(&(at, key.clone()));
            }
            if let Some(at) = expires {
                self.by_expiry.insert((at, key.clone()));
            }
            mitigation.expires = expires;
        }
    }

    /// The mitigations of one client by `mid`, or the one of this `mid`.
    pub(super) fn of_client(
        &self,
        client: &Identity,
        mid: Option<Mid>,
    ) -> impl Iterator<Item = &Mitigation> {
        let first = client.key(mid.unwrap_or(Mid(0)));
        let last = client.key(mid.unwrap_or(Mid(u32::MAX)));
        let credential = client.credential;
        self.by_key
            .range(first..=last)
            .map(|(_, mitigation)| mitigation)
            .filter(move |mitigation| mitigation.record.credential == credential)
    }

    /// The mitigations of all clients of a customer.
    pub(super) fn of_customer(&self, customer: &str) -> impl Iterator<Item = &Mitigation> {
        let keys = self.by_customer.get(customer).into_iter().flatten();
        keys.filter_map(|key| self.by_key.get(key))
    }

    /// How many mitigations a customer has.
    pub(super) fn count_of_customer(&self, customer: &str) -> usize {
        self.by_customer.get(customer).map_or(0, BTreeSet::len)
    }

    /// Whether another credential of the customer has mitigations under this `cuid`
    /// (RFC 9132 §4.4.1.1).
    pub(super) fn is_cuid_of_another(&self, client: &Identity) -> bool {
        let cuid = (client.customer.clone(), client.cuid.clone());
        self.owner_of_cuid
            .get(&cuid)
            .is_some_and(|(owner, _)| *owner != client.credential)
    }

    /// The mitigations of the same client with this `trigger-mitigation` that `asked`, by its key,
    /// shares an address, a name or an alias with.
    pub(super) fn own_overlapping(
        &self,
        key: &MitigationKey,
        trigger_mitigation: bool,
        asked: &Target,
        scope: &Scope,
    ) -> BTreeSet<Mid> {
        let own = (key.customer.clone(), key.cuid.clone(), trigger_mitigation);
        let Some(own) = self.by_client.get(&own) else {
            return BTreeSet::new();
        };
        let nets = scope.nets();
        let by_prefix = nets.iter().flat_map(|net| own.prefixes.overlapping(*net));
        let names = Named::all(asked, scope);
        let by_name = names.filter_map(|name| own.names.get(&name));
        by_prefix.chain(by_name).flatten().copied().collect()
    }

    /// The mitigations, whosesoever, that share an address with `nets`; one may come up again.
    pub(super) fn overlapping(&self, nets: &[IpNet]) -> impl Iterator<Item = &Mitigation> {
        nets.iter()
            .flat_map(|net| self.by_prefix.overlapping(*net))
            .flatten()
            .filter_map(|key| self.by_key.get(key))
    }

    /// How many mitigations there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The next mitigation to expire.
    pub(super) fn next_expiry(&self) -> Option<(Instant, &MitigationKey)> {
        self.by_expiry.first().map(|(at, key)| (*at, key))
    }
}
