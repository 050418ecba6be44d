//! The agents of a run: the daemons, and the calls a user would make.

mod answer;
mod files;
mod identity;
mod provisioning;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::error::Error;
use super::netns::Netns;
use super::plan::{Nets, TARGET_PORT};
use super::process::{self, Process};
use super::report::Request;
use super::scenario::{DotsClient, Provider, Scenario};
use super::topology::Network;

pub(crate) use answer::{Held, Told, held};
pub(crate) use files::customer;
pub(crate) use identity::customer_inside;

/// Longest time a daemon may need to start, and the clients for their sessions.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a server logs when it listens.
const SERVER_READY: &str = "moat server is ready";

/// IP protocol UDP is asked for by name.
const TARGET_PROTOCOL: &str = "udp";

/// Lifetime asked for, in seconds; longer than any run.
const LIFETIME: &str = "600";

/// The running agents.
#[derive(Debug)]
pub(crate) struct Agents {
    moat: PathBuf,
    folder: PathBuf,
    servers: Vec<Process>,
    clients: Vec<Process>,
    /// What tells clients of the servers, where they are not told by their configuration.
    helpers: Vec<Process>,
}

impl Agents {
    /// Writes all that the agents need.
    pub(crate) fn prepare(folder: &Path, scenario: &Scenario) -> Result<Self, Error> {
        let moat = std::env::current_exe().map_err(Error::io("find this program's own file"))?;
        let agents = Agents {
            moat,
            folder: folder.to_owned(),
            servers: Vec::new(),
            clients: Vec::new(),
            helpers: Vec::new(),
        };
        agents.write_files(scenario)?;
        Ok(agents)
    }

    /// Starts the servers and waits until they listen.
    pub(crate) fn start_servers(
        &mut self,
        network: &Network,
        scenario: &Scenario,
    ) -> Result<(), Error> {
        for provider in scenario.servers() {
            let name = format!("the server of {}", provider.pvd);
            let netns = network.node(provider.node)?;
            self.servers
                .push(self.start(netns, &name, "server", provider.node)?);
        }
        let servers = &mut self.servers;
        let ready = process::wait_for(START_LIMIT, || {
            servers.iter_mut().try_for_each(Process::check_alive)?;
            Ok(servers
                .iter()
                .all(|server| server.log().contains(SERVER_READY))
                .then_some(()))
        })?;
        ready.ok_or_else(|| self.timeout("the start of the servers", START_LIMIT))
    }

    /// Starts the gateways and waits until each has a session with each of its servers.
    pub(crate) fn start_gateways(
        &mut self,
        network: &Network,
        scenario: &Scenario,
    ) -> Result<(), Error> {
        for gateway in scenario.gateways {
            let node = gateway.client.name;
            let name = format!("the gateway {node}");
            let started = self.start(network.node(node)?, &name, "gateway", node)?;
            self.clients.push(started);
        }
        self.wait_for_all(scenario.gateways.iter().map(|gateway| &gateway.client))
    }

    /// Starts the clients and waits until each has a session with each of its servers.
    pub(crate) fn start_clients(
        &mut self,
        network: &Network,
        scenario: &Scenario,
    ) -> Result<(), Error> {
        for client in scenario.clients {
            let netns = network.node(client.name)?;
            let name = format!("the client {}", client.name);
            let started = self.start(netns, &name, "client", client.name)?;
            self.clients.push(started);
            for provider in scenario.providers {
                if let [_, old] = scenario.assigned(provider)[..] {
                    self.announce(scenario, client, provider, old)?;
                }
            }
        }
        self.wait_for_sessions(scenario)
    }

    /// Waits until each client has a session with each of its servers.
    pub(crate) fn wait_for_sessions(&self, scenario: &Scenario) -> Result<(), Error> {
        self.wait_for_all(scenario.clients)
    }

