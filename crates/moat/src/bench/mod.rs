//! `moat bench signal`: what the signal channel costs, beside a plain UDP echo, libcoap's server and the bare OpenSSL library.
//! `moat bench decision` ([`decision`]) needs none of what follows.
//!
//! ```text
//!  moat bench signal            outside: makes namespaces and a work folder, removes them on every way out
//!   '- moat bench-inside        the load generator, on one core; first process of its namespaces
//!       |- moat server          on another core, in its turn
//!       |- coap-server-openssl  on that core, in its turn
//!       |- moat bench-helper udp-echo          on that core, in its turn
//!       '- moat bench-helper library-memory    on that core, once
//! ```
//!
//! Everything that is compared is measured in one run, with the same messages from the same generator. Absolute numbers say something
//! about a machine; the ratios say something about moat.

mod clocks;
mod cores;
mod decision;
mod driver;
mod error;
mod flood;
mod generator;
mod handshakes;
mod hellos;
mod helper;
mod inside;
mod library;
mod memory;
mod outside;
mod puts;
mod report;
mod request;
mod round_trips;
mod server;
mod site;
mod table;

use std::ops::RangeInclusive;
use std::path::PathBuf;

pub(crate) use decision::{DecisionArgs, run as run_decision};
pub(crate) use helper::{HelperCommand, helper};
pub(crate) use inside::{InsideArgs, inside};
pub(crate) use outside::run as run_signal;

/// Exit code of a helper that could not do its part.
const EXIT_COULD_NOT_RUN: u8 = 2;

/// How long a measurement may take.
const SECONDS: RangeInclusive<f64> = 0.1..=3600.0;

/// Measures what the signal channel costs.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SignalArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Seconds for each measurement
    #[arg(long, default_value = "5", value_parser = parse_seconds)]
    seconds: f64,
    /// Sessions where many are measured; ten times as many where they idle
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    sessions: u32,
    /// Folder for the server's state; on a disk, so that durable means durable
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    dir: PathBuf,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| SECONDS.contains(seconds));
    let (shortest, longest) = (SECONDS.start(), SECONDS.end());
    seconds.ok_or_else(|| format!("write a number from {shortest} to {longest}"))
}
