//! A home with two providers on a network that loses, delays, reorders and duplicates.

#![allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
#![allow(clippy::unwrap_used)] // test helpers may panic

use std::time::{Duration, Instant};

use agent::client::{RequestId, State};
use dots::lifetime::Lifetime;
use dots::target::Target;
use moat_sim::network::Weather;
use moat_sim::world::World;

const FIXED: &str = "dots.fixed.example";
const MOBILE: &str = "dots.mobile.example";
const STORM: Weather = Weather {
    loss: 0.3,
    duplication: 0.2,
    delay: (Duration::from_millis(5), Duration::from_millis(400)),
};

fn target(prefixes: &[&str]) -> Target {
    Target {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        ..Target::default()
    }
}

fn lifetime(seconds: u32) -> Lifetime {
    Lifetime::Seconds(seconds.try_into().unwrap())
}

fn mitigate(world: &mut World, prefixes: &[&str]) -> RequestId {
    let now = world.now();
    world
        .client
        .mitigate(now, &target(prefixes), lifetime(3600), true)
        .unwrap()
}

/// Every part accepted, and in force where it should be.
fn in_force(world: &World, id: RequestId, servers: &[&str]) -> bool {
    let report = world.client.request(id).unwrap();
    let accepted = report
        .parts
        .iter()
        .all(|part| matches!(part.state, State::Accepted(_)));
    let enforced = |name: &str| world.providers[name].enforced.len();
    accepted
        && [FIXED, MOBILE]
            .iter()
            .all(|name| enforced(name) == usize::from(servers.contains(name)))
}

fn nothing_left(world: &World) -> bool {
    world.client_store.requests.is_empty()
        && world
            .providers
            .values()
            .all(|provider| provider.store.is_empty() && provider.enforced.is_empty())
}

/// Covers: S-037, M-005, M-008, S-049
#[test]
fn in_200_storms_the_mitigation_is_in_force_and_leaves_nothing_after_withdrawal() {
    for seed in 0..200 {
        let mut world = World::residential(Instant::now(), STORM, seed);
        let id = mitigate(&mut world, &["203.0.113.7/32"]);
        let hour = Duration::from_secs(3600);
        let done = world.run_until(hour / 2, |world| in_force(world, id, &[FIXED]));
        assert!(
            done,
            "seed {seed}: not in force; {:?}",
            world.client.request(id)
        );
        let now = world.now();
        world.client.withdraw(now, id).unwrap();
        let done = world.run_until(hour / 2, nothing_left);
        assert!(
            done,
            "seed {seed}: state is left; {:?}",
            world.client.request(id)
        );
    }
}

/// Covers: M-007, M-008, M-029
#[test]
fn in_200_storms_an_attack_on_both_networks_reaches_both_servers() {
    for seed in 0..200 {
        let mut world = World::residential(Instant::now(), STORM, seed);
        let id = mitigate(&mut world, &["203.0.113.7/32", "198.51.100.7/32"]);
        let done = world.run_until(Duration::from_secs(1800), |world| {
            in_force(world, id, &[FIXED, MOBILE])
        });
        assert!(
            done,
            "seed {seed}: not in force; {:?}",
            world.client.request(id)
        );
        for (name, prefix) in [(FIXED, "203.0.113.7/32"), (MOBILE, "198.51.100.7/32")] {
            let record = world.providers[name].store.values().next().unwrap();
            assert_eq!(record.request.target, target(&[prefix]), "seed {seed}");
        }
    }
}

/// Covers: S-023, S-026
#[test]
fn a_lifetime_longer_than_granted_is_refreshed_until_it_is_over() {
    let calm = Weather {
        loss: 0.05,
        duplication: 0.05,
        delay: (Duration::from_millis(5), Duration::from_millis(20)),
    };
    for seed in 0..20 {
        let mut world = World::residential(Instant::now(), calm, seed);
        // The server grants a day at most; three days are wanted.
        let day = Duration::from_secs(86_400);
        let now = world.now();
        let wanted = lifetime(3 * 86_400);
        let id = world
            .client
            .mitigate(now, &target(&["203.0.113.7/32"]), wanted, true)
            .unwrap();
        let done = world.run_until(day / 24, |world| in_force(world, id, &[FIXED]));
        assert!(done, "seed {seed}");
        for quarter in 1..=11 {
            world.run_until(day / 4, |_| false);
            assert_eq!(
                world.providers[FIXED].enforced.len(),
                1,
                "seed {seed}: lost in quarter {quarter}"
            );
        }
        world.run_until(2 * day, |_| false);
        assert!(nothing_left(&world), "seed {seed}: it outlived its wish");
    }
}

/// Covers: S-067, S-068, X-008
#[test]
fn restarts_of_either_side_lose_no_mitigation() {
    for seed in 0..100 {
        let mut world = World::residential(Instant::now(), STORM, seed);
        let id = mitigate(&mut world, &["203.0.113.7/32"]);
        let half_hour = Duration::from_secs(1800);
        assert!(world.run_until(half_hour, |world| in_force(world, id, &[FIXED])));
        world.restart_provider(FIXED);
        assert_eq!(world.providers[FIXED].enforced.len(), 1, "seed {seed}");
        world.restart_client();
        let done = world.run_until(half_hour, |world| in_force(world, id, &[FIXED]));
        assert!(done, "seed {seed}: not in force after the restarts");
        let second = mitigate(&mut world, &["203.0.113.8/32"]);
        let accepted = |world: &World| {
            let report = world.client.request(second).unwrap();
            matches!(report.parts[0].state, State::Accepted(_))
        };
        assert!(
            world.run_until(half_hour, accepted),
            "seed {seed}: a mid was used twice"
        );
        let now = world.now();
        world.client.withdraw(now, id).unwrap();
        world.client.withdraw(now, second).unwrap();
        assert!(world.run_until(half_hour, nothing_left), "seed {seed}");
    }
}

/// Covers: S-068, M-029
#[test]
fn a_server_that_lost_its_sessions_is_reached_again_while_a_mitigation_is_asked_for() {
    for seed in 0..100 {
        let mut world = World::residential(Instant::now(), STORM, seed);
        world.run_until(Duration::from_secs(120), |_| false);
        world.restart_provider(FIXED);
        let id = mitigate(&mut world, &["203.0.113.7/32"]);
        let done = world.run_until(Duration::from_secs(300), |world| {
            in_force(world, id, &[FIXED])
        });
        assert!(done, "seed {seed}: {:?}", world.client.sessions());
    }
}
