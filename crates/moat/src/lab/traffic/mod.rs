//! Traffic: the attacker's flood, the victim, and a legitimate visitor, as processes with real UDP sockets; and who listens at a
//! link to all that is none of it.
//!
//! ```text
//!  flood   --attack-->   victim         (counts them)
//!  visitor --request-->  victim
//!  visitor <--response-- victim
//! ```
//!
//! All of it goes to the same port of the victim, so that only the behaviour of a source tells an attack from a visit. Each role
//! answers every line on its stdin with one line of JSON on its stdout, and ends with its stdin.

mod capture;
mod flood;
mod packet;
mod question;
mod victim;
mod visitor;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;

use serde::Serialize;

pub(crate) use capture::{Captured, Wanted, to_hexadecimal};
pub(crate) use packet::Flow;
pub(crate) use victim::Received;
pub(crate) use visitor::Visits;

/// The hidden subcommand `lab-traffic`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Send attack packets until stdin ends
    Flood(flood::Args),
    /// Receive attacks and answer visitors
    Victim(victim::Args),
    /// Send requests and wait for responses
    Visitor(visitor::Args),
    /// Keep what comes over a link
    Capture(capture::Args),
}

/// Why a role had to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A socket could not be made.
    #[error("cannot use UDP address {address}: {source}")]
    Socket {
        /// Its local address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The packets of a link could not be had.
    #[error("cannot capture at {interface}: {source}")]
    Capture {
        /// Its interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// The process that asks is gone in the middle of an answer.
    #[error("cannot answer: {0}")]
    Answer(#[from] io::Error),
}

/// Plays a role until stdin ends.
pub(crate) fn main(args: &Args) -> Result<(), Error> {
    match &args.role {
        Role::Flood(args) => flood::main(args),
        Role::Victim(args) => victim::main(args),
        Role::Visitor(args) => visitor::main(args),
        Role::Capture(args) => capture::main(args),
    }
}

/// Two addresses of one family, written `FROM,TO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Source address.
    pub(crate) from: IpAddr,
    /// Destination address.
    pub(crate) to: IpAddr,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once(',').ok_or("write FROM,TO")?;
        let parse = |text: &str| {
            text.parse::<IpAddr>()
                .map_err(|error| format!("{text}: {error}"))
        };
        let pair = Pair {
            from: parse(from)?,
            to: parse(to)?,
        };
        if pair.from.is_ipv4() == pair.to.is_ipv4() {
            Ok(pair)
        } else {
            Err("two families".to_owned())
        }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{}", self.from, self.to)
    }
}

/// A UDP socket on exactly this address.
fn bind(address: IpAddr, port: u16) -> Result<UdpSocket, Error> {
    let address = SocketAddr::new(address, port);
    UdpSocket::bind(address).map_err(|source| Error::Socket { address, source })
}

/// Answers each line of stdin until it ends.
fn answer_questions<T: Serialize>(mut answer: impl FnMut(&str) -> T) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    for question in io::stdin().lines() {
        let answer = serde_json::to_string(&answer(question?.trim())).map_err(io::Error::from)?;
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

/// Locks although another thread panicked while it held the lock: numbers are better than none.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
