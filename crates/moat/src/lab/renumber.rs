//! A provider assigns other prefixes (RFC 9284 §5.1): what it was asked for the old ones ends, and nobody else is asked for them.
//!
//! ```text
//!  moat pvd announce (old) -> session from an old address -> moat mitigate (old)
//!    -> old addresses go; moat pvd announce (new) -> withdrawn -> session from a new address -> the attack, on new addresses
//! ```

use std::time::Duration;

use super::error::Error;
use super::events::Events;
use super::plan::VICTIM_NUMBER;
use super::process;
use super::run::Lab;
use super::scenario::Course;
use super::verdict::requests::are_hosts;

/// How long the client may take to follow.
const LIMIT: Duration = Duration::from_secs(20);

impl Lab {
    /// Renumbers, if the scenario says so.
    pub(super) fn renumber(&self) -> Result<Events, Error> {
        let mut events = Events::default();
        let Course::Renumber { pvd, old } = self.scenario.course else {
            return Ok(events);
        };
        let Some(provider) = self.scenario.provider(pvd) else {
            return Ok(events);
        };
        let server = provider.dots_name;
        let targets = old.hosts(VICTIM_NUMBER);
        self.alarm(&targets)?;
        let held = self.of(provider, &self.held()?);
        events.expect(
            format!("{server} was asked for addresses that {pvd} had assigned."),
            matches!(&held.mitigations[..], [only] if are_hosts(only, &targets)),
        );

        self.progress(&format!("{pvd} assigns other prefixes"));
        if let Some(router) = self.scenario.router_to(provider) {
            let delete = |address| format!("addr del {address} dev {}\n", provider.uplink);
            let lines = self.scenario.on_uplink(old).map(delete);
            let netns = self.network.node(router.node)?;
            netns.output_of("ip", &["-batch", "-"], &lines.concat())?;
        }
        for client in self.scenario.clients {
            self.agents
                .announce(self.scenario, client, provider, provider.assigned)?;
        }
        let ended = process::wait_for(LIMIT, || {
            let held = self.held()?;
            Ok(held
                .iter()
                .all(|one| one.mitigations.is_empty())
                .then_some(()))
        })?;
        events.expect(
            format!("When {pvd} had assigned others, that ended, and nobody else was asked."),
            ended.is_some(),
        );
        self.agents.wait_for_sessions(self.scenario)?;
        Ok(events)
    }
}
