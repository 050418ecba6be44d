//! What must be so after a storm: what homes believe is what is, who is asked is who is to be asked, and
//! in the end nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::client::{End, PartReport, State};
use dots::mitigation::Status;

use crate::site::PROVIDERS;
use crate::storm::{CALM, LONGEST, Storm};
use crate::world::{Agent, Fault};

/// How often to look whether all has come to its end.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How many seconds a change may take to be told.
const TELLING: u32 = 5;

impl Storm {
    fn fault(&self, agent: Agent, what: String) -> Fault {
        Fault {
            at: self.world.elapsed(),
            agent: agent.to_string(),
            what,
        }
    }

    /// In calm weather, what a home believes is what is, but for what is just being told.
    pub(crate) fn see_truth(&mut self) -> Result<(), Fault> {
        for _ in 0..TELLING {
            if self.check_truth().is_ok() {
                break;
            }
            self.world.run(Duration::from_secs(1))?;
        }
        (self.summary.orphans, self.summary.left_behind) = self.check_truth()?;
        self.check_asked()
    }

    /// How many mitigations are in force that their homes believe to be over, and how many that a
    /// network which went was not told of.
    fn check_truth(&self) -> Result<(u64, u64), Fault> {
        let (mut orphans, mut left_behind) = (0, 0);
        let mut known = [(); PROVIDERS.len()].map(|()| BTreeMap::new());
        for (number, provider) in self.world.providers().iter().enumerate() {
            let now = provider.clocks.show(self.world.now());
            for (key, status) in provider.server().report(now) {
                known[number].insert((key.customer.clone(), key.mid), status.status);
            }
            let filtered = provider.filtered().iter().map(|each| &each.key);
            if !filtered.eq(provider.store().keys()) {
                let agent = Agent::Provider(number);
                return Err(self.fault(agent, "what is filtered is not what is stored".to_owned()));
            }
        }
        for (number, home) in self.world.homes().iter().enumerate() {
            let agent = Agent::Home(number);
            let requests = home.client.requests().into_iter();
            for part in requests.flat_map(|request| request.parts) {
                let server = PROVIDERS
                    .iter()
                    .position(|name| part.association.server.contains(name));
                let Some(known) = server.and_then(|server| known.get_mut(server)) else {
                    continue;
                };
                let truth = known.remove(&(home.name.clone(), part.mid));
                let is_true = match &part.state {
                    // Whoever goes cannot be told.
                    State::Ended(End::NotAsked) => {
                        left_behind += u64::from(truth.is_some());
                        true
                    }
                    State::Accepted(seen) => truth == Some(*seen),
                    // A copy of the request that arrives after all others is granted a lifetime of its
                    // own, and a home whose wall clock jumped while it was dead takes for over what is
                    // not; both end by themselves. This hides a home that gives up a request too early
                    // or never sends its withdrawal, unless many do: whoever runs storms bounds the number.
                    State::Refused { .. } | State::Ended(_) => {
                        let goes_on =
                            truth.filter(|it| *it != Status::DotsClientWithdrawnMitigation);
                        orphans += u64::from(goes_on.is_some());
                        true
                    }
                    State::Deactivated { .. }
                    | State::Postponed { .. }
                    | State::Asking
                    | State::Withdrawing => false,
                };
                if !is_true {
                    let (server, mid, state) = (part.association.server, part.mid, part.state);
                    let what = format!("{server} {mid}: believes {state:?}, and it is {truth:?}");
                    return Err(self.fault(agent, what));
                }
            }
            // What it asked for just before it died it may not remember.
            let forgotten = known
                .iter()
                .flatten()
                .find(|((name, _), _)| *name == home.name);
            if let Some((key, status)) = forgotten.filter(|_| home.crashes == 0) {
                if home.changes == 0 {
                    return Err(self.fault(agent, format!("does not know of {key:?}, {status:?}")));
                }
                left_behind += 1;
            }
        }
        Ok((orphans, left_behind))
    }

    /// Whatever came and went: what is wanted is asked of whom it belongs to now, and of nobody else.
    fn check_asked(&self) -> Result<(), Fault> {
        for (number, home) in self.world.homes().iter().enumerate() {
            for wanted in home.store.wanted.values() {
                let Some(report) = home.client.request(wanted.id) else {
                    continue;
                };
                for prefix in &wanted.attack.target.prefixes {
                    let right = home.site.asked(prefix);
                    let named = |part: &&PartReport| {
                        let mut named = part.target.prefixes.iter();
                        named.any(|named| named.net().contains(&prefix.net()))
                    };
                    // What a server has refused or ended stays with it as its last word.
                    let of = |states: &dyn Fn(&State) -> bool| -> BTreeSet<usize> {
                        let parts = report.parts.iter().filter(named);
                        let parts = parts.filter(|part| states(&part.state));
                        let server = |part: &PartReport| {
                            let mut names = PROVIDERS.iter();
                            names.position(|name| part.association.server.contains(name))
                        };
                        parts.filter_map(server).collect()
                    };
                    let going = of(&|state| {
                        use State::{Accepted, Asking, Postponed};
                        matches!(state, Accepted(_) | Asking | Postponed { .. })
                    });
                    let known = of(&|state| *state != State::Ended(End::NotAsked));
                    if !going.is_subset(&right) || !right.is_subset(&known) {
                        let what = format!(
                            "{prefix} is asked of {going:?} ({known:?}), and belongs to {right:?}: {report:?}"
                        );
                        return Err(self.fault(Agent::Home(number), what));
                    }
                }
            }
        }
        Ok(())
    }

    /// All of it ends in time; there is nothing to see after that.
    pub(crate) fn see_nothing_left(&mut self) -> Result<(), Fault> {
        let mut patience = Duration::from_secs(u64::from(LONGEST)) + CALM;
        while !patience.is_zero() && self.check_nothing_left().is_err() {
            self.world.run(LOOK_AGAIN)?;
            patience = patience.saturating_sub(LOOK_AGAIN);
        }
        self.check_nothing_left()
    }

    fn check_nothing_left(&self) -> Result<(), Fault> {
        for (number, home) in self.world.homes().iter().enumerate() {
            if let Some(key) = home.store.requests.keys().next() {
                return Err(self.fault(Agent::Home(number), format!("still remembers {key:?}")));
            }
        }
        // A home whose wall clock was set forward does not know what it asked for with the clock
        // that it had before.
        let may_have_forgotten = |name: &str| {
            let mut homes = self.world.homes().iter();
            homes.any(|home| home.name == name && home.clocks.have_jumped() && home.crashes > 0)
        };
        for (number, provider) in self.world.providers().iter().enumerate() {
            for (key, record) in provider.store() {
                let is_to_end = provider.ledger.is_to_end(self.world.now(), record);
                if !(is_to_end && may_have_forgotten(&key.customer)) {
                    let what = format!("still has {key:?}");
                    return Err(self.fault(Agent::Provider(number), what));
                }
            }
        }
        Ok(())
    }
}
