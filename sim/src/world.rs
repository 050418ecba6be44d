//! Homes, providers and the network between them, on one virtual clock.
//!
//! ```text
//! next event -> datagrams that arrive, timeouts that are due -> the agent concerned
//!            -> its actions, carried out in order -> what must hold of it is checked
//! ```
//! The first thing that does not hold ends the run as a [`Fault`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::home::Home;
use crate::network::{Network, Weather};
use crate::provider::Provider;
use crate::site::{PROVIDERS, Site, server_address};

/// How many timeouts of one agent may be due at one moment.
const AT_ONCE: u32 = 100;

/// Who something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agent {
    /// The home of this number.
    Home(usize),
    /// The provider of this number in [`PROVIDERS`].
    Provider(usize),
}

/// What did not hold, where and when.
#[derive(Clone, Debug, thiserror::Error)]
#[error("after {at:?}, {agent}: {what}")]
pub struct Fault {
    /// Time since the start.
    pub at: Duration,
    /// With whom.
    pub agent: String,
    /// What.
    pub what: String,
}

/// Everything there is.
#[derive(Debug)]
pub struct World {
    start: Instant,
    now: Instant,
    /// What is between them.
    pub network: Network,
    homes: Vec<Home>,
    providers: Vec<Provider>,
    by_address: BTreeMap<IpAddr, Agent>,
    timeouts: BTreeSet<(Instant, Agent)>,
    timeout_of: BTreeMap<Agent, Instant>,
    fault: Option<Fault>,
    /// How many timeouts in a row were due again at once.
    at_once: u32,
}

impl World {
    /// So many homes, each with two to four providers.
    pub fn new(start: Instant, weather: Weather, seed: u64, homes: usize) -> Self {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let mut world = Self {
            start,
            now: start,
            network: Network::new(weather, seeds.u64(..)),
            homes: Vec::new(),
            providers: Vec::new(),
            by_address: BTreeMap::new(),
            timeouts: BTreeSet::new(),
            timeout_of: BTreeMap::new(),
            fault: None,
            at_once: 0,
        };
        for home in 0..homes {
            let site = Site::new(home);
            let made = Home::new(start, format!("home-{home}"), site, seeds.u64(..));
            for address in made.site.addresses() {
                world.by_address.insert(address, Agent::Home(home));
            }
            world.homes.push(made);
            world.touched(Agent::Home(home));
        }
        for provider in 0..PROVIDERS.len() {
            let customers = (0..homes).map(Site::new).enumerate();
            let customers = customers.filter(|(_, site)| site.providers().contains(&provider));
            let customers =
                customers.map(|(home, site)| (format!("home-{home}"), site.owned(provider)));
            let address = server_address(provider);
            let made = Provider::new(start, address, customers.collect(), seeds.u64(..));
            world.providers.push(made);
            let agent = Agent::Provider(provider);
            world.by_address.insert(address.ip(), agent);
            world.touched(agent);
        }
        world
    }

    /// The monotonic time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// All homes.
    pub fn homes(&self) -> &[Home] {
        &self.homes
    }

    /// All providers, in the order of [`PROVIDERS`].
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Does something to a home; what it wants then happens at once.
    pub fn at_home<T>(&mut self, home: usize, act: impl FnOnce(&mut Home, Instant) -> T) -> T {
        let result = act(&mut self.homes[home], self.now);
        self.settle(Agent::Home(home));
        result
    }

    /// Does something to a provider; what it wants then happens at once.
    pub fn at_provider<T>(
        &mut self,
        provider: usize,
        act: impl FnOnce(&mut Provider, Instant) -> T,
    ) -> T {
        let result = act(&mut self.providers[provider], self.now);
        self.settle(Agent::Provider(provider));
        result
    }

    /// A process dies and starts again: at once, or in the middle of what it does next, after so
    /// many actions.
    pub fn crash(&mut self, agent: Agent, after: Option<u32>) {
        match (agent, after) {
            (Agent::Home(home), Some(actions)) => self.homes[home].fuse.light(actions),
            (Agent::Home(home), None) => self.at_home(home, Home::restart),
            (Agent::Provider(number), Some(actions)) => self.providers[number].fuse.light(actions),
            (Agent::Provider(number), None) => self.at_provider(number, Provider::restart),
        }
    }

