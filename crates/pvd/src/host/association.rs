//! To which PvDs of an interface belong its addresses, and what DHCP brought there (RFC 8801 §3.4, §3.4.1, §3.4.2).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::attachment::Attachment;
use super::dhcp::{self, Association, Claim, Lease, Leased};
use super::domain::Domain;
use super::identity::Identity;
use crate::source_address::OwnAddress;

impl Attachment {
    /// Decides it all anew, and says whether that is different now.
    pub(super) fn associate(&mut self) -> bool {
        let mut is_different = self.make_legacy();
        let mut owned: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut faults = Vec::new();
        for own in &self.addresses {
            let Association { identities, fault } = self.owners(own.address);
            for identity in identities {
                owned.entry(identity).or_default().push(*own);
            }
            faults.extend(fault.filter(|fault| !faults.contains(fault)));
        }
        is_different |= (&self.owned, &self.faults) != (&owned, &faults);
        (self.owned, self.faults) = (owned, faults);
        is_different | self.hand_out()
    }

    /// IPv4 that no router's PvD has makes an implicit one (RFC 7556 §2.2); with the last of it that goes.
    fn make_legacy(&mut self) -> bool {
        let is_ipv4 =
            |own: &OwnAddress| is_legacy(own.address) && self.tunnels_with(own.address).is_empty();
        let has_ipv4 = self.addresses.iter().any(is_ipv4);
        let claimants = self.claimants(Lease::Legacy).identities;
        let is_free = claimants.iter().all(|it| *it == Identity::Legacy);
        let since = self.since.filter(|_| has_ipv4 && is_free);
        let is_there = self.domains.contains_key(&Identity::Legacy);
        match since {
            Some(since) => {
                let domain = || Domain::new(since);
                self.domains.entry(Identity::Legacy).or_insert_with(domain);
            }
            None => drop(self.domains.remove(&Identity::Legacy)),
        }
        is_there != since.is_some()
    }

    /// Gives each PvD what DHCP brought for it.
    fn hand_out(&mut self) -> bool {
        let mut given: BTreeMap<_, Vec<Leased>> = BTreeMap::new();
        for leased in &self.leased {
            for identity in self.claimants(leased.lease).identities {
                given.entry(identity).or_default().push(leased.clone());
            }
        }
        let mut is_different = false;
        for (identity, domain) in &mut self.domains {
            let leased = given.remove(identity).unwrap_or_default();
            is_different |= domain.leased != leased;
            domain.leased = leased;
        }
        is_different
    }

    fn owners(&self, own: IpAddr) -> Association {
        let of = |identities| Association {
            identities,
            fault: None,
        };
        let address = match own {
            IpAddr::V4(_) if !is_legacy(own) => return of(Vec::new()),
            IpAddr::V4(_) => None,
            // It is of the link, and of none of its PvDs.
            IpAddr::V6(address) if address.is_unicast_link_local() || address.is_loopback() => {
                return of(Vec::new());
            }
            IpAddr::V6(address) => Some(address),
        };
        let tunnels = self.tunnels_with(own);
        if self.domains.is_empty() || !tunnels.is_empty() {
            return of(tunnels);
        }
        let Some(address) = address else {
            return self.claimants(Lease::Legacy);
        };
        let made = self.domains.iter().filter_map(|(identity, domain)| {
            let heard = domain.last_heard_with(address)?;
            Some((heard, identity))
        });
        match made.max_by_key(|(heard, _)| *heard) {
            Some((_, last)) => of(vec![last.clone()]),
            None => self.claimants(Lease::Address(address)),
        }
    }

    fn tunnels_with(&self, own: IpAddr) -> Vec<Identity> {
        let tunnels = self.domains.iter().filter(|(_, domain)| {
            let tunnel = domain.tunnel.as_ref();
            tunnel.is_some_and(|tunnel| tunnel.told.facts().addresses.contains(&own))
        });
        tunnels.map(|(identity, _)| identity.clone()).collect()
    }

    /// Whose a lease is, by what the routers say.
    fn claimants(&self, lease: Lease) -> Association {
        let own = self.addresses.iter().filter_map(|own| match own.address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        });
        let addresses: Vec<Ipv6Addr> = match lease {
            Lease::Legacy => Vec::new(),
            Lease::Stateless => own.collect(),
            Lease::Address(address) => vec![address],
        };
        let claims = self.domains.iter().map(|(identity, domain)| {
            let flags = domain.flags();
            Claim {
                identity,
                has_legacy: flags.has_legacy,
                is_managed: flags.is_managed,
                has_other_configuration: flags.has_other,
                covers: addresses.iter().any(|address| domain.covers(*address)),
            }
        });
        dhcp::associate(lease, &claims.collect::<Vec<_>>())
    }
}

/// Whether it is one of those that DHCPv4 gives.
fn is_legacy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(_) => false,
    }
}
