//! One address for the DOTS servers of several providers (RFC 9284 §5.2): which of them answers there, routing decides. Clients have to
//! say so, when their file is checked and when they start; and nobody has to say so elsewhere.

use super::error::Error;
use super::events::Events;
use super::run::Lab;

/// What agents call it.
const ANYCAST: &str = "anycast";

impl Lab {
    /// Whether what clients say of addresses fits to those that there are.
    pub(super) fn look_for_anycast(&self, events: &mut Events) -> Result<(), Error> {
        let shared = self.scenario.shared_addresses();
        for client in self.scenario.askers() {
            let name = client.name;
            let log = self.agents.log(client)?;
            if shared.is_empty() {
                let is_silent = !log.contains(ANYCAST);
                let failure = format!("{name} speaks of anycast, and no servers share an address");
                events.failures.extend((!is_silent).then_some(failure));
                continue;
            }
            let checked = self.agents.check(&self.network, client)?;
            for address in &shared {
                let warns = |text: &str| {
                    let mut lines = text.lines();
                    let address = address.to_string();
                    lines.any(|line| line.contains(ANYCAST) && line.contains(&address))
                };
                for (who, said) in [("moat config check", &checked), ("moat client", &log)] {
                    let what = format!(
                        "{who} said of {name} that {address} is the address of two networks' servers."
                    );
                    events.expect(what, warns(said));
                }
            }
        }
        Ok(())
    }
}
