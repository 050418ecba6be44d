//! Who may ask this server for what (RFC 9132 §4.4.1.1, §11).

use std::collections::BTreeMap;

use dots::target::TargetPrefix;
use dtls::{Credential, Peer};
use ipnet::IpNet;

/// A customer: a name that its credentials carry, and the prefixes it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// A DNS-ID of its certificates, or their common name where they carry no DNS-ID; or its PSK identity.
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
        let (names, common_name) = match &peer.credential {
            Credential::Certificate {
                dns_names,
                common_name,
                ..
            } => (dns_names.as_slice(), common_name.as_deref()),
            Credential::Psk { identity } => (&[][..], Some(identity.as_str())),
        };
        let fallback = common_name.filter(|_| names.is_empty());
        let mut names = names.iter().map(String::as_str).chain(fallback);
        names.find_map(|name| {
            let (key, _) = self.0.get_key_value(&name.to_ascii_lowercase())?;
            Some(key.as_str())
        })
    }
}
