//! What happens in a run besides the attack, and what the servers have meanwhile.

use super::agents::Held;
use super::run::Lab;
use super::scenario::Provider;
use super::verdict::requests::mitigates_right;

/// What happened, and what of it should not have, in words.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) happened: Vec<String>,
    pub(super) failures: Vec<String>,
}

impl Events {
    /// Notes that what was expected happened, or did not.
    pub(super) fn expect(&mut self, what: String, holds: bool) {
        if holds {
            self.happened.push(what);
        } else {
            self.failures.push(format!("not so: {what}"));
        }
    }
}

impl Lab {
    /// Whether the server of a provider has what it must have while the attack goes on.
    pub(super) fn has_what_it_must(&self, provider: &Provider, held: &[Held]) -> bool {
        let server = provider.dots_name;
        mitigates_right(self.scenario, server, &self.of(provider, held).mitigations)
    }

    /// What the server of a provider has.
    pub(super) fn of(&self, provider: &Provider, held: &[Held]) -> Held {
        let servers = self.scenario.servers().into_iter().zip(held);
        let mut found = servers.filter(|(server, _)| server.node == provider.node);
        found
            .next()
            .map(|(_, held)| held.clone())
            .unwrap_or_default()
    }
}
