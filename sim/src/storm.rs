//! A run in which everything happens: loss up to 90 %, partitions, crashes on both sides, wall
//! clocks that jump, mitigators that fail, homes that ask and withdraw.
//!
//! ```text
//! storm (as long as is wished) -> calm: everybody knows the truth
//!                              -> all is withdrawn: nothing is left
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dots::lifetime::Lifetime;

use crate::network::Weather;
use crate::site::{Host, PROVIDERS};
use crate::world::{Agent, Fault, World};

/// What kind of run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many homes there are.
    pub homes: usize,
    /// How long the storm lasts, in minutes.
    pub minutes: u32,
}

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that homes made.
    pub requests: u64,
    /// Times that a server granted or refreshed one.
    pub granted: u64,
    /// Requests that homes withdrew in the storm.
    pub withdrawn: u64,
    /// Processes that died.
    pub crashes: u64,
    /// Times that a wall clock jumped.
    pub jumps: u64,
    /// Times that somebody was cut off.
    pub partitions: u64,
    /// Times that a network of a home came, went or was renumbered.
    pub changes: u64,
    /// Mitigations in force after the storm that their homes believe to be over.
    pub orphans: u64,
    /// Mitigations in force after the storm of networks that went before they could be told.
    pub left_behind: u64,
    /// Datagrams that were carried.
    pub datagrams: u64,
}

/// How often something new happens to somebody.
const TICK: Duration = Duration::from_secs(5);
/// Long enough for every pause to end (RFC 9132 §4.7: 60 s, twice) and every round of notifications.
pub(crate) const CALM: Duration = Duration::from_secs(15 * 60);
/// The longest lifetime that is asked for, in seconds.
pub(crate) const LONGEST: u32 = 1200;
const LOSSES: [f64; 6] = [0.0, 0.1, 0.3, 0.5, 0.8, 0.9];

/// Runs a storm, and the calm after it.
///
/// # Errors
/// The first thing that does not hold.
pub fn run(start: Instant, seed: u64, plan: Plan) -> Result<Summary, Fault> {
    let mut storm = Storm {
        world: World::new(start, Weather::CALM, seed, plan.homes),
        random: fastrand::Rng::with_seed(!seed),
        due: BTreeMap::new(),
        summary: Summary::default(),
    };
    let ticks = u64::from(plan.minutes) * 60 / TICK.as_secs();
    for tick in 0..ticks {
        storm.happen(tick);
        storm.world.run(TICK)?;
    }
    storm.heal();
    storm.world.run(CALM)?;
    storm.see_truth()?;
    storm.withdraw_all();
    storm.see_nothing_left()?;
    storm.summary.datagrams = storm.world.network.carried();
    let providers = storm.world.providers().iter();
    storm.summary.granted = providers.map(|provider| provider.ledger.made).sum();
    Ok(storm.summary)
}

pub(crate) struct Storm {
    pub(crate) world: World,
    random: fastrand::Rng,
    /// What ends at which tick.
    due: BTreeMap<u64, Vec<Relief>>,
    pub(crate) summary: Summary,
}

/// The end of something bad.
enum Relief {
    Join(Agent),
    Attach(usize, usize),
    Recover(usize),
}

impl Storm {
    fn happen(&mut self, tick: u64) {
        for relief in self.due.remove(&tick).unwrap_or_default() {
            self.relieve(&relief);
        }
        if tick.is_multiple_of(24) {
            let loss = self.random.choice(LOSSES).unwrap_or_default();
            let slowest = Duration::from_millis(self.random.u64(20..800));
            self.world.network.set_weather(Weather {
                loss,
                duplication: self.random.f64() * 0.1,
                delay: (Duration::from_millis(5), slowest),
            });
        }
        let homes = self.world.homes().len();
        for _ in 0..=homes / 20 {
            let home = self.random.usize(0..homes);
            match self.random.u32(0..20) {
                0..7 => self.ask(home),
                7..11 => self.withdraw(home),
                11..13 => self.crash(Agent::Home(home)),
                13 => self.jump(Agent::Home(home)),
                14 => self.cut_off(tick, Agent::Home(home)),
                15 => self.change(tick, home),
                _ => {}
            }
        }
        let provider = self.random.usize(0..PROVIDERS.len());
        match self.random.u32(0..120) {
            0..4 => self.crash(Agent::Provider(provider)),
            4..6 => self.jump(Agent::Provider(provider)),
            6 => self.cut_off(tick, Agent::Provider(provider)),
            7..9 => {
                self.world.set_mitigator(provider, false);
                self.later(tick, Relief::Recover(provider));
            }
            _ => {}
        }
    }

