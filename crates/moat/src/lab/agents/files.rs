//! The credentials and the configuration of the agents.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::json;

use super::Agents;
use crate::lab::error::Error;
use crate::lab::plan::{DOTS_PORT, Nets, OWN_NETS, VERSIONS};
use crate::lab::scenario::{DotsClient, Known, Place, Provider, Scenario, Upstream};

impl Agents {
    /// Writes a certification authority for each provider, and the credentials and configuration of each agent.
    pub(super) fn write_files(&self, scenario: &Scenario) -> Result<(), Error> {
        for provider in scenario.servers() {
            self.issue_server(scenario, provider)?;
            let config = self.server_config(scenario, provider);
            self.write(&format!("{}.toml", provider.node), &config)?;
        }
        for client in scenario.clients {
            let mut config = format!(
                "state = {:?}\ncontrol = {:?}\n",
                self.file(&format!("{}.db", client.name)),
                self.control(client.name)
            );
            if scenario.has_own {
                config += &format!("provider_independent = {:?}\n", own());
            }
            for upstream in client.upstreams {
                let Upstream::Server(pvd) = upstream;
                if let Some(provider) = scenario.provider(pvd) {
                    self.issue(scenario, client, provider)?;
                    config += &self.client_config(scenario, client, provider);
                }
            }
            self.write(&format!("{}.toml", client.name), &config)?;
        }
        Ok(())
    }

    fn server_config(&self, scenario: &Scenario, provider: &Provider) -> String {
        let node = provider.node;
        let [own, customers] = self.server_keys(scenario, provider);
        let listen = provider.server_addresses(&VERSIONS);
        let listen = listen
            .iter()
            .map(|address| std::net::SocketAddr::new(*address, DOTS_PORT).to_string());
        let attachments = scenario.providers.iter().filter(|one| one.node == node);
        let prefixes = attachments
            .flat_map(|attachment| scenario.assigned(attachment))
            .flat_map(|nets| VERSIONS.map(|version| nets.of(version).to_string()));
        let prefixes: Vec<_> = prefixes
            .chain(scenario.has_own.then(self::own).into_iter().flatten())
            .collect();
        format!(
            "listen = {:?}\n{own}state = {:?}\ncontrol = {:?}\n\
             # The flood is to be back as soon as the request is withdrawn.\nterminating = 0\n\n\
             [[customer]]\nname = \"{}\"\n{customers}prefixes = {prefixes:?}\n\n[mitigator.nftables]\n",
            listen.collect::<Vec<_>>(),
            self.file(&format!("{node}.db")),
            self.control(node),
            customer(provider),
        )
    }

    /// The `[[pvd]]` of a provider in a client's file.
    fn client_config(
        &self,
        scenario: &Scenario,
        client: &DotsClient,
        provider: &Provider,
    ) -> String {
        let Provider {
            pvd,
            organisation,
            dots_name,
            ..
        } = provider;
        let interface = interface(client, provider);
        let credentials = self.client_keys(scenario, client, provider);
        let mut config = format!("\n[[pvd]]\nid = \"{pvd}\"\ninterface = \"{interface}\"\n");
        if let Some(organisation) = organisation {
            config += &format!("provider = \"{organisation}\"\n");
        }
        let discover = format!("[pvd.discover]\ntrusted_names = [\"*.{pvd}\"]\n{credentials}");
        if scenario.is_renumbered(provider) {
            return config + &discover;
        }
        let prefixes = VERSIONS.map(|version| provider.assigned.of(version).to_string());
        config += &format!("prefixes = {prefixes:?}\n");
        // A host with addresses of the site's own has none that a provider assigned.
        if !scenario.has_own || client.place == Place::Router {
            let addresses = texts(scenario.client_addresses(client, provider.assigned));
            config += &format!("addresses = {addresses:?}\n");
        }
        match scenario.known {
            Known::Named | Known::Addressed => config + &discover,
            Known::Resolved => {
                let is_told = client.place == Place::Router;
                let dns = provider.edge_addresses(client.versions);
                let dns = format!("dns = {:?}\n", texts(dns));
                let domain = format!("domain = {dots_name:?}\n");
                let [dns, domain] =
                    [dns, domain].map(|key| if is_told { String::new() } else { key });
                config + &dns + &discover + &domain
            }
            Known::Written => {
                let mut servers = provider.server_addresses(client.versions);
                // IPv6 first, as RFC 8305 has it.
                servers.reverse();
                let servers = texts(servers);
                config
                    + &format!(
                        "[[pvd.dots]]\nname = \"{dots_name}\"\naddresses = {servers:?}\n{credentials}"
                    )
            }
        }
    }

    /// What `moat pvd announce` is told of a provider that assigned these networks.
    pub(super) fn announcement(
        &self,
        scenario: &Scenario,
        client: &DotsClient,
        provider: &Provider,
        assigned: Nets,
    ) -> Result<PathBuf, Error> {
        let announcement = json!({
            "pvd": provider.pvd,
            "prefixes": VERSIONS.map(|version| assigned.of(version).to_string()),
            "addresses": scenario.client_addresses(client, assigned),
            "dots": [{
                "name": provider.dots_name,
                "addresses": provider.server_addresses(client.versions),
            }],
            "lifetime": 3600,
        });
        let name = "announcement.json";
        self.write(name, &announcement.to_string())?;
        Ok(self.file(name))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        std::fs::write(self.file(name), text).map_err(Error::io(format!("write {name}")))
    }
}

/// The interface at which a client is attached to a provider.
pub(super) fn interface(client: &DotsClient, provider: &Provider) -> &'static str {
    match client.place {
        Place::Router => provider.uplink,
        Place::Host(_) => "eth0",
    }
}

fn texts(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<String> {
    let addresses = addresses.into_iter();
    addresses.map(|address| address.to_string()).collect()
}

/// What a provider calls the site: its certificates carry that name, and no other provider's do.
pub(crate) fn customer(provider: &Provider) -> String {
    format!("customer.{}", provider.pvd)
}

/// The site's own prefixes.
fn own() -> [String; 2] {
    VERSIONS.map(|version| OWN_NETS.of(version).to_string())
}
