//! The credentials and the configuration of the agents.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Agents;
use crate::lab::error::Error;
use crate::lab::plan::{DOTS_PORT, OWN_NETS, VERSIONS};
use crate::lab::process;
use crate::lab::scenario::{DotsClient, Place, Provider, Scenario, Upstream};

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
            .flat_map(|attachment| VERSIONS.map(|version| attachment.assigned.of(version)))
            .map(|net| net.to_string());
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
            uplink,
            dots_name,
            assigned,
            ..
        } = provider;
        let prefixes = VERSIONS.map(|version| assigned.of(version).to_string());
        let interface = match client.place {
            Place::Router => uplink,
            Place::Host(_) => "eth0",
        };
        let mut config = format!(
            "\n[[pvd]]\nid = \"{pvd}\"\ninterface = \"{interface}\"\nprefixes = {prefixes:?}\n"
        );
        if let Some(organisation) = organisation {
            config += &format!("provider = \"{organisation}\"\n");
        }
        // A host with addresses of the site's own has none that a provider assigned.
        if !scenario.has_own || client.place == Place::Router {
            let addresses = assigned
                .hosts(client.place.number())
                .map(|one| one.to_string());
            config += &format!("addresses = {addresses:?}\n");
        }
        let mut servers = provider.server_addresses(client.versions);
        // IPv6 first, as RFC 8305 has it.
        servers.reverse();
        let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
        config
            + &format!(
                "[[pvd.dots]]\nname = \"{dots_name}\"\naddresses = {servers:?}\n{}",
                credential_keys(&self.file(provider.node), client.name)
            )
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        std::fs::write(self.file(name), text).map_err(Error::io(format!("write {name}")))
    }
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