    fn wait_for_all<'a>(
        &self,
        clients: impl IntoIterator<Item = &'a DotsClient>,
    ) -> Result<(), Error> {
        for client in clients {
            let ready = process::wait_for(START_LIMIT, || {
                let Ok(answer) = self.ask(client.name, &["sessions"]) else {
                    return Ok(None);
                };
                let established = answer::established(&answer)?;
                Ok((established == client.upstreams.len()).then_some(()))
            })?;
            ready.ok_or_else(|| {
                let what = format!("a session of {} with each of its servers", client.name);
                self.timeout(&what, START_LIMIT)
            })?;
        }
        Ok(())
    }

    /// Tells a client, which may still be starting, what a provider has assigned.
    pub(crate) fn announce(
        &self,
        scenario: &Scenario,
        client: &DotsClient,
        provider: &Provider,
        assigned: Nets,
    ) -> Result<(), Error> {
        let file = self.announcement(scenario, client, provider, assigned)?;
        let announced = process::wait_for(START_LIMIT, || {
            let mut command = Command::new(&self.moat);
            command.args(["pvd", "announce", "--interface"]);
            command.arg(files::interface(client, provider));
            command.arg("--json").arg(&file);
            command.arg("--control").arg(self.control(client.name));
            let output = process::end_within(&mut command, "", process::LIMIT)?;
            Ok(output.status.success().then_some(()))
        })?;
        announced.ok_or_else(|| {
            let what = format!("the announcement of {} to {}", provider.pvd, client.name);
            self.timeout(&what, START_LIMIT)
        })
    }

    /// Tells a client of an attack, as its user would. That it may not ask anybody is an answer, too.
    pub(crate) fn alarm(&self, client: &DotsClient, targets: &[IpAddr]) -> Result<Told, Error> {
        let mut command = self.call(client.name, &["mitigate"]);
        command.args(targets.iter().map(ToString::to_string));
        command.args(["--port", &TARGET_PORT.to_string()]);
        command.args(["--protocol", TARGET_PROTOCOL, "--lifetime", LIFETIME]);
        let output = process::end_within(&mut command, "", process::LIMIT)?;
        answer::told(client.name, &String::from_utf8_lossy(&output.stdout))
            .map_err(|error| error.with_logs(&self.log_tails()))
    }

    /// How the requests stand that came of an alarm.
    pub(crate) fn standing(&self, told: &Told) -> Result<Vec<Request>, Error> {
        let answer = self.ask(&told.client, &["status"])?;
        answer::standing(told, &answer)
    }

    /// Takes back what came of an alarm. A server that does not confirm it is no error here: it is seen to go on filtering.
    pub(crate) fn withdraw(&self, told: &Told) -> Result<(), Error> {
        if let Some(request) = told.request {
            let request = request.to_string();
            let mut command = self.call(&told.client, &["withdraw", &request]);
            process::end_within(&mut command, "", process::LIMIT)
                .map_err(|error| error.with_logs(&self.log_tails()))?;
        }
        Ok(())
    }

    /// What a DOTS server, or a gateway for the inside, has, and what it has counted. It is called by the name of its namespace.
    pub(crate) fn held(&self, node: &str) -> Result<Held, Error> {
        let status = self.ask(node, &["status"])?;
        let sessions = self.ask(node, &["sessions"])?;
        answer::held(&status, &sessions)
    }

    /// The ends of the daemons' logs, for error messages.
    pub(crate) fn log_tails(&self) -> String {
        self.servers
            .iter()
            .chain(&self.clients)
            .chain(&self.helpers)
            .map(Process::log_tail)
            .collect()
    }

    /// What a client has logged.
    pub(crate) fn log(&self, client: &DotsClient) -> Result<String, Error> {
        let file = self.file(&format!("{}.log", client.name));
        std::fs::read_to_string(&file).map_err(Error::io(format!("read {}", file.display())))
    }

    /// What is said of a client's configuration where it runs.
    pub(crate) fn check(&self, network: &Network, client: &DotsClient) -> Result<String, Error> {
        let mut command = Command::new(&self.moat);
        command.args(["config", "check"]);
        command.arg(self.file(&format!("{}.toml", client.name)));
        network
            .node(client.name)?
            .enter(|| process::output(&mut command))?
    }

    /// Starts a daemon with the configuration, and the log, that are called `files`.
    fn start(&self, netns: &Netns, name: &str, role: &str, files: &str) -> Result<Process, Error> {
        let mut command = Command::new(&self.moat);
        command
            .arg(role)
            .arg("--config")
            .arg(self.file(&format!("{files}.toml")));
        // The level at which a daemon says that it is ready, whatever the user's is.
        command.env("RUST_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        netns.start(name, &mut command, &self.file(&format!("{files}.log")))
    }

    /// A subcommand that talks to a daemon. Its socket is a file: it is reached from any network namespace.
    fn call(&self, daemon: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.moat);
        command.args(arguments).arg("--json");
        command.arg("--control").arg(self.control(daemon));
        command
    }

    /// Runs one that must succeed, and returns what it printed.
    fn ask(&self, daemon: &str, arguments: &[&str]) -> Result<String, Error> {
        process::output(&mut self.call(daemon, arguments))
            .map_err(|error| error.with_logs(&self.log_tails()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn control(&self, daemon: &str) -> PathBuf {
        self.file(&format!("{daemon}.sock"))
    }

    fn timeout(&self, what: &str, limit: Duration) -> Error {
        Error::Timeout {
            what: what.to_owned(),
            limit,
            logs: self.log_tails(),
        }
    }
}
