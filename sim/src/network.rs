//! A network that treats datagrams badly, by a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How badly.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Probability that a datagram is lost, 0 to 1.
    pub loss: f64,
    /// Probability that a datagram arrives twice, 0 to 1.
    pub duplication: f64,
    /// The shortest and the longest time a datagram takes; each draws its own, so they overtake
    /// each other.
    pub delay: (Duration, Duration),
}

impl Weather {
    /// Nothing is lost, and nothing takes longer than 30 ms.
    pub const CALM: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        delay: (Duration::from_millis(5), Duration::from_millis(30)),
    };
}

/// A datagram under way.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where it came from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What is under way, by time of arrival.
#[derive(Debug)]
pub struct Network {
    weather: Weather,
    random: fastrand::Rng,
    under_way: BTreeMap<(Instant, u64), Datagram>,
    cut_off: BTreeSet<IpAddr>,
    sent: u64,
}

impl Network {
    /// An empty network.
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            random: fastrand::Rng::with_seed(seed),
            under_way: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            sent: 0,
        }
    }

    /// How it treats datagrams from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Nothing reaches this address, and nothing that it sends arrives, until it is joined again.
    pub fn cut_off(&mut self, address: IpAddr) {
        self.cut_off.insert(address);
    }

    /// Ends what [`Network::cut_off`] began.
    pub fn join(&mut self, address: IpAddr) {
        self.cut_off.remove(&address);
    }

    /// How many datagrams were sent and not lost, each copy for itself.
    pub fn carried(&self) -> u64 {
        self.sent
    }

    /// Takes a datagram and decides its fate.
    pub fn send(&mut self, now: Instant, datagram: &Datagram) {
        let copies = match self.random.f64() {
            fate if fate < self.weather.loss => 0,
            fate if fate < self.weather.loss + self.weather.duplication => 2,
            _ => 1,
        };
        let (shortest, longest) = self.weather.delay;
        for _ in 0..copies {
            let delay = shortest + (longest - shortest).mul_f64(self.random.f64());
            self.sent += 1;
            self.under_way
                .insert((now + delay, self.sent), datagram.clone());
        }
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// A datagram that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Datagram> {
        while self.next_arrival().is_some_and(|at| at <= now) {
            let (_, datagram) = self.under_way.pop_first()?;
            let ends = [datagram.source.ip(), datagram.destination.ip()];
            if !ends.iter().any(|end| self.cut_off.contains(end)) {
                return Some(datagram);
            }
        }
        None
    }
}
