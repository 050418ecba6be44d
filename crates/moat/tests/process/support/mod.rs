//! What the tests stand on.

mod client;
mod daemon;
mod filter;
mod hostile_web;
mod legit;
mod loss;
mod name_server;
mod namespace;
mod neighbour;
mod peer;
mod request;
mod site;
mod web;

use std::env;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use self::client::{CLIENT_SOCKET, Request, SERVER_SOCKET};
pub(crate) use self::daemon::Daemon;
pub(crate) use self::filter::{Gate, is_filtered};
pub(crate) use self::hostile_web::HostileWeb;
pub(crate) use self::legit::{Legit, assert_no_secret_in};
pub(crate) use self::loss::Loss;
pub(crate) use self::name_server::NameServer;
pub(crate) use self::namespace::isolated;
pub(crate) use self::neighbour::Neighbour;
pub(crate) use self::peer::{NoSession, Peer};
pub(crate) use self::request::{CUID, Outgoing, body, delete, get, mitigate_path, put, scope};
pub(crate) use self::site::{Identity, MOAT, SERVER_NAME, SERVER_V4, SERVER_V6, Site};
pub(crate) use self::web::{INSIDE, OBJECT, OUTSIDE, Seen, Web, compact, curl, reply};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// More than anything here takes, also on a busy machine. Nothing waits for its end where all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program and returns what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} {arguments:?}: {stderr}").into())
    }
}

/// Also where system programs are on machines whose users do not have that in `PATH`.
fn search_path() -> String {
    format!("{}:/usr/sbin", env::var("PATH").unwrap_or_default())
}

/// Asks until the answer is yes. Each question is a round trip to another process, which paces this.
pub(crate) fn until(what: &str, mut question: impl FnMut() -> Outcome<bool>) -> Outcome {
    let deadline = Instant::now() + PATIENCE * 2;
    while !question()? {
        if Instant::now() > deadline {
            return Err(format!("in vain: {what}").into());
        }
    }
    Ok(())
}
