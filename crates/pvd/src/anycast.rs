//! DOTS servers that cannot be told apart by their address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::identifier::PvdId;
use crate::set::PvdSet;

/// An address at which servers of several networks are said to answer. Where a packet to an anycast
/// address ends, routing decides: not for several upstream servers (RFC 9284 §5.2), and never for
/// gateways, of which each knows another upstream (RFC 9284 §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedAddress {
    /// The address.
    pub address: IpAddr,
    /// The PvDs that name it, in order, at least two.
    pub pvds: BTreeSet<PvdId>,
}

impl PvdSet {
    /// The addresses that several PvDs name for a server. Attachments to one provider may well
    /// share a server (RFC 9284 §5.4).
    pub fn shared_addresses(&self) -> Vec<SharedAddress> {
        let mut named: BTreeMap<IpAddr, BTreeMap<&PvdId, Option<&str>>> = BTreeMap::new();
        for domain in self.iter() {
            let servers = domain.dots_servers.iter();
            for endpoint in servers.flat_map(|server| &server.endpoints) {
                let by = named.entry(endpoint.address.ip()).or_default();
                by.insert(&domain.id, domain.provider.as_deref());
            }
        }
        let shared = named.into_iter().filter(|(_, by)| {
            let providers: BTreeSet<_> = by.values().collect();
            by.len() > 1 && (providers.len() > 1 || providers.contains(&None))
        });
        let shared = shared.map(|(address, by)| SharedAddress {
            address,
            pvds: by.into_keys().cloned().collect(),
        });
        shared.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DotsServer, ProvisioningDomain};

    fn set(pvds: &[(&str, Option<&str>, &str)]) -> PvdSet {
        let mut set = PvdSet::default();
        for (id, provider, server) in pvds {
            let server = DotsServer::new(format!("dots.{id}"), &[server.parse().unwrap()]);
            set.insert(ProvisioningDomain {
                provider: provider.map(str::to_owned),
                dots_servers: vec![server],
                ..ProvisioningDomain::new(id.parse().unwrap())
            });
        }
        set
    }

    /// Covers: M-015, M-019, M-022
    #[test]
    fn an_address_of_servers_of_two_networks_is_found() {
        let apart = set(&[
            ("one.example", None, "192.0.2.1:4646"),
            ("two.example", None, "192.0.2.2:4646"),
        ]);
        assert_eq!(apart.shared_addresses(), []);
        let anycast = set(&[
            ("one.example", Some("one"), "192.0.2.1:4646"),
            ("two.example", None, "192.0.2.1:4647"),
        ]);
        let [shared] = &anycast.shared_addresses()[..] else {
            panic!();
        };
        assert_eq!(shared.address.to_string(), "192.0.2.1");
        assert_eq!(shared.pvds.len(), 2);
    }

    /// Covers: M-023
    #[test]
    fn attachments_to_one_provider_may_share_its_server() {
        let one = set(&[
            ("link1.example", Some("isp"), "192.0.2.1:4646"),
            ("link2.example", Some("isp"), "192.0.2.1:4646"),
        ]);
        assert_eq!(one.shared_addresses(), []);
    }
}
