//! Provisioning domains in the lab: a host with two uplinks learns what belongs together on each.
//!
//! ```text
//!  attacker --.              .-- broadband --.
//!              +-- internet -+               +-- home, plain
//!  visitor  --'              '-- mobile    --'
//! ```
//!
//! `broadband` and `mobile` are routers, each with the name server, the PvD server and the DOTS server of its network; `home` is a host
//! that knows PvDs, `plain` one on the same links that does not. [`network`] has them as data; a scenario is a file of its own, which says in
//! its `play` what [`Stage`] is to start, and what must be seen.

mod dots;
mod edge;
mod failover;
mod host;
mod network;
mod report;
mod routers;
mod stage;
mod two_uplinks;
mod vpn;

pub(super) use self::report::Table;
pub(super) use self::stage::Stage;

use super::error::Error;
use super::topology::Topology;

/// What is set up, and what must come of it.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// The section that it stands for.
    pub(super) figure: &'static str,
    /// One line about it.
    pub(super) summary: &'static str,
    /// The programs that it needs, and the Debian package of each.
    pub(super) programs: &'static [(&'static str, &'static str)],
    /// What its network has beside the two uplinks.
    more: fn(&mut Topology),
    /// Plays it, with what is seen held against what must be.
    play: fn(&mut Stage) -> Result<(), Error>,
}

/// In the order to show and to run them.
pub(super) const SCENARIOS: &[Scenario] = &[
    two_uplinks::SCENARIO,
    failover::SCENARIO,
    dots::SCENARIO,
    vpn::SCENARIO,
];

/// A network of the two uplinks alone.
fn no_more(_: &mut Topology) {}
