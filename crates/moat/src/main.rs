//! moat: multihomed open threat signaling.
//!
//! The only crate with sockets, files and clocks. `client`, `server` and `gateway` are the daemons, `control`
//! is how the command line talks to them, `lab` proves the whole with real packets,
//! `bench` says what it costs.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: `terminal`

mod bench;
mod cli;
mod client;
mod clock;
mod config;
mod connection;
mod control;
mod daemon;
mod descriptors;
mod discovery;
mod enclosure;
mod gateway;
mod lab;
mod link;
mod netlink;
mod pki;
mod provisioning;
mod resolver;
mod routing;
mod server;
mod sessions;
mod shutdown;
mod terminal;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
