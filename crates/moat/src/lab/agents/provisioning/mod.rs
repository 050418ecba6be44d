//! What a provider's network tells those who attach to it: of its DOTS server, of its name servers, of addresses. Every name
//! server lies about the names of other providers (RFC 9284 §5.1 has a client ask the right one).

mod bind;
mod dnsmasq;
mod kea;
mod radvd;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Agents;
use crate::lab::error::Error;
use crate::lab::process::{self, Process};
use crate::lab::scenario::{Known, Place, Provider, Scenario};
use crate::lab::topology::Network;

/// How long the servers may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

impl Agents {
    /// Starts what clients are to learn from, at each edge, and waits until it answers.
    pub(crate) fn start_provisioning(
        &mut self,
        network: &Network,
        scenario: &Scenario,
    ) -> Result<(), Error> {
        for provider in scenario.providers {
            for (name, mut command) in self.provisioning(scenario, provider)? {
                self.start_helper(network, provider.node, name, &mut command)?;
            }
        }
        let on_hosts = |place| matches!(place, Place::Host(_));
        let has_hosts = scenario.clients.iter().any(|one| on_hosts(one.place));
        if scenario.known == Known::Resolved && has_hosts {
            for router in scenario.routers {
                for (name, mut command) in self.kea_of_site(scenario, router)? {
                    self.start_helper(network, router.node, name, &mut command)?;
                }
            }
        }
        self.wait_for_helpers(scenario, network)
    }

    /// The servers of a provider: what each is called, and how it is started.
    fn provisioning(
        &self,
        scenario: &Scenario,
        provider: &Provider,
    ) -> Result<Vec<(&'static str, Command)>, Error> {
        let mut servers = Vec::new();
        if scenario.is_advertised_to_router() {
            servers.push(("radvd", self.radvd(provider)?));
            servers.extend(self.kea(scenario, provider)?);
        }
        match scenario.known {
            Known::Written | Known::Addressed => (),
            Known::Named => servers.push(("dnsmasq", self.dnsmasq(scenario, provider)?)),
            Known::Resolved => servers.push(("named", self.bind(scenario, provider)?)),
        }
        Ok(servers)
    }

    fn system_program(&self, name: &str) -> Result<Command, Error> {
        process::system_program(name, &self.folder)
    }

    fn start_helper(
        &mut self,
        network: &Network,
        node: &'static str,
        name: &str,
        command: &mut Command,
    ) -> Result<(), Error> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let log = self.file(&format!("{node}-{name}.log"));
        let title = format!("{name} of {node}");
        let helper = network.node(node)?.start(&title, command, &log)?;
        self.helpers.push(helper);
        Ok(())
    }

    /// Waits for the name servers, which a client would take for silent otherwise and give time, and for addresses.
    fn wait_for_helpers(&mut self, scenario: &Scenario, network: &Network) -> Result<(), Error> {
        let addresses = scenario.is_advertised_to_router();
        let ready = process::wait_for(START_LIMIT, || {
            self.helpers.iter_mut().try_for_each(Process::check_alive)?;
            let mut is_ready = scenario.known != Known::Resolved || self.binds_are_ready(scenario);
            for router in scenario.routers.iter().filter(|_| addresses) {
                let netns = network.node(router.node)?;
                let list = netns.output_of("ip", &["-6", "-oneline", "addr", "show"], "")?;
                let mut uplinks = scenario.uplinks(router);
                is_ready &= uplinks.all(|one| {
                    let [_, v6] = scenario.on_uplink(one.assigned);
                    list.contains(&format!(" {v6}/"))
                });
            }
            Ok(is_ready.then_some(()))
        })?;
        ready.ok_or_else(|| self.timeout("the start of what networks tell", START_LIMIT))
    }

    /// The names that clients have asked a provider's name server for.
    pub(crate) fn names_asked(&self, provider: &Provider) -> Vec<String> {
        let log = std::fs::read_to_string(self.names_file(provider)).unwrap_or_default();
        let mut names: Vec<_> = log
            .lines()
            .filter_map(|line| dnsmasq::name_asked(line).or_else(|| bind::name_asked(line)))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn names_file(&self, provider: &Provider) -> PathBuf {
        self.file(&format!("{}-names.log", provider.node))
    }

    /// Where a server of a provider, or of the site, keeps what it needs.
    fn folder_of(&self, node: &str, server: &str) -> Result<PathBuf, Error> {
        let folder = self.file(&format!("{node}-{server}"));
        std::fs::create_dir_all(&folder)
            .map_err(Error::io(format!("make {}", folder.display())))?;
        Ok(folder)
    }
}
