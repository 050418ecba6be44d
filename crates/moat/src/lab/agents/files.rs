//! The credentials and the configuration of the agents.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::json;

use super::Agents;
use super::identity::customer_inside;
use crate::lab::error::Error;
use crate::lab::plan::{DOTS_PORT, Nets, OWN_NETS, VERSIONS, Version};
use crate::lab::scenario::{DotsClient, Gateway, Known, Place, Provider, Scenario, Upstream};

impl Agents {
    /// Writes a certification authority for each provider, and the credentials and configuration of each agent.
    pub(super) fn write_files(&self, scenario: &Scenario) -> Result<(), Error> {
        for provider in scenario.servers() {
            self.issue_server(scenario, provider)?;
            let config = self.server_config(scenario, provider);
            self.write(&format!("{}.toml", provider.node), &config)?;
        }
        for gateway in scenario.gateways {
            self.issue_inside(scenario, gateway)?;
            let outside = self.networks(scenario, &gateway.client)?;
            let config = self.gateway_config(scenario, gateway) + &outside;
            self.write(&format!("{}.toml", gateway.client.name), &config)?;
        }
        for client in scenario.clients {
            let config = self.daemon_keys(scenario, client) + &self.networks(scenario, client)?;
            self.write(&format!("{}.toml", client.name), &config)?;
        }
        Ok(())
    }

    /// The top of a client's file, or of a gateway's.
    fn daemon_keys(&self, scenario: &Scenario, client: &DotsClient) -> String {
        let mut keys = format!(
            "state = {:?}\ncontrol = {:?}\n",
            self.file(&format!("{}.db", client.name)),
            self.control(client.name)
        );
        if scenario.has_own {
            keys += &format!("provider_independent = {:?}\n", own());
        }
        keys
    }

    /// Every `[[pvd]]` of a client's file, or of a gateway's.
    fn networks(&self, scenario: &Scenario, client: &DotsClient) -> Result<String, Error> {
        let mut config = String::new();
        for upstream in client.upstreams {
            let pvd = upstream.pvd();
            if let Some(provider) = scenario.provider(pvd) {
                self.issue(scenario, client, provider)?;
                config += &self.client_config(scenario, client, provider);
            }
            if let Some(gateway) = scenario.gateway(pvd) {
                let has_filter = matches!(upstream, Upstream::GatewayFor(_));
                config += &self.inside_config(scenario, client, gateway, has_filter);
            }
        }
        Ok(config)
    }

    /// What a gateway is to the inside. Which prefixes are whose provider's, its upstream side alone knows.
    fn gateway_config(&self, scenario: &Scenario, gateway: &Gateway) -> String {
        let listen = scenario.inside_addresses(gateway);
        let listen = listen.map(|one| std::net::SocketAddr::new(one, DOTS_PORT).to_string());
        let prefixes = prefixes(scenario.all_nets());
        let mut config = format!(
            "{}listen = {listen:?}\nrelay = {:?}\n{}",
            self.daemon_keys(scenario, &gateway.client),
            gateway.client.name,
            self.gateway_keys(gateway),
        );
        for client in scenario.clients_inside(gateway) {
            let name = customer_inside(gateway, client);
            config += &format!("\n[[customer]]\nname = {name:?}\nprefixes = {prefixes:?}\n");
        }
        config
    }

    /// The `[[pvd]]` of a gateway in the file of a client inside, with the prefixes of the gateway's providers or without.
    fn inside_config(
        &self,
        scenario: &Scenario,
        client: &DotsClient,
        gateway: &Gateway,
        has_filter: bool,
    ) -> String {
        let mut config = format!("\n[[pvd]]\nid = {:?}\ngateway = true\n", gateway.pvd);
        if has_filter {
            let providers = scenario.providers_of(&gateway.client).into_iter();
            let assigned = providers.map(|provider| provider.assigned).collect();
            config += &format!("prefixes = {:?}\n", prefixes(assigned));
        }
        let [v4, v6] = scenario.inside_addresses(gateway);
        // IPv6 first, as RFC 8305 has it.
        let addresses = [(Version::V6, v6), (Version::V4, v4)].into_iter();
        let addresses = addresses.filter(|(version, _)| client.versions.contains(version));
        let addresses = texts(addresses.map(|(_, address)| address));
        config
            + &format!(
                "[[pvd.dots]]\nname = {:?}\naddresses = {addresses:?}\n{}",
                gateway.dots_name,
                self.inside_keys(client, gateway)
            )
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
    format!("customer.{}", provider.organisation.unwrap_or(provider.pvd))
}

fn prefixes(nets: Vec<Nets>) -> Vec<String> {
    let nets = nets.into_iter();
    nets.flat_map(|nets| VERSIONS.map(|version| nets.of(version).to_string()))
        .collect()
}

/// The site's own prefixes.
fn own() -> [String; 2] {
    VERSIONS.map(|version| OWN_NETS.of(version).to_string())
}
