//! One home with two providers on a network that loses, delays, reorders and duplicates.
#![allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
#![allow(clippy::unwrap_used)] // test helpers may panic

use std::time::{Duration, Instant};

use agent::client::{RequestId, State};
use dots::lifetime::Lifetime;
use dots::target::Target;
use moat_sim::network::Weather;
use moat_sim::site::Host;
use moat_sim::world::{Agent, World};

const FIXED: usize = 0;
const MOBILE: usize = 1;
const HOME: Agent = Agent::Home(0);
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);
const STORM: Weather = Weather {
    loss: 0.3,
    duplication: 0.2,
    delay: (Duration::from_millis(5), Duration::from_millis(400)),
};

fn world(weather: Weather, seed: u64) -> World {
    World::new(Instant::now(), weather, seed, 1)
}

fn target(world: &World, hosts: &[(usize, u16)]) -> Target {
    let hosts = hosts
        .iter()
        .map(|(provider, number)| Host::At(*provider, *number));
    world.homes()[0].site.target(&hosts.collect::<Vec<_>>())
}

fn mitigate(world: &mut World, hosts: &[(usize, u16)], seconds: u32) -> RequestId {
    let lifetime = Lifetime::Seconds(seconds.try_into().unwrap());
    let target = target(world, hosts);
    world
        .at_home(0, |home, now| home.mitigate(now, &target, lifetime))
        .unwrap()
}

fn withdraw(world: &mut World, id: RequestId) {
    world
        .at_home(0, |home, now| home.withdraw(now, id))
        .unwrap();
}

/// Every part accepted, and in force where it should be.
fn in_force(world: &World, id: RequestId, providers: &[usize]) -> bool {
    let report = world.homes()[0].client.request(id).unwrap();
    let is_accepted = |state: &State| matches!(state, State::Accepted(_));
    let filters = |number: &usize| world.providers()[*number].filtered().len();
    report.parts.iter().all(|part| is_accepted(&part.state))
        && [FIXED, MOBILE]
            .iter()
            .all(|number| filters(number) == usize::from(providers.contains(number)))
}

fn nothing_left(world: &World) -> bool {
    world.homes()[0].store.requests.is_empty()
        && world
            .providers()
            .iter()
            .all(|provider| provider.store().is_empty() && provider.filtered().is_empty())
}

/// Covers: S-037, M-005, M-008, S-049
#[test]
fn in_200_storms_the_mitigation_is_in_force_and_leaves_nothing_after_withdrawal() {
    for seed in 0..200 {
        let mut world = world(STORM, seed);
        let id = mitigate(&mut world, &[(FIXED, 7)], 3600);
        let done = world.run_until(HALF_AN_HOUR, |world| in_force(world, id, &[FIXED]));
        assert!(done.unwrap(), "seed {seed}: not in force");
        withdraw(&mut world, id);
        let done = world.run_until(2 * HALF_AN_HOUR, nothing_left);
        assert!(done.unwrap(), "seed {seed}: state is left");
    }
}

/// Covers: M-007, M-008, M-029
#[test]
fn in_200_storms_an_attack_on_both_networks_reaches_both_servers() {
    for seed in 0..200 {
        let mut world = world(STORM, seed);
        let hosts = [(FIXED, 7), (MOBILE, 7)];
        let id = mitigate(&mut world, &hosts, 3600);
        let done = world.run_until(HALF_AN_HOUR, |world| in_force(world, id, &[FIXED, MOBILE]));
        assert!(done.unwrap(), "seed {seed}: not in force");
        for (provider, host) in world.providers().iter().zip(hosts) {
            let record = provider.store().values().next().unwrap();
            assert_eq!(
                record.request.target,
                target(&world, &[host]),
                "seed {seed}"
            );
        }
    }
}

/// Covers: S-023, S-026
#[test]
fn a_lifetime_longer_than_granted_is_refreshed_until_it_is_over() {
    let breeze = Weather {
        loss: 0.05,
        duplication: 0.05,
        delay: (Duration::from_millis(5), Duration::from_millis(20)),
    };
    for seed in 0..20 {
        let mut world = world(breeze, seed);
        // The server grants a day at most; three days are wanted.
        let day = Duration::from_secs(86_400);
        let id = mitigate(&mut world, &[(FIXED, 7)], 3 * 86_400);
        let done = world.run_until(day / 24, |world| in_force(world, id, &[FIXED]));
        assert!(done.unwrap(), "seed {seed}");
        for quarter in 1..=11 {
            world.run(day / 4).unwrap();
            let filtered = world.providers()[FIXED].filtered().len();
            assert_eq!(filtered, 1, "seed {seed}: lost in quarter {quarter}");
        }
        world.run(2 * day).unwrap();
        assert!(nothing_left(&world), "seed {seed}: it outlived its wish");
    }
}

/// Covers: S-067, S-068, X-008
#[test]
fn restarts_of_either_side_lose_no_mitigation() {
    for seed in 0..100 {
        let mut world = world(STORM, seed);
        let id = mitigate(&mut world, &[(FIXED, 7)], 3600);
        let done = world.run_until(HALF_AN_HOUR, |world| in_force(world, id, &[FIXED]));
        assert!(done.unwrap(), "seed {seed}");
        world.crash(Agent::Provider(FIXED), None);
        assert_eq!(world.providers()[FIXED].store().len(), 1, "seed {seed}");
        world.crash(HOME, None);
        let done = world.run_until(HALF_AN_HOUR, |world| in_force(world, id, &[FIXED]));
        assert!(
            done.unwrap(),
            "seed {seed}: not in force after the restarts"
        );
        let second = mitigate(&mut world, &[(FIXED, 8)], 3600);
        let accepted = |world: &World| {
            let report = world.homes()[0].client.request(second).unwrap();
            matches!(report.parts[0].state, State::Accepted(_))
        };
        let done = world.run_until(HALF_AN_HOUR, accepted);
        assert!(done.unwrap(), "seed {seed}: a mid was used twice");
        withdraw(&mut world, id);
        withdraw(&mut world, second);
        let done = world.run_until(2 * HALF_AN_HOUR, nothing_left);
        assert!(done.unwrap(), "seed {seed}");
    }
}

/// Covers: S-068, M-029
#[test]
fn a_server_that_lost_its_sessions_is_reached_again_while_a_mitigation_is_asked_for() {
    for seed in 0..100 {
        let mut world = world(STORM, seed);
        world.run(Duration::from_secs(120)).unwrap();
        world.crash(Agent::Provider(FIXED), None);
        let id = mitigate(&mut world, &[(FIXED, 7)], 3600);
        let patience = Duration::from_secs(300);
        let done = world.run_until(patience, |world| in_force(world, id, &[FIXED]));
        assert!(
            done.unwrap(),
            "seed {seed}: {:?}",
            world.homes()[0].client.sessions()
        );
    }
}
