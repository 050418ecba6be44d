//! The agents of a run: their credentials and configuration, the daemons, and the calls a user would make.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::error::Error;
use super::netns::Netns;
use super::plan::{DOTS_PORT, HOME, TARGET_PORT};
use super::process::{self, Process};
use super::report::{NotAsked, Request};
use super::scenario::Provider;
use super::topology::Network;

/// Longest time a daemon may need to start, and the client for its sessions.
const START_LIMIT: Duration = Duration::from_secs(15);

/// Longest time a call may take; the client itself gives servers ten seconds.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// What a server logs when it listens.
const SERVER_READY: &str = "moat server is ready";

/// The customer's name in certificates.
const CUSTOMER: &str = "home";

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
    client: Option<Process>,
}

/// What `moat mitigate --json` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// The number that `moat withdraw` takes.
    pub(crate) request: u64,
    pub(crate) requests: Vec<Request>,
    pub(crate) not_asked: Vec<NotAsked>,
}

#[derive(Debug, Deserialize)]
struct Sessions {
    sessions: Vec<Session>,
}

#[derive(Debug, Deserialize)]
struct Session {
    state: String,
}

impl Agents {
    /// Writes a certification authority for each provider, and the credentials and configuration of each agent.
    pub(crate) fn prepare(folder: &Path, providers: &[Provider]) -> Result<Self, Error> {
        let moat = std::env::current_exe().map_err(Error::io("find this program's own file"))?;
        let agents = Agents {
            moat,
            folder: folder.to_owned(),
            servers: Vec::new(),
            client: None,
        };
        let mut client = format!(
            "state = {:?}\ncontrol = {:?}\n",
            agents.file("client.db"),
            agents.file("client.sock")
        );
        for provider in providers {
            let pki = folder.join(provider.node);
            std::fs::create_dir(&pki).map_err(Error::io(format!("make {}", pki.display())))?;
            agents.pki(&["init", "--name", provider.pvd], &pki)?;
            agents.pki(&["issue", "--server", provider.dots_name], &pki)?;
            agents.pki(&["issue", "--client", CUSTOMER], &pki)?;
            agents.write(
                &format!("{}.toml", provider.node),
                &agents.server_config(provider, &pki),
            )?;
            client += &client_config(provider, &pki);
        }
        agents.write("client.toml", &client)?;
        Ok(agents)
    }

    /// Starts the servers and waits until they listen.
    pub(crate) fn start_servers(
        &mut self,
        network: &Network,
        providers: &[Provider],
    ) -> Result<(), Error> {
        for provider in providers {
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

    /// Starts the client and waits until it has a session with each server.
    pub(crate) fn start_client(
        &mut self,
        network: &Network,
        providers: &[Provider],
    ) -> Result<(), Error> {
        let home = network.node(HOME)?;
        let mut client = self.start(home, "the client", "client", "client")?;
        let ready = process::wait_for(START_LIMIT, || {
            client.check_alive()?;
            let Ok(answer) = self.call(home, &["sessions"], &[]) else {
                return Ok(None);
            };
            let Sessions { sessions } = process::parse("moat sessions", &answer)?;
            let established = sessions
                .iter()
                .filter(|session| session.state == "established")
                .count();
            Ok((established == providers.len()).then_some(()))
        })?;
        self.client = Some(client);
        ready.ok_or_else(|| self.timeout("a session with each server", START_LIMIT))
    }

    /// Asks for help, as the user would.
    pub(crate) fn mitigate(&self, network: &Network, targets: &[&str]) -> Result<Asked, Error> {
        let port = TARGET_PORT.to_string();
        let options = [
            "--port",
            &port,
            "--protocol",
            TARGET_PROTOCOL,
            "--lifetime",
            LIFETIME,
        ];
        let answer = self.call(
            network.node(HOME)?,
            &[&["mitigate"], targets].concat(),
            &options,
        )?;
        process::parse("moat mitigate", &answer)
    }

    /// Takes it back.
    pub(crate) fn withdraw(&self, network: &Network, request: u64) -> Result<(), Error> {
        self.call(
            network.node(HOME)?,
            &["withdraw", &request.to_string()],
            &[],
        )
        .map(drop)
    }

    /// The ends of the daemons' logs, for error messages.
    pub(crate) fn log_tails(&self) -> String {
        self.servers
            .iter()
            .chain(&self.client)
            .map(Process::log_tail)
            .collect()
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

    /// Runs a subcommand that talks to the client, and returns what it printed.
    fn call(&self, home: &Netns, arguments: &[&str], options: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(&self.moat);
        command
            .args(arguments)
            .args(options)
            .arg("--control")
            .arg(self.file("client.sock"))
            .arg("--json");
        home.enter(|| process::output_within(&mut command, CALL_LIMIT))?
            .map_err(|error| error.with_logs(&self.log_tails()))
    }

    fn pki(&self, arguments: &[&str], folder: &Path) -> Result<(), Error> {
        process::output(
            Command::new(&self.moat)
                .arg("pki")
                .args(arguments)
                .arg("--dir")
                .arg(folder),
        )
        .map(drop)
    }

    fn server_config(&self, provider: &Provider, pki: &Path) -> String {
        let Provider {
            node,
            dots_name,
            v4,
            v6,
            ..
        } = provider;
        format!(
            "listen = [\"{}:{DOTS_PORT}\", \"[{}]:{DOTS_PORT}\"]\n{}state = {:?}\ncontrol = {:?}\n\
             # The flood is to be back as soon as the request is withdrawn.\nterminating = 0\n\n\
             [[customer]]\nname = \"{CUSTOMER}\"\nprefixes = [\"{}\", \"{}\"]\n\n[mitigator.nftables]\n",
            v4.dots_server,
            v6.dots_server,
            credentials(pki, dots_name),
            self.file(&format!("{node}.db")),
            self.file(&format!("{node}.sock")),
            v4.customer_net,
            v6.customer_net,
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        std::fs::write(self.file(name), text).map_err(Error::io(format!("write {name}")))
    }

    fn timeout(&self, what: &str, limit: Duration) -> Error {
        Error::Timeout {
            what: what.to_owned(),
            limit,
            logs: self.log_tails(),
        }
    }
}

fn client_config(provider: &Provider, pki: &Path) -> String {
    let Provider {
        pvd,
        uplink,
        dots_name,
        v4,
        v6,
        ..
    } = provider;
    format!(
        "\n[[pvd]]\nid = \"{pvd}\"\ninterface = \"{uplink}\"\nprefixes = [\"{}\", \"{}\"]\naddresses = [\"{}\", \"{}\"]\n\
         [[pvd.dots]]\nname = \"{dots_name}\"\naddresses = [\"{}\", \"{}\"]\n{}",
        v4.customer_net,
        v6.customer_net,
        v4.home,
        v6.home,
        v6.dots_server,
        v4.dots_server,
        credentials(pki, CUSTOMER),
    )
}

/// The keys of a configuration file that name an agent's credentials.
fn credentials(pki: &Path, name: &str) -> String {
    format!(
        "certificate = {:?}\nprivate_key = {:?}\ntrust_anchors = {:?}\n",
        pki.join(format!("{name}.pem")),
        pki.join(format!("{name}-key.pem")),
        pki.join("ca.pem"),
    )
}
