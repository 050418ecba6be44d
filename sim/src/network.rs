//! A network that treats datagrams badly, by a seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
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
    sent: u64,
}

impl Network {
    /// An empty network.
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            random: fastrand::Rng::with_seed(seed),
            under_way: BTreeMap::new(),
            sent: 0,
        }
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
        self.next_arrival()
            .filter(|at| *at <= now)
            .and_then(|_| self.under_way.pop_first())
            .map(|(_, datagram)| datagram)
    }
}
