//! Who is to be asked for one address, said as plainly as the documents say it: sets of PvDs, linear
//! searches, no prefix trees.

use std::collections::BTreeSet;
use std::net::IpAddr;

use agent::server_selection::{Disclosure, Independent, Policy, SameProvider, SeenOn};
use ipnet::IpNet;
use pvd::{DotsAgent, PvdId};

use super::Established;

/// A PvD as the reference sees it.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    pub(crate) id: PvdId,
    pub(crate) provider: Option<String>,
    pub(crate) prefixes: Vec<IpNet>,
    pub(crate) servers: Vec<String>,
    pub(crate) agent: DotsAgent,
}

/// A site, and what is known when the decision is made.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) domains: Vec<Domain>,
    pub(crate) independent: Vec<IpNet>,
    pub(crate) preferences: Vec<(IpNet, BTreeSet<PvdId>)>,
    pub(crate) policy: Policy,
    pub(crate) seen_on: BTreeSet<PvdId>,
    pub(crate) established: Established,
}

impl Site {
    /// The PvDs that are to be asked to protect `address`.
    pub(crate) fn asked(&self, address: IpAddr) -> BTreeSet<PvdId> {
        let longest = |prefixes: &[IpNet]| {
            let around = prefixes.iter().filter(|prefix| prefix.contains(&address));
            around.map(IpNet::prefix_len).max()
        };
        let assigned = self
            .domains
            .iter()
            .filter_map(|each| longest(&each.prefixes))
            .max();
        let independent = longest(&self.independent);
        let is_owned = assigned.is_some() && assigned >= independent;
        let owners: Vec<&Domain> = self
            .domains
            .iter()
            .filter(|each| is_owned && longest(&each.prefixes) == assigned)
            .collect();
        let consents = self.policy.disclosure == Disclosure::Consented;
        let mut may: Vec<&Domain> = match (is_owned, independent) {
            // The assigning network, or the same provider by another way (§5.1, §5.4).
            (true, _) => {
                let is_owner = |each: &Domain| owners.iter().any(|owner| owner.id == each.id);
                let is_sibling = |each: &Domain| {
                    owners
                        .iter()
                        .any(|owner| owner.provider.is_some() && owner.provider == each.provider)
                };
                self.domains
                    .iter()
                    .filter(|each| is_owner(each) || is_sibling(each))
                    .collect()
            }
            // All of them (§5.2).
            (false, Some(_)) => self.domains.iter().collect(),
            // Gateways that know better (§5.3), or everybody with consent (§6).
            (false, None) => self
                .domains
                .iter()
                .filter(|each| {
                    let knows =
                        each.agent == DotsAgent::ClientDomainGateway && each.prefixes.is_empty();
                    knows || consents
                })
                .collect(),
        };
        if !may.is_empty()
            && let Some((_, named)) = self
                .preferences
                .iter()
                .filter(|(prefix, _)| prefix.contains(&address))
                .max_by_key(|(prefix, _)| prefix.prefix_len())
        {
            if consents {
                may = self.domains.iter().collect();
            }
            may.retain(|each| named.contains(&each.id));
        }
        may.retain(|each| !each.servers.is_empty());
        if self.policy.seen_on == SeenOn::Decides
            && may.iter().any(|each| self.seen_on.contains(&each.id))
        {
            may.retain(|each| self.seen_on.contains(&each.id));
        }
        let is_up = |each: &Domain| {
            each.servers
                .iter()
                .any(|name| self.established.0.contains(name))
        };
        let is_owner = |each: &Domain| owners.iter().any(|owner| owner.id == each.id);
        if self.policy.same_provider == SameProvider::One {
            let all = may.clone();
            may.retain(|each| {
                let better = |other: &&Domain| {
                    let rank = |domain: &Domain| {
                        // Somebody who is no sibling of an owner ranks as an owner does.
                        let is_second = is_owned
                            && !is_owner(domain)
                            && owners.iter().any(|owner| {
                                owner.provider.is_some() && owner.provider == domain.provider
                            });
                        (!is_up(domain), is_second, domain.id.clone())
                    };
                    other.provider.is_some()
                        && other.provider == each.provider
                        && rank(other) < rank(each)
                };
                !all.iter().any(better)
            });
        }
        // With consent a preference may add others to the providers of an independent address, who
        // then all may carry it.
        let is_independent = !is_owned && independent.is_some();
        if self.policy.independent == Independent::One && is_independent {
            let best = may
                .iter()
                .min_by_key(|each| (!is_up(each), each.id.clone()));
            let best = best.map(|each| each.id.clone());
            may.retain(|each| Some(&each.id) == best.as_ref());
        }
        may.into_iter().map(|each| each.id.clone()).collect()
    }
}
