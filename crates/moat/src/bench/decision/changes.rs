//! One network gets another prefix: what that costs the index of prefixes, and a client that was asked for much.

use std::hint::black_box;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{Client, Snapshot};
use agent::server_selection::Policy;
use dots::lifetime::Lifetime;
use ipnet::IpNet;
use pvd::PvdSet;

use super::inputs::{self, Inputs, Size};
use super::measure::nanoseconds_prepared;
use super::report::Change;
use super::silent::SilentConnector;

/// What is wanted is wanted until the end of the measurement.
const LIFETIME: i64 = 86_400;
const SEED: u64 = 8801;

/// Measures a change to and fro: the first PvD loses a prefix and gets another, in neither of which there is a target.
pub(super) fn measure(size: Size, patience: Duration) -> Change {
    let mut inputs = Inputs::new();
    let prefixes = inputs.prefixes(size.prefixes);
    let before = inputs::pvds(size.pvds, &prefixes);
    let [old, new] = ["198.51.100.0/24", "203.0.113.0/24"].map(|it| it.parse::<IpNet>());
    let with = |prefix: Option<IpNet>| {
        let mut set = before.clone();
        let first = inputs::id(0).and_then(|id| set.remove(&id));
        if let Some(mut first) = first {
            first.prefixes.extend(prefix);
            set.insert(first);
        }
        set
    };
    let sets = [with(old.ok()), with(new.ok())];
    let mut turn = sets.iter().cycle();
    let mut next = || turn.next().cloned().unwrap_or_default();

    let mut indexed = next();
    let index = nanoseconds_prepared(
        patience,
        || {
            sets.iter()
                .find_map(|set| set.get(&inputs::id(0)?).cloned())
        },
        |domain| domain.into_iter().for_each(|domain| indexed.insert(domain)),
    );
    black_box(indexed);

    let mut client = StandingClient::new(next(), &mut inputs, &prefixes, size.requests);
    let requests = client.requests();
    let of_client = nanoseconds_prepared(patience, next, |set| client.change(set));
    Change {
        pvds: size.pvds,
        prefixes: size.prefixes,
        requests,
        index_nanoseconds: index,
        client_nanoseconds: of_client,
    }
}

/// A client that was asked for something, and whose servers do not answer.
struct StandingClient {
    client: Client<SilentConnector>,
    now: Now,
}

impl StandingClient {
    fn new(pvds: PvdSet, inputs: &mut Inputs, prefixes: &[IpNet], requests: usize) -> Self {
        let now = Now {
            monotonic: Instant::now(),
            unix: 0,
        };
        let decided_by = (pvds, Policy::default());
        let connector = SilentConnector::default();
        let snapshot = Snapshot::default();
        let mut client = Client::new(now, connector, decided_by, snapshot, requests, SEED);
        client.handle_timeout(now);
        if let Ok(lifetime) = Lifetime::from_number(LIFETIME) {
            for target in inputs.targets(requests, prefixes) {
                // Two may fall together, which is one request then.
                let _asked = client.mitigate(now, &target.into(), lifetime, true);
            }
        }
        let mut standing = Self { client, now };
        standing.settle();
        standing
    }

    fn requests(&self) -> usize {
        self.client.requests().len()
    }

    fn change(&mut self, pvds: PvdSet) {
        self.client.set_pvds(self.now, pvds);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(action) = self.client.poll_action() {
            black_box(action);
        }
    }
}
