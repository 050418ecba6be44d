//! Who may ask this server for what (RFC 9132 §4.4.1.1, §11).

use std::collections::BTreeMap;

use dots::identifiers::Cdid;
use dots::target::TargetPrefix;
use dtls::{Credential, Peer, PskIdentity};
use ipnet::IpNet;

use super::redirect::Redirect;

/// A customer: a name that its credentials carry, and the prefixes it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// A DNS-ID of its certificates, or their common name where they carry no DNS-ID.
    pub name: String,
    /// The identity of its pre-shared key, if it has one (RFC 9132 §8).
    pub psk_identity: Option<PskIdentity>,
    /// The prefixes whose protection it may ask for.
    pub prefixes: Vec<IpNet>,
    /// How many mitigations it may have at once.
    pub max_mitigations: usize,
    /// The server that it is sent to instead of this one.
    pub redirect: Option<Redirect>,
    /// What gateways call its clients' domain, each by the certificate that it was shown (RFC 9132
    /// §4.4.1.2): all mean this customer. The one that follows from its pre-shared key goes without
    /// saying.
    pub cdids: Vec<Cdid>,
    /// Whether it is a gateway of this domain, which says with a cdid for which customer it asks.
    pub is_gateway: bool,
}

impl Customer {
    /// The first of `prefixes` that does not lie in what the customer owns.
    pub(super) fn first_unowned<'a>(
        &self,
        prefixes: impl IntoIterator<Item = &'a TargetPrefix>,
    ) -> Option<&'a TargetPrefix> {
        prefixes
            .into_iter()
            .find(|asked| !self.prefixes.iter().any(|own| own.contains(&asked.net())))
    }
}

/// All customers of a server.
#[derive(Clone, Debug, Default)]
pub struct Customers {
    /// By name in lower case.
    by_name: BTreeMap<String, Customer>,
    /// That name, by the identity of the pre-shared key.
    by_psk: BTreeMap<PskIdentity, String>,
    /// That name, by what gateways call its domain.
    by_cdid: BTreeMap<Cdid, String>,
}

impl FromIterator<Customer> for Customers {
    fn from_iter<T: IntoIterator<Item = Customer>>(customers: T) -> Self {
        let mut all = Self::default();
        for customer in customers {
            let name = customer.name.to_ascii_lowercase();
            if let Some(identity) = &customer.psk_identity {
                let cdid = Cdid::from_spki_sha256(&identity.fingerprint());
                all.by_cdid.insert(cdid, name.clone());
                all.by_psk.insert(identity.clone(), name.clone());
            }
            for cdid in &customer.cdids {
                all.by_cdid.insert(cdid.clone(), name.clone());
            }
            all.by_name.insert(name, customer);
        }
        all
    }
}

impl Customers {
    /// The customer of this name.
    pub fn get(&self, name: &str) -> Option<&Customer> {
        self.by_name.get(name)
    }

    /// The customer that gateways call this.
    pub(super) fn of_domain(&self, cdid: &Cdid) -> Option<&Customer> {
        self.get(self.by_cdid.get(cdid)?)
    }

    pub(super) fn is_gateway(&self, name: &str) -> bool {
        self.get(name).is_some_and(|it| it.is_gateway)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Customer> {
        self.by_name.get_mut(&name.to_ascii_lowercase())
    }

    /// The name under which the holder of a validated credential is a customer.
    pub fn identify(&self, peer: &Peer) -> Option<&str> {
        match &peer.credential {
            Credential::Certificate {
                dns_names,
                common_name,
                ..
            } => {
                let fallback = common_name.iter().filter(|_| dns_names.is_empty());
                let mut names = dns_names.iter().chain(fallback);
                names.find_map(|name| {
                    let (key, _) = self.by_name.get_key_value(&name.to_ascii_lowercase())?;
                    Some(key.as_str())
                })
            }
            Credential::Psk { identity } => self.by_psk.get(identity).map(String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a certificate is no identity of a key, nor the reverse.
    ///
    ///
    #[test]
    fn a_customer_is_known_by_its_certificate_and_by_its_pre_shared_key() {
        let identity = |text: &str| PskIdentity::new(text).unwrap();
        let customers: Customers = [("Home", Some("key 7")), ("branch", None)]
            .map(|(name, key)| Customer {
                name: name.to_owned(),
                psk_identity: key.map(identity),
                prefixes: Vec::new(),
                max_mitigations: 1,
                redirect: None,
                cdids: Vec::new(),
                is_gateway: false,
            })
            .into_iter()
            .collect();
        let peer = |credential| Peer {
            credential,
            resumed: false,
        };
        let by_key = |text| {
            let credential = Credential::Psk {
                identity: identity(text),
            };
            customers.identify(&peer(credential)).map(str::to_owned)
        };
        assert_eq!(by_key("key 7").as_deref(), Some("home"));
        assert_eq!(by_key("KEY 7"), None);
        assert_eq!((by_key("home"), by_key("branch")), (None, None));
    }
}
