//! A `moat client` of the customer `home`, and words with its control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Daemon, Outcome, PATIENCE, SERVER_NAME, Site};

pub(crate) const CLIENT_SOCKET: &str = "client.sock";
const CERTIFICATE: &str = "certificate = \"pki/home.pem\"\n\
                           private_key = \"pki/home-key.pem\"\n\
                           trust_anchors = \"pki/ca.pem\"";
pub(crate) const SERVER_SOCKET: &str = "server.sock";

impl Site {
    /// Writes the client's file: one PvD with the server, which it calls `name` and reaches over UDP.
    pub(crate) fn client_file(&self, name: &str, more: &str) -> Outcome<PathBuf> {
        self.client_file_with(CERTIFICATE, name, more)
    }

    /// As [`Site::client_file`], with these credentials.
    pub(crate) fn client_file_with(
        &self,
        credentials: &str,
        name: &str,
        more: &str,
    ) -> Outcome<PathBuf> {
        let file = self.path().join("client.toml");
        let text = format!(
            "state = \"client/client.db\"\ncontrol = \"{CLIENT_SOCKET}\"\n{more}\n\
             [[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/24\"]\n\
             [[pvd.dots]]\nname = \"{name}\"\naddresses = [\"127.0.0.1\"]\n\
             transports = [\"udp\"]\n{credentials}\n"
        );
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Starts the client; its session is not up yet.
    pub(crate) fn start_client(&self, more: &str) -> Outcome<Daemon> {
        let mut client = Daemon::launch("client", &self.client_file(SERVER_NAME, more)?)?;
        client.wait_for("moat client is ready")?;
        Ok(client)
    }

    /// Gives a daemon one command, without a process of its own for it.
    pub(crate) fn call(&self, socket: &str, command: &Value) -> Outcome<Value> {
        let mut stream = UnixStream::connect(self.path().join(socket))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{command}")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer.get_mut("ok") {
            Some(value) => Ok(value.take()),
            None => Err(format!("{command}: {answer}").into()),
        }
    }

    /// Has the client ask for one address, and returns the request as it stands when the command
    /// returns: with an answer, or after ten seconds.
    pub(crate) fn mitigate(&self, address: &str) -> Outcome<Value> {
        let command = json!({ "command": "mitigate", "targets": [address] });
        self.call(CLIENT_SOCKET, &command)
    }

    /// All requests of the client, as the first server stands to them.
    pub(crate) fn requests(&self) -> Outcome<Vec<Request>> {
        let status = self.call(CLIENT_SOCKET, &json!({ "command": "status" }))?;
        let requests = status["requests"].as_array().ok_or("no list")?;
        requests.iter().map(Request::of).collect()
    }

    /// What the server has: number and target of each mitigation, in order.
    pub(crate) fn mitigations(&self) -> Outcome<Vec<(u64, String)>> {
        let status = self.call(SERVER_SOCKET, &json!({ "command": "status" }))?;
        let mitigations = status["mitigations"].as_array().ok_or("no list")?;
        let mut found = mitigations
            .iter()
            .map(mid_and_target)
            .collect::<Outcome<Vec<_>>>()?;
        found.sort();
        Ok(found)
    }
}

/// A request of the client to one server.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) mid: u64,
    pub(crate) target: String,
    pub(crate) accepted: bool,
}

impl Request {
    pub(crate) fn of(view: &Value) -> Outcome<Self> {
        let asked = &view["requests"][0];
        let (mid, target) = mid_and_target(asked)?;
        Ok(Request {
            mid,
            target,
            accepted: asked["accepted"] == true,
        })
    }
}

fn mid_and_target(view: &Value) -> Outcome<(u64, String)> {
    let target = view["targets"][0].as_str().ok_or("no target")?;
    Ok((view["mid"].as_u64().ok_or("no mid")?, target.to_owned()))
}
