//! Uplinks fail and come back, while an attack goes on (RFC 9284 §5.1).
//!
//! ```text
//!  one is silent: no interface goes down, every packet is lost
//!    -> help is asked for: the others answer, its server hears nothing
//!    -> it returns: its server hears what it has missed, the sessions of the others have noticed nothing
//!  another one's link goes down
//!    -> what its server has promised stays in force, and nobody else is asked instead
//!    -> it returns: withdrawn is what was asked before
//! ```

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::agents::{Held, Told};
use super::error::Error;
use super::events::Events;
use super::process;
use super::run::Lab;
use super::scenario::{Course, Provider};

/// How long a server may take to hear of a request once its uplink is back: requests are repeated every 3 s, sessions sought anew
/// more rarely.
const RETURN_LIMIT: Duration = Duration::from_secs(30);

/// How long nothing may have happened to sessions until they are compared: of two that are sought at once the later one still comes up.
const STEADY: Duration = Duration::from_secs(5);

/// How long a link is down.
const DOWN: Duration = Duration::from_secs(4);

/// What loses every packet of a link, in table `inet hole`.
const HOLE: &str = "table inet hole {
    chain from { type filter hook prerouting priority -450; policy accept; iifname LINK drop; }
    chain to { type filter hook postrouting priority -450; policy accept; oifname LINK drop; }
}\n";

/// The uplinks that fail.
#[derive(Debug)]
pub(super) struct Outage {
    silent: &'static Provider,
    down: &'static Provider,
    /// What the servers had before.
    before: Vec<Held>,
}

impl Lab {
    /// Makes an uplink silent, if the scenario says so.
    pub(super) fn begin_outage(&self) -> Result<Option<Outage>, Error> {
        let Course::Failover { silent, down } = self.scenario.course else {
            return Ok(None);
        };
        let providers = [silent, down].map(|pvd| self.scenario.provider(pvd));
        let [Some(silent), Some(down)] = providers else {
            return Ok(None);
        };
        self.progress(&format!("the uplink {} falls silent", silent.uplink));
        let before = self.held()?;
        let ruleset = HOLE.replace("LINK", silent.uplink);
        let edge = self.network.node(silent.node)?;
        edge.output_of("nft", &["-f", "-"], &ruleset)?;
        Ok(Some(Outage {
            silent,
            down,
            before,
        }))
    }

    /// Lets it return, then takes another one's link down for a while.
    pub(super) fn fail_over(
        &self,
        outage: &Outage,
        told: &mut [Told],
        events: &mut Events,
    ) -> Result<(), Error> {
        let Outage {
            silent,
            down,
            before,
        } = outage;
        let requests = || told.iter().flat_map(|told| &told.requests);
        let answered = |pvd: &str| requests().any(|one| one.pvd == pvd && one.accepted);
        let held = self.held()?;
        events.expect(
            format!(
                "While {} was silent, {} was asked at once and accepted.",
                silent.uplink, down.dots_name
            ),
            answered(down.pvd) && self.has_what_it_must(down, &held),
        );
        events.expect(
            format!("{} heard nothing.", silent.dots_name),
            !answered(silent.pvd) && self.of(silent, &held).mitigations.is_empty(),
        );

        self.progress(&format!("the uplink {} is back", silent.uplink));
        let edge = self.network.node(silent.node)?;
        edge.output_of("nft", &["delete", "table", "inet", "hole"], "")?;
        let heard = process::wait_for(RETURN_LIMIT, || {
            let held = self.held()?;
            Ok(self.has_what_it_must(silent, &held).then_some(held))
        })?;
        let is_heard = heard.is_some();
        let held = self.held_once_steady(silent)?;
        events.expect(
            format!(
                "When {} was back, {} heard what it had missed.",
                silent.uplink, silent.dots_name
            ),
            is_heard,
        );
        events.expect(
            format!("The session with {} noticed nothing of it.", down.dots_name),
            self.sessions(down, before) == self.sessions(down, &held),
        );

        self.progress(&format!("the link {} goes down", down.uplink));
        self.network.link_down(down.node, down.uplink)?;
        sleep(DOWN);
        let meanwhile = self.held()?;
        let mitigations =
            |held: &[Held]| -> Vec<_> { held.iter().map(|one| one.mitigations.clone()).collect() };
        events.expect(
            format!(
                "While the link {} was down, every server had what it had before, and no other.",
                down.uplink
            ),
            mitigations(&held) == mitigations(&meanwhile),
        );
        events.expect(
            format!(
                "The session with {} noticed nothing of it.",
                silent.dots_name
            ),
            self.sessions(silent, &held) == self.sessions(silent, &meanwhile),
        );
        self.progress(&format!("the link {} is back", down.uplink));
        self.network.link_up(down.node, down.uplink)?;
        for told in told {
            told.requests = self.agents.standing(told)?;
        }
        Ok(())
    }

    /// What servers have once the sessions of one have not changed for a while.
    fn held_once_steady(&self, provider: &Provider) -> Result<Vec<Held>, Error> {
        let mut last = self.held()?;
        let mut since = Instant::now();
        let steady = process::wait_for(RETURN_LIMIT, || {
            let held = self.held()?;
            if self.sessions(provider, &held) != self.sessions(provider, &last) {
                since = Instant::now();
            }
            last = held;
            Ok((since.elapsed() >= STEADY).then(|| last.clone()))
        })?;
        steady.map_or_else(|| self.held(), Ok)
    }

    /// How many sessions a server has had, and whose those are that it has.
    fn sessions(&self, provider: &Provider, held: &[Held]) -> (u64, Vec<String>) {
        let Held {
            established,
            mut customers,
            ..
        } = self.of(provider, held);
        customers.sort_unstable();
        (established, customers)
    }
}
