//! The credentials and the configuration of the agents.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::Agents;
use crate::lab::error::Error;
use crate::lab::plan::{DOTS_PORT, Nets, OWN_NETS, VERSIONS};
use crate::lab::process;
use crate::lab::scenario::{DotsClient, Known, Place, Provider, Scenario, Upstream};

impl Agents {
    /// Writes a certification authority for each provider, and the credentials and configuration of each agent.
    pub(super) fn write_files(&self, scenario: &Scenario) -> Result<(), Error> {
        for provider in scenario.servers() {
            let pki = self.file(provider.node);
            std::fs::create_dir(&pki).map_err(Error::io(format!("make {}", pki.display())))?;
            self.pki(&["init", "--name", provider.pvd], &pki)?;
            self.pki(&["issue", "--server", provider.dots_name], &pki)?;
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
                    self.issue(client, provider)?;
                    config += &self.client_config(scenario, client, provider);
                }
            }
            self.write(&format!("{}.toml", client.name), &config)?;
        }
        Ok(())
    }

    /// Gives a client credentials from a provider, whose CA nobody else trusts, in files named after the client.
    fn issue(&self, client: &DotsClient, provider: &Provider) -> Result<(), Error> {
        let pki = self.file(provider.node);
        let [certificate, key] = credentials(&pki, client.name);
        if certificate.exists() {
            return Ok(());
        }
        let customer = customer(provider);
        self.pki(&["issue", "--client", &customer], &pki)?;
        let issued = credentials(&pki, &customer);
        for (from, to) in issued.iter().zip([certificate, key]) {
            std::fs::rename(from, &to).map_err(Error::io(format!("make {}", to.display())))?;
        }
        Ok(())
    }

    fn pki(&self, arguments: &[&str], folder: &Path) -> Result<(), Error> {
        let mut command = Command::new(&self.moat);
        command.arg("pki").args(arguments).arg("--dir").arg(folder);
        process::output(&mut command).map(drop)
    }

    fn server_config(&self, scenario: &Scenario, provider: &Provider) -> String {
        let Provider {
            node, dots_name, ..
        } = provider;
        let listen = provider.server_addresses(&VERSIONS);
        let listen = listen
            .iter()
            .map(|address| std::net::SocketAddr::new(*address, DOTS_PORT).to_string());
        let attachments = scenario.providers.iter().filter(|one| one.node == *node);
        let prefixes = attachments
            .flat_map(|attachment| scenario.assigned(attachment))
            .flat_map(|nets| VERSIONS.map(|version| nets.of(version).to_string()));
        let prefixes: Vec<_> = prefixes
            .chain(scenario.has_own.then(own).into_iter().flatten())
            .collect();
        format!(
            "listen = {:?}\n{}state = {:?}\ncontrol = {:?}\n\
             # The flood is to be back as soon as the request is withdrawn.\nterminating = 0\n\n\
             [[customer]]\nname = \"{}\"\nprefixes = {prefixes:?}\n\n[mitigator.nftables]\n",
            listen.collect::<Vec<_>>(),
            credential_keys(&self.file(node), dots_name),
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
        let credentials = credential_keys(&self.file(provider.node), client.name);
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
            let addresses = texts(provider.assigned.hosts(client.place.number()));
            config += &format!("addresses = {addresses:?}\n");
        }
        match scenario.known {
            Known::Discovered => config + &discover,
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
        client: &DotsClient,
        provider: &Provider,
        assigned: Nets,
    ) -> Result<PathBuf, Error> {
        let announcement = json!({
            "pvd": provider.pvd,
            "prefixes": VERSIONS.map(|version| assigned.of(version).to_string()),
            "addresses": assigned.hosts(client.place.number()),
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

/// The files of a certificate and its key.
fn credentials(pki: &Path, name: &str) -> [PathBuf; 2] {
    [
        pki.join(format!("{name}.pem")),
        pki.join(format!("{name}-key.pem")),
    ]
}

/// The keys of a configuration file that name an agent's credentials.
fn credential_keys(pki: &Path, name: &str) -> String {
    let [certificate, key] = credentials(pki, name);
    format!(
        "certificate = {certificate:?}\nprivate_key = {key:?}\ntrust_anchors = {:?}\n",
        pki.join("ca.pem"),
    )
}
