//! What must be so after a storm: what homes believe is what is, who is asked is who is to be asked, and
//! in the end nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::client::{End, PartReport, State};
use dots::identifiers::Mid;
use dots::mitigation::Status;

use crate::home::Home;
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

    /// In calm weather, what an agent believes is what is, but for what it is just being told.
    pub(crate) fn see_truth(&mut self) -> Result<(), Fault> {
        let mut look = self.look();
        let mut doubtful = look.untrue.clone();
        for _ in 0..TELLING {
            if doubtful.is_empty() {
                break;
            }
            self.world.run(Duration::from_secs(1))?;
            look = self.look();
            doubtful.retain(|agent, _| look.untrue.contains_key(agent));
        }
        (self.summary.orphans, self.summary.left_behind) = (look.orphans, look.left_behind);
        match doubtful.pop_first() {
            Some((agent, what)) => Err(self.fault(agent, what)),
            None => Ok(()),
        }
    }

    fn look(&self) -> Look {
        let mut look = Look::default();
        let mut known = [(); PROVIDERS.len()].map(|()| BTreeMap::new());
        for (number, provider) in self.world.providers().iter().enumerate() {
            let now = provider.clocks.show(self.world.now());
            for (key, status) in provider.server().report(now) {
                known[number].insert((key.customer.clone(), key.mid), status.status);
            }
            let filtered = provider.filtered().iter().map(|each| &each.key);
            if !filtered.eq(provider.store().keys()) {
                let what = "what is filtered is not what is stored".to_owned();
                look.untrue.insert(Agent::Provider(number), what);
            }
        }
        for (number, home) in self.world.homes().iter().enumerate() {
            let untrue = look
                .beliefs(home, &mut known)
                .or_else(|| wrongly_asked(home));
            look.untrue
                .extend(untrue.map(|what| (Agent::Home(number), what)));
        }
        look
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

/// What is seen at one moment.
#[derive(Default)]
struct Look {
    /// What is not as it should be, and may be on its way.
    untrue: BTreeMap<Agent, String>,
    /// Mitigations in force that their homes believe to be over.
    orphans: u64,
    /// Mitigations in force of networks that went before they could be told.
    left_behind: u64,
}

/// The mitigations that one provider has, by home and number.
type Known = BTreeMap<(String, Mid), Status>;

impl Look {
    /// What a home believes that is not so, if anything. What it knows is taken out of what there is.
    fn beliefs(&mut self, home: &Home, known: &mut [Known]) -> Option<String> {
        let requests = home.client.requests().into_iter();
        for part in requests.flat_map(|request| request.parts) {
            let known = provider_of(&part).and_then(|number| known.get_mut(number));
            let Some(known) = known else { continue };
            let truth = known.remove(&(home.name.clone(), part.mid));
            let is_true = match &part.state {
                // Whoever goes cannot be told.
                State::Ended(End::NotAsked) => {
                    self.left_behind += u64::from(truth.is_some());
                    true
                }
                State::Accepted(seen) => truth == Some(*seen),
                // A copy of the request that arrives after all others is granted a lifetime of its
                // own, and a home whose wall clock jumped while it was dead takes for over what is
                // not; both end by themselves. This hides a home that gives up a request too early
                // or never sends its withdrawal, unless many do: whoever runs storms bounds the number.
                State::Refused { .. } | State::Ended(_) => {
                    let goes_on = truth.filter(|it| *it != Status::DotsClientWithdrawnMitigation);
                    self.orphans += u64::from(goes_on.is_some());
                    true
                }
                State::Deactivated { .. }
                | State::Postponed { .. }
                | State::Asking
                | State::Withdrawing => false,
            };
            if !is_true {
                let (server, mid, state) = (part.association.server, part.mid, part.state);
                return Some(format!(
                    "{server} {mid}: believes {state:?}, and it is {truth:?}"
                ));
            }
        }
        // What it asked for just before it died it may not remember.
        let first = (home.name.clone(), Mid(0));
        let mut left = known.iter().filter_map(|it| it.range(&first..).next());
        let (key, status) = left.find(|((name, _), _)| *name == home.name)?;
        if home.crashes > 0 {
            return None;
        }
        if home.changes == 0 {
            return Some(format!("does not know of {key:?}, {status:?}"));
        }
        self.left_behind += 1;
        None
    }
}

/// Whatever came and went: what is wanted is asked of whom it belongs to now, and of nobody else.
fn wrongly_asked(home: &Home) -> Option<String> {
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
                parts.filter_map(provider_of).collect()
            };
            let going = of(&|state| {
                use State::{Accepted, Asking, Postponed};
                matches!(state, Accepted(_) | Asking | Postponed { .. })
            });
            let known = of(&|state| *state != State::Ended(End::NotAsked));
            if !going.is_subset(&right) || !right.is_subset(&known) {
                return Some(format!(
                    "{prefix} is asked of {going:?} ({known:?}), and belongs to {right:?}: {report:?}"
                ));
            }
        }
    }
    None
}

/// The number of the provider that was asked.
fn provider_of(part: &PartReport) -> Option<usize> {
    let mut names = PROVIDERS.iter();
    names.position(|name| part.association.server.contains(name))
}