    fn ask(&mut self, home: usize) {
        let site = self.world.homes()[home].site.clone();
        let hosts: Vec<Host> = (0..self.random.usize(1..4))
            .map(|_| {
                let number = self.random.u16(2..12);
                match self.random.u32(0..4) {
                    0 => Host::Own(number),
                    _ => Host::At(self.random.usize(site.providers()), number),
                }
            })
            .collect();
        let target = site.target(&hosts);
        let seconds = self.random.u32(30..LONGEST);
        let Ok(lifetime) = Lifetime::from_number(seconds.into()) else {
            return;
        };
        let asked = self
            .world
            .at_home(home, |home, now| home.mitigate(now, &target, lifetime));
        // It has as many as it may.
        self.summary.requests += u64::from(asked.is_ok());
    }

    fn withdraw(&mut self, home: usize) {
        let requests = self.world.homes()[home].client.requests();
        if let Some(request) = self.random.choice(requests) {
            let gone = self
                .world
                .at_home(home, |home, now| home.withdraw(now, request.id));
            self.summary.withdrawn += u64::from(gone.is_ok());
        }
    }

    /// A network of a home goes for a while, or gives it other addresses.
    fn change(&mut self, tick: u64, home: usize) {
        self.summary.changes += 1;
        let site = &self.world.homes()[home].site;
        let provider = self.random.usize(site.providers());
        let goes = site.is_attached(provider) && self.random.bool();
        self.world.at_home(home, |home, now| {
            home.attach(now, |site| match goes {
                true => site.toggle(provider),
                false => site.renumber(provider),
            });
        });
        if goes {
            self.later(tick, Relief::Attach(home, provider));
        }
    }

    fn crash(&mut self, agent: Agent) {
        self.summary.crashes += 1;
        let after = self.random.bool().then(|| self.random.u32(0..40));
        self.world.crash(agent, after);
    }

    fn jump(&mut self, agent: Agent) {
        self.summary.jumps += 1;
        let seconds = self.random.i64(-7200..7200);
        self.world.jump(agent, seconds);
    }

    fn cut_off(&mut self, tick: u64, agent: Agent) {
        self.summary.partitions += 1;
        for address in self.addresses(agent) {
            self.world.network.cut_off(address);
        }
        self.later(tick, Relief::Join(agent));
    }

    fn later(&mut self, tick: u64, relief: Relief) {
        let at = tick + self.random.u64(1..100);
        self.due.entry(at).or_default().push(relief);
    }

    fn relieve(&mut self, relief: &Relief) {
        match *relief {
            Relief::Recover(provider) => self.world.set_mitigator(provider, true),
            Relief::Attach(home, provider) => {
                self.summary.changes += 1;
                self.world.at_home(home, |home, now| {
                    home.attach(now, |site| site.toggle(provider));
                });
            }
            Relief::Join(agent) => {
                for address in self.addresses(agent) {
                    self.world.network.join(address);
                }
            }
        }
    }

    fn addresses(&self, agent: Agent) -> Vec<std::net::IpAddr> {
        match agent {
            Agent::Home(home) => self.world.homes()[home].site.addresses().collect(),
            Agent::Provider(provider) => vec![self.world.providers()[provider].address.ip()],
        }
    }

    fn heal(&mut self) {
        self.world.network.set_weather(Weather::CALM);
        for relief in std::mem::take(&mut self.due).into_values().flatten() {
            self.relieve(&relief);
        }
    }

    fn withdraw_all(&mut self) {
        for home in 0..self.world.homes().len() {
            for request in self.world.homes()[home].client.requests() {
                let _over = self
                    .world
                    .at_home(home, |home, now| home.withdraw(now, request.id));
            }
        }
    }
}
