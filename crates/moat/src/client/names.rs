//! Looks up names with the resolvers of the PvD they belong to, and no others (RFC 7556 §5.2).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use agent::server_selection::AssociationId;
use pvd::PvdId;
use tokio::sync::mpsc;

use crate::config::ClientConfig;
use crate::resolver::{self, Assurance, Failure, Link, Resolver};

/// What was found under the name of a server, or a sentence that says why nothing was.
#[derive(Debug)]
pub(crate) struct Found {
    pub(super) association: AssociationId,
    pub(super) name: String,
    pub(super) addresses: Result<Vec<IpAddr>, String>,
}

/// The resolvers of each PvD that has some.
#[derive(Debug)]
pub(super) struct Names {
    resolvers: BTreeMap<PvdId, Resolver>,
    /// How those of each PvD are asked.
    assurances: BTreeMap<PvdId, Assurance>,
    /// Those of them that were learned, and from where they are asked.
    learned: BTreeMap<PvdId, (Vec<SocketAddr>, Link)>,
    found: mpsc::Sender<Found>,
}

impl Names {
    /// What is found goes to `found`.
    ///
    /// # Errors
    /// Those of [`Assurance::new`] and [`Resolver::new`].
    pub(super) fn new(
        config: &ClientConfig,
        found: mpsc::Sender<Found>,
    ) -> Result<Self, resolver::Error> {
        let (mut resolvers, mut assurances) = (BTreeMap::new(), BTreeMap::new());
        for pvd in &config.pvds {
            let assurance = Assurance::new(&pvd.resolver)?;
            let servers = &pvd.resolver.servers;
            if !servers.is_empty() {
                let link = Link {
                    interface: pvd.interface.clone(),
                    addresses: pvd.own_addresses(),
                };
                let resolver = Resolver::new(servers, &assurance, link)?;
                resolvers.insert(pvd.id.clone(), resolver);
            }
            assurances.insert(pvd.id.clone(), assurance);
        }
        Ok(Self {
            resolvers,
            assurances,
            learned: BTreeMap::new(),
            found,
        })
    }

    /// How the resolvers of a PvD are asked.
    pub(super) fn assurance(&self, pvd: &PvdId) -> Assurance {
        self.assurances.get(pvd).cloned().unwrap_or_default()
    }

    /// Takes the resolvers that a network names, and no longer those that it or another named before. Those
    /// of the configuration stay.
    pub(super) fn learn(&mut self, pvd: &PvdId, servers: &[SocketAddr], link: Link) {
        let known = self.learned.get(pvd);
        let is_known = known.is_some_and(|(known, from)| known == servers && *from == link);
        let is_written = self.resolvers.contains_key(pvd) && known.is_none();
        if is_known || is_written {
            return;
        }
        self.resolvers.remove(pvd);
        self.learned.remove(pvd);
        if servers.is_empty() {
            return;
        }
        match Resolver::new(servers, &self.assurance(pvd), link.clone()) {
            Ok(resolver) => {
                self.resolvers.insert(pvd.clone(), resolver);
                self.learned.insert(pvd.clone(), (servers.to_vec(), link));
            }
            Err(error) => tracing::warn!(%pvd, %error, "the network's resolvers cannot be used"),
        }
    }

    /// Begins to look up the name of a server.
    pub(super) fn look_up(&self, association: AssociationId, name: String) {
        let resolver = self.resolvers.get(&association.pvd).cloned();
        let found = self.found.clone();
        tokio::task::spawn_local(async move {
            let addresses = match resolver {
                Some(resolver) => resolve(&resolver, &name).await,
                None => Err(format!(
                    "{name} cannot be looked up: write `dns` into [[pvd]] {}",
                    association.pvd
                )),
            };
            // Once the client stops nobody wants to know.
            let _stopped = found
                .send(Found {
                    association,
                    name,
                    addresses,
                })
                .await;
        });
    }
}

async fn resolve(resolver: &Resolver, name: &str) -> Result<Vec<IpAddr>, String> {
    match resolver.resolve(name).await {
        Ok(found) => Ok(found.addresses),
        Err(Failure::NoAddress) => Err(format!("there is no address under {name}")),
        Err(Failure::Unavailable(reason)) => Err(format!("{name}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: M-001. Each network has its own.
    #[tokio::test]
    async fn the_resolvers_of_the_network_before_are_not_used() {
        let (found, _) = mpsc::channel(1);
        let mut names = Names {
            resolvers: BTreeMap::new(),
            assurances: BTreeMap::new(),
            learned: BTreeMap::new(),
            found,
        };
        let pvd: PvdId = "fixed.example".parse().unwrap();
        let link = || Link {
            interface: None,
            addresses: Vec::new(),
        };
        let server = "192.0.2.53:53".parse().unwrap();
        names.learn(&pvd, &[server], link());
        assert!(names.resolvers.contains_key(&pvd));
        names.learn(&pvd, &[], link());
        assert!(names.resolvers.is_empty() && names.learned.is_empty());
        // What is written stays.
        let written = Resolver::new(&[server], &Assurance::default(), link()).unwrap();
        names.resolvers.insert(pvd.clone(), written);
        names.learn(&pvd, &[], link());
        assert!(names.resolvers.contains_key(&pvd));
    }
}
