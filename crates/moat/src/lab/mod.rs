//! The lab: a multihomed network of real namespaces, real agents and real packets, on one machine.
//!
//! ```text
//!  attacker --.              .-- fixed  --.
//!              +-- internet -+            +-- home -- victim
//!  visitor  --'              '-- mobile --'
//! ```
//!
//! `fixed` and `mobile` are the edges of two providers, each with a DOTS server and the packet filter that drops; `home` is the
//! customer's router and runs the DOTS client. Other sites have two routers, gateways on them, and clients on hosts. A run floods the victim, asks for help once, and measures who was asked, what was
//! dropped where, and whether a legitimate visitor noticed. What a host learns of its networks is in [`provisioning`], on a network of its own.
//!
//! Everything lives in namespaces (user, mount, network, process) that end with the run, whatever ends it: see [`crate::enclosure`].

mod agents;
mod all;
mod anycast;
mod captures;
mod error;
mod events;
mod failover;
mod hosts;
mod inside;
mod listed;
mod measure;
mod netns;
mod outside;
mod plan;
mod process;
mod provisioning;
mod renumber;
mod report;
mod run;
mod scenario;
mod topology;
pub(crate) mod traffic;
mod verdict;
mod window;

pub(crate) use inside::{InsideArgs, inside};
pub(crate) use listed::all as scenarios;
pub(crate) use outside::{RunOptions, run};

use std::io::Write;
use std::process::ExitCode;

use serde_json::json;

use self::error::Error;
use crate::terminal::complain;

/// Exit code of a run in which a check failed.
const EXIT_CHECK_FAILED: u8 = 1;

/// Exit code of a run that could not be carried out.
const EXIT_COULD_NOT_RUN: u8 = 2;

/// Exit code of a run that was ended from outside, as shells count it: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Prints a report. Whoever reads only its beginning, as `head` does, must not change how the run ends: its exit code is the verdict.
fn print(report: &str) {
    let written = writeln!(std::io::stdout().lock(), "{report}");
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        complain!("moat: {error}");
    }
}

/// With `json`, has stdout say why a scenario could not be run, and of which that is.
fn or_in_json(
    ended: Result<ExitCode, Error>,
    json: bool,
    scenario: &str,
) -> Result<ExitCode, Error> {
    ended.or_else(|error| {
        if !json {
            return Err(error);
        }
        let reason = error.to_string();
        let said = json!({ "scenario": scenario, "error": { "reason": reason } });
        print(&said.to_string());
        Ok(ExitCode::from(EXIT_COULD_NOT_RUN))
    })
}

/// What CLOCK_MONOTONIC shows, in nanoseconds: the one clock that all processes of a run share.
fn monotonic_nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(now.tv_nsec).unwrap_or_default())
}
