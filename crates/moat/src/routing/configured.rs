//! The routes of a client: of the PvDs in its file, as its configuration wants it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use pvd::{ProvisioningDomain, PvdId, PvdSet};

use super::{Network, Routers, Routing};
use crate::config::ClientConfig;

/// Keeps them.
#[derive(Debug)]
pub(crate) struct Configured {
    routing: Routing,
    /// The table and the routers of each PvD.
    tables: BTreeMap<PvdId, (u32, Routers)>,
}

impl Configured {
    /// Begins, if the configuration wants it. It works in a [`LocalSet`](tokio::task::LocalSet).
    pub(crate) fn start(config: &ClientConfig, pvds: &PvdSet) -> Option<Self> {
        let terms = config.routing?;
        let tables = (terms.first_table..).zip(&config.pvds).map(|(table, pvd)| {
            let routers = Routers::Written(pvd.routers.clone());
            (pvd.id.clone(), (table, routers))
        });
        let tables: BTreeMap<_, _> = tables.collect();
        let routing = Routing::start(terms, networks(&tables, pvds));
        Some(Self { routing, tables })
    }

    /// The PvDs are these from now on.
    pub(crate) fn set(&self, pvds: &PvdSet) {
        self.routing.set(networks(&self.tables, pvds));
    }

    /// Removes all that was made.
    pub(crate) async fn stop(self) {
        self.routing.stop().await;
    }
}

fn networks(tables: &BTreeMap<PvdId, (u32, Routers)>, pvds: &PvdSet) -> Vec<Network> {
    let network = |domain: &ProvisioningDomain| {
        let (table, routers) = tables.get(&domain.id)?;
        let own = domain.addresses.iter().map(|own| own.address.into());
        let sources: Vec<IpNet> = own.chain(domain.prefixes.iter().copied()).collect();
        Some(Network {
            name: domain.id.to_string(),
            table: *table,
            interface: domain.interface.clone()?,
            sources,
            routers: routers.clone(),
            source: None,
            is_preferred: false,
        })
    };
    pvds.iter().filter_map(network).collect()
}