    /// Sets the wall clock of an agent forward or back.
    pub fn jump(&mut self, agent: Agent, seconds: i64) {
        match agent {
            Agent::Home(home) => self.homes[home].clocks.jump(seconds),
            Agent::Provider(provider) => self.providers[provider].clocks.jump(seconds),
        }
    }

    /// The mitigator of a provider fails, or recovers.
    pub fn set_mitigator(&mut self, provider: usize, works: bool) {
        self.at_provider(provider, |provider, now| match works {
            true => provider.mitigator.recover(now),
            false => provider.mitigator.fail(now),
        });
    }

    /// Lets this much time pass.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn run(&mut self, time: Duration) -> Result<(), Fault> {
        self.run_until(time, |_| false).map(drop)
    }

    /// Lets time pass until `done`, at most for `patience`. Returns whether it came to that.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn run_until(
        &mut self,
        patience: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> Result<bool, Fault> {
        let end = self.now + patience;
        loop {
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            if done(self) {
                return Ok(true);
            }
            let timeout = self.timeouts.first().map(|(at, _)| *at);
            let next = timeout.into_iter().chain(self.network.next_arrival()).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = end;
                return Ok(false);
            };
            self.now = self.now.max(next);
            self.step();
        }
    }

    /// Hands out what is due by now.
    fn step(&mut self) {
        while let Some(datagram) = self.network.receive(self.now) {
            let Some(agent) = self.by_address.get(&datagram.destination.ip()).copied() else {
                continue;
            };
            match agent {
                Agent::Home(home) => self.homes[home].handle_datagram(self.now, &datagram),
                Agent::Provider(number) => {
                    self.providers[number].handle_datagram(self.now, &datagram);
                }
            }
            self.settle(agent);
        }
        let due: Vec<Agent> = self
            .timeouts
            .iter()
            .take_while(|(at, _)| *at <= self.now)
            .map(|(_, agent)| *agent)
            .collect();
        for agent in due {
            match agent {
                Agent::Home(home) => self.homes[home].handle_timeout(self.now),
                Agent::Provider(provider) => self.providers[provider].handle_timeout(self.now),
            }
            self.settle(agent);
            let next = self.timeout_of.get(&agent);
            let stays = next.is_some_and(|at| *at <= self.now);
            self.at_once = if stays { self.at_once + 1 } else { 0 };
            if self.at_once > AT_ONCE {
                self.note(agent, "a timeout that stays due".to_owned());
            }
        }
    }

    /// Carries out what an agent wants.
    fn settle(&mut self, agent: Agent) {
        let (now, network) = (self.now, &mut self.network);
        let settled = match agent {
            Agent::Home(home) => self.homes[home].settle(now, network),
            Agent::Provider(provider) => self.providers[provider].settle(now, network),
        };
        if let Err(what) = settled {
            self.note(agent, what);
        }
        self.touched(agent);
    }

    fn note(&mut self, agent: Agent, what: String) {
        let fault = Fault {
            at: self.elapsed(),
            agent: agent.to_string(),
            what,
        };
        self.fault.get_or_insert(fault);
    }

    fn touched(&mut self, agent: Agent) {
        let next = match agent {
            Agent::Home(home) => self.homes[home].client.poll_timeout(),
            Agent::Provider(provider) => self.providers[provider].next_timeout(),
        };
        if let Some(before) = self.timeout_of.remove(&agent) {
            self.timeouts.remove(&(before, agent));
        }
        if let Some(at) = next {
            self.timeout_of.insert(agent, at);
            self.timeouts.insert((at, agent));
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(home) => write!(f, "home {home}"),
            Self::Provider(provider) => {
                write!(f, "provider {}", PROVIDERS.get(*provider).unwrap_or(&"?"))
            }
        }
    }
}
