//! A server's folder: certificates, configuration, state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::{Daemon, Gate, Outcome, PATIENCE, run};

pub(crate) const MOAT: &str = env!("CARGO_BIN_EXE_moat");
pub(crate) const SERVER_NAME: &str = "dots.example";
pub(crate) const SERVER_V4: &str = "127.0.0.1:4646";
pub(crate) const SERVER_V6: &str = "[::1]:4646";

/// What [`Site`] makes certificates for; the last is no customer.
const CLIENTS: [&str; 3] = ["home", "neighbour", "stranger"];

/// A PEM file each.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
    pub(crate) trust_anchor: PathBuf,
}

/// A provider with two customers: `home` owns 203.0.113.0/24 and 2001:db8:6401::/48, `neighbour`
/// owns 198.51.100.0/24.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    pub(crate) fn new() -> Outcome<Self> {
        let site = Site {
            folder: tempfile::Builder::new().prefix("dots-").tempdir()?,
        };
        Gate::install(site.path())?;
        site.init("pki")?;
        site.issue("pki", &["--server", SERVER_NAME])?;
        for client in CLIENTS {
            site.issue("pki", &["--client", client])?;
        }
        fs::write(site.path().join("server.toml"), site.server_file())?;
        Ok(site)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a CA in a folder of this one.
    pub(crate) fn init(&self, pki: &str) -> Outcome {
        let dir = self.path().join(pki).display().to_string();
        run(MOAT, &["pki", "init", "--dir", &dir, "--name", "Provider"]).map(drop)
    }

    /// Makes a folder for more certificates of the first CA, which may bear the same names.
    pub(crate) fn init_copy(&self, pki: &str) -> Outcome {
        fs::create_dir(self.path().join(pki))?;
        for file in ["ca.pem", "ca-key.pem"] {
            let [from, to] = ["pki", pki].map(|folder| self.path().join(folder).join(file));
            fs::copy(from, to)?;
        }
        Ok(())
    }

    /// Has a CA issue something.
    pub(crate) fn issue(&self, pki: &str, what: &[&str]) -> Outcome {
        let dir = self.path().join(pki).display().to_string();
        run(MOAT, &[&["pki", "issue", "--dir", &dir], what].concat()).map(drop)
    }

    /// Who `name` is according to the CA in `pki`. The server is always validated with its own CA.
    pub(crate) fn identity(&self, pki: &str, name: &str) -> Identity {
        let folder = self.path().join(pki);
        Identity {
            certificate: folder.join(format!("{name}.pem")),
            private_key: folder.join(format!("{name}-key.pem")),
            trust_anchor: self.path().join("pki/ca.pem"),
        }
    }

    fn server_file(&self) -> String {
        let gate = Gate::program(self.path());
        format!(
            r#"listen = ["{SERVER_V4}", "{SERVER_V6}"]
certificate = "pki/{SERVER_NAME}.pem"
private_key = "pki/{SERVER_NAME}-key.pem"
trust_anchors = "pki/ca.pem"
state = "state/server.db"
control = "server.sock"
terminating = 0
[[customer]]
name = "home"
max_mitigations = 250
prefixes = ["203.0.113.0/24", "2001:db8:6401::/48"]
[[customer]]
name = "neighbour"
prefixes = ["198.51.100.0/24"]
[mitigator.nftables]
program = "{}"
"#,
            gate.display()
        )
    }

    /// Puts more into the server's file, before its tables.
    pub(crate) fn extend_server_file(&self, more: &str) -> Outcome {
        let file = self.path().join("server.toml");
        let text = fs::read_to_string(&file)?;
        fs::write(
            &file,
            text.replacen("[[customer]]", &format!("{more}\n[[customer]]"), 1),
        )?;
        Ok(())
    }

    /// Starts the server, but does not wait for it.
    pub(crate) fn launch(&self) -> Outcome<Daemon> {
        Daemon::launch("server", &self.path().join("server.toml"))
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self) -> Outcome<Daemon> {
        let mut server = self.launch()?;
        server.wait_for("moat server is ready")?;
        Ok(server)
    }

    /// What the server's control socket answers to `sessions` or `status`.
    pub(crate) fn ask(&self, command: &str) -> Outcome<Value> {
        self.ask_at("server.sock", command)
    }

    /// As [`Site::ask`], of the daemon whose control socket has this name. `sessions` exits with 1 while a
    /// PvD has none, and answers all the same.
    pub(crate) fn ask_at(&self, socket: &str, command: &str) -> Outcome<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = Command::new(MOAT)
                .args([command, "--json", "--control"])
                .arg(self.path().join(socket))
                .output()?;
            let answer: Value = serde_json::from_slice(&output.stdout)?;
            let Some(error) = answer.get("error").map(Value::to_string) else {
                return Ok(answer);
            };
            // A person is told soon that a daemon may be stopped.
            if !error.contains("gave no answer within") || Instant::now() > deadline {
                return Err(error.into());
            }
        }
    }
}
