//! Who may ask this server for what (RFC 9132 §4.4.1.1, §11).

use std::collections::BTreeMap;

use dots::target::TargetPrefix;
use dtls::{Credential, Peer};
use ipnet::IpNet;

/// A customer: a name that certificates carry, and the prefixes it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// A DNS-ID of its certificates; or their common name, where they carry no DNS-ID.
    pub name: String,
    /// The prefixes whose protection it may ask for.
    pub prefixes: Vec<IpNet>,
    /// How many mitigations it may have at once.
    pub max_mitigations: usize,
}

impl Customer {
    /// The first of `prefixes` that does not lie in what the customer owns.
    pub(super) fn first_unowned<'a>(
        &self,
        prefixes: &'a [TargetPrefix],
    ) -> Option<&'a TargetPrefix> {
        prefixes
            .iter()
            .find(|asked| !self.prefixes.iter().any(|own| own.contains(&asked.net())))
    }
}

/// All customers of a server.
#[derive(Clone, Debug, Default)]
pub struct Customers(BTreeMap<String, Customer>);

impl FromIterator<Customer> for Customers {
    fn from_iter<T: IntoIterator<Item = Customer>>(customers: T) -> Self {
        Self(
            customers
                .into_iter()
                .map(|customer| (customer.name.to_ascii_lowercase(), customer))
                .collect(),
        )
    }
}

impl Customers {
    /// The customer of this name.
    pub fn get(&self, name: &str) -> Option<&Customer> {
        self.0.get(name)
    }

    /// The name under which the holder of a validated credential is a customer.
    pub(super) fn identify(&self, peer: &Peer) -> Option<&str> {
        let Credential::Certificate {
            dns_names,
            common_name,
            ..
        } = &peer.credential;
        let fallback = common_name.iter().filter(|_| dns_names.is_empty());
        dns_names.iter().chain(fallback).find_map(|name| {
            let (key, _) = self.0.get_key_value(&name.to_ascii_lowercase())?;
            Some(key.as_str())
        })
    }
}
