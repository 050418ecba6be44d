//! The run's certificates and configuration, and the servers that are started with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use dtls::{ClientConfig, PemCredentials, SessionSettings};

use super::cores::Cores;
use super::error::Error;
use super::helper;
use super::server::Server;
use crate::config::HostName;
use crate::pki::{self, InitArgs, IssueArgs, PkiCommand};

/// The name in the certificate of each server.
pub(super) const SERVER_NAME: &str = "dots.example";
/// The one customer. All clients of the run are its own.
const CUSTOMER: &str = "home.example";
/// Days that a certificate of the run is good for.
const DAYS: i64 = 2;

/// Name of the server's control socket.
const CONTROL: &str = "server.sock";

/// Port of `moat server`.
const MOAT_PORT: u16 = 4646;
/// Port of libcoap's server for CoAP in the clear; that for DTLS is the next.
const LIBCOAP_PORT: u16 = 5683;
/// Port of the UDP echo.
const ECHO_PORT: u16 = 7;

/// libcoap's server, and the Debian package it is in.
pub(super) const LIBCOAP: (&str, &str) = ("coap-server-openssl", "libcoap3-bin");

/// The credentials of one end, in PEM.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) private_key: Vec<u8>,
    pub(super) trust_anchor: Vec<u8>,
}

impl Identity {
    fn credentials(&self) -> PemCredentials<'_> {
        PemCredentials {
            certificate_chain: &self.certificate,
            private_key: &self.private_key,
            trust_anchors: &self.trust_anchor,
        }
    }
}

/// The work folder, and where servers run.
#[derive(Debug, Clone)]
pub(super) struct Site {
    folder: PathBuf,
    cores: Cores,
}

impl Site {
    /// Makes the certificates.
    pub(super) fn new(folder: PathBuf, cores: Cores) -> Result<Self, Error> {
        let site = Site { folder, cores };
        let dir = site.folder.clone();
        let init = InitArgs {
            dir: dir.clone(),
            name: "moat bench".to_owned(),
            days: DAYS,
            force: false,
        };
        pki::make(PkiCommand::Init(init))?;
        let (server, client) = (Some(SERVER_NAME), Some(CUSTOMER));
        for (server, client) in [(server, None), (None, client)] {
            let name = |name: Option<&str>| name.and_then(|name| HostName::parse(name).ok());
            let issue = IssueArgs {
                dir: dir.clone(),
                server: name(server),
                client: name(client),
                addresses: Vec::new(),
                days: DAYS,
                expired: false,
                force: false,
            };
            pki::make(PkiCommand::Issue(issue))?;
        }
        Ok(site)
    }

    /// A folder that [`Site::new`] has prepared already.
    pub(super) fn existing(folder: PathBuf, cores: Cores) -> Self {
        Site { folder, cores }
    }

    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// The server's control socket.
    pub(super) fn control(&self) -> PathBuf {
        self.folder.join(CONTROL)
    }

    pub(super) fn cores(&self) -> Cores {
        self.cores
    }

    /// What the generator opens its sessions with.
    pub(super) fn client(&self) -> Result<ClientConfig, Error> {
        let identity = self.identity(CUSTOMER)?;
        let config = ClientConfig::new(identity.credentials(), SessionSettings::default())?;
        Ok(config)
    }

    /// What each server proves itself with.
    pub(super) fn server_identity(&self) -> Result<Identity, Error> {
        self.identity(SERVER_NAME)
    }

    fn identity(&self, name: &str) -> Result<Identity, Error> {
        let read = |file: String| {
            let path = self.folder.join(file);
            let failed = Error::system(format!("read {}", path.display()));
            std::fs::read(&path).map_err(failed)
        };
        Ok(Identity {
            certificate: read(format!("{name}.pem"))?,
            private_key: read(format!("{name}-key.pem"))?,
            trust_anchor: read("ca.pem".to_owned())?,
        })
    }

    /// Starts `moat server` with an empty store and an empty filter, as installed but for its limits.
    pub(super) fn moat(&self) -> Result<Server, Error> {
        system_program("nft", &["flush", "ruleset"])?;
        let state = self.folder.join("state");
        match std::fs::remove_dir_all(&state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::system("remove the state of the run before")(error));
            }
            _ => {}
        }
        let remote = loopback(MOAT_PORT);
        let config = format!(
            "listen = [\"{remote}\"]
certificate = \"{SERVER_NAME}.pem\"
private_key = \"{SERVER_NAME}-key.pem\"
trust_anchors = \"ca.pem\"
state = \"state/server.db\"
control = \"{CONTROL}\"
[[customer]]
name = \"{CUSTOMER}\"
prefixes = [\"2001:db8::/32\"]
max_mitigations = 1000000
[limits]
sessions = 1000000
sessions_per_source = 1000000
sessions_per_customer = 1000000
handshakes = 1000000
handshakes_per_source = 1000000
mitigations = 1000000
requests_per_second = 1000000
request_burst = 10000000
"
        );
        let file = self.folder.join("server.toml");
        std::fs::write(&file, config).map_err(Error::system("write server.toml"))?;
        let mut command = this_program()?;
        command.arg("server").arg("--config").arg(file);
        command.env("RUST_LOG", "info");
        Server::start("moat server", remote, command, &self.folder, self.cores)
    }

    /// Starts libcoap's server with the same credentials; `None` where it is not installed.
    pub(super) fn libcoap(&self) -> Result<Option<Server>, Error> {
        let (program, _) = LIBCOAP;
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
            return Ok(None);
        }
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        command.args(["-A", "127.0.0.1", "-p", &LIBCOAP_PORT.to_string()]);
        // Resources may be made by PUT; nothing is logged.
        command.args(["-d", "100", "-v", "0"]);
        command.args(["-c", &format!("{SERVER_NAME}.pem")]);
        command.args(["-j", &format!("{SERVER_NAME}-key.pem")]);
        command.args(["-C", "ca.pem", "-R", "ca.pem"]);
        let remote = loopback(LIBCOAP_PORT + 1);
        Server::start("libcoap", remote, command, &self.folder, self.cores).map(Some)
    }

    /// Starts the UDP echo.
    pub(super) fn echo(&self) -> Result<Server, Error> {
        let remote = loopback(ECHO_PORT);
        let mut command = this_program()?;
        command.args(["bench-helper", helper::UDP_ECHO, &remote.to_string()]);
        Server::start("udp echo", remote, command, &self.folder, self.cores)
    }
}

/// Runs a program of the system, which must succeed.
pub(super) fn system_program(program: &'static str, arguments: &[&str]) -> Result<(), Error> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(Error::system(format!("start {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Process {
        name: program,
        problem: "has failed",
        tail: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// This program once more.
pub(super) fn this_program() -> Result<Command, Error> {
    let moat = std::env::current_exe().map_err(Error::system("find this program's own file"))?;
    Ok(Command::new(moat))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
